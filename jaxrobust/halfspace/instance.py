"""What every instance of the halfspace problem gives: points, clean labels, flip rates, the truth.

(x, y): |x| <= 1, the clean label is sign(w*.x), it is flipped with probability eta(x) <= eta < 1/2,
independently (Massart noise). err(w) = P(sign(w.x) != y), and OPT = err(w*) = E eta(x).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxrobust import _check


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


def predict(w: Float[Array, " d"], x: Float[Array, "n d"]) -> Float[Array, " n"]:
    """Return sign(w.x) as -1 or +1; +1 where w.x = 0."""
    return jnp.where(x @ w >= 0, 1.0, -1.0).astype(x.dtype)


def finite(atoms: Atoms, w_star: Any, gamma: Any, eta: Any) -> Instance:
    """Make an instance of finitely many points, in which (x, y) and (-x, -y) are equally likely.

    error(w) sums over the points; where w.x = 0 one of x and -x is right and the other wrong.

    >>> import jax
    >>> from jaxrobust import halfspace
    >>> it = halfspace.basis(4, 0.2)
    >>> print(f"{it.error(it.w_star):.3f} {it.error(-it.w_star):.3f}")
    0.200 0.800
    """
    x = _check.real("x", atoms[0], (None, None))
    dtype, (m, d) = x.dtype, x.shape
    clean = _check.signs("clean", atoms[1]).astype(dtype)
    rate = _check.between("rate", atoms[2], 0.0, 0.5, open_high=True).astype(dtype)
    weight = _check.between("weight", atoms[3], 0.0, 1.0 + 1e-5).astype(dtype)
    w_star = _check.real("w_star", w_star, (d,)).astype(dtype)
    for name, column in (("clean", clean), ("rate", rate), ("weight", weight)):
        _check.shaped(name, column, (m,))
    gamma, eta = _check.number("gamma", gamma, 1 + 1e-5, dtype), flip_rate("eta", eta, dtype)
    _consistent(Atoms(x, clean, rate, weight), w_star, gamma, eta)
    atoms = Atoms(x, clean, rate, weight)
    cumulative = jnp.cumsum(weight)

    def places(key: PRNGKeyArray, n: int) -> tuple[Array, Array]:
        which, mirror = jax.random.split(key)
        u = jax.random.uniform(which, (n,), dtype) * cumulative[-1]
        i = jnp.minimum(jnp.searchsorted(cumulative, u, side="right"), weight.size - 1)
        return i, jax.random.rademacher(mirror, (n,), dtype)

    def points(key: PRNGKeyArray, n: int) -> Points:
        i, sign = places(key, n)
        return Points(sign[:, None] * x[i], sign * clean[i], rate[i])

    def counted(key: PRNGKeyArray, n: int) -> tuple[Array, Array]:
        first, second = jax.random.split(key)
        i, sign = places(first, n)
        y = noisy(second, Points(x[i], sign * clean[i], rate[i]))
        rows = jnp.where(sign > 0, i, i + clean.size)  # each point, then each mirror image
        sums = jnp.zeros(2 * clean.size, dtype).at[rows].add(y)
        return jnp.concatenate([x, -x]), sums * (2 * clean.size / n)

    def error(w: Array) -> Array:
        z = (x @ w) * clean
        wrong = jnp.where(z > 0, 0.0, jnp.where(z < 0, 1.0, 0.5)).astype(dtype)
        wrong = jnp.where(jnp.isnan(z), jnp.nan, wrong)
        return weight @ (rate + (1 - 2 * rate) * wrong)

    def grid() -> tuple[Points, Array]:
        both = [jnp.concatenate(pair) for pair in ((x, -x), (clean, -clean), (rate, rate))]
        return Points(*both), jnp.concatenate([weight, weight]) / 2

    return Instance(w_star, gamma, eta, weight @ rate, points, error, grid, atoms, counted)


def _consistent(atoms: Atoms, w_star: Any, gamma: Any, eta: Any) -> None:
    """Refuse atoms that contradict each other, w*, gamma or eta, where they can be read."""
    in_ball("x", atoms.x)
    found = [_check.concrete(v) for v in (*atoms, w_star, gamma, eta)]
    if any(v is None for v in found):
        return
    x, clean, rate, weight, w_star, gamma, eta = (np.asarray(v, float) for v in found)
    total, length = weight.sum(), np.linalg.norm(w_star)
    margins = np.where(weight > 0, clean * (x @ w_star), np.inf)
    if abs(total - 1) > 1e-4:
        raise ValueError(f"weight must sum to 1, got {total:.4g}: divide it by that")
    if rate.max() > eta + 1e-6:
        raise ValueError(f"rate holds {rate.max():.4g}, above eta = {eta:.4g}, its bound")
    if abs(length - 1) > 1e-4:
        raise ValueError(f"w_star must have length 1, got {length:.4g}: divide it by that")
    if margins.min() < gamma * (1 - 1e-4) - 1e-6:
        i = int(margins.argmin())
        raise ValueError(
            f"gamma = {gamma:.4g} is not a margin: clean * (w_star . x) is {margins[i]:.4g} at "
            f"point {i}; lower gamma, or make clean = sign(w_star . x)"
        )


def from_data(x: Any, clean: Any, rate: Any) -> Instance:
    """Make an instance of a data set: points are drawn from it, error(w) is the mean over it.

    x (n, d), clean labels +-1 (n,), rate: one number or (n,), below 1/2. Rows of x longer than 1
    are refused: divide by the largest norm. There is no w* for real data: `w_star` is zero,
    `gamma` 0, and `opt` = mean rate is the error of whoever knows the clean labels.
    """
    x = _check.real("x", x, (None, None))
    clean = _check.signs("clean", clean).astype(x.dtype)
    _check.shaped("clean", clean, (x.shape[0],))
    rate = _check.between("rate", rate, 0.0, 0.5, open_high=True).astype(x.dtype)
    rate = jnp.where((rate >= 0) & (rate < 0.5), rate, jnp.nan)
    rate = jnp.broadcast_to(rate, clean.shape)
    in_ball("x", x)

    def points(key: PRNGKeyArray, n: int) -> Points:
        i = jax.random.randint(key, (n,), 0, x.shape[0])
        return Points(x[i], clean[i], rate[i])

    def error(w: Array) -> Array:
        wrong = (predict(w, x) != clean).astype(x.dtype)
        found = jnp.mean(rate + (1 - 2 * rate) * wrong)
        return jnp.where(jnp.all(jnp.isfinite(w)), found, jnp.nan)

    def grid() -> tuple[Points, Array]:
        n = clean.size
        return Points(x, clean, rate), jnp.full(n, 1 / n, x.dtype)

    zero, w_star = jnp.zeros((), x.dtype), jnp.zeros(x.shape[1], x.dtype)
    return Instance(w_star, zero, jnp.max(rate), jnp.mean(rate), points, error, grid)


def in_ball(name: str, x: Array) -> None:
    """Refuse points outside the unit ball."""
    values = _check.concrete(x)
    if values is not None:
        worst = float(np.max(np.linalg.norm(values, axis=1)))
        if worst > 1 + 1e-5:
            raise ValueError(
                f"{name} has a row of norm {worst:.4g}: points must lie in the unit ball, divide "
                f"all of {name} by {worst:.4g}"
            )


def flip_rate(name: str, x: Any, dtype: Any = None) -> jax.Array:
    """Return a flip rate in [0, 1/2); a traced one outside becomes NaN."""
    array = _check.between(name, x, 0.0, 0.5, open_high=True)
    array = array if dtype is None else array.astype(dtype)
    if array.shape:
        raise ValueError(f"{name} must be one number, got shape {array.shape}: vmap over it")
    return jnp.where((array >= 0) & (array < 0.5), array, jnp.nan)
