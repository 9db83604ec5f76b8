"""Cells x seeds of a pure trial in one compiled program, as a labelled Dataset."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxrobust import _check
from jaxrobust.lab import frame
from jaxrobust.lab.block import Grid, compute
from jaxrobust.lab.progress import reporter
from jaxrobust.lab.store import Store
from jaxrobust.lab.tracing import OUTPUT_BYTES, trace, width_for

if TYPE_CHECKING:
    import xarray

FLUSH_SECONDS = 2.0  # without a chunk size, a killed run loses at most about this much


def sweep(
    trial: Any,
    axes: Any,
    seeds: Any,
    *,
    key: Any,
    chunk: Any = None,
    store: Any = None,
    progress: bool | Callable[[int, int], Any] = True,
    width: Any = None,
    dims: Any = None,
    coords: Any = None,
    devices: Sequence[Any] | None = None,
    threads: Any = None,
) -> xarray.Dataset:
    """Run `trial(key, **cell) -> dict of arrays` for every cell of the axes and every seed.

    Replicate i gets `fold_in(key, i)`, the same in ALL cells (common random numbers: differences
    between cells are paired). For independent draws fold the cell's values in inside the trial.
    What depends on the key alone is computed once a seed, and `x @ K` with such a K becomes one
    matrix product for all cells (`x @ K` keeps the cells in front, `K @ x` transposes each time).

    Bits: a lane's result is the same for any chunk, subset or order of seeds, number of threads,
    resumed or not. It may change in the last digits with the cell grid, `width`, the platform, and,
    for matrix products and sums past about 1e5 numbers, with the size of XLA's thread pool, which
    is the larger of the number of cores and of forced host devices.

    Parameters
    ----------
    trial
        Pure function; traced once. Its seeds and cells are run Sb x Cb at a time under vmap.
    axes
        Name -> 1-D distinct numbers or strings. Strings reach the trial as their position 0, 1, ...
        and come back as the coordinate. `{}` is one cell.
    seeds
        n for 0..n-1, or distinct whole numbers >= 0.
    key
        `jax.random.key(...)`.
    chunk
        Lanes between writes to the store, rounded up to whole blocks. Default: 64 MB of outputs or
        2 seconds, whichever comes first.
    store
        Folder that makes the sweep resumable, see `jaxrobust.lab.store`.
    progress
        True: a bar on stderr when it is a terminal. Or `callable(lanes done, lanes in all)`.
    width
        Lanes run together in one block. Default: 32 on a CPU (1 where the trial convolves), 1024
        elsewhere. 1 suits trials that wait for their slowest lane (a while loop).
    dims, coords
        Names of an output's dimensions, `{"error": ("step",)}` (else `error_dim0`, ...), and values
        along them, `{"step": ...}`.
    devices, threads
        Where to run, and how many blocks at once. Default: all devices; all cores on a CPU (but
        one where a block factorises many matrices side by side, or transforms: XLA's own
        pool needs a core then, and `threads` is lowered to leave it one).

    Returns
    -------
    xarray.Dataset
        dims ("seed", *axes, *output dims). `attrs["nonfinite_lanes"]` counts, for each output, the
        lanes that hold a NaN or an infinity.

    Raises
    ------
    ValueError
        On a bad argument, in one line.
    StoreError
        On a store that is damaged, or belongs to another sweep.

    Examples
    --------
    >>> def trial(key, scale):
    ...     return {"path": scale * jax.random.normal(key, (3,))}
    >>> found = sweep(
    ...     trial, {"scale": [1.0, 2.0]}, 4, key=jax.random.key(0), dims={"path": ("step",)}
    ... )
    >>> dict(found.sizes)
    {'seed': 4, 'scale': 2, 'step': 3}
    >>> bool((found.path.sel(scale=2.0) == 2 * found.path.sel(scale=1.0)).all())
    True
    """
    if not callable(trial):
        raise ValueError(f"trial must be a function (key, **cell) -> dict, got {trial!r:.60}")
    coords = coords or {}
    values, columns = frame.check_axes(axes)
    numbers, root = frame.check_seeds(seeds), frame.check_key(key)
    chunk = None if chunk is None else _check.count("chunk", chunk)
    threads = None if threads is None else _check.count("threads", threads)
    devices = list(devices or jax.devices())
    traced = trace(trial, root, columns)
    named = frame.check_dims(traced, values, dims or {}, coords)
    most, together = width_for(traced, devices[0].platform)
    if width is not None:
        most = together = _check.count("width", width)
    grid = Grid.of(math.prod(v.size for v in values.values()), most, together)
    about = frame.describe(root, devices[0], (grid.block_seeds, grid.block_cells))

    total = numbers.size * grid.cells
    outputs = {
        name: np.empty((numbers.size, grid.cells, *s.shape), s.dtype)
        for name, s in zip(traced.names, traced.shapes, strict=True)
    }
    left = dict.fromkeys(grid.blocks(numbers))
    kept = None if store is None else Store(store, frame.fingerprint(traced, values, about), about)

    def take(block: int, parts: list[np.ndarray]) -> int:
        rows, slots, cells = grid.place(block, numbers)
        for whole, part in zip(outputs.values(), parts, strict=True):
            whole[rows, cells] = part[slots, : cells.stop - cells.start]
        del left[block]
        return rows.size * (cells.stop - cells.start)

    done = sum(take(*found) for found in kept.finished() if found[0] in left) if kept else 0
    with reporter(progress, total) as report:
        if done:
            report.tick(done)
        if left:
            table = np.meshgrid(*(np.arange(v.size) for v in values.values()), indexing="ij")
            cells = [c[i.ravel()] for c, i in zip(columns.values(), table, strict=True)]
            running = compute(traced, grid, root, cells, list(left), devices, threads)
            with closing(running), _Writer(kept, grid.lanes, chunk) as writer:
                for block, parts in running:
                    done += take(block, parts)
                    writer.add(block, parts)
                    report.tick(done)
        lost = {name: frame.nonfinite(x) for name, x in outputs.items()}
        for name, lanes in lost.items():
            if lanes:
                report.say(f"{name}: {lanes} of {total} lanes are not finite")
    attrs = about | {"seeds": numbers.tolist(), "nonfinite_lanes": lost}
    return frame.label(outputs, numbers, values, named, coords, attrs)


class _Writer:
    """Gather finished blocks and store them by the chunk; on any way out store what is left."""

    def __init__(self, store: Store | None, lanes: int, chunk: int | None) -> None:
        self.store, self.lanes, self.chunk = store, lanes, chunk
        self.blocks: dict[int, list[np.ndarray]] = {}
        self.bytes, self.since = 0, time.monotonic()

    def add(self, block: int, outputs: list[np.ndarray]) -> None:
        """Take a finished block; store the chunk when it is full."""
        if self.store is None:
            return
        self.blocks[block] = outputs
        self.bytes += sum(x.nbytes for x in outputs)
        if self.chunk is not None:
            due = len(self.blocks) * self.lanes >= self.chunk
        else:
            due = self.bytes >= OUTPUT_BYTES or time.monotonic() - self.since > FLUSH_SECONDS
        if due:
            self.flush()

    def flush(self) -> None:
        """Store what has gathered."""
        if self.store is not None:
            self.store.write(self.blocks)
        self.blocks, self.bytes, self.since = {}, 0, time.monotonic()

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
