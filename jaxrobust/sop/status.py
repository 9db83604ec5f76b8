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
    NOT_FINITE = 3


_SENTENCES = {
    Status.CERTIFIED: "the certificate, recomputed from the answer, meets the tolerance",
    Status.ROUNDING_LIMIT: "the certificate stopped at what this precision can resolve, above the "
    "tolerance: use float64, or rescale y and lam",
    Status.NOT_CONVERGED: "the steps ran out before the tolerance: allow more of them",
    Status.NOT_FINITE: "the input or an iterate was not finite: check the data and the step size",
}


def explain(status: Any) -> str:
    """Say in a sentence what a status, or an array of them, means.

    Examples
    --------
    >>> explain(0)
    '1 of 1 CERTIFIED: the certificate, recomputed from the answer, meets the tolerance'
    """
    codes = np.atleast_1d(np.asarray(status)).ravel()
    return "; ".join(
        f"{int(np.sum(codes == code))} of {codes.size} {code.name}: {text}"
        for code, text in _SENTENCES.items()
        if np.any(codes == code)
    )
