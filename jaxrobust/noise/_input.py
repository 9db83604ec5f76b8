"""Checks that the samplers share: one line that names the argument, the value and the cure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxrobust import _check

# What a caller may hand over: JAX and NumPy arrays, numbers, nested lists.
Values = ArrayLike | Sequence[Any]


def full(x: jax.Array) -> jax.Array:
    """Return x in at least single precision: half-precision uniforms are too coarse for a law."""
    return x.astype(jnp.float32) if jnp.finfo(x.dtype).bits < 32 else x


def number(name: str, x: Values) -> jax.Array:
    """Return x as one floating number."""
    array = full(_check.real(name, x))
    if array.shape != ():
        raise ValueError(f"{name} must be one number, got shape {array.shape}: vmap over many")
    return array


def rate(name: str, x: Values) -> jax.Array:
    """Return x as one probability; a traced one is clipped to [0, 1]."""
    _check.rate(name, x)
    return jnp.clip(number(name, x), 0.0, 1.0)


def rates(name: str, x: Values, n: int) -> jax.Array:
    """Return x as one probability or as n of them."""
    array = jnp.clip(full(_check.rate(name, x)), 0.0, 1.0)
    return one_or_each(name, array, n)


def one_or_each(name: str, array: jax.Array, n: int) -> jax.Array:
    """Refuse an array that is neither one number nor n numbers."""
    if array.shape not in ((), (n,)):
        raise ValueError(
            f"{name} must be one number or one for each of {n} examples, got shape {array.shape}"
        )
    return array


def labels(name: str, y: Values, classes: int) -> jax.Array:
    """Return y as integer labels 0..classes-1 of shape (n,), in a dtype that holds them all."""
    array = _check.labels(name, y, classes)
    _check.shaped(name, array, (None,))
    if jnp.iinfo(array.dtype).max < classes - 1:
        raise ValueError(
            f"{name} has dtype {array.dtype}, too small for {classes} classes: use astype(int)"
        )
    return array


def signs(name: str, y: Values) -> jax.Array:
    """Return y as +-1 labels of shape (n,), in a dtype that holds -1."""
    array = _check.signs(name, y)
    _check.shaped(name, array, (None,))
    if array.dtype.kind in "bu":
        raise ValueError(f"{name} has dtype {array.dtype}, which holds no -1: use astype(int)")
    return array


def stochastic(name: str, x: Values, shape: tuple[int | None, ...]) -> jax.Array:
    """Return x as floating probabilities whose last axis sums to one and has a square face."""
    array = full(_check.between(name, x, 0.0, 1.0))
    _check.shaped(name, array, shape)
    if array.shape[-1] != array.shape[-2] or array.shape[-1] < 2:
        raise ValueError(
            f"{name} must be square with at least 2 classes, got shape {array.shape}: "
            "row i is the law of the noisy label of class i"
        )
    values = _check.concrete(array)
    if values is not None:
        sums = values.sum(axis=-1, dtype=float)
        if np.any(np.abs(sums - 1.0) > 1e-5):
            worst = sums.flat[np.argmax(np.abs(sums - 1.0))]
            raise ValueError(
                f"{name} must have rows that sum to 1, got a sum of {worst:g}: "
                "divide each row by its sum"
            )
    return array


def items(name: str, x: Values) -> jax.Array:
    """Return x as an array of numbers of at least one axis, in its own dtype; refuse NaN."""
    _check.real(name, x)
    array = x if isinstance(x, jax.Array) else jnp.asarray(np.asarray(x))
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"{name} must hold one row an example and not be empty, got {array.shape}")
    return array
