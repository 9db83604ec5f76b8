"""A sweep's unit of work: Sb seeds x Cb cells in one compiled program, see `jaxrobust.lab.grid`."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core as jex

from jaxrobust._machine import cores, workers
from jaxrobust.lab import memory
from jaxrobust.lab.grid import Grid
from jaxrobust.lab.tracing import Traced, calls_back, waits_in_pool, with_consts

ENGINE = 1  # raise it when a change here moves bits: stores of the old engine are refused then
# On a CPU: bits that do not know the size of XLA's thread pool, which is the number of cores or of
# forced host devices, whichever is larger. The cores have a block each instead.
OPTIONS: dict[str, str | bool] = {
    # Independent operations one after another, not spread over the pool.
    "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED",
    # Eigen's Fourier transforms are cut by the pool's size.
    "xla_cpu_multi_thread_eigen": False,
    # So are YNNPACK's sums from 256 KiB on: XLA's own in their place, YNNPACK for products only.
    # Free in SOP descent and its program, halfspaces and a network; sums over short rows of exp(x)
    # take twice the time.
    "xla_cpu_experimental_ynn_fusion_type": (
        "LIBRARY_FUSION_TYPE_DOT,LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"
    ),
}


def program(traced: Traced, grid: Grid, impl: str) -> Callable[..., list[jax.Array]]:
    """Return `block(consts, key data, seeds (Sb,), cells [(Cb,)]) -> [(Sb, Cb, ...)]`.

    Seeds are the outer vmap and cells the inner one with the key un-batched, so that what depends
    on the seed alone is computed once a seed and shared by its cells.
    """

    def lane(consts: Any, key: jax.Array, cell: list[jax.Array]) -> list[jax.Array]:
        closed = with_consts(traced.jaxpr, consts)
        return [jnp.asarray(y) for y in jex.jaxpr_as_fun(closed)(key, *cell)]

    def block(
        consts: Any, data: jax.Array, seeds: jax.Array, columns: list[jax.Array]
    ) -> list[jax.Array]:
        root = jax.random.wrap_key_data(data, impl=impl)

        def row(seed: jax.Array) -> list[jax.Array]:
            key = jax.random.fold_in(root, seed)
            return _map(lambda cell: lane(consts, key, cell), grid.block_cells, columns)

        return _map(row, grid.block_seeds, seeds)

    return block


def as_run(traced: Traced, key: jax.Array, columns: dict[str, jax.Array]) -> jex.ClosedJaxpr:
    """Trace two seeds by two cells: under vmap a trial may do other things than for one lane."""
    grid = Grid(cells=2, block_seeds=2, block_cells=2)
    start = [c[np.zeros(2, int)] for c in columns.values()]
    return jax.make_jaxpr(program(traced, grid, str(jax.random.key_impl(key))))(
        traced.jaxpr.consts, jax.random.key_data(key), grid.seeds_of(0), start
    )


def _map(f: Callable[..., list[jax.Array]], size: int, x: Any) -> list[jax.Array]:
    """Return vmap(f)(x), without a batch axis inside where there is only one lane."""
    if size > 1:
        return jax.vmap(f)(x)
    return [y[None] for y in f(jax.tree.map(lambda v: v[0], x))]


def compute(
    traced: Traced,
    grid: Grid,
    key: jax.Array,
    columns: Sequence[jax.Array],
    todo: Sequence[int],
    devices: Sequence[Any],
    threads: int | None,
) -> Generator[tuple[int, list[np.ndarray]], None, None]:
    """Compile, then return blocks to run: (number, outputs) as they finish, in no order.

    XLA keeps one core busy at these sizes: on a CPU as many blocks are in flight as there are
    cores. Elsewhere two a device, so that copying one hides behind computing the next. Fewer where
    the memory is short; MemoryError where not one block fits.
    """
    used = list(devices[: max(1, len(todo))])
    cpu = used[0].platform == "cpu"
    threads = threads or (cores() if cpu else 2 * len(used))
    # Everything but the seeds is laid out and compiled here, before any thread starts.
    impl = str(jax.random.key_impl(key))
    jitted = jax.jit(program(traced, grid, impl))
    start = [c[grid.cells_of(0)] for c in columns]
    whole = jitted.trace(
        traced.jaxpr.consts, jax.random.key_data(key), grid.seeds_of(0), start
    ).jaxpr
    python = calls_back(whole)
    if cpu and waits_in_pool(whole):
        threads = min(threads, _room())
    # One block a device, from threads. One program sharded over the devices gave the same bits, no
    # less speed and one compilation, but it is another program for every number of devices, which
    # promises no bits, and it runs in lock-step: all wait for the slowest lane of a round.
    inputs, lowered = [], []
    for device in used:
        fixed = jax.device_put((traced.jaxpr.consts, jax.random.key_data(key)), device)
        groups = [
            jax.device_put([c[grid.cells_of(g)] for c in columns], device)
            for g in range(grid.groups)
        ]
        inputs.append((device, fixed, groups))
        seeds = jax.device_put(grid.seeds_of(0), device)
        lowered.append(jitted.lower(*fixed, seeds, groups[0]))
    with _out_of_memory(grid), ThreadPoolExecutor(min(len(used), cores())) as pool:
        calls = list(pool.map(compiled, lowered, [d.platform for d in used]))
    if cpu:
        threads = memory.threads_for(calls[0], threads, grid.lanes)

    def run(turn: int, block: int) -> tuple[int, list[np.ndarray]]:
        (device, fixed, groups), call = inputs[turn % len(used)], calls[turn % len(used)]
        with _out_of_memory(grid):
            seeds = jax.device_put(grid.seeds_of(block), device)
            return block, [np.asarray(y) for y in call(*fixed, seeds, groups[block % grid.groups])]

    def running() -> Generator[tuple[int, list[np.ndarray]], None, None]:
        with _one_blas_thread() if cpu else nullcontext():
            yield from _in_flight(run, enumerate(todo), threads, held=not python)

    return running()


@contextmanager
def _out_of_memory(grid: Grid) -> Iterator[None]:
    """Say in one line what to do where XLA runs out of memory."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise memory.too_much(grid.lanes, grid.lanes // 2) from None


