"""Solve min 1/2|theta|^2 + lam |s|_1 s.t. y = J theta + s with a certificate.

Its dual is a quadratic program in a box: max_nu y'nu - 1/2|J'nu|^2, |nu_i| <= lam, and
theta = J'nu. Any nu in the box certifies: with theta = J'nu and s = y - J theta,

    P(theta) - D(nu) = sum_i (lam |s_i| - nu_i s_i),

a sum of terms >= 0 that reads correctly where the difference P - D would cancel. Method: Mehrotra's
predictor-corrector interior point on the box dual, for y/lam in the unit box.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, Float, Int

from jaxrobust import _check
from jaxrobust.sop.status import Status

# Of the mean eigenvalue of JJ': keeps the Newton matrix positive where JJ' is singular. At 1e-15
# rounding spoils the steps of p < N; 1e-10 to 1e-13 are alike on 2,000 random problems.
_FLOOR = 1e-11


class L1Solution(NamedTuple):
    """A minimiser with its certificate."""

    theta: Float[Array, " p"]
    s: Float[Array, " N"]
    nu: Float[Array, " N"]
    gap: Float[Array, ""]
    """(P(theta) - D(nu)) / P(theta), recomputed from nu alone; |theta - theta*|^2 <= 2 P gap."""
    status: Int[Array, ""]
    iterations: Int[Array, ""]


def certificate(J: Any, y: Any, lam: Any, nu: Any) -> L1Solution:
    """Give the primal point that nu implies and the relative duality gap between the two.

    nu is clipped to the box, theta = J'nu, s = y - J theta; gap as in the module's formula. The
    status is CERTIFIED at gap <= 1e-10, else ROUNDING_LIMIT when the gap is within what rounding of
    s can make, else NOT_CONVERGED; `iterations` is 0.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> point = certificate(jnp.eye(2), jnp.array([0.5, 3.0]), 1.0, jnp.array([0.5, 9.0]))
    >>> float(point.gap), point.s.tolist()
    (0.0, [0.0, 2.0])
    """
    J, y, lam = _arguments(J, y, lam)
    nu = _check.real("nu", nu, y.shape).astype(J.dtype)
    return _certify(J, y, lam, nu / lam, 1e-10, jnp.array(0))


def solve_l1(
    J: Any, y: Any, lam: Any, *, tol: float = 1e-10, max_iterations: int = 60
) -> L1Solution:
    """Solve min 1/2|theta|^2 + lam |s|_1 s.t. y = J theta + s to a certified relative gap.

    The same program as least absolute deviations with a ridge,
    min_theta 1/2|theta|^2 + lam |y - J theta|_1, and as scikit-learn's
    LinearSVR(epsilon=0, C=lam, fit_intercept=False).

    Parameters
    ----------
    J, y
        Matrix (N, p) of any shape and rank, targets (N,). Use float64: in float32 the gap stops
        near 1e-6 and the status says ROUNDING_LIMIT.
    lam
        Weight of the l1 norm, > 0; may be traced.
    tol
        Relative gap that counts as CERTIFIED. The solver goes on to about 1e-13 where it can.
    max_iterations
        Interior-point steps, 8 to 20 in practice.

    Returns
    -------
    `L1Solution`; never an uncertified answer that looks certified: read `status`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> solution = solve_l1(jnp.ones((3, 1)), jnp.array([1.0, 1.0, 9.0]), lam=1.0, tol=1e-4)
    >>> [round(float(x), 3) for x in solution.s], int(solution.status)
    ([-0.0, -0.0, 8.0], 0)
    """
    J, y, lam = _arguments(J, y, lam)
    max_iterations = _check.count("max_iterations", max_iterations)
    _check.number("tol", tol)
    scaled = y / lam
    newton = _gram_newton(J) if J.shape[0] <= J.shape[1] else _row_newton(J)
    size = jnp.mean(jnp.abs(scaled)) + jnp.finfo(J.dtype).tiny ** 0.5

    def gap_of(nu):
        return _gap(J, scaled, jnp.clip(nu, -1.0, 1.0))[0]

    def body(carry):
        point, best, best_gap, count, stall = carry
        point = _mehrotra(point, scaled, newton)
        gap = gap_of(point.nu)
        better = gap < best_gap
        stall = jnp.where(gap < 0.3 * best_gap, 0, stall + 1)
        return (
            point,
            jnp.where(better, jnp.clip(point.nu, -1.0, 1.0), best),
            jnp.where(better, gap, best_gap),
            count + 1,
            stall,
        )

    def unfinished(carry):
        point, _, gap, count, stall = carry
        # Past the tolerance go on while each step still helps; before it, allow a few that do not.
        patience = jnp.where(gap <= tol, 1, 12)
        going = (gap > 1e-13) & (stall < patience) & (count < max_iterations)
        return going & jnp.all(jnp.isfinite(point.nu))

    ones, zeros = jnp.ones_like(y), jnp.zeros_like(y)
    start = _Point(
        zeros, ones, ones, size + jnp.maximum(-scaled, 0.0), size + jnp.maximum(scaled, 0.0)
    )
    begin = (start, zeros, gap_of(zeros), jnp.array(0), jnp.array(0))
    _, nu, _, count, _ = jax.lax.while_loop(unfinished, body, begin)
    found = _certify(J, y, lam, nu, tol, count)
    stalled = (found.status == Status.NOT_CONVERGED) & (count < max_iterations)
    return found._replace(status=jnp.where(stalled, Status.STALLED, found.status))


def _arguments(J: Any, y: Any, lam: Any) -> tuple[Array, Array, Array]:
    J = _check.real("J", J, (None, None))
    y = _check.real("y", y, (J.shape[0],)).astype(J.dtype)
    return J, y, _check.number("lam", lam, dtype=J.dtype)


def _gap(J: Array, y: Array, nu: Array) -> tuple[Array, Array, Array, Array]:
    """Give relative gap, absolute gap, theta and s of the problem whose lam is 1."""
    theta = J.T @ nu
    s = y - J @ theta
    gap = jnp.sum(jnp.abs(s) - nu * s)
    primal = 0.5 * theta @ theta + jnp.sum(jnp.abs(s))
    # 0/0 is a certificate only where y = 0: elsewhere P has underflowed.
    return jnp.where((primal == 0) & ~jnp.any(y != 0), 0.0, gap / primal), gap, theta, s


def _certify(J: Array, y: Array, lam: Array, nu: Array, tol: float, count: Array) -> L1Solution:
    """Certify lam * nu on the scale of y / lam, where it cannot under- or overflow."""
    nu = jnp.clip(nu, -1.0, 1.0)
    relative, gap, theta, _ = _gap(J, y / lam, nu)
    # s_i carries a rounding error of a few eps (|y_i| + |J_i| |J|'|nu|), its term twice that.
    blur = jnp.sum(jnp.abs(y / lam) + jnp.abs(J) @ (jnp.abs(J).T @ jnp.abs(nu)))
    rounding = 8 * jnp.finfo(J.dtype).eps * blur
    at_limit = (gap <= rounding) & (relative <= jnp.maximum(1e-4, tol))
    status = jnp.where(
        relative <= tol,
        Status.CERTIFIED,
        jnp.where(at_limit, Status.ROUNDING_LIMIT, Status.NOT_CONVERGED),
    )
    theta = lam * theta
    status = jnp.where(jnp.isfinite(relative), status, Status.NOT_FINITE)
    return L1Solution(theta, y - J @ theta, lam * nu, relative, status, count)


class _Point(NamedTuple):
    """Dual point, slacks a = 1 + nu and b = 1 - nu as variables of their own, multipliers."""

    nu: Array
    a: Array
    b: Array
    za: Array
    zb: Array


# nu -> (K nu, solver of (K + diag D) dnu = rho)
_Newton = tuple[Callable[[Array], Array], Callable[[Array], Callable[[Array], Array]]]


def _gram_newton(J: Array) -> _Newton:
    """Work in N-space, for N <= p."""
    K = J @ J.T
    floor = _FLOOR * jnp.trace(K) / K.shape[0]

    def factor(D):
        chol = cho_factor(K + jnp.diag(D + floor), lower=True)
        return lambda rho: cho_solve(chol, rho)

    return lambda nu: K @ nu, factor


def _row_newton(J: Array) -> _Newton:
    """Work in p-space by Woodbury, for p < N."""
    floor = _FLOOR * jnp.sum(J * J) / J.shape[0]
    eye = jnp.eye(J.shape[1], dtype=J.dtype)

    def factor(D):
        inverse = 1 / (D + floor)
        chol = cho_factor(eye + (J.T * inverse[None, :]) @ J, lower=True)
        return lambda rho: inverse * (rho - J @ cho_solve(chol, J.T @ (inverse * rho)))

    return lambda nu: J @ (J.T @ nu), factor


def _mehrotra(point: _Point, y: Array, newton: _Newton) -> _Point:
    """Take one predictor-corrector step towards K nu - y = za - zb, a za = b zb = 0."""
    nu, a, b, za, zb = point
    gram, factor = newton
    stationarity = gram(nu) - y - za + zb
    drift_a, drift_b = a - 1 - nu, b - 1 + nu
    mu = (a @ za + b @ zb) / (2 * y.size)
    solve = factor(za / a + zb / b)

    def direction(target_a, target_b):
        # a dza + za da = target_a with da = dnu - drift_a; likewise b with db = -dnu - drift_b.
        rho = (target_a + za * drift_a) / a - (target_b + zb * drift_b) / b - stationarity
        dnu = solve(rho)
        da, db = dnu - drift_a, -dnu - drift_b
        return _Point(dnu, da, db, (target_a - za * da) / a, (target_b - zb * db) / b)

    def longest(value, change):
        return 1 / jnp.maximum(1.0, jnp.max(-change / value))

    aim = direction(-a * za, -b * zb)
    primal = jnp.minimum(longest(a, aim.a), longest(b, aim.b))
    dual = jnp.minimum(longest(za, aim.za), longest(zb, aim.zb))
    after = (a + primal * aim.a) @ (za + dual * aim.za) + (b + primal * aim.b) @ (
        zb + dual * aim.zb
    )
    center = (after / (2 * y.size * mu)) ** 3 * mu
    move = direction(center - a * za - aim.a * aim.za, center - b * zb - aim.b * aim.zb)
    slacks = jnp.minimum(longest(a, move.a), longest(b, move.b))
    multipliers = jnp.minimum(longest(za, move.za), longest(zb, move.zb))
    t = 0.995 * jnp.minimum(slacks, multipliers)
    return _Point(*(value + t * change for value, change in zip(point, move, strict=True)))
