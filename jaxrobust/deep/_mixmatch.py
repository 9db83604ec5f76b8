"""MixMatch's pieces as DivideMix uses them: sharpened targets and the objective.

Berthelot, Carlini, Goodfellow, Papernot, Oliver, Raffel (NeurIPS 2019, MixMatch); Li, Socher, Hoi
(ICLR 2020, DivideMix), whose letters these are.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxrobust.deep import mixup


def sharpen(p: Float[Array, "B C"], T: Any) -> Float[Array, "B C"]:
    """Return p^(1/T), each row divided by its sum.

    >>> print(sharpen(jnp.array([[0.75, 0.25]]), 0.5))
    [[0.9 0.1]]
    """
    return jax.nn.softmax(jnp.log(p) / jnp.asarray(T).astype(p.dtype), axis=1)


def targets(
    own: Float[Array, "2 B C"],
    other: Float[Array, "2 B C"],
    y: Float[Array, "B C"],
    w: Float[Array, " B"],
    labelled: Bool[Array, " B"],
    T: Any,
) -> Float[Array, "B C"]:
    """Return what to learn: refined labels where `labelled`, guesses of both networks elsewhere.

    `own` and `other` are the probabilities of two views; y is one-hot.
    """
    mine = jnp.mean(own, axis=0)
    refined = w[:, None] * y + (1 - w[:, None]) * mine
    guessed = (mine + jnp.mean(other, axis=0)) / 2
    return sharpen(jnp.where(labelled[:, None], refined, guessed), T)


def objective(
    logits: Float[Array, "R C"], t: Float[Array, "R C"], labelled: Bool[Array, " R"], lam_u: Any
) -> Float[Array, ""]:
    """Return L of one mixed batch with targets t; a part that is empty costs 0."""
    logp = jax.nn.log_softmax(logits, axis=1)
    R, C = logits.shape

    def over(part, each):
        part = part.astype(each.dtype)
        return jnp.sum(part * each) / jnp.maximum(jnp.sum(part), 1)

    ce = over(labelled, mixup.loss(logits, t))
    square = over(~labelled, jnp.mean((jnp.exp(logp) - t) ** 2, axis=1))
    prior = jnp.mean(math.log(R / C) - jax.nn.logsumexp(logp, axis=0))
    return ce + jnp.asarray(lam_u).astype(logp.dtype) * square + prior
