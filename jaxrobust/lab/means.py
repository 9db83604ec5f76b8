"""The kinds about a mean over seeds, cell by cell: expectation (a formula) and bound (one side).

Samples have shape (seed, *cells). A cell with a non-finite lane has an infinite interval: it can
neither confirm nor refute, and the count stands in the detail. Arrays with named dims (xarray) are
turned seed first and lined up by name; any other array is taken as it lies.

The limits that decide are Student's t, widened on the side of the seeds' long tail by the first
term of its Edgeworth expansion (`stats.skew_interval`). Student's t alone is exact for Gaussian
seeds only, and a correction for many cells needs its far tails, which skewness spoils most: a true
formula in 10 cells of 16 exponential seeds each would be refuted 25 % of the time, and is 13 % so.
The price for Gaussian seeds is a wider interval: 7 % at 8 seeds, 4 % at 16; 11 % and 6 % in ten
cells. The detail of a judgement tells a skewness above 1.

Seeds that are all 0 or 1 are a proportion and get its exact limits (Clopper-Pearson): an event
that no seed has seen may still have probability 1 - (level/2)^(1/n). Exactly 0 (or 1) in every
seed can also be a number without chance: `events` says which. None, the default, takes booleans
for events, and floating seeds where they differ or the formula or bound lies strictly between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxrobust.lab.judgement import (
    Judgement,
    Outcome,
    by_seed,
    fraction,
    mask,
    nonfinite,
    notes,
    out_of_regime,
    over_cells,
    settle,
    threshold,
    where,
)
from jaxrobust.lab.stats import Interval, cell_alpha, deciding_interval, skewness

_SKEWED = 1.0  # from here on a reader is told


def _cell_dims(samples: Any) -> Sequence[Any] | None:
    """Return the names of the cells' axes, or None where they have none."""
    dims = getattr(samples, "dims", None)
    return None if dims is None else [d for d in dims if d != "seed"]


def _finite(name: str, x: Any, keep: np.ndarray, dims: Sequence[Any] | None) -> np.ndarray:
    """Return x broadcast to the cells; refuse a non-finite entry in a cell that is judged."""
    array = over_cells(name, x, keep.shape, dims).astype(float)
    bad = nonfinite(array[keep]).bad if keep.any() else 0
    if bad:
        raise ValueError(f"{name} is non-finite in {bad} cells: mask them out by in_regime")
    return array


def _rounding(samples: np.ndarray, *values: np.ndarray) -> np.ndarray:
    """Return four units of rounding of the samples' own precision, at the size of the values."""
    size = np.max([np.abs(np.where(np.isfinite(v), v, 0.0)) for v in values], axis=0)
    return 4 * float(np.finfo(samples.dtype).eps) * size


