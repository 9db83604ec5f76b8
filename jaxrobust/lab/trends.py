"""The kinds about a trend: rate (the slope of a log-log line) and shape (an ordering fixed before).

Both treat a seed as one whole: its values at all sizes or in all cells stay together, so they may
be correlated. A non-finite lane makes them inconclusive, with the count in the detail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from jaxrobust._check import count
from jaxrobust.lab.judgement import Judgement, Outcome, notes, settle, threshold
from jaxrobust.lab.stats import by_seed, fraction, generator, nonfinite, numbers, slope_interval

_CHUNK = 2**22  # numbers held at once while seeds are resampled
_ALL = np.ones((), dtype=bool)


@dataclass(frozen=True, eq=False)
class Rate:
    """The slope of log(values) on log(sizes) is the theory's exponent, to within a tolerance.

    sizes: at least 4 different ones; values: (seed, size), positive. One slope a seed, then
    Student's t over seeds. Confirmed: the interval lies inside [exponent - tolerance, exponent +
    tolerance]. Refuted: it lies wholly outside. Else inconclusive.

    A slope at the very edge of the band is refuted with probability level / 2, one inside it with
    less. Slopes average over sizes and are near Gaussian, so few seeds mean a wide interval
    rather than a wrong one; but curvature at small sizes shifts the slope, which no interval shows.

    >>> values = [[1.0, 0.5, 0.25, 0.125], [2.0, 1.0, 0.51, 0.25]]
    >>> Rate([10, 20, 40, 80], values, exponent=-1.0, tolerance=0.1).judge(None).verdict.value
    'confirmed'
    """

    sizes: Any
    values: Any
    exponent: float | int
    tolerance: float | int

    def __post_init__(self):
        sizes, values = numbers("sizes", self.sizes), by_seed("values", self.values)
        if sizes.ndim != 1 or len(np.unique(sizes)) < 4:
            raise ValueError(
                f"sizes must hold at least 4 different sizes, got {sizes.tolist()!s:.60}"
            )
        if not np.isfinite(self.exponent):
            raise ValueError(f"exponent must be finite, got {self.exponent:g}")
        slope_interval(sizes, values)  # checks shapes and signs here, not when it is judged
        tolerance = threshold("tolerance", self.tolerance, positive=True)
        settle(self, sizes=sizes, values=values, exponent=float(self.exponent), tolerance=tolerance)

    def judge(self, key: Any, level: float = 0.05) -> Judgement:
        """Return the outcome, with the mean slope and its interval."""
        iv = slope_interval(self.sizes, self.values, 1 - fraction("level", level))
        low, high = self.exponent - self.tolerance, self.exponent + self.tolerance
        n, reason = len(self.values), ""
        if low <= iv.low and iv.high <= high:
            verdict = Outcome.CONFIRMED
        elif iv.high < low or iv.low > high:
            verdict = Outcome.REFUTED
        else:
            verdict = Outcome.INCONCLUSIVE
            seen = iv.half + self.tolerance
            reason = f": the smallest deviation that could have been seen is {seen:.3g}"
        detail = (
            f"slope {iv.estimate:.4g} over {n} seeds and {len(self.sizes)} sizes, interval "
            f"[{iv.low:.4g}, {iv.high:.4g}], beside {self.exponent:.4g} +- {self.tolerance:.3g}"
            f"{reason}{notes(_ALL, nonfinite(self.values))}"
        )
        return Judgement.of(verdict, self.exponent, iv.estimate, (iv.low, iv.high), n, 1, detail)


@dataclass(frozen=True, eq=False)
class Shape:
    """An ordering that was fixed before the run holds: monotone, crosses, separates.

    samples: (seed, *cells); predicate: array of shape (*cells) -> bool; statistic reduces an axis,
    f(x, axis=0). Whole seeds are resampled and the predicate is asked of the resampled statistic.
    measured is the share of resamples in which it holds: confirmed from 1 - level/2 up, refuted
    from level/2 down, else inconclusive. Fewer than 3 seeds are inconclusive.

    The plain bootstrap spreads too little for few seeds, so each resampled statistic is moved
    away from that of all seeds by c = sqrt(n / (n - 1)) * t_{1 - level/2, n - 1} / z_{1 - level/2}
    (T. Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69,
    2015, expands the percentiles by the same factor). A tie between two cells is then
    refuted about level / 2 of the time from 3 seeds on. Many ties at once are another matter: k
    equal means are seldom in order, so a weak ordering wants slack in its predicate.

    >>> def rises(mean):
    ...     return bool(np.all(np.diff(mean) > 0))
    >>> import jax
    >>> samples = [[0.0, 1.0, 2.0], [0.1, 0.9, 2.2], [0.0, 1.1, 1.9], [0.2, 1.0, 2.0]]
    >>> Shape(samples, rises).judge(jax.random.key(0)).verdict.value
    'confirmed'
    """

    samples: Any
    predicate: Callable[[np.ndarray], Any]
    statistic: Callable[..., Any] = np.mean
    resamples: int = 2000

    def __post_init__(self):
        for name in ("predicate", "statistic"):
            if not callable(getattr(self, name)):
                raise ValueError(f"{name} must be a function, got {getattr(self, name)!r:.40}")
        samples = by_seed("samples", self.samples)
        settle(self, samples=samples, resamples=count("resamples", self.resamples, low=100))

    def _holds(self, statistic: np.ndarray) -> bool:
        answer = np.asarray(self.predicate(statistic))
        if answer.ndim or answer.dtype.kind != "b":
            raise ValueError(
                f"predicate must return one True or False, got shape {answer.shape} of "
                f"{answer.dtype}: end it with np.all or np.any"
            )
        return bool(answer)

    def share(self, key: Any, level: float = 0.05) -> float:
        """Return the share of resamples in which the predicate holds; at least two seeds."""
        x, n = self.samples.astype(float), len(self.samples)
        tail = fraction("level", level) / 2
        c = np.sqrt(n / (n - 1)) * special.stdtrit(n - 1, tail) / special.ndtri(tail)
        centre, hits = np.asarray(self.statistic(x, axis=0)), 0
        draws = generator(key).integers(0, n, (self.resamples, n))
        step = max(1, _CHUNK // x.size)
        for start in range(0, self.resamples, step):
            drawn = np.asarray(self.statistic(x[draws[start : start + step]], axis=1))
            hits += sum(map(self._holds, centre + c * (drawn - centre)))
        return hits / self.resamples

    def judge(self, key: Any, level: float = 0.05) -> Judgement:
        """Return the outcome, with the share of resamples in which the predicate holds."""
        n, cells, lanes = len(self.samples), self.samples[0].size, nonfinite(self.samples)
        if n < 3 or lanes.bad:
            cause = "" if lanes.bad else ", fewer than the 3 that a seed bootstrap wants"
            detail = f"cannot tell from {n} seeds{cause}{notes(_ALL, lanes)}"
            return Judgement.of(Outcome.INCONCLUSIVE, 1.0, None, None, n, cells, detail)
        share = self.share(key, level)
        observed = self._holds(np.asarray(self.statistic(self.samples.astype(float), axis=0)))
        if share >= 1 - level / 2:
            verdict = Outcome.CONFIRMED
        else:
            verdict = Outcome.REFUTED if share <= level / 2 else Outcome.INCONCLUSIVE
        detail = (
            f"the shape {'holds' if observed else 'fails'} for all {n} seeds together and holds in "
            f"{share:.2%} of {self.resamples} resamples of the seeds, {1 - level / 2:.2%} wanted"
        )
        return Judgement.of(verdict, 1.0, share, None, n, cells, detail)
