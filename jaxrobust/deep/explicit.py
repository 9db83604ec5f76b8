"""An explicit l1 (and l2) penalty on the noise s: what SOP does without, for comparison.

    min over weights, s_1, ..., s_n in R^C of  (1/n) sum_i L(z_i, s_i, y_i) + w1|s_i|_1 + w2|s_i|^2

with z logits, p = softmax(z), y one-hot, and s added in one of two places:

    "probabilities"   L = |p + s - y|^2 / 2          "logits"   L = CE(z + s, y)

s starts at 0 and moves at each visit, before the weights, by a proximal step of size `rate`,

    s <- soft(s - rate dL/ds, rate w1) / (1 + 2 rate w2),    soft(a, b) = sign(a) max(|a| - b, 0),

or the naive way ("subgradient"), s <- s - rate (dL/ds + w1 sign(s) + 2 w2 s): no exact zeros.

Minimised over s, a loss of the network alone is left (derived here):

- "probabilities": s = soft(y - p, w1) / (1 + 2 w2), which a proximal step of rate 1 reaches from
  anywhere. What is left is sum_c H(p_c - y_c), Huber's loss of threshold w1, its tails bent by w2:
  H'(r) = r up to w1, then sign(r) (w1 + (|r| - w1) 2 w2 / (1 + 2 w2)). w1 >= 1: the square loss,
  s = 0. w1 -> 0: w1 |p - y|_1 = 2 w1 (1 - p_y), the mean absolute error with a small weight.
  w1 = 0: the square loss times 2 w2 / (1 + 2 w2): l2 alone only makes steps smaller.
- "logits", w2 = 0: with the margin m = z_y - log sum_{c != y} exp(z_c) and m* = log((1 - w1) / w1),
  only s_y = max(m* - m, 0) is not 0. What is left is log(1 + exp(-m)) down to m*, then its tangent;
  its gradient in z is min(1, w1 / (1 - p_y)) (p - y). w1 >= 1: cross-entropy, s = 0.
- Of CE(p + s, y) + w1 |s|_1 with p + s kept a probability: -log p_y down to p_y = 1 / (2 w1), then
  its tangent in p_y, for w1 > 1/2 (partially Huberised, as in Menon et al., ICLR 2020); else
  2 w1 (1 - p_y). That is between CE and the mean absolute error, as `gce` is; not a method here.

Why this cannot last. A network that fits all labels makes the whole objective 0 (its infimum, for
logits), s = 0; clean weights with s = flips cost about w1 |s|_1 an example. So while s explains a
wrong label, that label still pulls at the network, with weight w1. In SOP nothing is paid for s:
clean weights with s = flips have loss 0, and no pull is left.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.deep import cross_entropy
from jaxrobust.deep.method import (
    Batch,
    Info,
    Learner,
    Method,
    Probabilities,
    Task,
    descend,
    no_epoch,
    predict,
    start,
)


class State(NamedTuple):
    """One network and the noise."""

    learner: Learner
    s: Float[Array, "n C"]


def loss(
    logits: Float[Array, "B C"], s: Float[Array, "B C"], y: Int[Array, " B"], place: str
) -> Float[Array, " B"]:
    """Return L without the penalty, one number an example.

    >>> z, y, s = jnp.zeros((1, 2)), jnp.array([0]), jnp.array([[0.5, -0.5]])
    >>> print(loss(z, s, y, "probabilities"), loss(z, 0 * s, y, "logits").round(4))
    [0.] [0.6931]
    """
    if place == "logits":
        return cross_entropy.loss(logits + s, y)
    one = jax.nn.one_hot(y, logits.shape[1], dtype=logits.dtype)
    return jnp.sum((jax.nn.softmax(logits, axis=1) + s - one) ** 2, axis=1) / 2


def penalty(s: Float[Array, "B C"], w1: Any, w2: Any) -> Float[Array, " B"]:
    """Return w1 |s_i|_1 + w2 |s_i|^2, one number an example."""
    w1, w2 = (jnp.asarray(w, s.dtype) for w in (w1, w2))
    return w1 * jnp.sum(jnp.abs(s), axis=1) + w2 * jnp.sum(s**2, axis=1)


def move(
    s: Float[Array, "B C"],
    slope: Float[Array, "B C"],
    rate: Any,
    w1: Any,
    w2: Any = 0.0,
    rule: str = "proximal",
) -> Float[Array, "B C"]:
    """Take one step in s, where L has this slope.

    >>> print(move(jnp.zeros((1, 3)), jnp.array([[-1.0, -0.2, 0.5]]), 1.0, 0.3).round(4))
    [[ 0.7  0.  -0.2]]
    """
    rate, w1, w2 = (jnp.asarray(a, s.dtype) for a in (rate, w1, w2))
    if rule == "subgradient":
        return s - rate * (slope + w1 * jnp.sign(s) + 2 * w2 * s)
    ahead = s - rate * slope
    shrunk = jnp.sign(ahead) * jnp.maximum(jnp.abs(ahead) - rate * w1, 0)
    return shrunk / (1 + 2 * rate * w2)


def huber(r: Float[Array, "..."], w1: Any, w2: Any = 0.0) -> Float[Array, "..."]:
    """Return min_s (r + s)^2 / 2 + w1 |s| + w2 s^2, elementwise.

    >>> print(huber(jnp.array([0.1, -1.0]), 0.2), huber(jnp.array(1.0), 0.0, 0.5))
    [0.005 0.18 ] 0.25
    """
    r = jnp.abs(r)
    w1, w2 = (jnp.asarray(w, r.dtype) for w in (w1, w2))
    over = jnp.maximum(r - w1, 0)
    return (r - over) ** 2 / 2 + w1 * over + w2 / (1 + 2 * w2) * over**2


def clipped(logits: Float[Array, "B C"], y: Int[Array, " B"], w1: Any) -> Float[Array, " B"]:
    """Return min_s CE(z + s, y) + w1 |s|_1, one number an example.

    >>> z = jnp.array([[0.0, 3.0], [0.0, 0.0]])
    >>> print(clipped(z, jnp.array([0, 0]), 0.5).round(4))  # log 2 + 3 / 2, log 2
    [2.1931 0.6931]
    """
    ours = jax.nn.one_hot(y, logits.shape[1], dtype=bool)
    rest = jax.nn.logsumexp(jnp.where(ours, -jnp.inf, logits), axis=1)
    margin = jnp.sum(jnp.where(ours, logits, 0), axis=1) - rest
    w1 = jnp.minimum(jnp.asarray(w1, logits.dtype), 1)
    s = jnp.where(w1 < 1, jnp.maximum(jnp.log1p(-w1) - jnp.log(w1) - margin, 0), 0)
    return jax.nn.softplus(-margin - s) + w1 * s


def method(
    task: Task,
    w1: Any,
    w2: Any = 0.0,
    *,
    rate: Any = 1.0,
    place: str = "probabilities",
    rule: str = "proximal",
    dtype: Any = jnp.float32,
) -> Method:
    """Train one network and its noise; w1, w2 >= 0; `dtype` is that of s.

    `rate` is that of s, an example a visit: 1 solves for s in "probabilities"; in "logits" steps up
    to 2 are stable. Weights, as all methods', descend on the mean over the batch.
    """
    if place not in ("probabilities", "logits"):
        raise ValueError(f"place must be 'probabilities' or 'logits', got {place!r}")
    if rule not in ("proximal", "subgradient"):
        raise ValueError(f"rule must be 'proximal' or 'subgradient', got {rule!r}")
    w1, w2 = (_check.between(k, w, 0.0, jnp.inf) for k, w in (("w1", w1), ("w2", w2)))
    rate = _check.positive("rate", rate)
    w1, w2, rate = (jnp.asarray(a).astype(dtype) for a in (w1, w2, rate))

    def init(key: PRNGKeyArray) -> State:
        return State(start(task, key), jnp.zeros((task.n, task.classes), dtype))

    def step(state: State, batch: Batch, key: PRNGKeyArray) -> tuple[State, Info]:
        before = state.s[batch.rows]

        def cost(logits):
            fixed = jax.lax.stop_gradient(logits).astype(dtype)
            slope = jax.grad(lambda s: jnp.sum(loss(fixed, s, batch.y, place)))(before)
            s = move(before, slope, rate, w1, w2, rule)
            each = loss(logits, s.astype(logits.dtype), batch.y, place)
            paid = penalty(s, w1, w2).astype(logits.dtype)
            return jnp.mean(each + paid), s

        learner, value, s = descend(task, state.learner, cost, task.weak(key, batch.x))
        return State(learner, state.s.at[batch.rows].set(s)), Info(value)

    def estimate(state: State, x: Array) -> Probabilities:
        return predict(task, state.learner.weights, x)

    return Method(init, step, estimate, no_epoch)
