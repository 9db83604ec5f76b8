"""A claim of the theory beside its test, and beside a control that must come out refuted."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from jaxrobust.lab.exact import Identity, Solver
from jaxrobust.lab.judgement import Judgement, Kind, Outcome, fraction
from jaxrobust.lab.means import Bound, Expectation
from jaxrobust.lab.trends import Rate, Shape

__all__ = [
    "Bound",
    "Claim",
    "Expectation",
    "Identity",
    "Judgement",
    "Kind",
    "Outcome",
    "Rate",
    "Shape",
    "Solver",
    "Verdict",
    "judge",
]

_BASES = ("quoted", "derived", "assumed")


@dataclass(frozen=True, eq=False)
class Claim:
    """What theory says, where it says so, the test of it, and the control of the test.

    basis says whether the formula is "quoted" from the source, "derived" here from it, or
    "assumed" by us. The control is a test of the same kind on a wrong formula or a wrong estimator,
    named by control_name. `regime` is None where the theorem's assumptions hold, else one sentence
    that says which fails; for single cells use the test's own `in_regime`.

    >>> claim = Claim(
    ...     "square", "(a + b)^2 = a^2 + 2ab + b^2", "Euclid II.4", "quoted",
    ...     test=Identity([0.0, 1e-16], 1e-12),
    ...     control=Identity([2.0, 4.0], 1e-12), control_name="without 2ab",
    ... )
    >>> judge(claim, jax.random.key(0)).ok
    True
    """

    name: str
    statement: str
    source: str
    basis: str
    test: Any
    control: Any = None
    control_name: str = ""
    regime: str | None = None

    def __post_init__(self):
        told = ["name", "statement", "source", "control_name"]
        if self.control is None:
            raise ValueError(
                f"control is missing in claim {self.name!r}: give a test of the same kind on a "
                "wrong formula, which must come out refuted"
            )
        for field in told if self.regime is None else [*told, "regime"]:
            if not str(getattr(self, field)).strip():
                raise ValueError(f"{field} is empty in claim {self.name!r}: say it in words")
        if self.basis not in _BASES:
            raise ValueError(f"basis must be one of {', '.join(_BASES)}, got {self.basis!r}")
        for field in ("test", "control"):
            if not isinstance(getattr(self, field), Kind):
                raise ValueError(
                    f"{field} must be a test such as Identity or Expectation, got "
                    f"{type(getattr(self, field)).__name__}"
                )
        if type(self.control) is not type(self.test) or self.control is self.test:
            raise ValueError(
                f"control must be another test of kind {self.kind}, got "
                f"{type(self.control).__name__.lower()}"
                f"{': the very same test' if self.control is self.test else ''}"
            )

    @property
    def kind(self) -> str:
        """Return the kind of the claim: the name of its test's class in lower case."""
        return type(self.test).__name__.lower()


@dataclass(frozen=True, eq=False)
class Verdict:
    """A claim with the judgements of its test and of its control."""

    claim: Claim
    main: Judgement
    control: Judgement

    @property
    def ok(self) -> bool:
        """Return whether the claim is not refuted and its control is, on lanes that are all finite.

        A claim that declares its `regime` may be out of it; one whose cells all were left out by a
        mask judged nothing.
        """
        if self.main.verdict is Outcome.OUT_OF_REGIME:
            return self.claim.regime is not None
        sound = self.main.verdict is not Outcome.REFUTED and self.lost == 0
        return sound and self.control.verdict is Outcome.REFUTED

    @property
    def lost(self) -> int:
        """Return how many of the test's numbers, in the cells judged, are not finite."""
        test = self.claim.test
        mask = getattr(test, "in_regime", None)
        names = ("samples", "values", "error", "distance", "gap")
        found = [np.asarray(getattr(test, n)) for n in names if getattr(test, n, None) is not None]
        if mask is not None:
            shape = np.shape(mask)
            found = [x[..., mask] if x.shape[x.ndim - len(shape) :] == shape else x for x in found]
        return int(sum(np.sum(~np.isfinite(x)) for x in found))

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON can hold it; None stands for NaN and for an open end."""
        claim, main, control = self.claim, self.main, self.control
        return {
            "name": claim.name,
            "kind": claim.kind,
            "statement": claim.statement,
            "source": claim.source,
            "basis": claim.basis,
            **_numbers(main),
            "n": main.n,
            "verdict": main.verdict.value,
            "detail": main.detail,
            "control": {
                "name": claim.control_name,
                "verdict": control.verdict.value,
                **_numbers(control),
                "detail": control.detail,
            },
        }


def _numbers(judgement: Judgement) -> dict[str, Any]:
    interval = None if judgement.interval is None else list(judgement.interval)
    return {
        "predicted": judgement.predicted,
        "measured": judgement.measured,
        "interval": interval,
    }


def judge(claim: Claim, key: Any, level: float = 0.05) -> Verdict:
    """Judge a claim and its control, each with its own key.

    The keys are fold_in(fold_in(key, crc32(name)), 0 for the test, 1 for the control): a verdict
    depends on the root key and the claim's name only, not on the claims judged beside it.
    `level` is the chance of refuting a true claim anywhere in its cells; below 0.5. A control is
    refuted where any of its cells is: one that is true after all passes for a good one with the
    same chance. Each claim has its own level, none is shared between claims.
    """
    fraction("level", level, 0.5)
    own = jax.random.fold_in(key, np.uint32(zlib.crc32(claim.name.encode())))
    main = claim.test.judge(jax.random.fold_in(own, 0), level)
    if claim.regime is not None:
        detail = f"out of regime, {claim.regime}: {main.detail}"
        main = replace(main, verdict=Outcome.OUT_OF_REGIME, detail=detail)
    return Verdict(claim, main, claim.control.judge(jax.random.fold_in(own, 1), level))
