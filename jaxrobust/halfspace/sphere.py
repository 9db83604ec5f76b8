"""The uniform law on the unit sphere: its points, one coordinate of it, and a plane through it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxrobust import _check

_ROUNDS = 64  # of rejection: at .11 a round, none is left after 20


def uniform(key: PRNGKeyArray, n: int, dim: int, dtype: Any = None) -> Float[Array, "n dim"]:
    """Draw n points of the unit sphere of R^dim; +-1 for dim = 1."""
    dtype = dtype or jnp.result_type(float)
    n, dim = _check.count("n", n), _check.count("dim", dim)
    if dim == 1:
        return jax.random.rademacher(key, (n, 1), dtype)
    g = jax.random.normal(key, (n, dim), dtype)
    norm = jnp.sqrt(jnp.sum(g * g, axis=1))
    return g / jnp.maximum(norm, jnp.finfo(dtype).tiny)[:, None]


def coordinate_cdf(t: Any, dim: int) -> Float[Array, "..."]:
    """Return P(u_1 <= t) for u uniform on the unit sphere of R^dim; t of any shape.

    With t = sin phi the density is proportional to cos^n phi, n = dim - 2, and integration by parts
    lowers n by two: P = 1/2 + G_n,

        G_n = G_(n-2) + b_n sin phi cos^(n-1) phi,    b_n = b_(n-2) (n - 2) / (n - 1),

    from G_0 = phi / pi (arcsine law), b_2 = 1 / pi, or G_1 = t / 2 (uniform law, dim 3), b_1 = 1/2.
    All terms have the sign of t: nothing cancels. It is (1 +- I_(t^2)(1/2, (dim - 1) / 2)) / 2.

    >>> print(f"{coordinate_cdf(0.5, 3):.4f} {coordinate_cdf(0.5, 2):.4f}")
    0.7500 0.6667
    """
    dim = _check.count("dim", dim)
    t = jnp.asarray(t)
    if not jnp.issubdtype(t.dtype, jnp.floating):
        t = t.astype(jnp.result_type(float))
    if dim == 1:
        steps = jnp.where(t >= 1, 1.0, jnp.where(t >= -1, 0.5, 0.0))
        return jnp.where(jnp.isnan(t), jnp.nan, steps).astype(t.dtype)
    t = jnp.clip(t, -1, 1)
    square = (1 - t) * (1 + t)  # cos^2 phi
    terms = jnp.asarray(_terms(dim)).astype(t.dtype)
    series = jnp.polyval(terms, square) if terms.size else jnp.zeros_like(t)
    if dim % 2:
        return 0.5 + t * series
    return 0.5 + jnp.arcsin(t) / math.pi + t * jnp.sqrt(square) * series


def _terms(dim: int) -> np.ndarray:
    """Return b_n, b_(n-2), ... down to b_1 (dim odd) or b_2 (dim even): for Horner's rule."""
    b, found = (0.5, []) if dim % 2 else (1 / math.pi, [])
    first = 1 if dim % 2 else 2
    for n in range(first, dim - 1, 2):
        b = b * (n - 2) / (n - 1) if n > first else b
        found.append(b)
    return np.array(found[::-1])


