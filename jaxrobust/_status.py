"""What a solver says of its answer: a code inside jit, a sentence outside."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np


class Status(IntEnum):
    """Outcome of a solver or of a descent; 0 is the only code that promises the tolerance."""

    CERTIFIED = 0
    ROUNDING_LIMIT = 1
    NOT_CONVERGED = 2
    STALLED = 3
    NOT_FINITE = 4


_SENTENCES = {
    Status.CERTIFIED: "the gap or residual, recomputed from the answer, meets the tolerance",
    Status.ROUNDING_LIMIT: "the certificate stopped at what this precision can resolve, above the "
    "tolerance: use float64, or rescale the data and the weights",
    Status.NOT_CONVERGED: "the steps ran out before the tolerance: allow more of them",
    Status.STALLED: "the steps stopped helping above the tolerance: use float64, and scale the "
    "rows of the model (J, A) to about 1",
    Status.NOT_FINITE: "it diverged, or the input was not finite, or a parameter was out of its "
    "range: check the data, use float64, take a smaller step",
}


def explain(status: Any) -> str:
    """Say in a sentence what a status, or an array of them, means.

    Examples
    --------
    >>> explain(0)
    '1 of 1 CERTIFIED: the gap or residual, recomputed from the answer, meets the tolerance'
    """
    codes = np.atleast_1d(np.asarray(status)).ravel()
    if not np.isin(codes, list(_SENTENCES)).all():
        raise ValueError(f"status must hold codes 0..{max(Status)}, got {np.unique(codes)[:5]}")
    return "; ".join(
        f"{int(np.sum(codes == code))} of {codes.size} {code.name}: {text}"
        for code, text in _SENTENCES.items()
        if np.any(codes == code)
    )
