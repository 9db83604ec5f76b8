"""Call methods in turns: bursts of calls, hot and first calls apart."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from benchmarks import l1_ladder as ladder

_BURST = 0.02  # seconds


def interleave(
    calls: dict[int, tuple[Callable[[], Any], float, int]], budget: float, repeats: int | None
) -> dict[int, tuple[list[float], list[float]]]:
    """Call everything in bursts, in rounds, and return (later calls, first calls) of the bursts.

    A call comes with about its seconds and with its BLAS threads. What is slow takes part in some
    rounds, two at least; the bursts of one call of the slowest count as both.
    """
    bursts = {i: 1 + _more(seconds) for i, (_, seconds, _) in calls.items()}
    costs = {i: bursts[i] * seconds for i, (_, seconds, _) in calls.items()}
    every = {i: math.ceil(cost / (4 * min(costs.values()))) for i, cost in costs.items()}
    each = sum(costs[i] / every[i] for i in calls)
    rounds = repeats or int(np.clip(budget / each, 6, 100))
    every = {i: min(n, max(1, rounds // 2)) for i, n in every.items()}
    times: dict[int, tuple[list[float], list[float]]] = {i: ([], []) for i in calls}
    rng = np.random.default_rng(0)
    gc.collect()
    gc.disable()
    for turn in range(rounds):
        for i in rng.permutation(list(calls)).tolist():
            run, _, threads = calls[i]
            if turn % every[i] == 0:
                with nullcontext() if threads == 1 else ladder.blas(threads):
                    burst = [1e3 * ladder.clock(run)[0] for _ in range(bursts[i])]
                times[i][0].extend(burst[1:] or burst)
                times[i][1].append(burst[0])
    gc.enable()
    return times


def _more(seconds: float) -> int:
    """Give the calls of a burst after the first: 2 to 20, about .02 s; none if one takes 1 s."""
    return 0 if seconds > 1 else int(np.clip(math.ceil(_BURST / seconds), 2, 20))
