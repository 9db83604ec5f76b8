"""Tasks by name in several processes at once; each process takes the next one when it is free.

A worker is spawned once, held to cores of its own from its very first line on, so that the pools
of BLAS and XLA are as large as that, and it never hears Ctrl-C: the parent does, and ends them all.
"""

from __future__ import annotations

import io
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from multiprocessing import connection, get_context, parent_process
from typing import Any, NamedTuple

from jaxrobust._machine import affinity, cores
from jaxrobust.lab import memory

EACH = 4 * 2**30
"""Bytes of free memory that a worker is given room for, where none is told how many to start."""


class WorkerError(RuntimeError):
    """A task that failed in a worker, or a worker that died: one line with the task's name."""


class Said(NamedTuple):
    """What a task returned, and what it printed."""

    value: Any
    text: str


class _Failed(NamedTuple):
    text: str
    expected: bool


def usual() -> int:
    """Return how many workers this machine has cores for, and memory, as far as it is known."""
    free = memory.available()
    return cores() if free is None else max(1, min(cores(), free // EACH))


def run(
    task: Callable[[str], Any], names: Sequence[str], jobs: int, errors: tuple[type, ...] = ()
) -> Generator[tuple[str, Said | None], None, None]:
    """Yield (name, None) when a task begins and (name, what it said) when it ends.

    `task` must be found by import, as pickle does. Names are handed out in their order. Where a
    task raises, or a worker dies, or nobody asks for the next pair, all workers are ended.

    Raises
    ------
    WorkerError
        Where a task raised one of `errors`, or its process died.
    RuntimeError
        Where it raised anything else, with the worker's traceback.
    """
    waiting, busy, workers = deque(names), {}, {}
    try:
        for held in shares(jobs):
            pipe, process = _start(task, errors, held)
            workers[pipe] = process
        idle = list(workers)
        while waiting or busy:
            while waiting and idle:
                pipe, name = idle.pop(0), waiting.popleft()
                busy[pipe] = name
                yield name, None
                with suppress(OSError):  # died while it started: found out below
                    pipe.send(name)
            for pipe in connection.wait(list(busy)):
                name = busy.pop(pipe)
                yield name, _heard(name, pipe, workers[pipe])
                idle.append(pipe)
    finally:
        for process in workers.values():
            process.kill()  # it holds nothing: stores are whole at any instant
        for process in workers.values():
            process.join()


def shares(jobs: int) -> list[tuple[int, ...]]:
    """Split this thread's cores among the workers; all to each where there are too few.

    >>> len(shares(1)), set(shares(1)[0]) == set(affinity())
    (1, True)
    """
    mine = affinity()
    return [mine[i::jobs] if jobs <= len(mine) else mine for i in range(jobs)]


def _start(task, errors, held):
    """Start a worker; return this end of its pipe and the process."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, task, errors))
    with _inherited(held):
        process.start()
    there.close()  # the worker's alone: when it dies, so does the pipe
    return here, process


@contextmanager
def _inherited(held: tuple[int, ...]) -> Iterator[None]:
    """Hold this thread to some cores and keep Ctrl-C from it: what it starts inherits both."""
    mine, block = affinity(), getattr(signal, "pthread_sigmask", None)
    mask = block(signal.SIG_BLOCK, {signal.SIGINT}) if block else ()
    try:
        if held:
            with suppress(OSError):  # some sandboxes refuse
                os.sched_setaffinity(0, held)
        yield
    finally:
        if held:
            with suppress(OSError):
                os.sched_setaffinity(0, mine)
        if block:
            block(signal.SIG_SETMASK, mask)


def _heard(name, pipe, process):
    """Return what a worker said; raise where it failed or died."""
    try:
        reply = pipe.recv()
    except (EOFError, OSError):
        process.join(10)
        code = process.exitcode or 0
        told = f"ended with status {code}"
        if code < 0:
            told = f"was killed by {signal.Signals(-code).name}"
            if -code == signal.SIGKILL:
                told += ", as a system does that runs out of memory: try fewer --jobs"
        raise WorkerError(f"{name}: its process {told}") from None
    if not isinstance(reply, _Failed):
        return reply
    if reply.expected:
        raise WorkerError(f"{name}: {reply.text}")
    raise RuntimeError(f"{name} failed in its process:\n{reply.text}")


def _serve(pipe, task, errors):
    """Do what the parent asks for, until it is gone."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    while True:
        try:
            name = pipe.recv()
        except EOFError:
            return
        text = io.StringIO()
        try:
            with redirect_stdout(text), redirect_stderr(text):
                reply = Said(task(name), text.getvalue())
        except errors as error:
            reply = _Failed(str(error), expected=True)
        except BaseException:
            reply = _Failed(f"{text.getvalue()}{traceback.format_exc()}", expected=False)
        pipe.send(reply)


def _leave_with_parent():
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
