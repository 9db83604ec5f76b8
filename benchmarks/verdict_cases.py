"""Synthetic claims at the edge of truth, for `benchmarks.verdict_rates` and the tests.

Seeds are Gaussian, t (3 degrees of freedom), paired (correlation .9 between cells), 0-1,
exponential (skewness 2) or log-normal (skewness 6), always with mean 0 and variance 1 but for 0-1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from jaxrobust import lab

SIZES = np.array([10.0, 20.0, 40.0, 80.0])
LEVEL, HAIR = 0.05, 1e-9
E = math.e


class Case(NamedTuple):
    """Claims of one sort. design: the largest rate of wrong verdicts, None where none holds."""

    what: str
    true: bool
    n: int
    make: Callable[[np.random.Generator], Any]
    design: float | None = LEVEL


def paired(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw Gaussian seeds, correlated over the cells through what they share."""
    return np.sqrt(0.9) * rng.normal(size=(shape[0], 1)) + np.sqrt(0.1) * rng.normal(size=shape)


LAWS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "Gaussian": lambda rng, shape: rng.normal(size=shape),
    "paired": paired,
    "t3": lambda rng, shape: rng.standard_t(3, shape) / math.sqrt(3),
    "exponential": lambda rng, shape: rng.exponential(size=shape) - 1,
    "log-normal": lambda rng, shape: (rng.lognormal(size=shape) - E**0.5) / math.sqrt(E * E - E),
}
SKEWED = ("exponential", "log-normal")
RATES = {"0-1, p = .02": 0.02, "0-1, p = .2": 0.2}


def draws(law: str, cells: int) -> tuple[Callable, float, float]:
    """Return the sampler (rng, n) -> (n, cells) of a law, its mean and standard deviation."""
    if law in RATES:
        p = RATES[law]
        return lambda rng, n: (rng.random((n, cells)) < p) * 1.0, p, math.sqrt(p - p * p)
    return lambda rng, n: LAWS[law](rng, (n, cells)), 0.0, 1.0


def half_width(n: int, cells: int = 1, sd: float = 1.0) -> float:
    """Return the typical half-width of Student's t interval."""
    return -special.stdtrit(n - 1, LEVEL / 2 / cells) * sd / math.sqrt(n)


def rises(mean: np.ndarray) -> bool:
    """Return whether the means increase strictly."""
    return bool(np.all(mean[1:] > mean[:-1]))


def exact_kinds() -> Iterator[Case]:
    """Yield identities and solvers: their verdicts leave nothing to chance."""

    def identity(rng: np.random.Generator, twist: float) -> lab.Identity:
        a, b = rng.normal(size=(2, 64))
        error = ((a + b) ** 2 - (a * a + 2 * a * b + b * b)) / (a * a + b * b)
        error[rng.integers(64)] += twist
        return lab.Identity(error, 1e-12)

    def solver(rng: np.random.Generator, twist: float) -> lab.Solver:
        A, b = rng.normal(size=(9, 4)), rng.normal(size=9)
        reference = np.linalg.lstsq(A, b)[0]
        found = np.linalg.solve(A.T @ A, A.T @ b) + twist
        gap = np.linalg.norm(A.T @ (A @ reference - b))
        return lab.Solver(np.linalg.norm(found - reference), 1e-8, gap, 1e-10)

    for what, make in (("identity", identity), ("solver", solver)):
        for true, twist in ((True, 0.0), (False, 2e-8)):
            yield Case(what, true, 1, lambda rng, m=make, t=twist: m(rng, t), 0.0)


def mean_kinds(law: str, n: int, cells: int = 4) -> Iterator[Case]:
    """Yield expectations (one cell of several wrong) and bounds (of one cell, met exactly)."""
    design = None if law in SKEWED else LEVEL
    draw, mean, sd = draws(law, cells)
    one = draws(law, 1)[0]
    resolution = half_width(n, cells, sd)
    wrong = np.full(cells, mean)
    wrong[-1] += 2 * resolution  # the least deviation that is promised to be found out

    def expectation(rng: np.random.Generator, formula: Any, seen: float) -> lab.Expectation:
        return lab.Expectation(draw(rng, n), formula, seen)

    yield Case(f"expectation, {law}", True, n, lambda rng: expectation(rng, mean, 9.0), design)
    half = None if design is None else LEVEL / 2
    found = Case(
        f"expectation, {law}", False, n, lambda rng: expectation(rng, wrong, resolution), half
    )
    yield found
    for side, hair in (("upper", -HAIR), ("lower", HAIR)):
        what = f"{side} bound, {law}"
        yield Case(what, True, n, lambda rng, s=side: lab.Bound(one(rng, n), mean, s), design)
        yield Case(
            what, False, n, lambda rng, s=side, h=hair: lab.Bound(one(rng, n), mean + h, s), design
        )


