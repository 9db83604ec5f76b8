"""Progress of a sweep: a bar on a terminal, a callback, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple


class Reporter(NamedTuple):
    """Where a sweep reports: `tick(lanes done)` after every block, `say(line)` at the end."""

    tick: Callable[[int], object]
    say: Callable[[str], object]


@contextmanager
def reporter(progress: Any, total: int) -> Iterator[Reporter]:
    """Open a reporter: True a bar on stderr if that is a terminal, False nothing, or a callable.

    >>> seen = []
    >>> with reporter(lambda done, total: seen.append((done, total)), 4) as report:
    ...     report.tick(2)
    >>> seen
    [(2, 4)]
    """
    if callable(progress):
        yield Reporter(lambda done: progress(done, total), lambda line: None)
    elif not progress:
        yield Reporter(lambda done: None, lambda line: None)
    elif not sys.stderr.isatty():
        yield Reporter(lambda done: None, lambda line: print(line, file=sys.stderr))
    else:
        from rich import progress as bars
        from rich.console import Console

        columns = (
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TimeElapsedColumn(),
            bars.TimeRemainingColumn(),
        )
        console = Console(stderr=True)
        with bars.Progress(*columns, console=console) as bar:
            task = bar.add_task("lanes", total=total)
            yield Reporter(lambda done: bar.update(task, completed=done), console.print)
