"""The kinds about a mean over seeds, cell by cell: expectation (a formula) and bound (one side).

Samples have shape (seed, *cells). A cell with a non-finite lane has an infinite interval: it can
neither confirm nor refute, and the count stands in the detail. Arrays with named dims (xarray) are
turned seed first and lined up by name; any other array is taken as it lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxrobust.lab.judgement import (
    Judgement,
    Outcome,
    mask,
    notes,
    out_of_regime,
    over_cells,
    settle,
    threshold,
    where,
)
from jaxrobust.lab.stats import by_seed, cell_alpha, fraction, mean_interval, nonfinite


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


@dataclass(frozen=True, eq=False)
class Expectation:
    """A mean equals a formula: the interval holds it, and is narrow enough to refute a wrong one.

    samples: (seed, *cells); predicted, resolution: broadcast to the cells. Student's t intervals,
    Bonferroni over the cells, so that a true formula is refuted anywhere with probability at most
    `level` for Gaussian samples. Refuted: an interval excludes the formula by more than tolerance
    (and rounding). Confirmed: none does, and every half-width <= resolution. Else inconclusive.

    Set resolution to half the deviation that a wrong formula would show (the control's, say): one
    off by tolerance + 2 * resolution is then confirmed with probability at most level / 2.

    Few seeds: n = 2 or 3 give intervals too wide to tell. Skewed samples refute a true formula more
    often than `level` says (10 log-normal seeds: 16 % instead of 5 %). Samples of 0 and 1 want
    n * min(p, 1 - p) >= 10 or so: equal seeds have zero width and exclude any other rate.

    >>> Expectation([0.48, 0.52, 0.49, 0.51], 0.5, resolution=0.1).judge(None).verdict.value
    'confirmed'
    """

    samples: Any
    predicted: Any
    resolution: Any
    tolerance: float | int = 0.0
    in_regime: Any = None

    def __post_init__(self):
        samples, dims = by_seed("samples", self.samples), _cell_dims(self.samples)
        cells = samples.shape[1:]
        keep = mask(self.in_regime, cells, dims)
        predicted = _finite("predicted", self.predicted, keep, dims)
        resolution = _finite("resolution", self.resolution, keep, dims)
        if np.any(resolution[keep] <= 0):
            raise ValueError(f"resolution must be > 0, got {resolution[keep].min():g}")
        tolerance = threshold("tolerance", self.tolerance)
        settle(self, samples=samples, predicted=predicted, resolution=resolution)
        settle(self, tolerance=tolerance, in_regime=keep)

    def judge(self, key: Any, level: float = 0.05) -> Judgement:
        """Return the outcome, with the numbers of the cell that deviates most for its width."""
        keep, n = self.in_regime, len(self.samples)
        if not keep.any():
            return out_of_regime(n, keep.size)
        samples, formula = self.samples[:, keep], self.predicted[keep]
        cells, resolution = len(formula), self.resolution[keep]
        iv = mean_interval(samples, 1 - cell_alpha(level, cells))
        slack = self.tolerance + _rounding(samples, iv.estimate, formula)
        deviation = np.nan_to_num(np.abs(iv.estimate - formula))
        outside = deviation > iv.half + slack
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
        spread = " (no spread between seeds)" if iv.half[i] == 0 else ""
        detail = (
            f"mean {iv.estimate[i]:.4g} over {n} seeds, interval [{iv.low[i]:.4g}, "
            f"{iv.high[i]:.4g}]{spread}, beside the formula's {formula[i]:.4g}{where(keep, i)}: "
            f"{reason}{notes(keep, nonfinite(samples))}"
        )
        return Judgement.of(
            verdict, formula[i], iv.estimate[i], (iv.low[i], iv.high[i]), n, cells, detail
        )


@dataclass(frozen=True, eq=False)
class Bound:
    """A mean is never above (side="upper") or below (side="lower") a bound.

    samples: (seed, *cells); bound: broadcast to the cells. One-sided Student's t limits of the
    mean, Bonferroni over the cells. Confirmed: in every cell the limit towards the bound respects
    it. Refuted: in some cell the limit away from it violates it, which happens to a true bound
    with probability at most `level` for Gaussian samples, and far less where there is slack. A
    bound that is met with equality stays inconclusive unless a tolerance is given.

    The slack reported is the smallest over cells, and that relative to the bound: a bound that is
    never tight proves little. This is about the mean; that every run respects a bound is a shape.
    Few, skewed or 0-1 seeds: as in `Expectation`; what no seed has seen, no interval can hold.

    >>> Bound([0.2, 0.3, 0.25], 1.0).judge(None).verdict.value
    'confirmed'
    """

    samples: Any
    bound: Any
    side: str = "upper"
    tolerance: float | int = 0.0
    in_regime: Any = None

    def __post_init__(self):
        if self.side not in ("upper", "lower"):
            raise ValueError(f"side must be 'upper' or 'lower', got {self.side!r}")
        samples, dims = by_seed("samples", self.samples), _cell_dims(self.samples)
        keep = mask(self.in_regime, samples.shape[1:], dims)
        bound = _finite("bound", self.bound, keep, dims)
        tolerance = threshold("tolerance", self.tolerance)
        settle(self, samples=samples, bound=bound, in_regime=keep, tolerance=tolerance)

    def judge(self, key: Any, level: float = 0.05) -> Judgement:
        """Return the outcome, with the numbers of the cell of least slack for its width."""
        keep, n = self.in_regime, len(self.samples)
        if not keep.any():
            return out_of_regime(n, keep.size)
        samples, bound = self.samples[:, keep], self.bound[keep]
        iv = mean_interval(samples, 1 - 2 * cell_alpha(fraction("level", level, 0.5), len(bound)))
        allowed = self.tolerance + _rounding(samples, iv.estimate, bound)
        slack = (bound - iv.estimate) * (1 if self.side == "upper" else -1)
        room = np.nan_to_num(slack + allowed)
        violated, respected = room < -iv.half, np.isfinite(iv.half) & (room >= iv.half)
        tight = ""
        if np.isfinite(slack).any():
            least = int(np.nanargmin(slack))
            part = f" ({slack[least] / abs(bound[least]):.2g} of the bound)" if bound[least] else ""
            tight = f", the least slack is {slack[least]:.3g}{part}{where(keep, least)}"
        margin, cells = _per_width(room, iv.half), len(bound)
        if violated.any():
            i = int(np.argmin(np.where(violated, margin, np.inf)))
            verdict, reason = Outcome.REFUTED, f"{violated.sum()} of {cells} cells violate it"
        elif respected.all():
            i = int(np.argmin(margin))
            verdict, reason = Outcome.CONFIRMED, f"{cells} of {cells} cells respect it{tight}"
        else:
            i = int(np.argmin(np.where(respected, np.inf, margin)))
            seen = iv.half[i] + self.tolerance
            verdict = Outcome.INCONCLUSIVE
            reason = f"the smallest violation that could have been seen is {seen:.3g}{tight}"
        detail = (
            f"mean {iv.estimate[i]:.4g} over {n} seeds, limits [{iv.low[i]:.4g}, {iv.high[i]:.4g}],"
            f" beside the {self.side} bound {bound[i]:.4g}{where(keep, i)}: "
            f"{reason}{notes(keep, nonfinite(samples))}"
        )
        interval = (iv.low[i], iv.high[i])
        return Judgement.of(verdict, bound[i], iv.estimate[i], interval, n, cells, detail)