def _per_width(x: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Return x / width, where 0 / 0 is 0 and x / 0 an infinity of x's sign."""
    limit = np.where(x == 0, 0.0, np.copysign(np.inf, x))
    return np.divide(x, width, out=limit, where=width > 0)


def _events(events: bool | None, given: Any, samples: np.ndarray) -> bool | None:
    """Return True for booleans, else what was said; refuse events that are not 0 or 1."""
    if events and not np.all((samples == 0) | (samples == 1)):
        odd = samples[(samples != 0) & (samples != 1)].flat[0]
        raise ValueError(f"samples must be 0 or 1 where events=True, got {odd:g}: events=None?")
    boolean = np.asarray(given).dtype.kind == "b"
    return True if events is None and boolean else events


def _manner(samples: np.ndarray, iv: Interval, share: np.ndarray, i: int) -> str:
    """Return how the limits of cell i came about, where not from near-Gaussian seeds."""
    if share[i]:
        return " (exact, seeds are 0 or 1)"
    skew = float(skewness(samples[:, i]))
    if abs(skew) > _SKEWED:
        return f" (skewness {skew:.2g}, the error level is approximate)"
    return " (no spread between seeds)" if iv.low[i] == iv.high[i] else ""


@dataclass(frozen=True, eq=False)
class Expectation:
    """A mean equals a formula: the interval holds it, and is narrow enough to refute a wrong one.

    samples: (seed, *cells); predicted, resolution: broadcast to the cells. Intervals over seeds,
    Bonferroni over the cells. Refuted: an interval excludes the formula by more than tolerance (and
    rounding). Confirmed: none does, and every half-width <= resolution. Else inconclusive.

    True: refuted in any of the cells, however dependent, with probability at most `level` for
    Gaussian, heavy-tailed symmetric and 0-1 seeds. A few skewed seeds exceed it: at 8 and 32 seeds
    5 % becomes 8 % and 5 % if exponential, 13 % and 8 % if log-normal (sigma = 1); in ten cells
    19 % and 7 %, 35 % and 20 %.
    False: off by tolerance + 2 * resolution it is confirmed with probability at most level / 2,
    for high >= formula - tolerance and a width <= 2 * resolution put the limit on the other side
    of the mean. So set resolution to half the deviation that a wrong formula would show (the
    control's, say). One off by less than resolution may well be confirmed.

    n = 2 or 3 give intervals too wide to tell.

    >>> Expectation([0.48, 0.52, 0.49, 0.51], 0.5, resolution=0.1).judge(None).verdict.value
    'confirmed'
    """

    samples: Any
    predicted: Any
    resolution: Any
    tolerance: float | int = 0.0
    in_regime: Any = None
    events: bool | None = None

    def __post_init__(self):
        samples, dims = by_seed("samples", self.samples), _cell_dims(self.samples)
        events = _events(self.events, self.samples, samples)
        cells = samples.shape[1:]
        keep = mask(self.in_regime, cells, dims)
        predicted = _finite("predicted", self.predicted, keep, dims)
        resolution = _finite("resolution", self.resolution, keep, dims)
        if np.any(resolution[keep] <= 0):
            raise ValueError(f"resolution must be > 0, got {resolution[keep].min():g}")
        tolerance = threshold("tolerance", self.tolerance)
        settle(self, samples=samples, predicted=predicted, resolution=resolution)
        settle(self, tolerance=tolerance, in_regime=keep, events=events)

    def judge(self, key: Any, level: float = 0.05) -> Judgement:
        """Return the outcome, with the numbers of the cell that deviates most for its width."""
        keep, n = self.in_regime, len(self.samples)
        if not keep.any():
            return out_of_regime(n, keep.size)
        samples, formula = self.samples[:, keep], self.predicted[keep]
        cells, resolution = len(formula), self.resolution[keep]
        iv, share = deciding_interval(samples, formula, 1 - cell_alpha(level, cells), self.events)
        slack = self.tolerance + _rounding(samples, iv.estimate, formula)
        outside = (formula + slack < iv.low) | (formula - slack > iv.high)
        deviation = np.nan_to_num(np.abs(iv.estimate - formula))
        wide = iv.half > resolution
        if outside.any():
            i = int(np.argmax(np.where(outside, _per_width(deviation, iv.half + slack), -1.0)))
            verdict, reason = Outcome.REFUTED, f"{outside.sum()} of {cells} cells exclude it"
        elif wide.any():
            i = int(np.argmax(iv.half / resolution))
            seen, wanted = iv.half[i] + self.tolerance, resolution[i]
            verdict = Outcome.INCONCLUSIVE
            reason = f"the smallest deviation that could have been seen is {seen:.3g}"
            reason += f", wanted {wanted:.3g}"
        else:
            i = int(np.argmax(_per_width(deviation, iv.half + slack)))
            verdict = Outcome.CONFIRMED
            reason = f"{cells} of {cells} cells hold it, the widest to +-{iv.half.max():.3g}"
        detail = (
            f"mean {iv.estimate[i]:.4g} over {n} seeds, interval [{iv.low[i]:.4g}, "
            f"{iv.high[i]:.4g}]{_manner(samples, iv, share, i)}, beside the formula's "
            f"{formula[i]:.4g}{where(keep, i)}: {reason}{notes(keep, nonfinite(samples))}"
        )
        interval = (iv.low[i], iv.high[i])
        return Judgement.of(verdict, formula[i], iv.estimate[i], interval, n, cells, detail)


@dataclass(frozen=True, eq=False)
class Bound:
    """A mean is never above (side="upper") or below (side="lower") a bound.

    samples: (seed, *cells); bound: broadcast to the cells. One-sided limits of the mean,
    Bonferroni over the cells. Confirmed: in every cell the limit towards the bound respects it.
    Refuted: in some cell the limit away from it violates it.

    True: refuted with probability at most `level`, also where every cell meets its bound exactly;
    far less where there is slack. A bound met exactly in a single cell is inconclusive unless a
    tolerance is given. False: confirmed with probability at most level / cells, since every cell
    must pass (the correction is needed for "some cell violates" only). Few skewed seeds exceed
    these: an upper bound on a mean of log-normal (sigma = 1) seeds, violated by a hair, is
    confirmed 17 % of the time at 8 seeds and 11 % at 32, for the rare large ones are missing.

    The slack reported is the smallest over cells, and that relative to the bound: a bound that is
    never tight proves little. This is about the mean; that every run respects a bound is a shape.

    >>> Bound([0.2, 0.3, 0.25], 1.0).judge(None).verdict.value
    'confirmed'
    """

    samples: Any
    bound: Any
    side: str = "upper"
    tolerance: float | int = 0.0
    in_regime: Any = None
    events: bool | None = None

    def __post_init__(self):
        if self.side not in ("upper", "lower"):
            raise ValueError(f"side must be 'upper' or 'lower', got {self.side!r}")
        samples, dims = by_seed("samples", self.samples), _cell_dims(self.samples)
        events = _events(self.events, self.samples, samples)
        keep = mask(self.in_regime, samples.shape[1:], dims)
        bound = _finite("bound", self.bound, keep, dims)
        tolerance = threshold("tolerance", self.tolerance)
        settle(self, samples=samples, bound=bound, in_regime=keep, tolerance=tolerance)
        settle(self, events=events)

    def judge(self, key: Any, level: float = 0.05) -> Judgement:
        """Return the outcome, with the numbers of the cell of least slack for its width."""
        keep, n = self.in_regime, len(self.samples)
        if not keep.any():
            return out_of_regime(n, keep.size)
        samples, bound = self.samples[:, keep], self.bound[keep]
        spent = cell_alpha(fraction("level", level, 0.5), len(bound))
        iv, share = deciding_interval(samples, bound, 1 - 2 * spent, self.events)
        allowed = self.tolerance + _rounding(samples, iv.estimate, bound)
        sign = 1 if self.side == "upper" else -1
        slack = (bound - iv.estimate) * sign
        near, far = (iv.low, iv.high)[::sign]  # of the two limits, the one further inside
        violated = (near - bound) * sign > allowed
        respected = np.isfinite(far) & ((far - bound) * sign <= allowed)
        tight = ""
        if np.isfinite(slack).any():
            least = int(np.nanargmin(slack))
            part = f" ({slack[least] / abs(bound[least]):.2g} of the bound)" if bound[least] else ""
            tight = f", the least slack is {slack[least]:.3g}{part}{where(keep, least)}"
        margin, cells = _per_width(np.nan_to_num(slack + allowed), iv.half), len(bound)
        if violated.any():
            i = int(np.argmin(np.where(violated, margin, np.inf)))
            verdict, reason = Outcome.REFUTED, f"{violated.sum()} of {cells} cells violate it"
        elif respected.all():
            i = int(np.argmin(margin))
            verdict, reason = Outcome.CONFIRMED, f"{cells} of {cells} cells respect it{tight}"
        else:
            i = int(np.argmin(np.where(respected, np.inf, margin)))
            reach = abs(iv.estimate[i] - near[i]) if np.isfinite(near[i]) else np.inf
            verdict = Outcome.INCONCLUSIVE
            reason = "the smallest violation that could have been seen is "
            reason += f"{reach + self.tolerance:.3g}{tight}"
        detail = (
            f"mean {iv.estimate[i]:.4g} over {n} seeds, limits [{iv.low[i]:.4g}, {iv.high[i]:.4g}]"
            f"{_manner(samples, iv, share, i)}, beside the {self.side} bound "
            f"{bound[i]:.4g}{where(keep, i)}: {reason}{notes(keep, nonfinite(samples))}"
        )
        interval = (iv.low[i], iv.high[i])
        return Judgement.of(verdict, bound[i], iv.estimate[i], interval, n, cells, detail)
