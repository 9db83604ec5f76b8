"""From a user's table to rows that a learner of halfspaces can use, and back; NumPy only.

A table of any units becomes points of the unit ball, all divided by one number, so that margins
keep their proportions; part of the rows is held out; the weights come back in the user's units.
"""

from __future__ import annotations

import math

import numpy as np
from sklearn.utils.multiclass import check_classification_targets, type_of_target


def signs(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the two labels in y, sorted, and y as -1 (the first) and +1."""
    check_classification_targets(y)
    kind = type_of_target(y, input_name="y")
    if kind != "binary":
        raise ValueError(
            f"Only binary classification is supported. The type of the target is {kind}."
        )
    classes, which = np.unique(y, return_inverse=True)
    if classes.size < 2:
        raise ValueError(f"y holds one class only, {classes[0]!s}: two are needed")
    return classes, 2.0 * which - 1.0


def into_ball(X: np.ndarray, intercept: bool) -> tuple[np.ndarray, float]:
    """Return points of the unit ball, x/R or (x/R, 1)/sqrt 2, and R, the largest norm of a row."""
    top = float(np.max(np.abs(X))) or 1.0  # taken out first: squares could overflow
    x = X / top
    longest = float(np.max(np.linalg.norm(x, axis=1))) or 1.0
    x = x / longest
    if intercept:
        x = np.concatenate([x, np.ones((x.shape[0], 1))], axis=1) / math.sqrt(2)
    return x, top * longest


def out_of_ball(w: np.ndarray, radius: float, intercept: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return coef (R, d), intercept (R,): coef X + intercept = w.x, w (R, .), x of `into_ball`."""
    if not intercept:
        return w / radius, np.zeros(w.shape[0])
    w = w / math.sqrt(2)
    return w[:, :-1] / radius, w[:, -1]


def split(rng: np.random.Generator, y: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to train on and the rows held out, `share` of each class at random.

    At least one row of each class goes to either side. Where a class has one row only, all rows
    are on both sides: the choice is then made on the training rows.
    """
    classes = [rng.permutation(np.flatnonzero(y == side)) for side in (-1, 1)]
    if min(rows.size for rows in classes) < 2:
        return np.arange(y.size), np.arange(y.size)
    cuts = [min(max(round(share * rows.size), 1), rows.size - 1) for rows in classes]
    held = np.concatenate([rows[:cut] for rows, cut in zip(classes, cuts, strict=True)])
    kept = np.concatenate([rows[cut:] for rows, cut in zip(classes, cuts, strict=True)])
    return kept, held


def passes(rng: np.random.Generator, n: int, steps: int) -> np.ndarray:
    """Return (steps,) row numbers: all n rows in random order, then again in another order.

    No row comes twice in the first pass, so that each of its steps meets a fresh example, which is
    what the theorem asks for; draws with replacement would repeat rows from the start.
    """
    rows = np.tile(np.arange(n, dtype=np.int32), (-(-steps // n), 1))
    return rng.permuted(rows, axis=1).ravel()[:steps]
