"""Instances of points that are given: finitely many with weights and rates, or a data set."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.halfspace import _guard
from jaxrobust.halfspace.instance import Atoms, Instance, Points, noisy, predict


def finite(atoms: Any, w_star: Any, gamma: Any, eta: Any) -> Instance:
    """Make an instance of finitely many points, in which (x, y) and (-x, -y) are equally likely.

    atoms is an `Atoms`: x (m, d) in the unit ball, clean +-1, rate in [0, eta], weight of sum 1.
    error(w) sums over the points; where w.x = 0 one of x and -x is right and the other wrong.

    >>> import jax
    >>> from jaxrobust import halfspace
    >>> it = halfspace.basis(4, 0.2)
    >>> print(f"{it.error(it.w_star):.3f} {it.error(-it.w_star):.3f}")
    0.200 0.800
    """
    if not isinstance(atoms, tuple | list) or len(atoms) != len(Atoms._fields):
        many = isinstance(atoms, tuple | list)
        got = f"a {type(atoms).__name__} of {len(atoms)}" if many else f"{atoms!r:.40}"
        raise ValueError(f"atoms must be Atoms(x, clean, rate, weight), got {got}")
    x = _check.real("x", atoms[0], (None, None))
    dtype, (m, d) = x.dtype, x.shape
    clean = _check.signs("clean", atoms[1]).astype(dtype)
    rate = _guard.flip_rates("rate", atoms[2], dtype)
    weight = _check.between("weight", atoms[3], 0.0, 1.0 + 1e-5).astype(dtype)
    w_star = _check.real("w_star", w_star, (d,)).astype(dtype)
    for name, column in (("clean", clean), ("rate", rate), ("weight", weight)):
        _check.shaped(name, column, (m,))
    gamma, eta = _check.number("gamma", gamma, 1 + 1e-5, dtype), _guard.flip_rate("eta", eta, dtype)
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

    return Instance(w_star, gamma, eta, weight @ rate, points, error, grid, atoms, counted, places)


def _consistent(atoms: Atoms, w_star: Any, gamma: Any, eta: Any) -> None:
    """Refuse atoms that contradict each other, w*, gamma or eta, where they can be read."""
    _guard.in_ball("x", atoms.x)
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
    _guard.in_ball("x", x)
    rate = _guard.flip_rates("rate", rate, x.dtype)
    if rate.shape not in ((), clean.shape):
        raise ValueError(
            f"rate must be one number or one for each of the {clean.size} rows of x, got shape "
            f"{rate.shape}"
        )
    rate = jnp.broadcast_to(rate, clean.shape)

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
