"""What the three classifiers share: reading a table, holding rows out, giving weights back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from jaxrobust import _check
from jaxrobust.halfspace import _fit, _table
from jaxrobust.halfspace.trajectory import Path

LONGEST = 1e6
"""No step is longer: in the unit ball it would mean nothing, and could overflow."""

Fitted = TypeVar("Fitted", bound="Binary")


class Binary(ClassifierMixin, BaseEstimator, ABC):
    """Read a table, split it, let a learner loose on it, give its weights in the table's units."""

    eta: Any
    step: Any
    choice: Any
    choices: tuple[str, ...] = _fit.CHOICES
    holdout: Any
    fit_intercept: Any
    random_state: Any

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def fit(self: Fitted, X: Any, y: Any) -> Fitted:
        """Learn from a table X (n, d) and labels y (n,) of two kinds, some of them wrong.

        Raises
        ------
        ValueError
            One line that names what is wrong: a parameter, NaN in X, one class only.
        """
        self._check()
        X, y = validate_data(self, X, y, dtype=np.float64)
        self.classes_, signs = _table.signs(y)
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31 - 1))
        x, radius = _table.into_ball(X, self.fit_intercept)
        kept = held = np.arange(signs.size)
        if self.choice.startswith("holdout"):
            kept, held = _table.split(rng, signs, self.holdout)
        w = self._learn(rng, (x[kept], signs[kept]), (x[held], signs[held]))
        self.coef_, self.intercept_ = _table.out_of_ball(w, radius, self.fit_intercept)
        return self

    def _check(self) -> None:
        number("eta", self.eta, 0.0, 0.5, open_high=True)
        number("holdout", self.holdout, 0.0, 1.0, open_low=True, open_high=True)
        if self.choice not in self.choices:
            raise ValueError(
                f"choice must be one of {', '.join(self.choices)}, got {self.choice!r}"
            )

    @abstractmethod
    def _learn(self, rng: Any, train: tuple, held: tuple) -> np.ndarray:
        """Return the weights (R, d) learned from (x, y) of `train`, chosen by those of `held`."""

    def _margins(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return X @ self.coef_.T + self.intercept_


class Halfspace(Binary):
    """One halfspace: it has a decision function."""

    def decision_function(self, X: Any) -> np.ndarray:
        """Return coef_.X + intercept_ (n,): above 0 for `classes_[1]`."""
        return self._margins(X)[:, 0]

    def predict(self, X: Any) -> np.ndarray:
        """Return the label of each row of X."""
        above = self.decision_function(X) > 0
        return self.classes_[above.astype(int)]

    def _chosen(self, path: Path, held: tuple, d: int) -> np.ndarray:
        x, y = _fit.padded(*held)
        x = x[:, : path.w.shape[1]]
        w = _fit.returned(path.w, path.average, x, y, choice=self.choice)
        finite(bool(path.finite) and bool(np.isfinite(w).all()), self.step)
        return np.asarray(w, float)[None, :d]


def number(name: str, value: Any, low: float, high: float, **ends: bool) -> None:
    """Refuse anything but one number between low and high."""
    _check.shaped(name, _check.between(name, value, low, high, **ends), ())


def leakage(eta: Any, eps: Any, least: Any, step: Any) -> None:
    """Refuse a leakage eta + eps, a smallest share or a step out of range."""
    _check.number("eps", eps)
    if eta + eps > 0.5:
        raise ValueError(f"eta + eps must be at most 1/2, got {eta:g} + {eps:g}: lower one of them")
    number("least", least, 0.0, 1.0, open_low=True)
    _check.number("step", step, LONGEST)


def whole(steps: Any, snapshots: Any) -> tuple[int, int]:
    """Return the number of snapshots, and of steps, rounded up to a multiple of it."""
    snapshots = int(snapshots)
    return snapshots, -(-int(steps) // snapshots) * snapshots


def finite(ok: bool, step: Any) -> None:
    """Refuse a run that overflowed."""
    if not ok:
        raise ValueError(
            f"step = {step!r} made the weights overflow: take a smaller one, or a larger gamma"
        )
