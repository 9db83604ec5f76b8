"""The l1 program with N <= p: guess which nu_i stand at the box, solve for the others.

A few steps of accelerated projected gradient on the dual guess the active set; then the primal-dual
active set method (semismooth Newton; Hintermueller, Ito, Kunisch 2002): with w = nu + (z - K nu)
put nu_i = sign w_i where |w_i| >= 1 and solve K_II nu_I = (z - K nu_A)_I for the rest, until the
gap certifies. 1 to 3 rounds are enough where JJ' is well conditioned. A small system is solved by
Cholesky; a large one by conjugate gradients in single precision, each round a step of iterative
refinement about a residual in double precision. K = JJ' is never formed there: a product with J
and J' costs less than its share of K.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxrobust.sop.convex.dual import (
    Found,
    Program,
    better,
    gap_at,
    measured,
    nothing,
)

_ROUNDS = 10  # in practice at most 5; past it the set cycles, or K is singular


class _Seen(NamedTuple):
    nu: Array
    residual: Array
    gap: Array


def by_cholesky(program: Program, tol: float) -> Found:
    """Solve each system by Cholesky of K, in double precision."""
    J, z = program.J, program.z
    K = (J @ J.T) / program.c
    eye = jnp.eye(z.size, dtype=z.dtype)

    def measure(nu):
        nu = jnp.clip(nu, -1.0, 1.0)
        image = nu @ K
        return _Seen(nu, z - image, gap_at(nu, z - image, nu @ image))

    def solve(bound, free, _):
        matrix = jnp.where(free[:, None] & free[None, :], K, eye)
        chol = jax.lax.linalg.cholesky(matrix, symmetrize_input=False)
        rhs = jnp.where(free, z - bound @ K, 0.0)
        return jnp.where(free, cholesky_solve(chol, rhs), bound)

    begin = measure(_guess(lambda nu: nu @ K, z, steps=6))
    best, count = _rounds(begin, begin, measure, solve, tol)
    return measured(program, best.nu, count)


def by_conjugate_gradients(program: Program, tol: float) -> Found:
    """Solve by products with J in single precision about residuals in double."""
    z, low = program.z, program.low

    def gram(x):
        return low @ (x @ low)

    def solve(bound, free, now):
        mask = free.astype(low.dtype)
        jump = jnp.where(free, 0.0, bound - now.nu)
        rhs = mask * (now.residual.astype(low.dtype) - gram(jump.astype(low.dtype)))
        change = conjugate_gradients(lambda x: mask * gram(x), rhs)
        return now.nu + jump + change.astype(z.dtype)

    # The guess and its residual need single precision only: nobody is told of its gap.
    nu = _guess(gram, z.astype(low.dtype), steps=12)
    residual = z - gram(nu).astype(z.dtype)
    none = nothing(program)
    begin = none._replace(nu=nu.astype(z.dtype), residual=residual)
    best, count = _rounds(begin, none, lambda nu: measured(program, nu), solve, tol)
    return best._replace(steps=count)


def cholesky_solve(chol: Array, rhs: Array) -> Array:
    """Solve L L' x = rhs for a vector."""
    half = jax.lax.linalg.triangular_solve(chol, rhs[:, None], left_side=True, lower=True)
    return jax.lax.linalg.triangular_solve(
        chol, half, left_side=True, lower=True, transpose_a=True
    )[:, 0]


def conjugate_gradients(product, rhs: Array, most: int = 30) -> Array:
    """Solve `product(x) = rhs` until the squared residual has fallen by 1e-8, zeros first."""
    scale = jnp.max(jnp.abs(rhs))  # else squares underflow in single precision
    tiny = jnp.finfo(rhs.dtype).tiny
    scale = jnp.where(scale > 0, scale, 1.0)
    residual = rhs / scale
    energy = residual @ residual

    def step(carry):
        x, residual, direction, now, count = carry
        image = product(direction)
        length = now / jnp.maximum(direction @ image, tiny)
        residual = residual - length * image
        after = residual @ residual
        turned = residual + (after / jnp.maximum(now, tiny)) * direction
        return x + length * direction, residual, turned, after, count + 1

    def going(carry):
        return (carry[4] < most) & (carry[3] > 1e-8 * energy)

    begin = (jnp.zeros_like(rhs), residual, residual, energy, jnp.array(0))
    return scale * jax.lax.while_loop(going, step, begin)[0]


def _guess(gram, z: Array, steps: int) -> Array:
    """Take steps of FISTA on max z'nu - 1/2 nu'K nu over the unit box, from 0."""
    largest = jnp.max(jnp.abs(z))
    first = z / jnp.where(largest > 0, largest, 1.0)
    image = gram(first)
    second = image / jnp.maximum(jnp.max(jnp.abs(image)), jnp.finfo(z.dtype).tiny)
    image = gram(second)
    # Two power steps; 1.1 for what they miss. Too short a bound only spoils the guess.
    bound = 1.1 * (image @ image) / jnp.maximum(second @ image, jnp.finfo(z.dtype).tiny)
    rate = 1 / jnp.where(bound > 0, bound, 1.0)

    def step(i, carry):
        nu, ahead = carry
        new = jnp.clip(ahead + rate * (z - gram(ahead)), -1.0, 1.0)
        i = jnp.asarray(i, z.dtype)
        return new, new + i / (i + 3) * (new - nu)

    zeros = jnp.zeros_like(z)
    return jax.lax.fori_loop(1, steps + 1, step, (zeros, zeros))[0]


def _rounds(begin: Any, best: Any, measure, solve, tol: float) -> tuple[Any, Array]:
    """Alternate set and solve until certified; return the best of them and the rounds."""

    def body(carry):
        now, best, count = carry
        wanted = now.nu + now.residual  # K has eigenvalues about 1: this scale needs few rounds
        free = jnp.abs(wanted) < 1
        now = measure(solve(jnp.where(free, 0.0, jnp.sign(wanted)), free, now))
        return now, better(best, now), count + 1

    def going(carry):
        now, best, count = carry
        return (best.gap > tol) & (count < _ROUNDS) & jnp.all(jnp.isfinite(now.nu))

    _, best, count = jax.lax.while_loop(going, body, (begin, best, jnp.array(0)))
    return best, count
