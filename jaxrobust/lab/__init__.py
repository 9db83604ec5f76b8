"""The bench: seed sweeps, resumable stores, claims with verdicts and controls, figures.

`sweep` runs a pure trial over cells and seeds in one compiled program; `Study` holds a simulation,
its claims and its picture; `main(study)` makes a command of it. Kinds of claims: `Identity`,
`Solver`, `Expectation`, `Bound`, `Rate`, `Shape`.
"""

from jaxrobust.lab import claim, figure, stats
from jaxrobust.lab.claim import (
    Bound,
    Claim,
    Expectation,
    Identity,
    Judgement,
    Outcome,
    Rate,
    Shape,
    Solver,
    Verdict,
    judge,
)
from jaxrobust.lab.cli import main
from jaxrobust.lab.store import StoreError
from jaxrobust.lab.study import Bench, MissingInput, Result, Study, conduct
from jaxrobust.lab.sweep import sweep

__all__ = [
    "Bench",
    "Bound",
    "Claim",
    "Expectation",
    "Identity",
    "Judgement",
    "MissingInput",
    "Outcome",
    "Rate",
    "Result",
    "Shape",
    "Solver",
    "StoreError",
    "Study",
    "Verdict",
    "claim",
    "conduct",
    "figure",
    "judge",
    "main",
    "stats",
    "sweep",
]
