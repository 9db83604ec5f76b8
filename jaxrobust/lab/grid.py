"""Where every lane of a sweep sits: blocks of Sb seeds x Cb cells.

A block is a pure function of its number. Seed i sits in block row `i // Sb`, slot `i % Sb`; cell c
sits in group `c // Cb`, slot `c % Cb`. Slots whose seed was not asked for are run all the same,
with that seed's own key, so a lane always has the same neighbours: its bits cannot depend on how
many seeds were asked for, on their order, on chunks, threads or restarts.
"""

from __future__ import annotations

import dataclasses

import numpy as np


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