def coordinate_beyond(
    key: PRNGKeyArray, n: int, dim: int, least: Float[Array, ""]
) -> Float[Array, " n"]:
    """Draw n times t = |u_1| given t >= least, u on the sphere: density (1 - t^2)^((dim-3)/2).

    0 < least < 1, dim >= 2. Exact, and as precise in the far tail as elsewhere.
    dim = 2: t is the cosine of a uniform angle.
    Else let c = 2 / (dim - 1) and k^2 = 1 - least^2. y = ((1 - t^2) / k^2)^(1/c) has density 1 / t
    on (0, 1), up to a constant, and y^c <= 1 - c (1 - y) gives t >= r, r^2 = least^2 + k^2 c (1-y).
    A y of density 1 / r is one of uniform r in (least, sqrt(least^2 + k^2 c)); it is kept with
    probability r / t, else drawn again. At least .886 are kept (all for dim 3; sqrt(pi) / 2 for
    least -> 0, dim -> infinity; the range was scanned numerically).
    """
    n, dim = _check.count("n", n), _check.count("dim", dim, 2)
    least = jnp.asarray(least)
    dtype = least.dtype
    if dim == 2:
        u = jax.random.uniform(key, (n,), dtype)
        return jnp.maximum(jnp.cos(u * jnp.arccos(least)), least)
    c = 2 / (dim - 1)
    low, scale = least * least, c * (1 - least) * (1 + least)
    top = jnp.sqrt(low + scale)

    def again(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        i, t, done = state
        u, v = jax.random.uniform(jax.random.fold_in(key, i), (2, n), dtype)
        r = least + (top - least) * u
        part = jnp.minimum((r * r - low) / scale, 1)  # 1 - y
        new = jnp.sqrt(low - scale / c * jnp.expm1(c * jnp.log1p(-part)))
        new = jnp.clip(new, least, 1)
        keep = ~(v * new > r)  # NaN is kept: the loop ends
        return i + 1, jnp.where(done, t, new), done | keep

    def left(state: tuple[Array, Array, Array]) -> Array:
        return (state[0] < _ROUNDS) & ~jnp.all(state[2])

    # A round costs two numbers a point, little beside the dim that the rest of the point takes.
    start = (jnp.zeros((), jnp.int32), jnp.zeros(n, dtype), jnp.zeros(n, bool))
    return jax.lax.while_loop(left, again, start)[1]


def lune(
    cosine: Float[Array, ""],
    sine: Float[Array, ""],
    margin: Float[Array, ""],
    least: Float[Array, ""],
    dim: int,
) -> Float[Array, ""]:
    """Return P(sign(w.x) != sign(w*.x), |w*.x| >= margin), x uniform on the sphere, over k^(dim-1).

    cosine and sine are those of the angle theta of w and w*; k^2 = 1 - least^2, least <= margin, a
    factor that cancels in conditional probabilities and keeps small ones from underflow. In the
    plane of w and w* the direction of x is uniform and its length rho has
    P(rho > r) = (1 - r^2)^((dim-2)/2), so without the factor the probability is

        1/pi  int_0^theta (1 - margin^2 / sin^2 b)_+^((dim-2)/2) db.

    With cos b = K cos psi, K^2 = 1 - margin^2, it is an integral of a smooth function,

        1/pi  int_0^Psi [ K^2 sin^2 psi / (margin^2 + K^2 sin^2 psi) ]^((dim-1)/2) dpsi,
        tan Psi = sqrt((sin^2 theta - margin^2)_+) / cos theta,

    even about pi/2, with poles near +-i margin (see `over_angle`). Its error was below 1e-11 for
    margins from 1e-6 to .9 and dim 2 to 400.
    """
    margin = jnp.minimum(margin, 1)
    outer, full = (1 - margin) * (1 + margin), (1 - least) * (1 + least)
    reach = jnp.maximum((sine - margin) * (sine + margin), 0)

    def density(psi: Array) -> Array:
        square = jnp.sin(psi) ** 2
        base = (outer / full) * square / (margin * margin + outer * square)
        return base ** ((dim - 1) / 2)

    psi = jnp.arctan2(jnp.sqrt(reach), cosine)
    return over_angle(density, psi, jnp.maximum(margin, 1e-6)) / math.pi


def over_angle(
    f: Callable[[Array], Array], angle: Float[Array, ""], scale: Float[Array, ""]
) -> Float[Array, ""]:
    """Return int_0^angle f(psi) dpsi, 0 <= angle <= pi, for f even about pi/2, a vector at once.

    psi = scale sinh(tau) moves poles at a distance of `scale` from 0 away from the path; then 64
    Gauss-Legendre nodes.
    """
    nodes, weights = (jnp.asarray(v, angle.dtype) for v in _LEGENDRE)

    def upto(end: Array) -> Array:
        length = jnp.arcsinh(end / scale)
        tau = length * nodes
        return length * scale * (weights @ (jnp.cosh(tau) * f(scale * jnp.sinh(tau))))

    part, half = upto(jnp.minimum(angle, math.pi - angle)), upto(jnp.full_like(angle, math.pi / 2))
    return jnp.where(angle > math.pi / 2, 2 * half - part, part)


_nodes, _weights = np.polynomial.legendre.leggauss(64)
_LEGENDRE = (_nodes + 1) / 2, _weights / 2  # on (0, 1)
