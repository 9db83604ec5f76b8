"""Generalised cross-entropy: between cross-entropy (q -> 0) and the mean absolute error (q = 1).

    L_q = (1 - p_y^q) / q,    whose gradient is p_y^q times that of -log p_y.

Truncated: L_q(max(p_y, k)), constant below p_y = k. It descends by alternation: sum_i w_i (L_q(i) -
L_k), L_k = (1 - k^q) / q, with w_i = 1{p_y(x_i) > k} kept for a while and then refreshed.

Zhang, Sabuncu (NeurIPS 2018, arXiv 1805.07836); q = .7, k = .5, weights refreshed every 10 epochs
once 40 (CIFAR-10) or 80 (CIFAR-100) are over.

Deviations: published code clips p at 1e-7 (without: exact for every logit), and refreshes the
weights by the best model so far on clean test data; here by the model as it stands.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.deep import cross_entropy, train
from jaxrobust.deep.method import (
    Batch,
    Info,
    Learner,
    Method,
    Probabilities,
    Task,
    Whole,
    by_loss,
    descend,
    predict,
    start,
)


def _power(log_p: Array, q: Array) -> Array:
    """Return (1 - exp(q log p)) / q, and its limit -log p at q = 0."""
    some = jnp.where(q > 0, q, 1)
    return jnp.where(q > 0, -jnp.expm1(some * log_p) / some, -log_p)


def loss(logits: Float[Array, "B C"], y: Int[Array, " B"], q: Any = 0.7) -> Float[Array, " B"]:
    """Return (1 - p_y^q) / q, one number an example; q in [0, 1].

    >>> print(loss(jnp.zeros((1, 4)), jnp.array([2]), 0.5))  # 2 (1 - 1/2)
    [1.]
    """
    q = _check.rate("q", q).astype(logits.dtype)
    return _power(-cross_entropy.loss(logits, y), q)


def truncated(
    logits: Float[Array, "B C"], y: Int[Array, " B"], w: Any, q: Any = 0.7, k: Any = 0.5
) -> Float[Array, " B"]:
    """Return w (L_q - L_k), w the weight of each example, (B,), 0 or 1."""
    k = _check.between("k", k, 0.0, 1.0, open_low=True).astype(logits.dtype)
    level = _power(jnp.log(k), _check.rate("q", q).astype(logits.dtype))
    return jnp.asarray(w).astype(logits.dtype) * (loss(logits, y, q) - level)


def method(task: Task, q: Any = 0.7) -> Method:
    """Train one network by generalised cross-entropy."""
    return by_loss(task, lambda logits, y: loss(logits, y, q))


class Truncated(NamedTuple):
    """A network and the examples that it still learns from."""

    learner: Learner
    kept: Bool[Array, " n"]


def truncated_method(
    task: Task, q: Any = 0.7, k: Any = 0.5, first: int = 40, every: int = 10
) -> Method:
    """Train one network by truncated GCE: all examples count until epoch `first`.

    Before each epoch number e (from 0) with e + 1 >= first and e + 1 a multiple of `every`, an
    example is kept where p_y > k on the plain view, for the next `every` epochs.
    """
    k = _check.between("k", k, 0.0, 1.0, open_low=True)

    def init(key: PRNGKeyArray) -> Truncated:
        return Truncated(start(task, key), jnp.ones(task.n, bool))

    def epoch(
        state: Truncated, whole: Whole, key: PRNGKeyArray, count: Int[Array, ""]
    ) -> Truncated:
        def refresh(state: Truncated) -> Truncated:
            p = train.probabilities(made, state, whole.x, 1000)
            p_y = jnp.take_along_axis(p, whole.y[:, None], axis=1)[:, 0]
            return state._replace(kept=p_y > k.astype(p.dtype))

        due = (count + 1 >= first) & ((count + 1) % every == 0)
        return jax.lax.cond(due, refresh, lambda state: state, state)

    def step(state: Truncated, batch: Batch, key: PRNGKeyArray) -> tuple[Truncated, Info]:
        def cost(logits):
            return jnp.mean(truncated(logits, batch.y, state.kept[batch.rows], q, k)), None

        learner, value, _ = descend(task, state.learner, cost, task.weak(key, batch.x))
        return state._replace(learner=learner), Info(value)

    def estimate(state: Truncated, x: Array) -> Probabilities:
        return predict(task, state.learner.weights, x)

    made = Method(init, step, estimate, epoch)
    return made
