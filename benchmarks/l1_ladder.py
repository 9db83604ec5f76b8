"""Choose the fastest setting with which a peer reaches the target, before anything is timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from benchmarks.l1_cells import Problem, excesses, gaps
from benchmarks.l1_peers import Peer

SLOW = 30.0  # times the best peer: beyond it a peer is not timed again
_PROBE = 3  # lanes that say whether a setting is worth all of them


@dataclass
class Choice:
    """A peer's best way of a problem, or why it has none."""

    name: str
    run: Callable[[], np.ndarray] | None = None
    setting: str = ""
    threads: int = 1
    """BLAS threads for K = JJ' and all that follows."""
    seconds: float = float("inf")
    """For all lanes."""
    worst: float = float("inf")
    """Gap of the worst lane, or relative suboptimality where there is no nu."""
    scaled: bool = False
    """Whether only some lanes were run, once, and the time scaled to all."""
    note: str = ""
    times: list[float] = field(default_factory=list)


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def blas(threads: int) -> Iterator[None]:
    """Hold BLAS to so many threads."""
    with _controller().limit(limits=threads, user_api="blas"):
        yield


def clock(run: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds of a call, and its answer."""
    start = time.perf_counter()
    answer = run()
    return time.perf_counter() - start, answer


def repeat(run: Callable[[], Any], seconds: float) -> list[float]:
    """Call again for about .1 s, at most 20 times, and return the seconds of each call."""
    return [clock(run)[0] for _ in range(min(20, int(0.1 / seconds) + (seconds < 1)))]


def call(peer: Peer, problem: Problem, tol: float, options: dict, apart: bool) -> Any:
    """Make a call without arguments: all lanes of a problem.

    K = JJ' is formed in the call, except where the lanes share J: then it is given.
    """
    on_rows = peer.gives == "theta" or options.get("lifted", False)
    solve = partial(peer.solve, tol=tol, **options)
    shared = problem.kind in ("shared", "path")
    given = None if on_rows or not shared else problem.J @ problem.J.T

    def one(lane: int) -> np.ndarray:
        J = problem.matrix(lane)
        matrix = given if given is not None else J if on_rows else J @ J.T
        return solve(matrix, problem.y[lane : lane + 1], problem.lam[lane : lane + 1])

    if shared and not apart:
        return lambda: solve(problem.J if given is None else given, problem.y, problem.lam)
    return lambda: np.concatenate([one(lane) for lane in range(len(problem.y))])


def choose(
    peer: Peer, problem: Problem, optimum: np.ndarray, target: float, best: float, cap: float
) -> Choice:
    """Take for every option the loosest tolerance that reaches the target, and the fastest option.

    best: seconds of the fastest peer so far; a way that is SLOW times slower is run on a few lanes,
    once. cap: seconds a lane after which no tighter tolerance is tried.
    """
    found = Choice(peer.name if target <= 1e-10 else f"{peer.name} to {target:g}")
    N, p = problem.y.shape[1], problem.J.shape[-1]
    if peer.most < N:
        found.note = f"not run beyond N = {peer.most}"
        return found
    ways = [(how, False) for how in peer.options + (peer.lifted if p < N else ())]
    if peer.keeps and problem.kind in ("shared", "path"):
        ways += [(how, True) for how, _ in ways]
    for options, apart in ways:
        one = _climb(
            peer, problem, optimum, target, (min(best, found.seconds), cap), options, apart
        )
        if one.seconds < found.seconds or (found.run is None and one.worst < found.worst):
            found = one
        elif found.run is None:
            found.note = found.note or one.note
    if found.run and not found.scaled and "lifted" not in found.setting:
        _more_threads(peer, problem, found)
    return found


def _climb(
    peer: Peer,
    problem: Problem,
    optimum: np.ndarray,
    target: float,
    bounds: tuple[float, float],
    options: dict,
    apart: bool,
) -> Choice:
    """Go from loose to tight until the target is reached on all lanes."""
    best, cap = bounds
    found = Choice(peer.name if target <= 1e-10 else f"{peer.name} to {target:g}")
    lanes, few = len(problem.y), problem.first(_PROBE)

    def attempt(part: Problem, tol: float) -> tuple[float, float, Any]:
        run = call(peer, part, tol, options, apart)
        if peer.compiles and part is few:
            run()
        seconds, answer = clock(run)
        if peer.gives == "theta":
            return seconds, float(np.max(excesses(part, answer, optimum))), run
        return seconds, float(np.max(gaps(part, answer))), run

    for tol in peer.tolerances:
        try:
            seconds, worst, run = attempt(few, tol)
            if worst <= target:
                seconds = min([seconds, *repeat(run, seconds)])
            scale = lanes / len(few.y)
            slow = scale * seconds > SLOW * best
            if worst <= target and not slow and lanes > _PROBE:
                seconds, worst, run = attempt(problem, tol)
                scale = 1.0
        except Exception as error:  # a peer's failure is a result, not a crash
            found.note = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:60]}"
            continue
        if worst < found.worst:
            found.worst = worst
        if worst <= target:
            named = {**options, "tol": tol, **({"lanes": "apart"} if apart else {})}
            found.run, found.scaled, found.worst = run, scale > 1, worst
            found.setting = ", ".join(f"{key} {value}" for key, value in named.items())
            found.seconds, found.note = scale * seconds, ""
            return found
        lane = scale * seconds / lanes
        if lane > cap or scale * seconds > max(1.0, SLOW * best):
            found.note = (
                f"{found.worst:.1e} when given up, {scale * seconds:.1f} s at tol {tol:.0e}"
            )
            return found
    found.note = found.note or f"{found.worst:.1e} at best"
    return found


def _more_threads(peer: Peer, problem: Problem, found: Choice, threads: int = 2) -> None:
    """Let BLAS use two threads where the peer is faster with them."""
    forms = peer.gives == "nu" and problem.kind in ("single", "distinct")
    if not forms or problem.y.shape[1] ** 2 * problem.J.shape[-1] < 2e7 or found.seconds > 2:
        return
    alone, both = [], []
    for _ in range(3):
        alone.append(clock(found.run)[0])  # pyright: ignore[reportArgumentType]
        with blas(threads):
            both.append(clock(found.run)[0])  # pyright: ignore[reportArgumentType]
    if np.median(both) < 0.97 * np.median(alone):
        found.threads = threads
    found.seconds = float(min(*alone, *both))
