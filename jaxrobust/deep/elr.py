"""ELR: early-learning regularization, towards what the network said before it memorized.

    L = CE + (lam / n) sum_i log(1 - <p_i, t_i>)
    t_i <- beta t_i + (1 - beta) p_i,  t_i = 0 first

The target t_i moves before the loss is taken, once a visit, and has no gradient.
S. Liu, J. Niles-Weed, N. Razavian, C. Fernandez-Granda (2020), Early-learning regularization
prevents memorization of noisy labels, NeurIPS, arXiv 2007.00151: Equation 7, Algorithm 1. Values:
beta .7, lam 3 for CIFAR-10 with symmetric noise; .9, 1 with asymmetric; .9, 7 for CIFAR-100.

As in the published code p is clipped to [1e-4, 1 - 1e-4], and what enters t sums to one again;
cross-entropy sees the logits themselves.
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
    predict,
    same_size,
    start,
)

CLIP = 1e-4


class State(NamedTuple):
    """One network and the targets."""

    learner: Learner
    t: Float[Array, "n C"]


def clipped(logits: Float[Array, "B C"]) -> Float[Array, "B C"]:
    """Return softmax(logits) in [1e-4, 1 - 1e-4]."""
    return jnp.clip(jax.nn.softmax(logits, axis=1), CLIP, 1 - CLIP)


def target(t: Float[Array, "B C"], logits: Float[Array, "B C"], beta: Any) -> Float[Array, "B C"]:
    """Return beta t + (1 - beta) p, p clipped and summing to one; without gradient."""
    p = jax.lax.stop_gradient(clipped(logits))
    beta = jnp.asarray(beta, t.dtype)
    return beta * t + (1 - beta) * (p / p.sum(axis=1, keepdims=True)).astype(t.dtype)


def regulariser(p: Float[Array, "B C"], t: Float[Array, "B C"]) -> Float[Array, " B"]:
    """Return log(1 - <p, t>), one number an example; t keeps no gradient."""
    return jnp.log(1 - jnp.sum(p * jax.lax.stop_gradient(t), axis=1))


def loss(
    logits: Float[Array, "B C"], y: Int[Array, " B"], t: Float[Array, "B C"], lam: Any
) -> Float[Array, " B"]:
    """Return CE + lam log(1 - <p, t>), one number an example, for targets moved already.

    >>> z, t = jnp.zeros((1, 2)), jnp.array([[0.5, 0.5]])
    >>> round(float(loss(z, jnp.array([0]), t, 3.0)[0]), 4)  # log 2 + 3 log(1/2)
    -1.3863
    """
    return cross_entropy.loss(logits, y) + lam * regulariser(clipped(logits), t)


def numbers(lam: Any, beta: Any) -> tuple[Array, Array]:
    """Return lam >= 0 and beta in [0, 1), checked."""
    lam = _check.between("lam", lam, 0.0, jnp.inf, open_high=True)
    return lam, _check.between("beta", beta, 0.0, 1.0, open_high=True)


def method(task: Task, *, lam: Any = 3.0, beta: Any = 0.7, dtype: Any = jnp.float32) -> Method:
    """Train one network with ELR; `dtype` is that of the targets."""
    lam, beta = numbers(lam, beta)

    def init(key: PRNGKeyArray) -> State:
        return State(start(task, key), jnp.zeros((task.n, task.classes), dtype))

    def step(state: State, batch: Batch, key: PRNGKeyArray) -> tuple[State, Info]:
        before = state.t[batch.rows]

        def cost(logits):
            moved = target(before, logits, beta)
            weight = jnp.asarray(lam, logits.dtype)
            each = loss(logits, batch.y, moved.astype(logits.dtype), weight)
            return jnp.mean(each), moved

        learner, value, moved = descend(task, state.learner, cost, task.weak(key, batch.x))
        return State(learner, state.t.at[batch.rows].set(moved)), Info(value)

    def estimate(state: State, x: Array) -> Probabilities:
        return predict(task, state.learner.weights, x)

    return Method(init, step, estimate, same_size(task))
