"""A sweep's unit of work: Sb seeds x Cb cells in one compiled program.

A block is a pure function of its number. Seed i sits in block row `i // Sb`, slot `i % Sb`; cell c
sits in group `c // Cb`, slot `c % Cb`. Slots whose seed was not asked for are run all the same,
with that seed's own key, so a lane always has the same neighbours: its bits cannot depend on how
many seeds were asked for, on their order, on chunks, threads or restarts.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core as jex

from jaxrobust.lab.tracing import Traced, waits_in_pool, with_consts

# XLA's CPU runtime puts a program's independent operations on a pool of its own. In order
# instead: the cores have a block each, and fewer threads of the pool are held (see `_room`).
IN_ORDER: dict[str, str | bool] = {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}


@dataclasses.dataclass(frozen=True)
class Grid:
    """The fixed seats of every lane: `cells` cells, blocks of Sb seeds by Cb cells."""

    cells: int
    block_seeds: int
    block_cells: int

    @classmethod
    def of(cls, cells: int, width: int, most_seeds: int) -> Grid:
        """Cut the cells into equal groups of at most `width`; fill up with seeds.

        >>> Grid.of(cells=100, width=64, most_seeds=8)
        Grid(cells=100, block_seeds=1, block_cells=50)
        """
        groups = -(-cells // width)
        block_cells = -(-cells // groups)
        return cls(cells, max(1, min(width // block_cells, most_seeds)), block_cells)

    @property
    def groups(self) -> int:
        """Number of groups of cells."""
        return -(-self.cells // self.block_cells)

    @property
    def lanes(self) -> int:
        """Lanes in a block, padding included."""
        return self.block_seeds * self.block_cells

    def blocks(self, seeds: np.ndarray) -> list[int]:
        """Return the numbers of the blocks in which the seeds sit, in increasing order."""
        rows = np.unique(seeds // self.block_seeds)
        return [int(r) * self.groups + g for r in rows for g in range(self.groups)]

    def seeds_of(self, block: int) -> np.ndarray:
        """Return the Sb seeds of a block."""
        first = block // self.groups * self.block_seeds
        return np.arange(first, first + self.block_seeds, dtype=np.uint32)

    def cells_of(self, group: int) -> np.ndarray:
        """Return the Cb cells of a group; past the end the last cell is repeated."""
        first = group * self.block_cells
        return np.minimum(np.arange(first, first + self.block_cells), self.cells - 1)

    def place(self, block: int, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray, slice]:
        """Return where a block goes: rows of the result, their slots in the block, cells."""
        row, group = divmod(block, self.groups)
        rows = np.flatnonzero(seeds // self.block_seeds == row)
        first = group * self.block_cells
        end = min(first + self.block_cells, self.cells)
        return rows, seeds[rows] % self.block_seeds, slice(first, end)


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


def _map(f: Callable[..., list[jax.Array]], size: int, x: Any) -> list[jax.Array]:
    """Return vmap(f)(x), without a batch axis inside where there is only one lane."""
    if size > 1:
        return jax.vmap(f)(x)
    return [y[None] for y in f(jax.tree.map(lambda v: v[0], x))]


def cores() -> int:
    """Return the number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def compute(
    traced: Traced,
    grid: Grid,
    key: jax.Array,
    columns: Sequence[jax.Array],
    todo: Sequence[int],
    devices: Sequence[Any],
    threads: int | None,
) -> Generator[tuple[int, list[np.ndarray]], None, None]:
    """Run blocks and yield (number, outputs) as they finish, in no particular order.

    XLA keeps one core busy at these sizes: on a CPU as many blocks are in flight as there are
    cores. Elsewhere two a device, so that copying one hides behind computing the next.
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
    if cpu and waits_in_pool(whole):
        threads = min(threads, _room())
    seats = []
    for device in used:
        fixed = jax.device_put((traced.jaxpr.consts, jax.random.key_data(key)), device)
        groups = [
            jax.device_put([c[grid.cells_of(g)] for c in columns], device)
            for g in range(grid.groups)
        ]
        seeds = jax.device_put(grid.seeds_of(0), device)
        lowered = jitted.lower(*fixed, seeds, groups[0])
        seats.append((device, fixed, groups, _compile(lowered, cpu)))

    def run(turn: int, block: int) -> tuple[int, list[np.ndarray]]:
        device, fixed, groups, compiled = seats[turn % len(seats)]
        seeds = jax.device_put(grid.seeds_of(block), device)
        return block, [np.asarray(y) for y in compiled(*fixed, seeds, groups[block % grid.groups])]

    with _one_blas_thread() if cpu else nullcontext():
        yield from _in_flight(run, enumerate(todo), threads)


def _room() -> int:
    """Return how many programs may hold a thread of XLA's CPU pool and leave one free.

    A batched factorisation blocks the pool's thread that it runs on until the pool has done its
    lanes: with as many programs in flight as the pool has threads, all would wait for ever.
    """
    pool = int(os.environ.get("PJRT_NPROC", 0)) or cores()
    return max(1, max(pool, jax.local_device_count("cpu")) - 1)


def _compile(lowered: Any, cpu: bool) -> Any:
    """Compile, on a CPU with the operations in order where this XLA knows how."""
    if cpu:
        try:
            return lowered.compile(IN_ORDER)
        except jax.errors.JaxRuntimeError as error:
            if "option" not in str(error):
                raise
    return lowered.compile()


def _in_flight(run: Callable[..., Any], jobs: Iterable[tuple], threads: int) -> Iterator[Any]:
    """Yield `run(*job)` over a few threads; on any exception drop what has not started."""
    pool, jobs, pending = ThreadPoolExecutor(threads), iter(jobs), set()
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
