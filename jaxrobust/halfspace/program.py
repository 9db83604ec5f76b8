"""The linear program that learns a halfspace where no label is wrong.

Find w with y_i w.x_i >= 1 for every example. There is such a w if and only if some halfspace
through 0 makes no mistake and no point lies on its boundary: with noisy labels there is none as
soon as one flip contradicts the rest.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from jaxrobust import _check


class Separation(NamedTuple):
    """What the program found."""

    w: Float[Array, " d"]
    """Of length 1; 0 where there is none."""
    feasible: bool
    """Whether sign(w.x) = y was checked to hold on every example, with y w.x > 0."""


def separate(x: Any, y: Any) -> Separation:
    """Solve min |w|_1 subject to y_i w.x_i >= 1 with HiGHS, and scale w to length 1.

    |w|_1 makes the answer definite; any norm would do. Plain Python, not for jit: x (n, d) of any
    scale, y (n,) of -1 and +1. Labels that no halfspace fits give feasible False and w = 0, and so
    does a margin of less than about 1e-8 of the largest |x_ij|, the tolerance of the solver (in
    float32 1e-7, that of the check).

    >>> found = separate([[1.0, 0.1], [-1.0, 0.3]], [1, -1])
    >>> found.w.tolist(), found.feasible
    ([1.0, 0.0], True)
    >>> separate([[1.0, 0.0], [1.0, 0.0]], [1, -1]).feasible
    False
    """
    from scipy.optimize import linprog  # imported late: it takes a second

    x = _check.real("x", x, (None, None))
    y = _check.signs("y", y)
    _check.shaped("y", y, (x.shape[0],))
    if isinstance(x, Tracer) or isinstance(y, Tracer):
        raise ValueError("x and y are traced: call separate outside jit and vmap")
    rows = np.asarray(x, float) * np.asarray(y, float)[:, None]
    none = Separation(jnp.zeros(x.shape[1], x.dtype), False)
    scale = np.max(np.abs(rows))
    if scale == 0:
        return none
    # Examples on few points repeat: one copy of each is enough.
    rows = np.unique(rows / scale, axis=0)
    d = rows.shape[1]
    found = linprog(
        np.ones(2 * d),
        A_ub=np.hstack([-rows, rows]),
        b_ub=-np.ones(len(rows)),
        bounds=(0, None),
        method="highs",
    )
    if found.x is None:
        return none
    w = found.x[:d] - found.x[d:]
    length = np.linalg.norm(w)
    if length == 0:
        return none
    # The answer is checked as it is returned: in the dtype of x.
    w = jnp.asarray(w / length + 0.0).astype(x.dtype)  # no -0
    right = bool(jnp.all((x @ w) * y.astype(x.dtype) > 0))
    return Separation(w, True) if right else none