def trend_kinds(law: str, n: int, resamples: int) -> Iterator[Case]:
    """Yield rates (exact, and at the edge of their band) and shapes (two equal means)."""
    design = None if law in SKEWED else LEVEL / 2

    def rate(rng: np.random.Generator, exponent: float) -> lab.Rate:
        noise = LAWS[law](rng, (n, 1)) + 0.1 * LAWS[law](rng, (n, 4))
        return lab.Rate(SIZES, SIZES**-0.5 * np.exp(noise), exponent, 0.1)

    def shape(rng: np.random.Generator) -> lab.Shape:
        return lab.Shape(LAWS[law](rng, (n, 2)), rises, resamples=resamples)

    yield Case(f"rate, {law}, exact", True, n, lambda rng: rate(rng, -0.5), design)
    yield Case(f"rate, {law}, edge", True, n, lambda rng: rate(rng, -0.4), design)
    yield Case(f"rate, {law}, edge", False, n, lambda rng: rate(rng, -0.4 + HAIR), design)
    yield Case(f"shape, {law}, a <= b", True, n, shape, LEVEL / 2 + 0.01)  # resampling's own error
    yield Case(f"shape, {law}, a < b", False, n, shape, LEVEL / 2 + 0.01)

    def above(rng: np.random.Generator) -> lab.Shape:
        return lab.Shape(LAWS[law](rng, (n, 1)), lambda m: bool(m[0] > 0), resamples=resamples)

    half = None if law in SKEWED else LEVEL / 2 + 0.01
    yield Case(f"shape, {law}, a >= 0", True, n, above, half)
    yield Case(f"shape, {law}, a > 0", False, n, above, half)


def many_ties(n: int, resamples: int) -> Iterator[Case]:
    """Yield shapes outside the design: several equal means, none or one of which need be larger."""
    for k in (3, 5):
        yield Case(
            f"shape, {k} equal means in order",
            True,
            n,
            lambda rng, k=k: lab.Shape(rng.normal(size=(n, k)), rises, resamples=resamples),
            None,
        )
        yield Case(
            f"shape, one of {k} means above its equal",
            False,
            n,
            lambda rng, k=k: lab.Shape(
                rng.normal(size=(n, k)), lambda m: bool(np.any(m > 0)), resamples=resamples
            ),
            None,
        )


def many_cells(law: str, cells: int, shared: bool, n: int = 16) -> Iterator[Case]:
    """Yield claims over many cells, each exactly at its edge, independent or all the same."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        x = LAWS[law](rng, (n, 1 if shared else cells))
        return np.broadcast_to(x, (n, cells))

    design = None if law in SKEWED else LEVEL
    what = f"{cells} {'identical' if shared else 'independent'} cells, {law}"
    yield Case(
        f"expectation, {what}", True, n, lambda rng: lab.Expectation(draw(rng), 0.0, 9.0), design
    )
    yield Case(f"bound, {what}", True, n, lambda rng: lab.Bound(draw(rng), 0.0), design)
    least = None if design is None else LEVEL / cells
    yield Case(f"bound, {what}", False, n, lambda rng: lab.Bound(draw(rng), -HAIR), least)


def masked(n: int) -> Iterator[Case]:
    """Yield claims that are false where the theorem's assumptions do not hold."""

    def claim(rng: np.random.Generator, keep: Any) -> lab.Expectation:
        x = rng.normal([0.0, 9.0], size=(n, 2))
        return lab.Expectation(x, 0.0, 9.0, in_regime=keep)

    yield Case("expectation, false cell masked", True, n, lambda rng: claim(rng, [True, False]))
    yield Case("expectation, all cells masked", True, n, lambda rng: claim(rng, False), 0.0)
