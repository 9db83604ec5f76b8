"""The check that all functions of pictures share."""

from __future__ import annotations

from typing import Any

import jax

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


def odd(name: str, x: Any) -> int:
    """Return x as the odd side of a window."""
    size = _check.count(name, x)
    if size % 2 == 0:
        raise ValueError(f"{name} must be odd, so that a window has a centre, got {size}")
    return size
