"""What has come of a sweep so far: seated in the results, and gathered for the store."""

from __future__ import annotations

import time

import numpy as np

from jaxrobust.lab.clock import Clock
from jaxrobust.lab.grid import Grid
from jaxrobust.lab.memory import results_fit
from jaxrobust.lab.store import Store, StoreError
from jaxrobust.lab.tracing import OUTPUT_BYTES, Traced

FLUSH_SECONDS = 2.0  # without a chunk size, a killed run loses at most about this much


class Seats:
    """The results, (seeds, cells, ...) each, and the blocks still to come with their process."""

    def __init__(
        self, traced: Traced, grid: Grid, numbers: np.ndarray, left: dict[int, int]
    ) -> None:
        self.grid, self.numbers, self.left = grid, numbers, left
        self.total, self.done = numbers.size * grid.cells, 0
        results_fit(self.total * sum(s.size * s.dtype.itemsize for s in traced.shapes))
        self.outputs = {
            name: np.empty((numbers.size, grid.cells, *s.shape), s.dtype)
            for name, s in zip(traced.names, traced.shapes, strict=True)
        }

    def take(self, block: int, parts: list[np.ndarray]) -> None:
        """Seat a block's outputs; one that was not asked for, or is there already, is left out."""
        if block not in self.left:
            return
        rows, slots, cells = self.grid.place(block, self.numbers)
        for whole, part in zip(self.outputs.values(), parts, strict=True):
            whole[rows, cells] = part[slots, : cells.stop - cells.start]
        del self.left[block]
        self.done += rows.size * (cells.stop - cells.start)


class Writer:
    """Gather finished blocks and store them by the chunk; on any way out store what is left."""

    def __init__(self, store: Store | None, lanes: int, chunk: int | None, clock: Clock) -> None:
        self.store, self.lanes, self.chunk, self.clock = store, lanes, chunk, clock
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
        try:
            if self.store is not None:
                with self.clock("store"):
                    self.store.write(self.blocks)
        except StoreError:  # a full disk is not tried twice; after Ctrl-C the way out writes them
            self.blocks = {}
            raise
        self.blocks, self.bytes, self.since = {}, 0, time.monotonic()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
