"""scikit-learn classifiers over FilterTron and the decision list, to compare with."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxrobust import _check
from jaxrobust.halfspace import _fit
from jaxrobust.halfspace._base import Binary, Halfspace, finite, leakage, whole


class FilterTronClassifier(Halfspace):
    """Learn a halfspace by descent on the slab around it where it errs most: `filtertron`.

    After Chen, Koehler, Moitra, Yau (NeurIPS 2020, arXiv 2006.04787). Each step reads all rows.

    Parameters
    ----------
    eta, eps
        Bound on the flip rates, in [0, 1/2), and error above it to aim at, > 0; eta + eps <= 1/2.
    least
        Smallest share of the rows in a slab, in (0, 1].
    step, steps
        Length (in the unit ball) and number of the steps, rounded up to a multiple of `snapshots`.
    slabs
        Number of slabs to look at in each step.
    choice, holdout, snapshots, fit_intercept, random_state
        As for `HalfspaceClassifier`; the start is random as well.

    Attributes
    ----------
    coef_, intercept_, classes_, n_features_in_, n_iter_
        As for `HalfspaceClassifier`.

    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(400, 3))
    >>> y = np.where(X[:, 0] > X[:, 1], "yes", "no")
    >>> FilterTronClassifier(eta=0.1, random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    def __init__(
        self,
        *,
        eta: Any = 0.3,
        eps: Any = 0.05,
        least: Any = 0.05,
        step: Any = 0.05,
        steps: Any = 2000,
        slabs: Any = 10,
        choice: Any = "holdout",
        holdout: Any = 0.2,
        snapshots: Any = 100,
        fit_intercept: Any = True,
        random_state: Any = None,
    ):
        self.eta = eta
        self.eps = eps
        self.least = least
        self.step = step
        self.steps = steps
        self.slabs = slabs
        self.choice = choice
        self.holdout = holdout
        self.snapshots = snapshots
        self.fit_intercept = fit_intercept
        self.random_state = random_state

    def _check(self) -> None:
        super()._check()
        leakage(self.eta, self.eps, self.least, self.step)
        for name in ("steps", "slabs", "snapshots"):
            _check.count(name, getattr(self, name))

    def _learn(self, rng: Any, train: tuple, held: tuple) -> np.ndarray:
        snapshots, self.n_iter_ = whole(self.steps, self.snapshots)
        x, y = (jnp.asarray(v) for v in train)
        numbers = (float(self.eta + self.eps), float(self.least), float(self.step))
        shapes = {"steps": self.n_iter_, "slabs": int(self.slabs), "snapshots": snapshots}
        seed = np.uint32(rng.integers(2**32))
        path = _fit.filtertron_path(seed, x, y.astype(x.dtype), *numbers, **shapes)
        return self._chosen(path, held, x.shape[1])


class DecisionListClassifier(Binary):
    """Learn a list of banded halfspaces: the first whose band holds x speaks: `decision_list`.

    After Diakonikolas, Gouleakis, Tzamos (NeurIPS 2019), as we reconstruct it. The rows where no
    band does are left to the last rule. No halfspace, so there is no `decision_function`.

    Parameters
    ----------
    eta, eps
        Bound on the flip rates, in [0, 1/2), and error above it to aim at, > 0; eta + eps <= 1/2.
    least
        Smallest share of the rows in a band, in (0, 1].
    rounds
        Length of the list.
    step, steps
        Steps in each round have length step / sqrt(t) (in the unit ball), t = 1 ... steps.
    choice
        "last", the whole list, or "holdout", as many of its rules as do best on rows held out.
    holdout, fit_intercept, random_state
        As for `HalfspaceClassifier`.

    Attributes
    ----------
    coef_, intercept_, thresholds_
        (R, d), (R,), (R,) for the R rules kept: rule r speaks where |coef_[r].x + intercept_[r]| >=
        thresholds_[r], and says `classes_[1]` where that number is >= 0.
    classes_, n_features_in_
        As for `HalfspaceClassifier`.

    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(400, 3))
    >>> y = np.where(X[:, 0] > X[:, 1], "yes", "no")
    >>> DecisionListClassifier(eta=0.1, random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    choices = ("holdout", "last")

    def __init__(
        self,
        *,
        eta: Any = 0.3,
        eps: Any = 0.05,
        least: Any = 0.02,
        rounds: Any = 10,
        step: Any = 1.0,
        steps: Any = 500,
        choice: Any = "holdout",
        holdout: Any = 0.2,
        fit_intercept: Any = True,
        random_state: Any = None,
    ):
        self.eta = eta
        self.eps = eps
        self.least = least
        self.rounds = rounds
        self.step = step
        self.steps = steps
        self.choice = choice
        self.holdout = holdout
        self.fit_intercept = fit_intercept
        self.random_state = random_state

    def predict(self, X: Any) -> np.ndarray:
        """Return the label of each row of X."""
        says = _fit.first_rule(self._margins(X), self.thresholds_)
        return self.classes_[(says > 0).astype(int)]

    def _check(self) -> None:
        super()._check()
        leakage(self.eta, self.eps, self.least, self.step)
        _check.count("rounds", self.rounds)
        _check.count("steps", self.steps)

    def _learn(self, rng: Any, train: tuple, held: tuple) -> np.ndarray:
        x, y = (jnp.asarray(v) for v in train)
        numbers = (float(self.eta + self.eps), float(self.least), float(self.step))
        options = {"rounds": int(self.rounds), "steps": int(self.steps)}
        rules = _fit.rule_list(x, y.astype(x.dtype), *numbers, **options)
        finite(bool(rules.used[0]), self.step)
        used = np.asarray(rules.used)
        w, thresholds = (np.asarray(v, float)[used] for v in (rules.w, rules.threshold))
        if self.choice == "holdout":
            z, wanted = held[0] @ w.T, held[1]
            lengths = range(1, thresholds.size + 1)
            says = [_fit.first_rule(z[:, :k], thresholds[:k]) for k in lengths]
            best = 1 + int(np.argmin([np.sum(s != wanted) for s in says]))
            w, thresholds = w[:best], thresholds[:best]
        self.thresholds_ = thresholds
        return w
