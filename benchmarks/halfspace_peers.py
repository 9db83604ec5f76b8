"""Other ways of many halfspace learners: a NumPy loop, and numba's compiled loops with threads.

numba is no dependency of jaxrobust: `numba_loops` says how to get it where it is missing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits


class Batch(NamedTuple):
    """Points of some seeds, and their labels at every rate."""

    x: np.ndarray  # (S, T, d)
    y: np.ndarray  # (S, R, T)


def draw(seeds: range, eta: np.ndarray, steps: int, d: int, dtype: Any) -> Batch:
    """Draw points on the sphere with clean labels sign x_1; one uniform number flips every rate."""
    x = np.empty((len(seeds), steps, d), dtype)
    y = np.empty((len(seeds), len(eta), steps), dtype)
    for i, seed in enumerate(seeds):
        rng = np.random.default_rng([0, seed])
        rng.standard_normal(out=x[i], dtype=dtype)
        x[i] /= np.linalg.norm(x[i], axis=1, keepdims=True)
        flipped = rng.random(steps) < eta[:, None]
        y[i] = np.where((x[i, :, 0] >= 0) != flipped, 1.0, -1.0)
    return Batch(x, y)


def numpy_lane(x: np.ndarray, y: np.ndarray, eta: float, gamma: float, mu: float) -> np.ndarray:
    """Learn one lane in NumPy, one example after another."""
    w = np.zeros(x.shape[1], x.dtype)
    lean = 1 - 2 * eta
    for point, label in zip(x, y.tolist(), strict=True):
        z = float(point @ w)
        slope = 0.5 * ((lean if z >= 0 else -lean) - label) / (abs(z) + gamma)
        w -= (mu * slope) * point
        square = float(w @ w)
        if square > 1:
            w /= math.sqrt(square)
    return w


def numpy_loop(
    batch: Batch, eta: np.ndarray, gamma: float, mu: float, lanes: int, steps: int
) -> tuple[list[tuple[int, int]], np.ndarray, float]:
    """Learn some lanes for some steps, on one BLAS thread.

    Returns their (seed, rate), their weights, and the seconds scaled to the whole batch.
    """
    seeds, rates, all_steps = batch.y.shape
    numbers = np.unique(np.linspace(0, seeds * rates - 1, lanes).round().astype(int))
    places = [divmod(int(number), rates) for number in numbers]
    known = eta.tolist()
    with threadpool_limits(1, user_api="blas"):
        start = time.perf_counter()
        w = [
            numpy_lane(batch.x[s, :steps], batch.y[s, r, :steps], known[r], gamma, mu)
            for s, r in places
        ]
        seconds = time.perf_counter() - start
    return places, np.stack(w), seconds * seeds * rates / len(places) * all_steps / steps


def end_to_end_seed(d: int, dtype: str, eta: np.ndarray, *settings: Any) -> float:
    """Draw a seed's points once, not once a lane, and learn its lanes; return the seconds."""
    start = time.perf_counter()
    batch = draw(range(1), eta, settings[-1], d, dtype)
    drawing = time.perf_counter() - start
    return drawing + numpy_loop(batch, eta, *settings)[2]


def numba_loops() -> dict[str, Callable]:
    """Return numba's loops by what their threads share out; none, with a hint, without numba."""
    try:
        import numba  # pyright: ignore[reportMissingImports]
    except ImportError:
        print("numba is not installed, its lanes are left out: pip install numba")
        return {}
    prange = numba.prange

    # All scalars come in as the arrays' own type: a Python float would make float32 float64.
    def update(w: Any, x: Any, y: Any, lean: Any, gamma: Any, step: Any, one: Any) -> None:
        z = one - one
        for j in range(x.size):
            z += x[j] * w[j]
        slope = step * (lean * (one if z >= 0 else -one) - y) / (abs(z) + gamma)
        square = one - one
        for j in range(x.size):
            w[j] -= slope * x[j]
            square += w[j] * w[j]
        if square > one:
            scale = one / math.sqrt(square)
            for j in range(x.size):
                w[j] *= scale

    update = numba.njit(update, fastmath=True, inline="always")

    def lanes(x: Any, y: Any, lean: Any, gamma: Any, step: Any, one: Any, w: Any) -> None:
        for lane in prange(w.shape[0] * w.shape[1]):  # pyright: ignore
            s, r = lane // w.shape[1], lane % w.shape[1]
            for t in range(x.shape[1]):
                update(w[s, r], x[s, t], y[s, r, t], lean[r], gamma, step, one)

    def seeds(x: Any, y: Any, lean: Any, gamma: Any, step: Any, one: Any, w: Any) -> None:
        for s in prange(w.shape[0]):  # pyright: ignore
            for t in range(x.shape[1]):
                for r in range(w.shape[1]):
                    update(w[s, r], x[s, t], y[s, r, t], lean[r], gamma, step, one)

    parallel = numba.njit(parallel=True, fastmath=True)
    return {"lanes": parallel(lanes), "seeds": parallel(seeds)}


def compiled(loop: Callable, dtype: Any) -> tuple[Callable, float]:
    """Compile a loop for a dtype; return learn(x, y, eta, gamma, mu) -> w and the seconds taken."""
    kind = np.dtype(dtype).type

    def learn(x: np.ndarray, y: np.ndarray, eta: np.ndarray, gamma: float, mu: float) -> np.ndarray:
        w = np.zeros((*y.shape[:2], x.shape[2]), kind)
        loop(x, y, (1 - 2 * eta).astype(kind), kind(gamma), kind(mu / 2), kind(1), w)
        return w

    start = time.perf_counter()
    learn(np.zeros((1, 1, 1), kind), np.ones((1, 1, 1), kind), np.zeros(1), 1.0, 1.0)
    return learn, time.perf_counter() - start
