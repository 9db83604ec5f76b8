"""A batch on all cores: XLA keeps one busy at these sizes, so each gets a part of the lanes."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxrobust._machine import affinity, workers


def in_parts(compiled: Callable[[int], Any], batch: Any, lanes: int, parts: int) -> Any:
    """Return what `compiled(size)(*batch, first lane)` gives for all lanes, parts side by side.

    All parts have one size, so that one program serves them: the last one overlaps the one before.
    A part picks its lanes in the program; taking them out here would cost as much as the work.
    """
    parts = min(parts, lanes)
    if jax.default_backend() != "cpu" or parts == 1:
        return compiled(lanes)(*batch, 0)
    size = -(-lanes // parts)
    wide = jnp.result_type(float) == jnp.float64  # `with enable_x64()` holds in one thread only

    def compute(start):
        with jax.enable_x64(wide):
            return jax.block_until_ready(compiled(size)(*batch, start))

    starts = [min(start, lanes - size) for start in range(0, lanes, size)]
    return _join(list(_pool(len(starts), affinity()).map(compute, starts)), lanes)


@lru_cache
def _pool(threads: int, _cores: tuple[int, ...]) -> Any:
    return workers(threads)


@partial(jax.jit, static_argnums=1)
def _join(parts: list[Any], lanes: int) -> Any:
    def whole(*pieces):
        rest = lanes - (len(pieces) - 1) * len(pieces[0])
        return jnp.concatenate([*pieces[:-1], pieces[-1][-rest:]])

    return jax.tree.map(whole, *parts)


def one_core() -> dict[str, str | bool] | None:
    """Return the options that keep a program on its own core: the others have their own parts."""
    return {"xla_cpu_multi_thread_eigen": False} if jax.default_backend() == "cpu" else None