def _room() -> int:
    """Return how many programs may hold a thread of XLA's CPU pool and leave one free.

    A batched factorisation blocks the pool's thread that it runs on until the pool has done its
    lanes: with as many programs in flight as the pool has threads, all would wait for ever.
    """
    pool = int(os.environ.get("PJRT_NPROC", 0)) or cores()
    return max(1, max(pool, jax.local_device_count("cpu")) - 1)


def compiled(lowered: Any, platform: str) -> Any:
    """Compile a lowered program as a sweep does: on a CPU with the `OPTIONS` that this XLA knows.

    >>> lowered = jax.jit(jnp.sin).lower(0.0)
    >>> float(compiled(lowered, "cpu")(0.0))
    0.0
    """
    options = dict(OPTIONS) if platform == "cpu" else {}
    while options:
        try:
            return lowered.compile(options)
        except jax.errors.JaxRuntimeError as error:
            unknown = [name for name in options if name in str(error)]
            if not unknown:
                raise
            del options[unknown[0]]
    return lowered.compile()


def _in_flight(
    run: Callable[..., Any], jobs: Iterable[tuple], threads: int, held: bool = True
) -> Iterator[Any]:
    """Yield `run(*job)` over a few threads; on any exception drop what has not started."""
    pool, jobs, pending = workers(threads, held), iter(jobs), set()
    try:
        while True:
            more = itertools.islice(jobs, 2 * threads - len(pending))
            pending |= {pool.submit(run, *job) for job in more}
            if not pending:
                return
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _one_blas_thread() -> Any:
    """Hold BLAS to one thread: the cores have a block each, and its sums keep their order."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="blas")
