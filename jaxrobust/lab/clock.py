"""Where the time of a sweep goes: seconds by name."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any


class Clock:
    """Add up wall seconds by name, from the moment it is made.

    A sweep keeps four: "compile" (tracing included), "compute" and "store", in which its own thread
    waited for blocks and for the disk (blocks go on meanwhile), and "wait" for other processes.

    >>> clock = Clock()
    >>> with clock("store"):
    ...     pass
    >>> [x for x in clock.each("compute", [1, 2])]
    [1, 2]
    >>> sorted(clock.seconds())
    ['compute', 'store', 'wall']
    """

    def __init__(self) -> None:
        self._spent: dict[str, float] = {}
        self._inside = 0.0  # what names opened within the one that is open have taken
        self._begun = time.perf_counter()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count the block under a name; what is counted under another one inside is not."""
        begun, around, self._inside = time.perf_counter(), self._inside, 0.0
        try:
            yield
        finally:
            took = time.perf_counter() - begun
            self._spent[name] = self._spent.get(name, 0.0) + took - self._inside
            self._inside = around + took

    def each(self, name: str, items: Iterable[Any]) -> Iterator[Any]:
        """Yield the items; what is counted is the time that they take to come."""
        coming, end = iter(items), object()
        while True:
            with self(name):
                item = next(coming, end)
            if item is end:
                return
            yield item

    def seconds(self) -> dict[str, float]:
        """Return the seconds under each name, and "wall", all that have passed."""
        return self._spent | {"wall": time.perf_counter() - self._begun}
