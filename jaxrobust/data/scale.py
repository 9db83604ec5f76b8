"""Standardise features by the training rows, and by no others."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrobust import _check


class Scaling(NamedTuple):
    """The map x -> (x - mean) * factor."""

    mean: Float[Array, " d"]
    factor: Float[Array, " d"]
    """1 / standard deviation; 0 for a column that is constant."""

    def __call__(self, x: Any) -> Float[Array, "n d"]:
        """Apply it to rows x (n, d), those that it was fitted on or others."""
        x = jnp.asarray(x).astype(self.mean.dtype)
        return (x - self.mean[None, :]) * self.factor[None, :]


def scaling(train: Any) -> Scaling:
    """Fit means and standard deviations (divided by n) on training rows (n, d).

    A column that is constant there becomes 0 in all rows, so that a level seen in no training row
    cannot count. Works inside jit.

    >>> fitted = scaling([[0.0, 7.0], [2.0, 7.0]])
    >>> print(fitted([[0.0, 7.0], [4.0, 8.0]]))
    [[-1.  0.]
     [ 3.  0.]]
    """
    train = _check.real("train", train, (None, None))
    mean = jnp.mean(train, axis=0)
    deviation = jnp.sqrt(jnp.mean((train - mean[None, :]) ** 2, axis=0))
    # The mean of a constant column is off by rounding, and so is its deviation.
    varies = jnp.max(train, axis=0) > jnp.min(train, axis=0)
    return Scaling(mean, jnp.where(varies, 1 / jnp.where(varies, deviation, 1.0), 0.0))
