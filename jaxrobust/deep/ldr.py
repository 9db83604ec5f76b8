"""LDR: the worst distribution over the labels, held near the uniform one (LDR-KL); adaptive (ALDR).

For scores f (B, C), margins c_k = margin 1{k != y}, and lam > 0

    L = max_{q in simplex} sum_k q_k (f_k - f_y + c_k) - lam KL(q | 1/C)
      = lam log( (1/C) sum_k exp((f_k - f_y + c_k) / lam) ).

lam -> 0: max_k, the multi-class hinge loss; lam = 1, margin 0, f = logits: cross-entropy - log C;
lam -> infinity: mean_k (f_k - f_y + c_k), a symmetric loss if sum_k f_k is fixed. ALDR-KL gives
each example a lam_i of its own, by maximising over it as well:

    max_lam  max_q { ... - lam KL(q | 1/C) } - (alpha log C / (2 lam0)) (lam - lam0)^2,
    lam_i = lam0 (1 - KL(q_i | 1/C) / (alpha log C)),    in [lam0 (1 - 1/alpha), lam0]:

small where the network is sure, lam0 where it is not. Zhu, Ying, Yang (ICML 2023, arXiv
2112.14869). Scores are normalised to mean 1, with the gradient through it: `relative` for LDR,
`proportional` for ALDR, as in the released code. Values there: margin .1, alpha 2, lam or lam0 from
{.1, 1, 10} (10 in the released run; our LDR default is 1).

As in that code, q_i = softmax(f / lam_i before) + 1e-5, renormalised, has neither margin nor label,
and lam_i is refreshed at each visit, before the loss, without gradient. Deviations: `relative` is
computed in logarithms, so that it is exact where all softplus underflow; `proportional` divides by
at least .01, so that a network whose logits start at 0 (`nets.Linear`) has a slope it can use. The
released code applies softplus on CIFAR-100 before the latter; here never.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.deep.method import (
    Batch,
    Info,
    Learner,
    Method,
    Probabilities,
    Task,
    by_loss,
    descend,
    no_epoch,
    predict,
    start,
)

Scores = Callable[[Float[Array, "B C"]], Float[Array, "B C"]]


def raw(logits: Float[Array, "B C"]) -> Float[Array, "B C"]:
    """Return the logits as they are."""
    return logits


def relative(logits: Float[Array, "B C"]) -> Float[Array, "B C"]:
    """Return softplus(z) / mean_k softplus(z_k)."""
    low = logits < -20  # log softplus(z) = z - e^z / 2 + ... there
    down, up = jnp.where(low, logits, -20), jnp.where(low, 0, logits)  # no overflow in slopes
    log_f = jnp.where(low, down - jnp.exp(down) / 2, jnp.log(jax.nn.softplus(up)))
    return logits.shape[1] * jax.nn.softmax(log_f, axis=1)


def proportional(logits: Float[Array, "B C"]) -> Float[Array, "B C"]:
    """Return z / mean_k |z_k|."""
    size = jnp.mean(jnp.abs(logits), axis=1, keepdims=True)
    return logits / jnp.maximum(size, 0.01)


def loss(
    logits: Float[Array, "B C"],
    y: Int[Array, " B"],
    lam: Any = 1.0,
    margin: Any = 0.1,
    scores: Scores = relative,
) -> Float[Array, " B"]:
    """Return lam log mean_k exp((f_k - f_y + c_k) / lam), f = scores(logits); lam one or (B,).

    >>> print(loss(jnp.zeros((1, 4)), jnp.array([2]), 1.0, 0.0, raw).round(6))  # log 4 - log 4
    [0.]
    """
    lam = jnp.broadcast_to(_check.positive("lam", lam).astype(logits.dtype), y.shape)
    margin = _check.between("margin", margin, 0.0, jnp.inf).astype(logits.dtype)
    f = scores(logits)
    own = jnp.take_along_axis(f, y[:, None], axis=1)
    other = jnp.arange(f.shape[1], dtype=y.dtype)[None, :] != y[:, None]
    gap = f - own + margin * other.astype(f.dtype)
    return lam * (jax.nn.logsumexp(gap / lam[:, None], axis=1) - math.log(f.shape[1]))


def refreshed(
    logits: Float[Array, "B C"],
    lam: Float[Array, " B"],
    lam0: Any = 10.0,
    alpha: Any = 2.0,
    scores: Scores = proportional,
) -> Float[Array, " B"]:
    """Return the next lam_i: lam0 (1 - KL(q_i | 1/C) / (alpha log C)), without gradient."""
    f = jax.lax.stop_gradient(scores(logits))
    lam0 = _check.positive("lam0", lam0).astype(f.dtype)
    alpha = _check.between("alpha", alpha, 1.0, jnp.inf, open_low=True).astype(f.dtype)
    q = jax.nn.softmax(f / lam.astype(f.dtype)[:, None], axis=1) + 1e-5
    q = q / jnp.sum(q, axis=1, keepdims=True)
    kl = math.log(f.shape[1]) + jnp.sum(q * jnp.log(q), axis=1)
    return lam0 * (1 - kl / (alpha * math.log(f.shape[1])))


def adaptive(
    logits: Float[Array, "B C"],
    y: Int[Array, " B"],
    lam: Float[Array, " B"],
    lam0: Any = 10.0,
    alpha: Any = 2.0,
    margin: Any = 0.1,
    scores: Scores = proportional,
) -> Float[Array, " B"]:
    """Return LDR-KL at each example's lam_i less its cost, for lam_i refreshed already."""
    lam = jax.lax.stop_gradient(lam.astype(logits.dtype))
    lam0 = _check.positive("lam0", lam0).astype(logits.dtype)
    alpha = _check.between("alpha", alpha, 1.0, jnp.inf, open_low=True).astype(logits.dtype)
    pull = alpha * math.log(logits.shape[1]) / (2 * lam0)
    return loss(logits, y, lam, margin, scores) - pull * jnp.square(lam - lam0)


def method(task: Task, lam: Any = 1.0, margin: Any = 0.1, scores: Scores = relative) -> Method:
    """Train one network by LDR-KL."""
    return by_loss(task, lambda logits, y: loss(logits, y, lam, margin, scores))


class Adaptive(NamedTuple):
    """A network and every example's lam_i."""

    learner: Learner
    lam: Float[Array, " n"]


def adaptive_method(
    task: Task,
    lam0: Any = 10.0,
    alpha: Any = 2.0,
    margin: Any = 0.1,
    scores: Scores = proportional,
    *,
    dtype: Any = jnp.float32,
) -> Method:
    """Train one network by ALDR-KL; `dtype` is that of the lam_i, which start at lam0."""
    lam0 = _check.positive("lam0", lam0)

    def init(key: PRNGKeyArray) -> Adaptive:
        return Adaptive(start(task, key), jnp.full(task.n, lam0.astype(dtype)))

    def step(state: Adaptive, batch: Batch, key: PRNGKeyArray) -> tuple[Adaptive, Info]:
        before = state.lam[batch.rows]

        def cost(logits):
            lam = refreshed(logits, before, lam0, alpha, scores)
            return jnp.mean(adaptive(logits, batch.y, lam, lam0, alpha, margin, scores)), lam

        learner, value, lam = descend(task, state.learner, cost, task.weak(key, batch.x))
        return Adaptive(learner, state.lam.at[batch.rows].set(lam.astype(dtype))), Info(value)

    def estimate(state: Adaptive, x: Array) -> Probabilities:
        return predict(task, state.learner.weights, x)

    return Method(init, step, estimate, no_epoch)
