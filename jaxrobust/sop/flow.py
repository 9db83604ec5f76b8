"""The exact limit of SOP gradient flow at finite gamma, by Newton on its convex dual.

With theta = J'nu, u = gamma e^(2 alpha nu), v = gamma e^(-2 alpha nu) along the whole flow, its
limit is the unique minimiser of 1/2|theta|^2 + sum_i phi(s_i) s.t. J theta + s = y with
phi'(s) = asinh(s / (2 gamma^2)) / (4 alpha), whose dual is unconstrained and convex in N numbers:

    min_nu 1/2 nu'JJ'nu + (gamma^2 / (2 alpha)) sum_i cosh(4 alpha nu_i) - y'nu.

Source: derived here; the l1 program is its limit as gamma -> 0 (SOP, arXiv 2202.14026).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, Float, Int

from jaxrobust import _check
from jaxrobust._status import Status

_STAGES = 16  # gamma falls from 0.3 in so many equal ratios of log gamma
_START = 0.3
_RIDGE = 1e-12  # of the mean eigenvalue of JJ': Newton's floor where JJ' is singular


class FlowLimit(NamedTuple):
    """Where gradient flow ends."""

    theta: Float[Array, " p"]
    s: Float[Array, " N"]
    nu: Float[Array, " N"]
    residual: Float[Array, ""]
    """max_i |J theta + s - y|_i / max_i |y_i|: the dual's gradient, 0 at the limit."""
    status: Int[Array, ""]
    iterations: Int[Array, ""]


def sparse_part(nu: Array, alpha: Any, log_gamma: Any) -> Array:
    """Give s = u*u - v*v = 2 gamma^2 sinh(4 alpha nu) without overflow of either factor."""
    x = 4 * alpha * nu
    small = 2 * jnp.exp(2 * log_gamma) * jnp.sinh(jnp.clip(x, -1.0, 1.0))  # no cancellation
    return jnp.where(jnp.abs(x) < 1e-2, small, _exp(x + 2 * log_gamma) - _exp(2 * log_gamma - x))


def potential_slope(s: Array, alpha: Any, log_gamma: Any) -> Array:
    """Give nu = phi'(s) = asinh(s / (2 gamma^2)) / (4 alpha), the inverse of `sparse_part`."""
    size, twice = jnp.abs(s), 2 * jnp.exp(2 * log_gamma)  # `twice` underflows at small gamma: fine
    large = jnp.log(size + jnp.hypot(size, twice)) - jnp.log(2.0) - 2 * log_gamma
    tiny = size < 1e-3 * twice
    slope = jnp.where(tiny, jnp.arcsinh(size / jnp.where(tiny, twice, 1.0)), large)
    return jnp.sign(s) * slope / (4 * alpha)


