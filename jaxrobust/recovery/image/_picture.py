"""The checks that functions of pictures share."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrobust import _check

SHAPES = "(height, width) or (height, width, channels)"


def real(name: str, x: Any) -> jax.Array:
    """Return x as floats of shape (height, width) or (height, width, channels)."""
    array = _check.real(name, x)
    if array.ndim not in (2, 3) or array.size == 0:
        raise ValueError(
            f"{name} must have shape {SHAPES} and not be empty, got {array.shape}: vmap over many"
        )
    return array


def unit(name: str, x: Any) -> jax.Array:
    """Return x as `real` does; refuse what is plainly not in [0, 1], as 0..255.

    What a method makes may leave [0, 1] a little: only integers and numbers beyond 2 are refused.
    """
    array = real(name, x)
    kind = getattr(x, "dtype", None)
    if kind is not None and jnp.issubdtype(kind, jnp.integer):
        raise ValueError(f"{name} must be floats in [0, 1], got {kind}: divide by its white, 255")
    values = _check.concrete(array)
    if values is not None and (most := float(np.abs(values).max())) > 2:
        raise ValueError(f"{name} must lie in [0, 1], got {most:g}: divide by its white, 255")
    return array


def odd(name: str, x: Any) -> int:
    """Return x as the odd side of a window."""
    size = _check.count(name, x)
    if size % 2 == 0:
        raise ValueError(f"{name} must be odd, so that a window has a centre, got {size}")
    return size
