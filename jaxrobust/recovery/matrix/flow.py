"""The exact limit of double over-parameterization's gradient flow, for maps that commute.

A_i = Q diag(B_i) Q', so X = Q diag(x) Q' and A(X) = B x. From U = gamma I, g = h = gamma_s the flow
stays at U = gamma exp(A*(xi)), g, h = gamma_s exp(+-alpha xi) with xi = -int r, so

    x = gamma^2 exp(2 B'xi),     s = 2 gamma_s^2 sinh(2 alpha xi),     xi' = y - B x - s,

which is gradient ascent on a strictly concave function; its limit nu maximises

    <y, nu> - gamma^2/2 sum_j exp(2 (B'nu)_j) - gamma_s^2/alpha sum_i cosh(2 alpha nu_i),

the dual of min 1/2 sum_j [x_j log(x_j / gamma^2) - x_j] + 1/(2 alpha) sum_i [s_i asinh(s_i / (2
gamma_s^2)) - sqrt(s_i^2 + 4 gamma_s^4)] s.t. B x + s = y: von Neumann's entropy beside the
hyperbolic one. Divided by log(1/gamma) it is tr X + (1/alpha) |s|_1 to leading order: lam =
1/alpha whatever gamma is. Derived here; the limit gamma -> 0 is the theorem of You, Zhu, Qu, Ma
(NeurIPS 2020, arXiv 2006.08857). Where maps do not commute U is a time-ordered exponential, and
this is not its limit.

How far the limit is from the program follows, at any gamma. With L = log(1/gamma) the entropies
are L (tr X + |s|_1 / alpha) + R(x, s), `remainder`, and the limit minimises them, so for every
(x*, s*) with B x* + s* = y

    tr X + |s|_1 / alpha <= tr X* + |s*|_1 / alpha + (R(x*, s*) - R(x, s)) / L.

Found by following the path in L = log(1/gamma): nu(L) obeys H dnu/dL = 2 y, with H the dual's
Hessian, because d(B x + s)/dL at fixed nu is -2 (B x + s). Newton's steps keep it on the path.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, Float, Int

from jaxrobust import _check
from jaxrobust._status import Status

_NEWTON = 6  # steps at each place of the path
_STAY = 10  # times as many at its beginning and at its end


class Limit(NamedTuple):
    """Where gradient flow ends."""

    x: Float[Array, " n"]
    """Eigenvalues of X = Q diag(x) Q'."""
    s: Float[Array, " m"]
    nu: Float[Array, " m"]
    residual: Float[Array, ""]
    """max |B x + s - y| / max |y|: the dual's gradient, 0 at the limit."""
    status: Int[Array, ""]


def remainder(x: Array, s: Array, alpha: Any, gamma: Any) -> Float[Array, ""]:
    """Return R(x, s), what the entropies are beside log(1/gamma) (tr X + |s|_1 / alpha).

    R = 1/2 sum_j (x_j log x_j - x_j) + 1/(2 alpha) sum_i (|s_i| log((|s_i| + h_i) / 2) - h_i) with
    h_i = sqrt(s_i^2 + 4 gamma^4); x are the eigenvalues of X, those below 0 by rounding count as 0.

    >>> float(remainder(jnp.ones(2), jnp.zeros(3), 1.0, 1e-9))
    -1.0
    """
    x, size = jnp.maximum(x, 0.0), jnp.abs(s)
    of_x = jnp.where(x > 0, x * jnp.log(jnp.where(x > 0, x, 1.0)) - x, 0.0)
    h = jnp.hypot(size, 2 * jnp.asarray(gamma, x.dtype) ** 2)
    inside = jnp.where(h > 0, (size + h) / 2, 1.0)
    return 0.5 * jnp.sum(of_x) + jnp.sum(size * jnp.log(inside) - h) / (2 * alpha)


