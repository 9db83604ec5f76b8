"""Checks at the Python boundary: one clear line that names the argument, the value and the cure.

Values under a trace (inside jit, vmap, grad) cannot be read: shapes are still checked there,
values are not, and the functions answer bad traced numbers with NaN or a status code.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

Concrete = np.ndarray | None


def _kind(x: Any) -> str:
    return f"an array of dtype {x.dtype}" if isinstance(x, np.ndarray) else f"{x!r:.40}"


def concrete(x: Any) -> Concrete:
    """Return x as a NumPy array, or None where x is being traced."""
    return None if isinstance(x, Tracer) else np.asarray(x)


def real(name: str, x: Any, shape: tuple[int | None, ...] | None = None) -> jax.Array:
    """Return x as a floating JAX array; refuse text, complex, NaN, infinity and a wrong shape.

    `shape` lists the wanted sizes, None for any: `(None, 3)` is a matrix of 3 columns.
    """
    return _read(name, x, shape)[0]


def _read(
    name: str, x: Any, shape: tuple[int | None, ...] | None = None
) -> tuple[jax.Array, Concrete]:
    """Return x as an array, and its values (None under a trace; constants in jit have them)."""
    if not isinstance(x, jax.Array | np.ndarray | np.generic | int | float):
        try:
            x = np.asarray(x)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{name} is not an array of numbers: {error}") from None
    if isinstance(x, np.ndarray) and x.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, got {_kind(x)}")
    values = concrete(x)
    array = x if isinstance(x, jax.Array) else jnp.asarray(x)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        if jnp.issubdtype(array.dtype, jnp.complexfloating):
            raise ValueError(f"{name} must be real, got dtype {array.dtype}")
        array = array.astype(jnp.result_type(float))
    if shape is not None:
        shaped(name, array, shape)
    if values is not None and not _finite(values):
        bad = int(np.sum(~np.isfinite(values)))
        raise ValueError(
            f"{name} has {bad} non-finite of {values.size} entries: remove or impute them"
        )
    return array, values


def _finite(values: np.ndarray) -> bool:
    with np.errstate(all="ignore"):  # a sum is quicker to see; it may overflow
        return bool(np.isfinite(np.sum(values))) or bool(np.all(np.isfinite(values)))


def shaped(name: str, array: jax.Array, shape: tuple[int | None, ...]) -> None:
    """Refuse an array whose shape does not match (None matches any size but an empty one)."""
    want = ", ".join("any" if n is None else str(n) for n in shape)
    fits = array.ndim == len(shape) and all(
        n in (None, m) and m > 0 for n, m in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{name} must have shape ({want}) and not be empty, got {array.shape}")


def between(
    name: str, x: Any, low: float, high: float, *, open_low: bool = False, open_high: bool = False
) -> jax.Array:
    """Return x as a floating array; refuse any value outside the interval."""
    array, values = _read(name, x)
    if values is not None:
        below = values <= low if open_low else values < low
        above = values >= high if open_high else values > high
        if np.any(below | above):
            worst = values[below | above].flat[0] if values.ndim else values
            left, right = "(" if open_low else "[", ")" if open_high else "]"
            raise ValueError(f"{name} must lie in {left}{low:g}, {high:g}{right}, got {worst:g}")
    return array


def number(name: str, x: Any, high: float = np.inf, dtype: Any = None) -> jax.Array:
    """Return one number in the open interval (0, high), in a dtype that can hold it.

    A traced number outside comes back as NaN, so that no solver certifies what it makes of it.
    """
    array, values = _read(name, x)
    if array.shape:
        raise ValueError(f"{name} must be one number, got shape {array.shape}: vmap over it")
    return inside(name, array, values, high, dtype)


def inside(
    name: str, array: jax.Array, values: Concrete, high: float, dtype: Any = None
) -> jax.Array:
    """Return an array of numbers in (0, high); NaN where a traced one lies outside."""
    if values is not None and not np.all((values > 0) & (values < high)):
        worst = np.atleast_1d(values)[np.atleast_1d(~((values > 0) & (values < high)))][0]
        raise ValueError(f"{name} must lie in (0, {high:g}), got {worst:g}")
    array = array if dtype in (None, array.dtype) else array.astype(dtype)
    if values is None:
        return jnp.where((array > 0) & (array < high), array, jnp.nan)
    with np.errstate(over="ignore"):
        held = values.astype(array.dtype)
    if not np.all((held > 0) & (held < high)):
        worst = np.atleast_1d(values)[np.atleast_1d(~((held > 0) & (held < high)))][0]
        raise ValueError(
            f"{name} = {float(worst)!r} leaves (0, {high:g}) when rounded to {array.dtype}: switch "
            'float64 on by jax.config.update("jax_enable_x64", True)'
        )
    return array


def numbers(name: str, x: Any, high: float = np.inf, dtype: Any = None) -> jax.Array:
    """Return numbers in the open interval (0, high), of any shape; as `number` otherwise."""
    return inside(name, *_read(name, x), high, dtype)


def rate(name: str, x: Any) -> jax.Array:
    """Return x as a floating array; refuse anything outside [0, 1]."""
    return between(name, x, 0.0, 1.0)


def positive(name: str, x: Any) -> jax.Array:
    """Return x as a floating array; refuse zero and below."""
    return between(name, x, 0.0, np.inf, open_low=True, open_high=True)


def count(name: str, x: Any, low: int = 1, high: int | None = None) -> int:
    """Return x as a Python int in [low, high]; refuse fractions, booleans and traced values."""
    if isinstance(x, Tracer):
        raise ValueError(f"{name} sets a shape and must be a Python int, not a traced value")
    try:
        whole = not isinstance(x, bool) and int(x) == x
    except (TypeError, ValueError, OverflowError):
        whole = False
    if not whole or x < low or (high is not None and x > high):
        limit = f">= {low}" if high is None else f"in {low}..{high}"
        raise ValueError(f"{name} must be a whole number {limit}, got {x!r:.40}")
    return int(x)


def labels(name: str, y: Any, classes: int) -> jax.Array:
    """Return y as an integer array of labels 0..classes-1; refuse anything else."""
    values = concrete(y)
    if values is None:
        return y if jnp.issubdtype(y.dtype, jnp.integer) else y.astype(int)
    if values.dtype.kind == "f":
        odd = values[~(np.isfinite(values) & (values == np.round(values)))]
        if odd.size:
            raise ValueError(f"{name} must hold integer labels 0..{classes - 1}, got {odd.flat[0]}")
        values = values.astype(int)
    if values.dtype.kind not in "iu":
        raise ValueError(f"{name} must hold integer labels 0..{classes - 1}, got {values.dtype}")
    if values.size == 0:
        raise ValueError(f"{name} is empty: give at least one label")
    if values.min() < 0 or values.max() >= classes:
        out = values[(values < 0) | (values >= classes)].flat[0]
        raise ValueError(f"{name} must hold labels 0..{classes - 1}, got {out}")
    return jnp.asarray(values)


def signs(name: str, y: Any) -> jax.Array:
    """Return y as it came (+-1 labels); refuse any other value, with the cure for 0/1."""
    values = concrete(y)
    if values is None:
        return y
    if values.size == 0:
        raise ValueError(f"{name} is empty: give at least one label")
    if values.dtype.kind not in "iuf" or not np.all(np.abs(values) == 1):
        cure = " (map 0/1 labels by 2*y - 1)" if set(np.unique(values)) <= {0, 1} else ""
        raise ValueError(f"{name} must hold -1 and +1 only{cure}, got {np.unique(values)[:4]}")
    return jnp.asarray(values)
