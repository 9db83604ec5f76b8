"""The l1 program of any shape: Mehrotra's predictor-corrector on the box dual.

Slacks a = 1 + nu and b = 1 - nu are variables of their own, with multipliers za and zb:
K nu - z = za - zb, a za = b zb = 0. Each step solves (K + D) dnu = rho, D = za/a + zb/b.

`mixed` (N > p) keeps the state in double precision and does the work of a step, J'D^-1 J and its
Cholesky factor, in single: such steps are inexact, and stall at a gap of about 1e-6, but long
before that the active set has settled (see `crossover`). `double` goes all the way by itself and is
what everything falls back on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxrobust.sop.convex.active_set import cholesky_solve
from jaxrobust.sop.convex.crossover import crossover
from jaxrobust.sop.convex.dual import Found, Program, better, measured, nothing

# Of the mean eigenvalue of JJ': keeps the Newton matrix positive where JJ' is singular. At 1e-15
# rounding spoils the steps of p < N; 1e-10 to 1e-13 are alike on 2,000 random problems.
_FLOOR, _FLOOR_LOW = 1e-11, 1e-6
STEPS = 60  # at most; 8 to 20 in practice
_MIXED = 25  # steps, at most; 5 to 12 in practice


class Point(NamedTuple):
    """Dual point, slacks a = 1 + nu and b = 1 - nu, their multipliers."""

    nu: Array
    a: Array
    b: Array
    za: Array
    zb: Array

    @property
    def complementarity(self) -> Array:
        """Mean of the products of slacks and multipliers."""
        return (self.a @ self.za + self.b @ self.zb) / (2 * self.nu.size)


def start(z: Array) -> Point:
    """Stand in the middle of the box."""
    size = jnp.mean(jnp.abs(z)) + jnp.finfo(z.dtype).tiny ** 0.5
    one = jnp.ones_like(z)
    return Point(
        jnp.zeros_like(z), one, one, size + jnp.maximum(-z, 0.0), size + jnp.maximum(z, 0.0)
    )


def mixed(program: Program, tol: float) -> Found:
    """Solve in p-space, for N > p, by steps in single precision and a crossover.

    The nu_i strictly inside the box are those whose slack shrinks more slowly than their multiplier
    from one step to the next. Once that set stays the same, cross over; if it was wrong, go on. The
    gap of the point itself says nothing: it stops at what single precision leaves of the residual
    while the complementarity falls on and the set settles.
    """
    factor = _rows_low(program)

    def slack_and_multiplier(point):
        return jnp.minimum(point.a, point.b), jnp.maximum(point.za, point.zb)

    def body(carry):
        point, now, free, tried, best, stall, count = carry
        new = _step(point, now.residual, factor)
        (slack, multiplier), (slack0, multiplier0) = map(slack_and_multiplier, (new, point))
        now_free = slack * multiplier0 > multiplier * slack0
        settled = jnp.all(now_free == free) & jnp.any(now_free != tried)
        now = measured(program, new.nu)
        found = jax.lax.cond(
            settled, lambda: crossover(program, new.nu, now_free, tol), lambda: now
        )
        return (
            new,
            now,
            now_free,
            jnp.where(settled, now_free, tried),
            better(best, found),
            jnp.where(new.complementarity < 0.95 * point.complementarity, 0, stall + 1),
            count + 1,
        )

    def going(carry):
        point, _, _, _, best, stall, count = carry
        left = point.complementarity > 1e-12 * begin[0].complementarity  # False for a NaN
        return (best.gap > tol) & (count < _MIXED) & (stall < 3) & left

    zero = nothing(program)
    none = jnp.zeros(program.z.shape, bool)
    begin = (start(program.z), zero, none, none, zero, zero.steps, zero.steps)
    *_, best, _, count = jax.lax.while_loop(going, body, begin)
    return best._replace(steps=count)


def double(program: Program, tol: float) -> Found:
    """Solve in the smaller of the two spaces, all in the precision of J."""
    N, p = program.J.shape
    factor = _gram(program) if N <= p else _rows(program)

    def unfinished(carry):
        point, _, best, stall, count = carry
        left = (best.gap > tol) & (stall < 12) & (count < STEPS)
        return left & jnp.all(jnp.isfinite(point.nu))

    def body(carry):
        point, now, best, stall, count = carry
        point = _step(point, now.residual, factor)
        now = measured(program, point.nu)
        stall = jnp.where(now.gap < 0.3 * best.gap, 0, stall + 1)
        return point, now, better(best, now), stall, count + 1

    zero = nothing(program)
    begin = (start(program.z), zero, zero, zero.steps, zero.steps)
    _, _, best, _, count = jax.lax.while_loop(unfinished, body, begin)
    return best._replace(steps=count)


# D -> solver of (K + diag D) dnu = rho
_Factor = Callable[[Array], Callable[[Array], Array]]


def _gram(program: Program) -> _Factor:
    """Work in N-space, for N <= p."""
    K = (program.J @ program.J.T) / program.c

    def factor(D):
        chol = jax.lax.linalg.cholesky(K + jnp.diag(D + _floor(K)), symmetrize_input=False)
        return lambda rho: cholesky_solve(chol, rho)

    return factor


def _rows(program: Program) -> _Factor:
    """Work in p-space by Woodbury, for p < N."""
    J = program.J / jnp.sqrt(program.c)
    eye = jnp.eye(J.shape[1], dtype=J.dtype)

    def factor(D):
        inverse = 1 / (D + _floor(J))
        matrix = eye + (J.T * inverse[None, :]) @ J
        chol = jax.lax.linalg.cholesky(matrix, symmetrize_input=False)
        return lambda rho: inverse * (rho - J @ cholesky_solve(chol, (inverse * rho) @ J))

    return factor


def _rows_low(program: Program) -> _Factor:
    """As `_rows` in single precision, on a right-hand side scaled to 1."""
    J = program.low
    eye = jnp.eye(J.shape[1], dtype=J.dtype)

    def factor(D):
        inverse = (1 / (D + _FLOOR_LOW)).astype(J.dtype)
        rows = jnp.sqrt(inverse)[:, None] * J
        chol = jax.lax.linalg.cholesky(eye + rows.T @ rows, symmetrize_input=False)

        def solve(rho):
            size = jnp.max(jnp.abs(rho))
            size = jnp.where(size > 0, size, 1.0)
            low = (rho / size).astype(J.dtype)
            found = inverse * (low - J @ cholesky_solve(chol, (inverse * low) @ J))
            return size * found.astype(rho.dtype)

        return solve

    return factor


def _floor(J: Array) -> float:
    return _FLOOR if J.dtype == jnp.float64 else _FLOOR_LOW


def _step(point: Point, residual: Array, factor: _Factor) -> Point:
    """Take one predictor-corrector step towards K nu - z = za - zb, a za = b zb = 0.

    residual: z - K nu.
    """
    nu, a, b, za, zb = point
    stationarity = zb - za - residual
    drift_a, drift_b = a - 1 - nu, b - 1 + nu
    mu = point.complementarity
    solve = factor(za / a + zb / b)

    def direction(target_a, target_b):
        # a dza + za da = target_a with da = dnu - drift_a; likewise b with db = -dnu - drift_b.
        rho = (target_a + za * drift_a) / a - (target_b + zb * drift_b) / b - stationarity
        dnu = solve(rho)
        da, db = dnu - drift_a, -dnu - drift_b
        return Point(dnu, da, db, (target_a - za * da) / a, (target_b - zb * db) / b)

    def longest(value, change):
        return 1 / jnp.maximum(1.0, jnp.max(-change / value))

    aim = direction(-a * za, -b * zb)
    primal = jnp.minimum(longest(a, aim.a), longest(b, aim.b))
    dual = jnp.minimum(longest(za, aim.za), longest(zb, aim.zb))
    after = (a + primal * aim.a) @ (za + dual * aim.za)
    after += (b + primal * aim.b) @ (zb + dual * aim.zb)
    center = (after / (2 * nu.size * mu)) ** 3 * mu
    move = direction(center - a * za - aim.a * aim.za, center - b * zb - aim.b * aim.zb)
    slacks = jnp.minimum(longest(a, move.a), longest(b, move.b))
    multipliers = jnp.minimum(longest(za, move.za), longest(zb, move.zb))
    t = 0.995 * jnp.minimum(slacks, multipliers)
    return Point(*(value + t * change for value, change in zip(point, move, strict=True)))
