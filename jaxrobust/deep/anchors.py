"""Anchor points: the transition matrix from a network's own probabilities, then correction by it.

An anchor of class i is an x with P(true class i | x) = 1; there P(given j | x) = T_ij. So

    T_i. = p(x_i*),    x_i* = the example with the largest p_i, over the training set,

p from cross-entropy on the given labels. The very largest are outliers: those at or above the 97th
percentile of column i are passed over (published code: on all sets but CIFAR-100, whose classes
have 1% of the examples each). Patrini, Rozza, Menon, Nock, Qu (CVPR 2017, arXiv 1609.03683).

A network that has memorized the given labels has p near one-hot and T near I: stop early.

Deviations: the published code passes over by writing zeros into p itself, so that later classes see
them; here each class sees p as it is. Entries are kept above 1e-7, and rows sum to 1. It estimates
by the checkpoint of least noisy validation loss; here after `warm` epochs, 20 as in Dual-T's code
(Yao et al. 2020, arXiv 2006.07805). As there, a new network is then trained by forward correction.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.deep import correction, train
from jaxrobust.deep.method import (
    Batch,
    Info,
    Learner,
    Method,
    Probabilities,
    Task,
    Whole,
    descend,
    predict,
    start,
)

LEAST = 1e-7


def estimate(p: Any, percentile: float | None = 97.0) -> Float[Array, "C C"]:
    """Return T, row i the probabilities at the anchor of class i; rows sum to 1.

    Parameters
    ----------
    p
        Probabilities of the training set, (n, C).
    percentile
        The anchor is the largest p_i below this percentile of column i (the one at or above it, as
        NumPy's "higher"), or the largest of all for None. Static.

    >>> print(estimate([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9]], None))
    [[0.8 0.2]
     [0.1 0.9]]
    """
    p = _check.between("p", p, 0.0, 1.0)
    _check.shaped("p", p, (None, None))
    masked = p
    if percentile is not None:
        if not 0 <= percentile <= 100:
            raise ValueError(f"percentile must lie in [0, 100] or be None, got {percentile!r}")
        bound = jnp.sort(p, axis=0)[math.ceil(percentile / 100 * (p.shape[0] - 1))]
        masked = jnp.where(p >= bound[None, :], -1.0, p)
        # A column all at its bound has no other: then its largest.
        masked = jnp.where(jnp.max(masked, axis=0)[None, :] < 0, p, masked)
    T = jnp.maximum(p[jnp.argmax(masked, axis=0)], LEAST)
    return T / jnp.sum(T, axis=1, keepdims=True)


class Estimated(NamedTuple):
    """A network and the matrix that its labels are corrected by: I, until it is estimated."""

    learner: Learner
    T: Float[Array, "C C"]


def forward_estimated(
    task: Task,
    warm: Any = 20,
    percentile: float | None = 97.0,
    *,
    restart: bool = True,
    dtype: Any = jnp.float32,
) -> Method:
    """Train `warm` epochs by cross-entropy, estimate T, train anew by forward correction.

    With T = I forward correction is cross-entropy, so one step serves both. `restart=False` goes on
    with the network it has. `warm`, rounded, is 1 at least and may be traced; `dtype` is of T. The
    whole run has the warm epochs in it: give it `warm` more. A schedule of step sizes starts again
    with the network.
    """
    eye = np.eye(task.classes)
    warm = _check.between("warm", warm, 0.0, np.inf, open_high=True)
    last = jnp.maximum(jnp.round(warm), 1).astype(jnp.int32)

    def init(key: PRNGKeyArray) -> Estimated:
        return Estimated(start(task, key), jnp.asarray(eye, dtype))

    def epoch(
        state: Estimated, whole: Whole, key: PRNGKeyArray, count: Int[Array, ""]
    ) -> Estimated:
        def turn(state: Estimated) -> Estimated:
            p = train.probabilities(made, state, whole.x, 1000)
            T = estimate(p, percentile).astype(dtype)
            return Estimated(start(task, key) if restart else state.learner, T)

        return jax.lax.cond(count == last, turn, lambda state: state, state)

    def step(state: Estimated, batch: Batch, key: PRNGKeyArray) -> tuple[Estimated, Info]:
        def cost(logits):
            return jnp.mean(correction.forward(logits, batch.y, state.T)), None

        learner, value, _ = descend(task, state.learner, cost, task.weak(key, batch.x))
        return state._replace(learner=learner), Info(value)

    def probabilities(state: Estimated, x: Array) -> Probabilities:
        return predict(task, state.learner.weights, x)

    made = Method(init, step, probabilities, epoch)
    return made
