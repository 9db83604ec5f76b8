"""How hard an example is for a network: EL2N and GraNd, and how well a score finds wrong labels.

    EL2N_i  = |p_i - e_{y_i}|_2              error of the probabilities, L2 norm
    GraNd_i = |grad_w loss(w; x_i, y_i)|_2   gradient norm, all weights together

M. Paul, S. Ganguli, G. K. Dziugaite (2021), Deep Learning on a Data Diet: Finding Important
Examples Early in Training, NeurIPS, arXiv 2107.07075, Definitions 2.1 and 2.2. Deviation: the paper
averages each score over ten initial weights; these are the scores of one network: vmap, then mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxrobust import _check


def el2n(p: Float[Array, "n C"], y: Int[Array, " n"]) -> Float[Array, " n"]:
    """Return |p - e_y|_2 from probabilities p and given labels y.

    With two classes it is sqrt(2) (1 - p_y).

    >>> print(el2n(jnp.array([[0.5, 0.5], [1.0, 0.0]]), jnp.array([1, 1])).round(4))
    [0.7071 1.4142]
    """
    return jnp.linalg.norm(p - jax.nn.one_hot(y, p.shape[1], dtype=p.dtype), axis=1)


def grand(
    loss: Callable[[Any, Array, Array], Float[Array, ""]], weights: Any, x: Array, y: Array
) -> Float[Array, " n"]:
    """Return |grad loss(weights, x_i, y_i)|_2, the loss of one example, for each.

    Holds n gradients at once: n times the memory of the weights.

    >>> square = lambda w, x, y: 0.5 * (x @ w - y) ** 2  # gradient (x.w - y) x
    >>> x = jnp.array([[3.0, 4.0], [1.0, 0.0]])
    >>> print(grand(square, jnp.zeros(2), x, jnp.array([1.0, -2.0])))
    [5. 2.]
    """

    def norm(a: Array, b: Array) -> Float[Array, ""]:
        slope = jax.grad(loss)(weights, a, b)
        return jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(slope)))

    return jax.vmap(norm)(x, y)


def auc(score: Float[Array, " n"], wrong: Bool[Array, " n"]) -> Float[Array, ""]:
    """Return P(score of a wrong label > score of a right one) + P(equal) / 2 over all pairs.

    By ranks, those of equal scores averaged: the area under the ROC curve. There is none without
    both kinds of labels: an error, NaN under a trace. A NaN among the scores makes it NaN.

    >>> print(auc(jnp.array([0.9, 0.5, 0.5, 0.1]), jnp.array([True, True, False, False])))
    0.875
    """
    seen = _check.concrete(wrong)
    if seen is not None and seen.all() == seen.any():
        which = "wrong" if seen.any() else "right"
        raise ValueError(f"wrong must mark some labels and spare some, got all {which}")
    order = jnp.sort(score)
    below = jnp.searchsorted(order, score, side="left", method="sort").astype(score.dtype)
    upto = jnp.searchsorted(order, score, side="right", method="sort").astype(score.dtype)
    rank = (below + upto + 1) / 2
    bad = wrong.astype(score.dtype)
    m = bad.sum()
    found = (jnp.sum(rank * bad) - m * (m + 1) / 2) / (m * (score.shape[0] - m))
    return jnp.where(jnp.isnan(score).any(), jnp.nan, found)
