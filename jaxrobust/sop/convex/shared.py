"""Many l1 programs with one J and N <= p: every step one matrix product for all of them.

As in `active_set`, a guess and then rounds of the primal-dual active set, but on matrices (N, B):
the guess is ADMM on the dual with one inverse for all, x = (K + R I)^-1 (z + R (v - w)),
v = clip(1.6 x - .6 v + w), and the systems of a round are solved by conjugate gradients side by
side, K masked by each column's free set. A column that is certified keeps its value, so that a
lane's answer does not depend on its neighbours.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxrobust.sop.convex.crossover import inverse
from jaxrobust.sop.convex.dual import Found, Program, gap_at, measured

COLUMNS = 64  # side by side: the state of a loop stays in a core's cache
_SPLIT = 100  # rows from which splitting pays; below it a step's overhead counts for more
_R = 0.7  # of the mean eigenvalue of K
_RELAX = 1.6
_GUESS, _CG = 24, 14  # steps
_ROUNDS = 6
LANES = Program(None, 0, 0, None, None, None)  # pyright: ignore[reportArgumentType]
"""For vmap over the lanes of a program with one J."""


def columns(program: Program, tol: float) -> Found:
    """Solve for every row of z; rounds go on until the gap through K is within tol."""
    J, z = program.J, program.z
    K = (J @ J.T) / program.c
    low = K.astype(jnp.float32)
    apply = inverse(low + _R * jnp.eye(low.shape[0], dtype=low.dtype))

    def solve(part):
        return _solve(K, low, apply, part, tol)

    def whole(nu, count):
        return jax.vmap(measured, (LANES, 0, 0))(program, nu, count)

    B, N = z.shape
    if N < _SPLIT or B <= COLUMNS:
        nu, count = solve(z.T)
        return whole(nu.T, count)
    parts = -(-B // COLUMNS)
    padded = jnp.pad(z, ((0, parts * COLUMNS - B), (0, 0)))
    nu, count = jax.lax.map(lambda part: solve(part.T), padded.reshape(parts, COLUMNS, N))
    return whole(jnp.swapaxes(nu, 1, 2).reshape(-1, N)[:B], count.reshape(-1)[:B])


def _solve(K: Array, low: Array, apply, z: Array, tol: float) -> tuple[Array, Array]:
    """Solve for every column of z, all at once, and count each one's rounds."""

    def measure(nu):
        image = K @ nu
        residual = z - image
        return jax.vmap(gap_at, (1, 1, 0))(nu, residual, jnp.sum(nu * image, 0)), residual

    def body(carry):
        nu, residual, now, count, rounds = carry
        wanted = nu + residual
        free = jnp.abs(wanted) < 1
        mask = free.astype(low.dtype)
        jump = jnp.where(free, 0.0, jnp.sign(wanted) - nu)
        rhs = mask * (residual.astype(low.dtype) - low @ jump.astype(low.dtype))
        new = nu + jump + _conjugate_gradients(low, mask, rhs).astype(nu.dtype)
        new = jnp.clip(new, -1.0, 1.0)
        then, next_residual = measure(new)
        open_ = now > tol
        return (
            jnp.where(open_[None, :], new, nu),
            jnp.where(open_[None, :], next_residual, residual),
            jnp.where(open_, then, now),
            count + open_.astype(count.dtype),
            rounds + 1,
        )

    start = _admm(apply, z.astype(low.dtype)).astype(z.dtype)
    now, residual = measure(start)
    begin = (start, residual, now, jnp.zeros(now.shape, int), jnp.array(0))
    nu, _, _, count, _ = jax.lax.while_loop(
        lambda c: jnp.any(c[2] > tol) & (c[4] < _ROUNDS), body, begin
    )
    return nu, count


def _admm(apply, z: Array) -> Array:
    """Guess every column's nu."""

    def step(_, carry):
        v, w = carry
        x = apply(z + _R * (v - w))
        moved = _RELAX * x - (_RELAX - 1) * v + w
        v = jnp.clip(moved, -1.0, 1.0)
        return v, moved - v

    zeros = jnp.zeros_like(z)
    return jax.lax.fori_loop(0, _GUESS, step, (zeros, zeros))[0]


def _conjugate_gradients(K: Array, mask: Array, rhs: Array) -> Array:
    """Solve K_II x = rhs for every column and its own I, a fixed number of steps."""
    tiny = jnp.finfo(rhs.dtype).tiny
    scale = jnp.max(jnp.abs(rhs), 0, keepdims=True)
    scale = jnp.where(scale > 0, scale, 1.0)
    residual = rhs / scale

    def step(_, carry):
        x, residual, direction, now = carry
        image = mask * (K @ direction)
        length = now / jnp.maximum(jnp.sum(direction * image, 0, keepdims=True), tiny)
        residual = residual - length * image
        after = jnp.sum(residual * residual, 0, keepdims=True)
        turned = residual + (after / jnp.maximum(now, tiny)) * direction
        return x + length * direction, residual, turned, after

    energy = jnp.sum(residual * residual, 0, keepdims=True)
    begin = (jnp.zeros_like(rhs), residual, residual, energy)
    return scale * jax.lax.fori_loop(0, _CG, step, begin)[0]
