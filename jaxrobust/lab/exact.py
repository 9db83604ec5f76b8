"""The kinds that compare numbers with a tolerance: identity and solver; a NaN refutes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxrobust.lab.judgement import (
    Judgement,
    Outcome,
    mask,
    nonfinite,
    notes,
    numbers,
    out_of_regime,
    over_cells,
    settle,
    threshold,
)


@dataclass(frozen=True, eq=False)
class Identity:
    """Two expressions are equal: max |error| <= tolerance.

    error: any shape. A NaN or an infinity refutes; measured is then None.

    >>> Identity([1e-15, -3e-14], 1e-12).judge(None).verdict.value
    'confirmed'
    """

    error: Any
    tolerance: float | int
    in_regime: Any = None

    def __post_init__(self):
        error = numbers("error", self.error)
        keep = mask(self.in_regime, error.shape, getattr(self.error, "dims", None))
        settle(self, error=error, tolerance=threshold("tolerance", self.tolerance), in_regime=keep)

    def judge(self, key: Any, level: float = 0.05) -> Judgement:
        """Return confirmed or refuted; neither the key nor the level plays a part."""
        error, keep = np.abs(self.error[self.in_regime]), self.in_regime
        if not error.size:
            return out_of_regime(self.error.size, keep.size)
        bad, worst = nonfinite(error), np.max(error)
        fits = bool(not bad.bad and worst <= self.tolerance)
        detail = (
            f"the largest of {error.size} errors is {worst:.3g}, the tolerance {self.tolerance:.3g}"
            f"{notes(keep, bad, 'entries')}"
        )
        verdict = Outcome.CONFIRMED if fits else Outcome.REFUTED
        return Judgement.of(verdict, 0.0, worst, None, error.size, error.size, detail)


@dataclass(frozen=True, eq=False)
class Solver:
    """A method reaches a certified optimum: max |distance| <= tolerance, every |gap| small.

    gap broadcasts to distance: the duality gap of the reference in each entry. Where one exceeds
    gap_tolerance the reference is not certified and the test is inconclusive, whatever the
    distance says. A NaN or an infinity in either refutes.

    >>> Solver([1e-9, 2e-9], 1e-6, gap=1e-10, gap_tolerance=1e-8).judge(None).verdict.value
    'confirmed'
    """

    distance: Any
    tolerance: float | int
    gap: Any
    gap_tolerance: float | int
    in_regime: Any = None

    def __post_init__(self):
        dims, distance = getattr(self.distance, "dims", None), numbers("distance", self.distance)
        settle(
            self,
            distance=distance,
            gap=over_cells("gap", self.gap, distance.shape, dims),
            in_regime=mask(self.in_regime, distance.shape, dims),
            tolerance=threshold("tolerance", self.tolerance),
            gap_tolerance=threshold("gap_tolerance", self.gap_tolerance),
        )

    def judge(self, key: Any, level: float = 0.05) -> Judgement:
        """Return confirmed, refuted, or inconclusive; neither key nor level plays a part."""
        keep = self.in_regime
        distance, gap = np.abs(self.distance[keep]), np.abs(self.gap[keep])
        if not distance.size:
            return out_of_regime(self.distance.size, keep.size)
        bad, worst, widest = nonfinite(np.abs(distance) + gap), np.max(distance), np.max(gap)
        if bad.bad:
            verdict = Outcome.REFUTED
        elif widest > self.gap_tolerance:
            verdict = Outcome.INCONCLUSIVE
        else:
            verdict = Outcome.CONFIRMED if worst <= self.tolerance else Outcome.REFUTED
        uncertified = verdict is Outcome.INCONCLUSIVE
        detail = (
            f"{'the reference is not certified: ' if uncertified else ''}"
            f"largest distance {worst:.3g} (tolerance {self.tolerance:.3g}), largest gap of the "
            f"certificates {widest:.3g} (tolerance {self.gap_tolerance:.3g})"
            f"{notes(keep, bad, 'entries')}"
        )
        return Judgement.of(verdict, 0.0, worst, None, distance.size, distance.size, detail)
