"""What fits into memory, said before a run is killed for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def available() -> int | None:
    """Return the bytes that this process may still take, or None where the system does not tell.

    The least of what the machine has left and of what its control groups (version 2) leave: batch
    systems and containers set those.
    """
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        left = [int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable:")]
        groups = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    root = Path("/sys/fs/cgroup")
    for line in groups:
        if line.startswith("0::"):
            group = root / line[3:].lstrip("/")
            for folder in (group, *group.parents):
                if folder.is_relative_to(root):
                    left.extend(_left_in(folder))
    return min(left, default=None)


def _left_in(group: Path) -> list[int]:
    """Return what a control group leaves; nothing where it sets no limit."""
    try:
        most = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        stat = dict(x.split() for x in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such file, or "max"
        return []
    return [max(0, most - used + int(stat.get("inactive_file", 0)))]  # the kernel gives those back


def results_fit(needed: int) -> None:
    """Raise MemoryError where the results alone would not fit."""
    free = available()
    if free is not None and needed > free:
        raise MemoryError(
            f"the results take {amount(needed)} and {amount(free)} are free: ask for fewer seeds "
            "a call, or return less from the trial"
        )


def threads_for(compiled: Any, threads: int, lanes: int) -> int:
    """Return how many blocks may run at once; raise MemoryError where not even one fits.

    `compiled` knows what one run of it allocates: scratch and outputs.
    """
    free, plan = available(), compiled.memory_analysis()
    if free is None or plan is None:
        return threads
    needed = plan.temp_size_in_bytes + plan.output_size_in_bytes
    if needed > free:
        raise too_much(lanes, int(0.8 * lanes * free / needed), amount(needed), amount(free))
    return max(1, min(threads, free // max(needed, 1)))


def too_much(lanes: int, fit: int, needed: str = "more", free: str = "less") -> MemoryError:
    """Return the one line for a block that does not fit."""
    if lanes == 1:
        cure = "one lane does not fit, make the trial smaller"
    else:
        cure = f"try width={max(1, fit)}"
    many = "lane" if lanes == 1 else "lanes"
    return MemoryError(f"a block of {lanes} {many} needs {needed} memory, {free} is free: {cure}")


def amount(size: float) -> str:
    """Return a number of bytes for people.

    >>> amount(3_200_000_000), amount(12)
    ('3.2 GB', '12 bytes')
    """
    for power, unit in ((5, "PB"), (4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if size >= 1000**power:
            return f"{size / 1000**power:.3g} {unit}"
    return f"{size:.0f} bytes"
