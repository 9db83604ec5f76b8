"""The l1 program with p < N: from the set of fitted examples to the solution.

Where theta fits more examples than it has parameters the dual is degenerate: the nu_i of the fitted
ones, C, are not unique, and any that lie in the box will do. `crossover` corrects a nu inside the
box as little as it can. `detect` finds C by ADMM in a few steps where theta is recovered exactly,
which is what the theory of sparse corruption is about; elsewhere an interior point finds it.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxrobust.sop.convex.active_set import cholesky_solve
from jaxrobust.sop.convex.dual import Found, Program, better, measured, nothing

_RIDGE = 1e-7  # of the mean eigenvalue of J_C'J_C: keeps its factor where J_C has no full rank
_DELTA = 1e-8  # of the mean eigenvalue of K
_MANY = 1.3
_RELAX = 1.6
_NARROW = 64  # columns up to which steps cost next to nothing beside a crossover


def crossover(program: Program, nu: Array, free: Array, tol: float) -> Found:
    """Return what fits the free examples, the others at their side of the box.

    nu_C <- nu_C + K_CC^+ (z - K nu)_C, the least change, a few times: refinement about a residual
    in double precision. With many more examples than columns K_CC^+ = J_C (J_C'J_C)^-2 J_C' is
    good enough in single precision; else JJ' is too ill-conditioned for that.
    """
    return jax.lax.cond(
        _many(program, free),
        lambda: _refine(program, nu, free, tol, _pseudo_inverse(program, free)),
        lambda: _refine(program, nu, free, tol, _tikhonov(program, free)),
    )


def _many(program: Program, free: Array) -> Array:
    return jnp.sum(free) > int(_MANY * program.J.shape[1])


def _pseudo_inverse(program: Program, free: Array) -> Callable[[Array], Array]:
    low = program.low
    rows = free.astype(low.dtype)[:, None] * low
    gram = rows.T @ rows
    ridge = _RIDGE * jnp.trace(gram) / gram.shape[0] + jnp.finfo(low.dtype).tiny
    solve = inverse(gram + ridge * jnp.eye(gram.shape[0], dtype=low.dtype))

    def change(residual):
        size = jnp.max(jnp.abs(residual))
        size = jnp.where(size > 0, size, 1.0)
        found = rows @ solve(solve((residual / size).astype(low.dtype) @ rows))
        return size * found.astype(residual.dtype)

    return change


def _tikhonov(program: Program, free: Array) -> Callable[[Array], Array]:
    """Return (K_CC + delta)^-1 by Woodbury: repeated, it is the pseudo-inverse."""
    rows = jnp.where(free[:, None], program.J, 0.0) / jnp.sqrt(program.c)
    eye = jnp.eye(rows.shape[1], dtype=rows.dtype)
    chol = jax.lax.linalg.cholesky(rows.T @ rows + _DELTA * eye, symmetrize_input=False)
    return lambda residual: (residual - rows @ cholesky_solve(chol, residual @ rows)) / _DELTA


def _refine(
    program: Program, nu: Array, free: Array, tol: float, change: Callable[[Array], Array]
) -> Found:
    def body(carry):
        now, best, count, _ = carry
        now = measured(program, now.nu + change(jnp.where(free, now.residual, 0.0)))
        return now, better(best, now), count + 1, now.gap < 0.1 * best.gap

    begin = measured(program, jnp.where(free, nu, jnp.sign(nu)))
    return jax.lax.while_loop(
        lambda c: (c[1].gap > tol) & (c[2] < 6) & c[3],
        body,
        (begin, begin, jnp.array(0), jnp.array(True)),
    )[1]


def detect(program: Program, tol: float) -> Found:
    """Try for exact recovery; the gap stays infinite where there is none.

    ADMM on theta and s with weight R: theta = (I/R + J'J)^-1 J'(z - s + w), q = 1.6 J theta
    - .6 (z - s), s = soft(z - q + w, 1/R), w = z - q + w - s, and nu = R w. Once {s = 0} is the
    same five steps apart, cross over to it.
    """
    low = program.low
    z = program.z.astype(low.dtype)
    R = 1.5 / jnp.maximum(jnp.mean(jnp.abs(z)), jnp.finfo(z.dtype).tiny)
    solve = inverse(low.T @ low + jnp.eye(low.shape[1], dtype=z.dtype) / R)

    def step(_, carry):
        s, w = carry
        fit = low @ solve((z - s + w) @ low)
        moved = z - _RELAX * fit + (_RELAX - 1) * (z - s) + w
        s = jnp.sign(moved) * jnp.maximum(jnp.abs(moved) - 1 / R, 0.0)
        return s, moved - s

    def steps(many, state):
        state = jax.lax.fori_loop(0, many, step, state)
        return state, state[0] == 0

    def body(carry):
        state, free, tried, _, count = carry
        state, now_free = steps(5, state)
        settled = jnp.all(now_free == free) & jnp.any(now_free != tried) & _many(program, now_free)
        s, w = state
        nu = jnp.where(now_free, R * w, jnp.sign(s)).astype(program.J.dtype)
        found = jax.lax.cond(
            settled,
            lambda: _refine(program, nu, now_free, tol, _pseudo_inverse(program, now_free)),
            lambda: nothing(program),
        )
        return state, now_free, jnp.where(settled, now_free, tried), found, count + 1

    zeros = jnp.zeros_like(z)
    state, free = steps(10, (zeros, zeros))
    rounds = 8 if low.shape[1] <= _NARROW else 2
    begin = (state, free, jnp.zeros_like(free), nothing(program), jnp.array(0))
    *_, found, count = jax.lax.while_loop(lambda c: (c[3].gap > tol) & (c[4] < rounds), body, begin)
    return found._replace(steps=count)


def inverse(matrix: Array) -> Callable[[Array], Array]:
    """Return the product with the inverse: in a loop two triangular solves would cost more."""
    chol = jax.lax.linalg.cholesky(matrix, symmetrize_input=False)
    eye = jnp.eye(matrix.shape[0], dtype=matrix.dtype)
    half = jax.lax.linalg.triangular_solve(chol, eye, left_side=True, lower=True)
    whole = half.T @ half  # symmetric
    return lambda rhs: whole @ rhs
