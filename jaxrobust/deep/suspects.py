"""Which training labels a run suspects: one number a label, larger where it is less believed.

    by_sop   min(u^2, 1) + sum_{c != y} min(v_c^2, 1)    the noise that SOP found
    by_elr   1 - t_y                                     what ELR's target leaves to other classes
    by_loss  -log p_y                                    any network's; small once it has memorized

p is the network's estimate on the training examples themselves, `Method.predict`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxrobust import _check
from jaxrobust.deep import elr, sop

Score = Float[Array, " n"]


def by_sop(state: Any, y: Int[Array, " n"]) -> Score:
    """Return |s_i|_1, s = u*u*y - v*v*(1 - y) clipped as in SOP; `state` has u (n,) and v (n, C).

    >>> from types import SimpleNamespace as State
    >>> state = State(u=jnp.array([0.5, 0.0]), v=jnp.array([[9.0, 0.5, 0.0], [0.0, 0.0, 9.0]]))
    >>> print(by_sop(state, jnp.array([0, 2])))  # v at the label counts for nothing
    [0.5 0. ]
    """
    _has(state, "v", "SOP or SOP+")
    _fits("y", y, state.v)
    U, V = sop.noise(state.u, state.v, jax.nn.one_hot(y, state.v.shape[1], dtype=state.v.dtype))
    return jnp.sum(U + V, axis=1)


def by_elr(state: elr.State | Any, y: Int[Array, " n"]) -> Score:
    """Return 1 - t_{i, y_i}; `state` has t (n, C). 1 where an example was never visited."""
    _has(state, "t", "ELR")
    return 1 - _at(state.t, y)


def by_loss(probabilities: Float[Array, "n C"], y: Int[Array, " n"]) -> Score:
    """Return -log p_{i, y_i}; infinite where p is 0."""
    return -jnp.log(_at(probabilities, y))


def ranked(score: Score) -> Int[Array, " n"]:
    """Return rows, the most suspect first; equal scores in the order they came.

    >>> print(ranked(jnp.array([0.1, 0.7, 0.1, 0.9])))
    [3 1 0 2]
    """
    seen = _check.concrete(score)
    if seen is not None and jnp.isnan(score).any():
        raise ValueError(
            f"score is NaN in {int(jnp.isnan(score).sum())} places: did the run blow up?"
        )
    return jnp.argsort(score, stable=True, descending=True).astype(jnp.int32)


def precision(score: Score, wrong: Bool[Array, " n"]) -> Float[Array, ""]:
    """Return the share of wrong labels among the first k of `ranked`, k how many are wrong.

    It is the recall too. NaN where no label is wrong.

    >>> float(precision(jnp.array([0.1, 0.7, 0.1, 0.9]), jnp.array([True, False, False, True])))
    0.5
    """
    found = wrong[jnp.argsort(score, stable=True, descending=True)]
    first = jnp.cumsum(jnp.ones_like(found, jnp.int32)) <= jnp.sum(wrong, dtype=jnp.int32)
    return jnp.sum((found & first).astype(score.dtype)) / jnp.sum(wrong.astype(score.dtype))


def _has(state: Any, name: str, maker: str) -> None:
    if not hasattr(state, name):
        raise ValueError(
            f"state is a {type(state).__name__} without {name}: give the last state of {maker}"
        )


def _fits(name: str, y: Array, table: Array) -> None:
    if y.shape != table.shape[:1]:
        raise ValueError(
            f"{name} has shape {y.shape}, the state has {table.shape[0]} rows: give the labels "
            "that the run was trained on"
        )


def _at(table: Array, y: Array) -> Array:
    _fits("y", y, table)
    return jnp.take_along_axis(table, y[:, None], axis=1)[:, 0]