def limit(B: Any, y: Any, alpha: Any, gamma: Any, *, tol: float = 1e-9, stages: int = 200) -> Limit:
    """Find the limit of the flow from U = gamma I, g = h = gamma.

    Parameters
    ----------
    B, y
        Eigenvalues of the maps (m, n), from `problem.commuting_maps`, and measurements (m,).
    alpha, gamma
        Ratio of the steps, > 0, and scale of the initialization in (0, 1), down to 1e-100 and
        below in float64; may be traced.
    tol
        Relative residual at which the answer counts as CERTIFIED.
    stages
        Places of the path at which Newton's method corrects it.

    Examples
    --------
    >>> import jax
    >>> from jaxrobust.recovery.matrix import problem
    >>> _, B, _ = problem.commuting_maps(jax.random.key(0), 6, 4)
    >>> found = limit(B, jnp.arange(6.0), alpha=1.0, gamma=0.01, tol=1e-4)
    >>> int(found.status)
    0
    """
    B = _check.real("B", B, (None, None))
    y = _check.real("y", y, (B.shape[0],)).astype(B.dtype)
    alpha = _check.number("alpha", alpha, dtype=B.dtype)
    stages = _check.count("stages", stages)
    L_end = -jnp.log(_check.number("gamma", gamma, 1.0, B.dtype))
    size = jnp.max(jnp.abs(y))
    # At gamma ~ 1 / sqrt(max|y|) or more the answer is far from sparse, and Newton's is easy.
    L_begin = jnp.minimum(L_end, -0.5 * jnp.log(jnp.maximum(size, 1e-30)) - 1.0)
    unit = jnp.where(size > 0, size, 1.0)

    def parts(nu: Array, L: Array) -> tuple[Array, Array, Array]:
        x = _exp(2 * (nu @ B) - 2 * L)
        up, down = _exp(2 * alpha * nu - 2 * L), _exp(-2 * alpha * nu - 2 * L)
        near = 2 * jnp.exp(-2 * L) * jnp.sinh(jnp.clip(2 * alpha * nu, -1.0, 1.0))
        s = jnp.where(jnp.abs(alpha * nu) < 1e-2, near, up - down)  # no cancellation
        return x, s, up + down

    def value(nu: Array, L: Array) -> Array:
        """Return the function to minimise, the dual's negative."""
        x, _, cosh = parts(nu, L)
        return 0.5 * jnp.sum(x) + jnp.sum(cosh) / (2 * alpha) - y @ nu

    def solved(nu: Array, L: Array, right: Array) -> Array:
        x, _, cosh = parts(nu, L)
        H = 2 * (B * x[None, :]) @ B.T + jnp.diag(2 * alpha * cosh)
        # Scaled to a unit diagonal: entries differ by as much as 1/gamma^2.
        d = jnp.sqrt(jnp.maximum(jnp.diagonal(H), jnp.finfo(B.dtype).tiny * 1e8))
        ridge = 4 * jnp.finfo(B.dtype).eps * B.shape[0]
        unit_H = H / (d[:, None] * d[None, :]) + ridge * jnp.eye(d.size, dtype=B.dtype)
        return cho_solve(cho_factor(unit_H, lower=True), right / d) / d

    def newton(nu: Array, L: Array) -> Array:
        x, s, _ = parts(nu, L)
        move = solved(nu, L, y - B @ x - s)
        # Exponents move by 1 at most: beyond, the quadratic model says nothing.
        far = jnp.maximum(2 * jnp.max(jnp.abs(move @ B)), 2 * alpha * jnp.max(jnp.abs(move)))
        move = move / jnp.maximum(1.0, jnp.where(jnp.isfinite(far), far, 1.0))
        here = value(nu, L)
        slack = 8 * jnp.finfo(B.dtype).eps * (jnp.abs(here) + jnp.abs(y @ nu))
        tries = 0.5 ** jnp.arange(12, dtype=B.dtype)
        found = jax.vmap(lambda t: value(nu + t * move, L))(tries)
        ok = found <= here + slack
        t = jnp.where(jnp.any(ok), tries[jnp.argmax(ok)], 0.0)
        return nu + t * jnp.where(jnp.isfinite(move), move, 0.0)

    def stage(nu: Array, ends: Any) -> tuple[Array, None]:
        L, L_next = ends
        slope = solved(nu, L, 2 * y)
        sound = jnp.all(jnp.isfinite(slope))
        nu = jnp.where(sound, nu + (L_next - L) * slope, nu)
        return jax.lax.fori_loop(0, _NEWTON, lambda _, at: newton(at, L_next), nu), None

    path = L_begin + (L_end - L_begin) * jnp.linspace(0.0, 1.0, stages + 1, dtype=B.dtype)
    begin, end = jnp.full(_STAY, path[0]), jnp.full(_STAY, path[-1])
    places = jnp.concatenate([begin, path, end])
    nu, _ = jax.lax.scan(stage, jnp.zeros_like(y), (places[:-1], places[1:]))
    x, s, _ = parts(nu, L_end)
    residual = jnp.max(jnp.abs(B @ x + s - y)) / unit
    status = jnp.where(residual <= tol, Status.CERTIFIED, Status.NOT_CONVERGED)
    status = jnp.where(jnp.isfinite(residual), status, Status.NOT_FINITE)
    return Limit(x, s, nu, residual, status)


def _exp(x: Array) -> Array:
    """Exponentiate without overflow: far beyond any accepted step, so only the search sees it."""
    return jnp.exp(jnp.minimum(x, 0.4 * jnp.log(jnp.finfo(x.dtype).max)))
