"""What every instance of the halfspace problem gives: points, clean labels, flip rates, the truth.

(x, y): |x| <= 1, the clean label is sign(w*.x), it is flipped with probability eta(x) <= eta < 1/2,
independently (Massart noise). err(w) = P(sign(w.x) != y), and OPT = err(w*) = E eta(x).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


class Points(NamedTuple):
    """Points with what only theory knows of them."""

    x: Float[Array, "n d"]
    clean: Float[Array, " n"]
    """sign(w*.x), -1 or +1."""
    rate: Float[Array, " n"]
    """eta(x), the probability that the label shown is the wrong one."""


class Atoms(NamedTuple):
    """A distribution on finitely many points, each met as (x, y) or (-x, -y) with equal chance."""

    x: Float[Array, "m d"]
    clean: Float[Array, " m"]
    rate: Float[Array, " m"]
    weight: Float[Array, " m"]
    """Probabilities, of sum 1."""


@dataclass(frozen=True, eq=False)
class Instance:
    """A distribution of (x, y) with its truth; built inside or outside of a trial.

    Attributes
    ----------
    w_star
        The unit vector behind the clean labels.
    gamma
        Margin: |w*.x| >= gamma for every x (0 where there is none).
    eta
        The bound on the flip rates.
    opt
        err(w*) = E eta(x).
    points
        `points(key, n) -> Points`, n independent draws.
    error
        `error(w) -> err(w)`, exact: no label is drawn. Where sign(w.x) is undecided (w.x = 0) the
        prediction is +1, as everywhere in this package but in the scikit-learn estimators, which
        say `classes_[0]` there as scikit-learn does.
    grid
        `grid() -> (Points, weights)` that stand for the distribution when any predictor, not just a
        halfspace, is to be scored: all points where they are finitely many, else a fixed sample.
    atoms
        The points themselves where they are finitely many, else None.
    counted
        `counted(key, n) -> (x, y)` where there are atoms: n examples, counted (see `hold_out`).
    places
        `places(key, n) -> (i, sign)` where there are atoms: the n points drawn are sign x_i.
    """

    w_star: Array
    gamma: Array
    eta: Array
    opt: Array
    points: Callable[[PRNGKeyArray, int], Points]
    error: Callable[[Array], Array]
    grid: Callable[[], tuple[Points, Array]]
    atoms: Atoms | None = None
    counted: Callable[[PRNGKeyArray, int], tuple[Array, Array]] | None = None
    places: Callable[[PRNGKeyArray, int], tuple[Array, Array]] | None = None

    @property
    def d(self) -> int:
        """Number of features."""
        return self.w_star.shape[0]

    def draw(self, key: PRNGKeyArray, n: int) -> tuple[Array, Array]:
        """Draw n examples as a learner sees them: x (n, d), noisy labels y (n,).

        x depends on the key alone and the label flips where one uniform number is below eta(x), so
        instances that differ in their rates share their points and their luck.
        """
        first, second = jax.random.split(key)
        points = self.points(first, n)
        return points.x, noisy(second, points)

    def hold_out(self, key: PRNGKeyArray, n: int) -> tuple[Array, Array]:
        """Draw n noisy examples to choose iterates by, in the form that is cheapest to score.

        x (R, d), y (R,), such that (1 - mean_r y_r sign(w.x_r)) / 2 is the share of the n examples
        that w gets wrong. With finitely many points x holds each once, and y their summed labels
        times R / n; otherwise it is what `draw` gives.
        """
        return (self.counted or self.draw)(key, n)

    def error_of(self, predictor: Callable[[Array], Array]) -> Array:
        """Return P(predictor(x) != y) over the `grid`; predictor: x (n, d) -> -1 or +1, (n,)."""
        points, weight = self.grid()
        wrong = (predictor(points.x) != points.clean).astype(weight.dtype)
        return weight @ (points.rate + (1 - 2 * points.rate) * wrong)


def noisy(key: PRNGKeyArray, points: Points) -> Float[Array, " n"]:
    """Draw the labels shown: -clean with probability rate, else clean."""
    u = jax.random.uniform(key, points.rate.shape, points.rate.dtype)
    return jnp.where(u < points.rate, -points.clean, points.clean)


def sign(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return sign z as -1 or +1; +1 where z = 0, the convention of this package."""
    return jnp.where(z >= 0, 1.0, -1.0).astype(z.dtype)


def predict(w: Float[Array, " d"], x: Float[Array, "n d"]) -> Float[Array, " n"]:
    """Return sign(w.x) as -1 or +1; +1 where w.x = 0."""
    return sign(x @ w).astype(x.dtype)
