"""Checks that halfspaces need beyond those of every topic; as there, traced values pass unread."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxrobust import _check


def in_ball(name: str, x: Array) -> None:
    """Refuse points outside the unit ball."""
    values = _check.concrete(x)
    if values is not None:
        worst = float(np.max(np.linalg.norm(values, axis=1)))
        if worst > 1 + 1e-5:
            raise ValueError(
                f"{name} has a row of norm {worst:.4g}: points must lie in the unit ball, divide "
                f"all of {name} by {worst:.4g}"
            )


def both_classes(name: str, y: Array) -> None:
    """Refuse labels of one class only."""
    values = _check.concrete(y)
    if values is not None and (values == values.flat[0]).all():
        raise ValueError(f"{name} holds one class only, {values.flat[0]:g}: two are needed")


def flip_rates(name: str, x: Any, dtype: Any = None) -> Array:
    """Return flip rates in [0, 1/2), of any shape; traced ones outside become NaN."""
    array = _check.between(name, x, 0.0, 0.5, open_high=True)
    array = array if dtype is None else array.astype(dtype)
    return jnp.where((array >= 0) & (array < 0.5), array, jnp.nan)


def flip_rate(name: str, x: Any, dtype: Any = None) -> Array:
    """Return one flip rate, as `flip_rates` does."""
    array = flip_rates(name, x, dtype)
    if array.shape:
        raise ValueError(f"{name} must be one number, got shape {array.shape}: vmap over it")
    return array


def one_key(name: str, key: Any) -> None:
    """Refuse anything but one key of JAX, typed or old-style."""
    dtype = getattr(key, "dtype", None)
    if dtype is None or not isinstance(key, jax.Array):
        raise ValueError(f"{name} must be a key such as jax.random.key(0), got {key!r:.40}")
    typed = jnp.issubdtype(dtype, jax.dtypes.prng_key)
    if not typed and dtype != jnp.uint32:
        raise ValueError(f"{name} must be a key such as jax.random.key(0), got {dtype} numbers")
    if key.ndim != (0 if typed else 1):
        raise ValueError(f"{name} must be one key, got shape {key.shape}: vmap over it")
