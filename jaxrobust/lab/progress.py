"""Progress of a sweep: a bar on a terminal, a callback, or nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple


class Reporter(NamedTuple):
    """Where a sweep reports.

    `tick(lanes done)` after every block, `say(line)` at the end, `warn(line)` what must be known
    whether or not progress is shown: it goes to stderr.
    """

    tick: Callable[[int], object]
    say: Callable[[str], object]
    warn: Callable[[str], object]


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
        yield Reporter(lambda done: progress(done, total), lambda line: None, _stderr)
    elif not progress:
        yield Reporter(lambda done: None, lambda line: None, _stderr)
    elif not sys.stderr.isatty():
        yield Reporter(lambda done: None, _stderr, _stderr)
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
            say = console.print
            yield Reporter(lambda done: bar.update(task, completed=done), say, say)


def _stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
