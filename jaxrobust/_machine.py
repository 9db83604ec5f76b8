"""What the machine offers this process."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(affinity()) or os.cpu_count() or 1


def workers(threads: int, held: bool = True) -> ThreadPoolExecutor:
    """Make a pool of threads, each held to a core of its own where there is one for each.

    Left alone, a scheduler may keep two threads that have just woken on one core for longer than
    their work takes: virtual machines that pack their cores do so for a tenth of a second. What a
    thread starts stays on its core: not for threads that run a user's code.
    """
    allowed = affinity() if held else ()
    free: SimpleQueue[int] = SimpleQueue()
    if threads == len(allowed) > 1:
        for core in allowed:
            free.put(core)

    def settle() -> None:
        with suppress(Empty, OSError):  # some sandboxes refuse
            os.sched_setaffinity(0, {free.get_nowait()})  # of this thread alone

    return ThreadPoolExecutor(threads, thread_name_prefix="jaxrobust", initializer=settle)


def affinity() -> tuple[int, ...]:
    """Return the numbers of the cores that this thread may use, none where they are not known."""
    known = getattr(os, "sched_getaffinity", None)  # Linux
    return tuple(sorted(known(0))) if known else ()
