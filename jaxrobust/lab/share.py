"""A sweep in several processes: each takes its share of the blocks, all meet in the store.

Under JAX's distributed runtime (`jax.distributed.initialize()`) every process calls the same sweep
with the same store. The share is fixed by the process's number; no result travels but through
files, so that no collective can hang and a process may be killed and started again at any time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

PAUSE_SECONDS = 0.5  # between two looks into the store
PATIENCE_SECONDS = 20.0  # without a new block before the first word; doubled after each


class Share(NamedTuple):
    """One process among all: it computes every so-many-th block."""

    process: int
    processes: int

    def owner(self, blocks: Sequence[int]) -> dict[int, int]:
        """Return which process computes each block.

        >>> Share(0, 2).owner([4, 5, 9])
        {4: 0, 5: 1, 9: 0}
        """
        return {block: i % self.processes for i, block in enumerate(blocks)}


def of_this_process() -> Share:
    """Return this process's share; the whole where there is only one."""
    return Share(jax.process_index(), jax.process_count())


def own_devices(devices: Sequence[Any] | None) -> list[Any]:
    """Return the devices to run on: this process's own; refuse those of another process."""
    if devices is None:
        return jax.local_devices()
    chosen = list(devices)
    if not chosen:
        raise ValueError("devices is empty: leave it out to use all of this process")
    for device in chosen:
        if device.process_index != jax.process_index():
            raise ValueError(f"devices holds {device} of another process: use jax.local_devices()")
    return chosen


def wait(
    look: Callable[[], bool], left: dict[int, int], store: Any, warn: Callable[[str], object]
) -> None:
    """Wait until no block is left; `look()` takes what is new and returns whether there was any.

    Who waits and for whom is said from time to time. The blocks of a dead process may come from
    any process started later, one without the distributed runtime included.
    """
    since, patience = time.monotonic(), PATIENCE_SECONDS
    while True:
        if look():
            since, patience = time.monotonic(), PATIENCE_SECONDS
        if not left:
            return
        if time.monotonic() - since > patience:
            names = ", ".join(map(str, sorted(set(left.values()))))
            warn(
                f"waiting for {len(left)} blocks of process {names} in {store}, none came for "
                f"{patience:.0f} s: if it is dead, start it again"
            )
            patience *= 2
        time.sleep(PAUSE_SECONDS)
