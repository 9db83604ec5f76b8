"""Cells x seeds of a pure trial in one compiled program, as a labelled Dataset."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxrobust import _check
from jaxrobust.lab import frame
from jaxrobust.lab.block import as_run, compute
from jaxrobust.lab.clock import Clock
from jaxrobust.lab.gather import Seats, Writer
from jaxrobust.lab.grid import Grid
from jaxrobust.lab.progress import reporter
from jaxrobust.lab.share import of_this_process, own_devices, wait
from jaxrobust.lab.store import Store
from jaxrobust.lab.tracing import trace, width_for

if TYPE_CHECKING:
    import xarray


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
    devices and processes, resumed or not; on a CPU whatever the number of cores. It may change in
    the last digits with the cell grid, `width`, the versions of jax and jaxlib, and the processor.

    Several processes: call `jax.distributed.initialize()` and then the same sweep, with the same
    store, in each. Each computes its share, waits for the others' blocks to appear in the store,
    and returns the whole.

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
        Where to run, and how many blocks at once. Default: all devices of this process; all cores
        on a CPU (but one where a block factorises many matrices side by side, or transforms: XLA's
        own pool needs a core then, and `threads` is lowered to leave it one; fewer also where the
        memory is short).

    Returns
    -------
    xarray.Dataset
        dims ("seed", *axes, *output dims). `attrs["nonfinite_lanes"]` counts, for each output, the
        lanes that hold a NaN or an infinity; `attrs["seconds"]` says where the time went, see
        `jaxrobust.lab.clock`.

    Raises
    ------
    ValueError
        On a bad argument, in one line.
    StoreError
        On a store that is damaged, or belongs to another sweep, or cannot be written.
    MemoryError
        Where a block or the results do not fit, in one line with the `width` to try.
    KeyboardInterrupt
        On Ctrl-C, with how far it came; what was finished is in the store. The process ends when
        the blocks that are running do.

    Examples
    --------
    >>> import jax
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
    devices, share = own_devices(devices), of_this_process()
    if share.processes > 1 and store is None:
        raise ValueError(
            f"store must be given where {share.processes} processes share a sweep: a folder of all"
        )
    clock = Clock()
    with clock("compile"):
        traced = trace(trial, root, columns)
    named = frame.check_dims(traced, values, dims or {}, coords)
    most, together = width_for(traced, devices[0].platform)
    if width is not None:
        most = together = _check.count("width", width)
    grid = Grid.of(math.prod(v.size for v in values.values()), most, together)
    about = frame.describe(root, devices[0], (grid.block_seeds, grid.block_cells))
    seats = Seats(traced, grid, numbers, share.owner(grid.blocks(numbers)))

    def look() -> bool:
        """Take what is new in the store; return whether there was any."""
        before = seats.done
        with clock("store"):
            for found in kept.finished() if kept else ():
                seats.take(*found)
        if seats.done > before:
            report.tick(seats.done)
        return seats.done > before

    with _stopping(seats, store), reporter(progress, seats.total) as report:
        kept = None
        if store is not None:
            whole = as_run(traced, root, columns)
            kept = Store(store, frame.fingerprint(traced, whole, values, about), about)
        look()
        todo = [block for block, owner in seats.left.items() if owner == share.process]
        if todo:
            table = np.meshgrid(*(np.arange(v.size) for v in values.values()), indexing="ij")
            cells = [c[i.ravel()] for c, i in zip(columns.values(), table, strict=True)]
            with clock("compile"):
                running = compute(traced, grid, root, cells, todo, devices, threads)
            with closing(running), Writer(kept, grid.lanes, chunk, clock) as writer:
                for block, outputs in clock.each("compute", running):
                    writer.add(block, outputs)  # first: what Ctrl-C counts is in the store
                    seats.take(block, outputs)
                    report.tick(seats.done)
        if seats.left:
            with clock("wait"):
                wait(look, seats.left, store, report.warn)
        lost = {name: frame.nonfinite(x) for name, x in seats.outputs.items()}
        for name, lanes in lost.items():
            if lanes:
                report.say(f"{name}: {lanes} of {seats.total} lanes are not finite")
    attrs = about | {"seeds": numbers.tolist(), "nonfinite_lanes": lost, "seconds": clock.seconds()}
    return frame.label(seats.outputs, numbers, values, named, coords, attrs)


@contextmanager
def _stopping(seats: Seats, store: Any) -> Iterator[None]:
    """Say on Ctrl-C how far the sweep came."""
    try:
        yield
    except KeyboardInterrupt:
        kept = "nothing was stored" if store is None else f"they are in {store}, run again to go on"
        raise KeyboardInterrupt(f"stopped at {seats.done} of {seats.total} lanes: {kept}") from None
