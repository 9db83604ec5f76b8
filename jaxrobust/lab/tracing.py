"""A trial traced once: what it returns, how many lanes of it suit a block, and its fingerprint."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core as jex

OUTPUT_BYTES = 1 << 26  # what one block, or one chunk, may hold as output: 64 MB
_POOLED = {
    *("cholesky", "triangular_solve", "lu", "qr", "geqrf", "geqp3", "householder_product"),
    *("ormqr", "eig", "eigh", "svd", "schur", "hessenberg", "tridiagonal", "fft"),
}


class Traced(NamedTuple):
    """A trial traced once: its jaxpr, and its outputs' names and shapes."""

    jaxpr: jex.ClosedJaxpr
    names: tuple[str, ...]
    shapes: tuple[jax.ShapeDtypeStruct, ...]


def trace(trial: Callable[..., Any], key: jax.Array, columns: dict[str, jax.Array]) -> Traced:
    """Trace `trial(key, **cell)` once, at one cell; refuse what is not a dict of arrays."""
    try:
        inspect.signature(trial).bind(key, **columns)
    except TypeError as error:
        raise ValueError(
            f"trial must accept (key, {', '.join(columns)}), its axes: {error}"
        ) from None
    except ValueError:  # a builtin without a signature
        pass
    names: list[str] = []

    def flat(key: Any, *cell: Any) -> list[jax.Array]:
        out = trial(key, **dict(zip(columns, cell, strict=True)))
        if not isinstance(out, dict) or not out:
            raise ValueError(f"trial must return a dict of arrays, got {type(out).__name__}")
        names.extend(map(str, out))
        return [_output(name, x) for name, x in out.items()]

    cell = [jax.ShapeDtypeStruct((), c.dtype) for c in columns.values()]
    jaxpr, shapes = jax.make_jaxpr(flat, return_shape=True)(
        jax.ShapeDtypeStruct((), key.dtype), *cell
    )
    return Traced(jaxpr, tuple(names), tuple(shapes))


def with_consts(jaxpr: jex.ClosedJaxpr, consts: Any) -> jex.ClosedJaxpr:
    """Return the jaxpr with other constants, as jax 0.12 and those before it want it."""
    if jaxpr.jaxpr is jaxpr:
        return jaxpr.with_consts(consts)  # pyright: ignore[reportAttributeAccessIssue]
    return jex.ClosedJaxpr(jaxpr.jaxpr, consts)


def _output(name: str, x: Any) -> jax.Array:
    """Return one output as an array that NumPy can hold (bfloat16 and its kin as float32)."""
    try:
        array = jnp.asarray(x)
        kind = np.dtype(array.dtype).kind
    except (TypeError, ValueError):
        raise ValueError(
            f"trial must return a dict of arrays, got {type(x).__name__} as {name!r}"
        ) from None
    return array.astype(jnp.float32) if kind == "V" else array


def width_for(traced: Traced, platform: str) -> tuple[int, int]:
    """Choose (lanes in a block, seeds in a block at most) for a platform.

    On a CPU 32 lanes fill the vector units and stay in the cache, and more than 8 seeds would be
    wasted where only a few are asked for. A convolution whose weights differ from lane to lane is
    five times slower than one after another there: such a trial runs lane by lane.
    """
    lane = sum(s.size * s.dtype.itemsize for s in traced.shapes)
    if platform != "cpu":
        width, seeds = 1024, 64
    elif any(e.primitive.name == "conv_general_dilated" for e, _ in _equations(traced.jaxpr)):
        width, seeds = 1, 1
    else:
        width, seeds = 32, 8
    return max(1, min(width, OUTPUT_BYTES // max(lane, 1))), seeds


def waits_in_pool(jaxpr: jex.ClosedJaxpr) -> bool:
    """Return whether a program factorises a batch, or transforms: it blocks a pool thread then.

    One matrix at a time does not: only a batch is handed to the pool while its caller waits there.
    """
    return any(
        e.primitive.name in _POOLED
        and (e.primitive.name == "fft" or any(math.prod(v.aval.shape[:-2]) > 1 for v in e.invars))
        for e, _ in _equations(jaxpr)
    )


def calls_back(jaxpr: jex.ClosedJaxpr) -> bool:
    """Return whether a program calls Python."""
    return any("callback" in e.primitive.name for e, _ in _equations(jaxpr))


def _equations(value: Any, consts: Sequence[Any] = ()) -> Iterator[tuple[Any, list[Any]]]:
    """Walk a jaxpr and all jaxprs inside it: (equation, the arrays that it reads as constants)."""
    if isinstance(value, jex.ClosedJaxpr) and value.jaxpr is not value:
        yield from _equations(value.jaxpr, value.consts)
    elif isinstance(value, jex.Jaxpr):
        arrays = [*consts, *getattr(value, "consts", ())]  # from jax 0.12 on a jaxpr holds its own
        for eqn in value.eqns:
            literals = [v.val for v in eqn.invars if isinstance(v, jex.Literal)]
            yield eqn, arrays + literals
            arrays = []
            yield from _equations(list(eqn.params.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _equations(item)


def digest(jaxpr: jex.ClosedJaxpr) -> str:
    """Return the sha256 of a jaxpr: its text without memory addresses, and its constants' bytes.

    A host callback is seen by its name only: changing its Python code goes unnoticed.
    """
    found = hashlib.sha256(re.sub(r"0x[0-9a-f]+", "", str(jaxpr)).encode())
    for array in itertools.chain(jaxpr.consts, *(a for _, a in _equations(jaxpr))):
        if jnp.issubdtype(getattr(array, "dtype", np.float64), jax.dtypes.prng_key):
            array = jax.random.key_data(array)
        values = np.asarray(array)
        found.update(f"{values.dtype}{values.shape}".encode() + values.tobytes())
    return found.hexdigest()