def flow_limit(
    J: Any, y: Any, alpha: Any, gamma: Any, *, tol: float = 1e-9, max_iterations: int = 200
) -> FlowLimit:
    """Find the limit of SOP gradient flow from theta = 0, u = v = gamma.

    Continuation: at fixed lam = -log(gamma) / (2 alpha), gamma falls from 0.3 to its value in 16
    stages, each solved by damped Newton. Where JJ' is singular and an example is clean, its
    nu_i is determined only to the size of gamma; theta and s are unique and do not feel it.

    Parameters
    ----------
    J, y
        Matrix (N, p) of any rank and targets (N,).
    alpha, gamma
        Ratio of the step sizes, > 0, and scale of the initialization in (0, 1), down to 1e-64 and
        below in float64; may be traced.
    tol
        Relative residual at which the answer counts as CERTIFIED. Newton goes on past it to the
        rounding limit.
    max_iterations
        Newton steps in the last stage (half as many in the others).

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> J = jax.random.normal(jax.random.key(0), (5, 8))
    >>> flow = flow_limit(J, jnp.arange(5.0), alpha=1.0, gamma=0.01, tol=1e-4)
    >>> int(flow.status)
    0
    """
    J = _check.real("J", J, (None, None))
    y = _check.real("y", y, (J.shape[0],)).astype(J.dtype)
    alpha = _check.number("alpha", alpha, dtype=J.dtype)
    log_gamma = jnp.log(_check.number("gamma", gamma, 1.0, J.dtype))
    K = J @ J.T
    size = jnp.max(jnp.abs(y))
    lam = -log_gamma / (2 * alpha)
    first = jnp.maximum(log_gamma, jnp.log(_START).astype(J.dtype))
    path = first * (log_gamma / first) ** jnp.linspace(0.0, 1.0, _STAGES, dtype=J.dtype)
    floor = 4 * jnp.finfo(J.dtype).eps * size

    def stage(carry, at):
        nu, old_alpha, old_log_gamma, used = carry
        log_g, last = at
        a = -log_g / (2 * lam)
        # Corrupted examples keep their s when gamma falls, the others their nu.
        s = sparse_part(nu, old_alpha, old_log_gamma)
        nu = jnp.where(jnp.abs(s) > 1e-2 * size, potential_slope(s, a, log_g), nu)
        goal = jnp.where(last, floor, 1e-6 * size)
        cap = jnp.where(last, max_iterations, max_iterations // 2)
        nu, count = _newton(K, y, nu, a, log_g, goal, cap)
        return (nu, a, log_g, used + count), count

    start = (jnp.zeros_like(y), -first / (2 * lam), first, jnp.array(0))
    stages = (path, jnp.arange(_STAGES) == _STAGES - 1)
    (nu, _, _, used), counts = jax.lax.scan(stage, start, stages)
    theta, s = J.T @ nu, sparse_part(nu, alpha, log_gamma)
    misfit = jnp.max(jnp.abs(J @ theta + s - y))
    residual = jnp.where(misfit == 0, 0.0, misfit / size)
    short = jnp.where(counts[-1] < max_iterations, Status.STALLED, Status.NOT_CONVERGED)
    status = jnp.where(residual <= tol, Status.CERTIFIED, short)
    return FlowLimit(
        theta, s, nu, residual, jnp.where(jnp.isfinite(residual), status, Status.NOT_FINITE), used
    )


def _newton(
    K: Array, y: Array, nu: Array, alpha: Any, log_gamma: Any, goal: Any, cap: Any
) -> tuple[Array, Array]:
    """Minimise the dual from nu; give its minimiser and the number of steps."""
    base = _RIDGE * jnp.trace(K) / y.size

    def parts(nu):
        x = 4 * alpha * nu
        cosh = _exp(x + 2 * log_gamma) + _exp(2 * log_gamma - x)  # 2 gamma^2 cosh(4 alpha nu)
        return K @ nu, sparse_part(nu, alpha, log_gamma), cosh

    def value(nu):
        Kn, _, cosh = parts(nu)
        return nu @ (0.5 * Kn - y) + jnp.sum(cosh - 2 * jnp.exp(2 * log_gamma)) / (4 * alpha)

    def body(carry):
        nu, best, residual, ridge, count, stall = carry
        Kn, s, cosh = parts(nu)
        H = K + jnp.diag(4 * alpha * cosh + ridge)
        dnu = cho_solve(cho_factor(H, lower=True), y - Kn - s)
        ds = 4 * alpha * cosh * dnu

        def move(t):
            # Along the curve s = S(nu): where Newton's step would make s grow by a large factor,
            # move s by its linear prediction and read nu off it, as circuit solvers do for diodes.
            target = s + t * ds
            grows = (target * s >= 0) & (jnp.abs(target) > jnp.abs(s))
            far = jnp.abs(4 * alpha * t * dnu) > 0.5
            return jnp.where(grows & far, potential_slope(target, alpha, log_gamma), nu + t * dnu)

        now = value(nu)
        slack = 4 * jnp.finfo(nu.dtype).eps * jnp.abs(now)
        t = jax.lax.while_loop(
            lambda t: ~(value(move(t)) <= now + slack) & (t > 1e-6),
            lambda t: t / 2,
            jnp.ones_like(now),
        )
        nu = move(t)
        Kn, s, _ = parts(nu)
        new = jnp.max(jnp.abs(Kn + s - y))
        # Far from the minimum the value falls while the residual may not.
        falls = value(nu) < now - 1e-6 * jnp.abs(now) - slack
        helps = falls | (new < 0.5 * residual)
        # A step that does not help is noise of a singular K: the ridge rises until it does.
        ridge = jnp.where(helps, jnp.maximum(ridge / 3, base), jnp.minimum(ridge * 10, 1e8 * base))
        better = falls | (new < residual)
        return (
            nu,
            jnp.where(better, nu, best),
            jnp.where(better, new, residual),
            ridge,
            count + 1,
            jnp.where(helps, 0, stall + 1),
        )

    def unfinished(carry):
        nu, _, residual, _, count, stall = carry
        return (residual > goal) & (count < cap) & (stall < 8) & jnp.all(jnp.isfinite(nu))

    Kn, s, _ = parts(nu)
    begin = (nu, nu, jnp.max(jnp.abs(Kn + s - y)), base, jnp.array(0), jnp.array(0))
    end = jax.lax.while_loop(unfinished, body, begin)
    return end[1], end[4]


def _exp(x: Array) -> Array:
    """Exponentiate without overflow: far beyond any accepted step, so only the search sees it."""
    return jnp.exp(jnp.minimum(x, 0.99 * jnp.log(jnp.finfo(x.dtype).max)))
