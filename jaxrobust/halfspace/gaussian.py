"""Instances with Gaussian points: with a margin, around LEVER, and the mixture of Chen et al.

Only signs matter to a halfspace through 0, so Gaussian points are divided by their length. In each
err(w) is exact, by one idea: in the plane of w and w* the direction of x is uniform, and the length
has a law in closed form.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.halfspace import constructions, sphere
from jaxrobust.halfspace._guard import flip_rate
from jaxrobust.halfspace.adversary import checked
from jaxrobust.halfspace.instance import Instance, Points, predict, sign

SAMPLE = 10_000
"""Size of the fixed samples behind `grid`."""
_FIXED = 1_299_709  # their key, unlikely to be a user's own


def gaussian_margin(
    d: int, gamma: Any, adversary: Any, *, w_star: Any = None, dtype: Any = None
) -> Instance:
    """Return x = g / |g|, g Gaussian in R^d, given |w*.x| >= gamma; d >= 2, 0 < gamma < 1.

    `adversary` is one of `adversary`, say `adversary.constant(0.3)`.
    w* is e_1 by default, else w_star (d,) over its length. t = |w*.x| is drawn from its exact law
    (`sphere.coordinate_beyond`), the rest of x uniformly.

    For adversaries that look at the margin alone (constant, near, far) err(w) and OPT are exact.
    With Q(m) = P(w is wrong on the clean label, |w*.x| >= m) from `sphere.lune`, the rate e_1 up to
    the width h and e_2 beyond,

        err(w) = OPT + [(1 - 2 e_1) (Q(gamma) - Q(h)) + (1 - 2 e_2) Q(h)] / P(|w*.x| >= gamma).

    For others they are means over SAMPLE fixed points, without labels: off by at most .005 (one
    standard deviation), by the same points for every w.

    >>> from jaxrobust.halfspace import adversary
    >>> it = gaussian_margin(20, 0.1, adversary.far(0.3, 0.2))
    >>> print(f"{it.opt:.4f} {it.error(it.w_star):.4f} {it.error(0 * it.w_star):.4f}")
    0.1732 0.1732 0.5000
    """
    dtype = dtype or jnp.result_type(float)
    d, gamma = _check.count("d", d, 2), _check.number("gamma", gamma, 1.0, dtype)
    w_star, turn = _axis(w_star, d, dtype)
    adversary = checked("adversary", adversary)
    eta = adversary.eta.astype(dtype)

    def points(key: PRNGKeyArray, n: int) -> Points:
        along, side, across = jax.random.split(key, 3)
        t = sphere.coordinate_beyond(along, n, d, gamma)
        sign = jax.random.rademacher(side, (n,), dtype)
        rest = jnp.sqrt((1 - t) * (1 + t))[:, None] * sphere.uniform(across, n, d - 1, dtype)
        x = turn(jnp.concatenate([(sign * t)[:, None], rest], axis=1))
        return Points(x, sign, adversary.rate(x, w_star))

    def grid() -> tuple[Points, Array]:
        return _sample(points, dtype)

    if adversary.band is None:
        fixed, weight = grid()

        def error(w: Array) -> Array:
            wrong = (predict(w, fixed.x) != fixed.clean).astype(dtype)
            return weight @ (fixed.rate + (1 - 2 * fixed.rate) * wrong)

        return Instance(w_star, gamma, eta, weight @ fixed.rate, points, error, grid)

    width, near, far = (jnp.asarray(v).astype(dtype) for v in adversary.band)
    width = jnp.maximum(width, gamma)
    back = jnp.asarray(-1.0, dtype), jnp.zeros((), dtype)  # -w* errs everywhere: all of the mass
    total = sphere.lune(*back, gamma, gamma, d)
    opt = near + (far - near) * sphere.lune(*back, width, gamma, d) / total

    def error(w: Array) -> Array:
        w = _scaled(w.astype(dtype))
        cosine = w @ w_star
        across = w - cosine * w_star
        sine = jnp.sqrt(across @ across)
        length = jnp.hypot(cosine, sine)
        # w = 0 says +1: wrong half of the time at every margin, as at an angle of pi/2.
        zero, length = length == 0, jnp.where(length == 0, 1, length)
        cosine, sine = cosine / length, jnp.where(zero, 1, sine / length)
        all_wrong = sphere.lune(cosine, sine, gamma, gamma, d)
        far_wrong = sphere.lune(cosine, sine, width, gamma, d)
        lost = (1 - 2 * near) * (all_wrong - far_wrong) + (1 - 2 * far) * far_wrong
        return opt + lost / total

    return Instance(w_star, gamma, eta, opt, points, error, grid)


def lever_in(d: int, r: Any, g: Any = 0.05, eta: Any = 0.3, **options: Any) -> Instance:
    """Return LEVER in R^d: its points plus a vector, uniform on the r-sphere of the other axes.

    All is divided by sqrt(1 + r^2), the margin too; w* = e_1, d >= 3 (d = 3: the vector is +-r).
    The population optima of the convex surrogates stay in LEVER's plane, by symmetry and convexity;
    finite samples blur them. `options` are those of `constructions.lever`. With w = (p, q), p in
    the plane, w is wrong on the clean label of atom x_i when y_i p.x_i + r |q| u_1 < 0, where u is
    uniform on the sphere of R^(d-2): err(w) is exact by `sphere.coordinate_cdf`.
    """
    plane = constructions.lever(g, eta, **options)
    dtype = plane.w_star.dtype
    d, r = _check.count("d", d, 3), _check.number("r", r, dtype=dtype)
    assert plane.atoms is not None
    flat, clean, rate, weight = plane.atoms
    scale = 1 / jnp.sqrt(1 + r * r)
    w_star = jnp.zeros(d, dtype).at[0].set(1.0)

    def lifted(points: Points, u: Array) -> Points:
        return points._replace(x=scale * jnp.concatenate([points.x, r * u], axis=1))

    def points(key: PRNGKeyArray, n: int) -> Points:
        inner, outer = jax.random.split(key)
        return lifted(plane.points(inner, n), sphere.uniform(outer, n, d - 2, dtype))

    def error(w: Array) -> Array:
        w = _scaled(w.astype(dtype))
        margin = clean * (flat @ w[:2])
        spread = r * jnp.sqrt(w[2:] @ w[2:])
        # No spread: the sign of the margin decides, and a tie is half wrong.
        z = -margin / jnp.where(spread > 0, spread, 1)
        z = jnp.where(spread > 0, z, -2 * jnp.sign(margin))
        # P(u_1 < z) + P(u_1 = z) / 2
        below, above = (sphere.coordinate_cdf(v, d - 2) for v in (z, -z))
        wrong = (below + 1 - above) / 2
        return weight @ (rate + (1 - 2 * rate) * wrong)

    def grid() -> tuple[Points, Array]:
        # Every atom and its mirror image with the same share of the directions.
        n = SAMPLE // 6
        u = sphere.uniform(jax.random.key(_FIXED), 6 * n, d - 2, dtype)
        both, share = plane.grid()
        many = Points(*(jnp.repeat(v, n, axis=0) for v in both))
        return lifted(many, u), jnp.repeat(share / n, n)

    return Instance(w_star, scale * plane.gamma, plane.eta, plane.opt, points, error, grid)


def chen_mixture(eta: Any, *, where: str = "far", dtype: Any = None) -> Instance:
    """Return the mixture of N(0, I) and N(0, [[8, .1], [.1, .0024]]) in the plane, w* = e_2.

    where="far": labels are flipped with probability eta where x_2 > .3 alone; "all": everywhere.
    The flips come first, then x is divided by its length. There is no margin: gamma = 0. Synthetic
    data of Chen, Koehler, Moitra, Yau (2020, NeurIPS, "Classification under misspecification").

    Whitened, a component's points have a uniform direction, at angle b to the line x_2 = 0, and a
    length rho with P(rho > s) = exp(-s^2/2). So for w at the (whitened) angle theta from e_2, with
    h = .3 / sd(x_2) and "wrong" meant for the clean label,

        P(wrong) = theta / pi,
        P(wrong, x_2 > .3) = 1/(2 pi) int_0^theta exp(-h^2 / (2 sin^2 b)) db.
    """
    dtype = dtype or jnp.result_type(float)
    if where not in ("far", "all"):
        raise ValueError(f'where must be "far" or "all", got {where!r}')
    eta = flip_rate("eta", eta, dtype)
    covariances = np.array([np.eye(2), [[8.0, 0.1], [0.1, 0.0024]]])
    roots = jnp.asarray(np.linalg.cholesky(covariances), dtype)
    w_star = jnp.array([0.0, 1.0], dtype)
    heights = [0.3 / math.sqrt(c[1, 1]) for c in covariances]

    def points(key: PRNGKeyArray, n: int) -> Points:
        which, normal = jax.random.split(key)
        root = roots[jax.random.bernoulli(which, 0.5, (n,)).astype(int)]
        raw = jnp.einsum("nij,nj->ni", root, jax.random.normal(normal, (n, 2), dtype))
        flipped = raw[:, 1] > 0.3 if where == "far" else jnp.ones(n, bool)
        rate = jnp.where(flipped, eta, 0 * eta)
        length = jnp.hypot(raw[:, 0], raw[:, 1])
        x = raw / jnp.maximum(length, jnp.finfo(dtype).tiny)[:, None]
        return Points(x, predict(w_star, x), rate)

    def grid() -> tuple[Points, Array]:
        return _sample(points, dtype)

    def error(w: Array) -> Array:
        w = _scaled(w.astype(dtype))
        # w = 0 says +1: wrong on one side of the line, where x_2 > .3 never holds.
        nonzero, found = jnp.any(w != 0), []
        for c, h in zip(covariances, heights, strict=True):
            cosine = w[0] * c[0, 1] + w[1] * c[1, 1]
            sine = jnp.abs(w[0]) * math.sqrt(np.linalg.det(c))
            theta = jnp.where(nonzero, jnp.arctan2(sine, cosine), math.pi / 2)
            above = theta / math.pi
            if where == "far":
                above = jnp.where(nonzero, _above(theta, h), 0.0)
            found.append(theta / math.pi - 2 * eta * above)
        return opt + (found[0] + found[1]) / 2

    mass = sum(norm.sf(jnp.asarray(h, dtype)) for h in heights) / 2 if where == "far" else 1.0
    opt = eta * mass
    return Instance(w_star, jnp.zeros((), dtype), eta, opt, points, error, grid)


def _axis(w_star: Any, d: int, dtype: Any) -> tuple[Float[Array, " d"], Callable[[Array], Array]]:
    """Return w* and an orthogonal map of rows (n, d) that takes e_1 to w*."""
    first = jnp.zeros(d, dtype).at[0].set(1.0)
    if w_star is None:
        return first, lambda x: x
    w = _scaled(_check.real("w_star", w_star, (d,)).astype(dtype))
    known = _check.concrete(w)
    if known is not None and not known.any():
        raise ValueError("w_star must not be 0: it is a direction")
    w = w / jnp.sqrt(w @ w)
    # Householder's reflection takes e_1 to -s w*, without cancellation for s = sign w*_1.
    s = sign(w[0])
    v = w + s * first
    return w, lambda x: s * (jnp.outer(x @ v, 2 * v / (v @ v)) - x)


def _scaled(w: Float[Array, " d"]) -> Float[Array, " d"]:
    """Divide by the largest entry, so that squares neither overflow nor underflow; 0 stays 0."""
    return w / jnp.maximum(jnp.max(jnp.abs(w)), jnp.finfo(w.dtype).tiny)


def _sample(
    points: Callable[[PRNGKeyArray, int], Points], dtype: Any
) -> tuple[Points, Float[Array, " n"]]:
    """Return SAMPLE fixed points with equal weights."""
    return points(jax.random.key(_FIXED), SAMPLE), jnp.full(SAMPLE, 1 / SAMPLE, dtype)


def _above(theta: Float[Array, ""], h: float) -> Float[Array, ""]:
    """Return 1/(2 pi) int_0^theta exp(-h^2 / (2 sin^2 b)) db, for 0 <= theta <= pi."""

    def density(b: Array) -> Array:
        return jnp.exp(-(h * h / 2) / jnp.sin(b) ** 2)

    scale = jnp.full_like(theta, h)
    return sphere.over_angle(density, theta, scale) / (2 * math.pi)
