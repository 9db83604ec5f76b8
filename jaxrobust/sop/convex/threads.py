"""A batch on all cores: XLA keeps one busy at these sizes, so each gets a part of the lanes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from jaxrobust import _check
from jaxrobust._machine import cores


def halves(
    run: Callable[..., Any], axes: tuple[int | None, ...], batch: tuple[Any, ...], threads: Any
) -> Any:
    """Return run(*batch), computed in equal parts side by side.

    All parts have one shape, so that one program serves them: the last lane is repeated to fill up.
    """
    lanes = next(len(x) for x, axis in zip(batch, axes, strict=True) if axis == 0)
    given = cores() if threads is None else _check.count("threads", threads)
    parts = min(given, lanes)
    if jax.default_backend() != "cpu" or parts == 1:
        return run(*batch)
    size = -(-lanes // parts)

    def part(i):
        take = jnp.minimum(jnp.arange(i * size, (i + 1) * size), lanes - 1)
        return [x if axis is None else x[take] for x, axis in zip(batch, axes, strict=True)]

    wide = jnp.result_type(float) == jnp.float64  # `with enable_x64()` holds in one thread only

    def compute(lanes):
        with jax.enable_x64(wide):
            return jax.block_until_ready(run(*lanes))

    done = list(_pool(parts).map(compute, [part(i) for i in range(parts)]))
    return jax.tree.map(lambda *x: jnp.concatenate(x)[:lanes], *done)


def one_core() -> dict[str, str | bool] | None:
    """Return the options that keep a program on its own core: the others have their own parts."""
    return {"xla_cpu_multi_thread_eigen": False} if jax.default_backend() == "cpu" else None


@lru_cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="jaxrobust")
