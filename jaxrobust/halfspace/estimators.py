"""scikit-learn classifiers over the halfspace learners: tables in any units, labels of any kind.

They stand up to Massart noise: each training label may be wrong with a probability of its own, all
of them at most eta < 1/2. What a halfspace can then promise is an error of eta plus a little.

Put a StandardScaler in front, as for other linear methods. Inside, all rows are divided by one
number, R = the largest norm of a row, and get a constant feature of the same size,
(x / R, 1) / sqrt 2: `gamma` is a margin there. Weights come back in the table's own units.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxrobust import _check
from jaxrobust.halfspace import _fit, _table
from jaxrobust.halfspace._base import LONGEST, Halfspace, whole
from jaxrobust.halfspace._rivals import DecisionListClassifier, FilterTronClassifier
from jaxrobust.halfspace.online import RULES

__all__ = ["DecisionListClassifier", "FilterTronClassifier", "HalfspaceClassifier"]


class HalfspaceClassifier(Halfspace):
    r"""Learn a halfspace one example at a time: w <- proj(w - mu c(w.x, y) x).

    The default rule, the gradient of a leaky ReLU loss over |w.x| + gamma, errs at most

        eta + (1 - eta) / (gamma sqrt(steps))

    in expectation, as the mean over the iterates of one pass over fresh examples with margin gamma
    whose labels are each wrong with a probability of at most eta. The other rules of `online.RULES`
    are there to compare.

    Parameters
    ----------
    rule
        "normalized", "normalized_max", "leaky", "perceptron", "logistic" or "hinge".
    eta
        Bound on the flip rates, in [0, 1/2). Too large a one weakens the promise to this eta, too
        small a one voids it.
    gamma
        Margin to hope for after the division by R, in (0, 1). A smaller one needs more steps.
    step
        mu, or "theory": gamma / ((1 - eta) sqrt(steps)) for the normalized rules,
        1 / ((1 - eta) sqrt(steps)) for leaky, 1 / (gamma sqrt(steps)) for logistic and hinge,
        1 for the perceptron.
    steps
        Number of updates, rounded up to a multiple of `snapshots`. None: 20 passes, or
        ((1 - eta) / (.05 gamma))^2 where that is more (up to a million), so that the bound is
        eta + .05. Each pass takes the rows in a new random order: the first one sees each example
        once, as the bound asks for; later passes only bring w closer to the optimum on these rows.
    choice
        Which iterate is kept: of `snapshots` of them the one with the fewest mistakes on rows held
        out ("holdout"), or the same among the running averages ("holdout_average"); "last";
        "average", which is wrong on some instances of Massart noise.
    holdout
        Share of the rows of each class to hold out, with their noisy labels. Where a class has one
        row only, all rows serve to train and to choose. "last" and "average" hold out none.
    snapshots
        Number of iterates to choose from.
    fit_intercept
        Whether to append the constant feature. Without it, x / R is used.
    random_state
        Of the split and the order of the rows; an int makes `fit` repeatable.

    Attributes
    ----------
    coef_, intercept_
        (1, d) and (1,): decision_function(X) = X @ coef_[0] + intercept_[0].
    classes_, n_features_in_
        The two labels, sorted; d.
    n_iter_
        Number of updates made.

    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(400, 3))
    >>> y = np.where(X[:, 0] > X[:, 1], "yes", "no")
    >>> y[:60] = "no"  # some of them wrong
    >>> model = HalfspaceClassifier(eta=0.2, random_state=0).fit(X, y)
    >>> bool(np.mean((model.predict(X) == "yes") == (X[:, 0] > X[:, 1])) > 0.9)
    True
    """

    def __init__(
        self,
        rule: Any = "normalized",
        *,
        eta: Any = 0.3,
        gamma: Any = 0.05,
        step: Any = "theory",
        steps: Any = None,
        choice: Any = "holdout",
        holdout: Any = 0.2,
        snapshots: Any = 100,
        fit_intercept: Any = True,
        random_state: Any = None,
    ):
        self.rule = rule
        self.eta = eta
        self.gamma = gamma
        self.step = step
        self.steps = steps
        self.choice = choice
        self.holdout = holdout
        self.snapshots = snapshots
        self.fit_intercept = fit_intercept
        self.random_state = random_state

    def _check(self) -> None:
        super()._check()
        if self.rule not in tuple(RULES):
            raise ValueError(f"rule must be one of {', '.join(RULES)}, got {self.rule!r}")
        _check.number("gamma", self.gamma, 1.0)
        _check.count("snapshots", self.snapshots)
        if self.steps is not None:
            _check.count("steps", self.steps)
        if not isinstance(self.step, str) or self.step != "theory":
            _check.number("step", self.step, LONGEST)

    def _learn(self, rng: Any, train: tuple, held: tuple) -> np.ndarray:
        (n, d), eta, gamma = train[0].shape, float(self.eta), float(self.gamma)
        steps = _fit.default_steps(n, eta, gamma) if self.steps is None else self.steps
        snapshots, self.n_iter_ = whole(steps, self.snapshots)
        theory = isinstance(self.step, str)
        mu = _fit.theory_step(self.rule, eta, gamma, self.n_iter_) if theory else float(self.step)
        order, segment = _fit.lines(_table.passes(rng, n, self.n_iter_), snapshots)
        x, y = _fit.padded(*train)
        path = _fit.learn(x, y, order, segment, rule=self.rule, eta=eta, gamma=gamma, mu=mu)
        return self._chosen(path, held, d)
