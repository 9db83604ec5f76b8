"""ELR+: ELR with two networks, averaged weights and mixup.

For each network k, at each step, with the weak view x of the batch:

    p     = softmax of the OTHER network's averaged weights at x
    t_k  <- beta t_k + (1 - beta) p                                  at the rows of the batch
    x', y', t' = mixup of x, y (one-hot) and t_k with one l ~ Beta(a, a), l or 1 - l, the larger
    L    = mean soft CE(x', y') + lam mean log(1 - <softmax at x', t'>)
    a_k  <- g a_k + (1 - g) weights_k,   g = gamma exp(-5 (1 - min(step, ramp) / ramp)^2)

It predicts by the mean of both networks' logits. Source as `elr`; values: beta .7, lam 3 for
CIFAR-10 with symmetric noise; .9, 1 asymmetric; .9, 7 for CIFAR-100, where lam is also ramped (as
g, `ramp_lam`) and mixed labels are multiplied by mixed targets (`refine`); gamma .997, ramp 40,000
steps, a 1.

Deviations: in the published code the two networks take turns epoch by epoch over batches of their
own; here both take a step on the same batch, with different augmentation and mixup. As there, the
averages are of the parameters alone and normalise by their batch. What enters t is clipped as in
`elr` (there not), and the ramp starts at step 0 (there at 2).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.deep import elr, mixup
from jaxrobust.deep.method import (
    Batch,
    Info,
    Learner,
    Method,
    Probabilities,
    Task,
    Weights,
    descend,
    mean_prediction,
    same_size,
    start,
    two_keys,
)


class One(NamedTuple):
    """One of the two: network, averaged parameters, targets."""

    learner: Learner
    average: Any
    t: Float[Array, "n C"]


class State(NamedTuple):
    """The two, and how many steps they have taken."""

    first: One
    second: One
    steps: Int[Array, ""]


def ramp_up(count: Any, steps: Any, dtype: Any = jnp.float32) -> Float[Array, ""]:
    """Return exp(-5 (1 - min(count, steps) / steps)^2), from .0067 to 1.

    >>> round(float(ramp_up(0, 100)), 4), float(ramp_up(100, 100))
    (0.0067, 1.0)
    """
    steps = jnp.asarray(steps, dtype)
    left = 1 - jnp.minimum(jnp.asarray(count, dtype), steps) / steps
    return jnp.exp(-5 * left**2)


def method(
    task: Task,
    *,
    lam: Any = 3.0,
    beta: Any = 0.7,
    a: Any = 1.0,
    gamma: Any = 0.997,
    ramp: Any = 40_000,
    ramp_lam: bool = False,
    refine: bool = False,
    dtype: Any = jnp.float32,
) -> Method:
    """Train two networks with ELR+; `dtype` is that of the targets."""
    lam, beta = elr.numbers(lam, beta)
    gamma, ramp = _check.rate("gamma", gamma), _check.positive("ramp", ramp)

    def init(key: PRNGKeyArray) -> State:
        def one(key):
            learner = start(task, key)
            t = jnp.zeros((task.n, task.classes), dtype)
            return One(learner, learner.weights.params, t)

        first, second = two_keys(key)
        return State(one(first), one(second), jnp.zeros((), jnp.int32))

    def turn(one: One, other: One, batch: Batch, key: PRNGKeyArray, count: Array):
        view, lucky = jax.random.split(key)
        x = task.weak(view, batch.x)
        told = Weights(other.average, other.learner.weights.stats)
        t = elr.target(one.t[batch.rows], task.network.apply(told, x, True)[0], beta)
        y = jax.nn.one_hot(batch.y, task.classes, dtype=t.dtype)
        x, (y, aims) = mixup.mix(lucky, a, x, (y, t), floor=True)
        if refine:
            y = y * aims
            y = y / jnp.maximum(y.sum(axis=1, keepdims=True), elr.CLIP)
        rise = ramp_up(count, ramp, t.dtype)
        weight = jnp.asarray(lam, t.dtype) * (rise if ramp_lam else 1)

        def cost(logits):
            labels = y.astype(logits.dtype)
            pull = elr.regulariser(elr.clipped(logits), aims.astype(logits.dtype))
            return jnp.mean(mixup.loss(logits, labels) + weight.astype(logits.dtype) * pull), None

        learner, value, _ = descend(task, one.learner, cost, x)
        keep = jnp.asarray(gamma, t.dtype) * rise
        average = jax.tree.map(
            lambda m, w: keep.astype(w.dtype) * m + (1 - keep).astype(w.dtype) * w,
            one.average,
            learner.weights.params,
        )
        return One(learner, average, one.t.at[batch.rows].set(t)), value

    def step(state: State, batch: Batch, key: PRNGKeyArray) -> tuple[State, Info]:
        keys = jax.random.split(key)
        # Both look at the other as it was before the step.
        first, one = turn(state.first, state.second, batch, keys[0], state.steps)
        second, two = turn(state.second, state.first, batch, keys[1], state.steps)
        return State(first, second, state.steps + 1), Info((one + two) / 2)

    def estimate(state: State, x: Array) -> Probabilities:
        return mean_prediction(task, [state.first.learner, state.second.learner], x)

    return Method(init, step, estimate, same_size(task))
