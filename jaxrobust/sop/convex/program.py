"""The front door of the l1 program: checks, and the way by shape, rank and what is shared."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.custom_batching import custom_vmap
from jaxtyping import Array

from jaxrobust import _check
from jaxrobust._machine import cores
from jaxrobust._status import Status
from jaxrobust.sop.convex import shared
from jaxrobust.sop.convex.dual import L1Solution, certify, prepare
from jaxrobust.sop.convex.lowrank import Factored
from jaxrobust.sop.convex.single import AIM, again, is_wide, single
from jaxrobust.sop.convex.threads import in_parts, one_core

_WORTH = 500_000  # entries of J, once a lane: with less to do a thread costs more than it brings


def solve_l1(
    J: Any,
    y: Any,
    lam: Any,
    *,
    tol: float = 1e-10,
    threads: int | None = None,
) -> L1Solution:
    """Solve min 1/2|theta|^2 + lam |s|_1 s.t. y = J theta + s to a certified relative gap.

    The same program as least absolute deviations with a ridge,
    min_theta 1/2|theta|^2 + lam |y - J theta|_1, and as scikit-learn's
    LinearSVR(epsilon=0, C=lam, fit_intercept=False).

    The method follows the shape. N <= p: active set, by Cholesky or by conjugate gradients in
    mixed precision; p < N: ADMM where it finds exact recovery, else an interior point in mixed
    precision. What does not certify, JJ' near singular for one, goes to an interior point in
    double precision. A batch with one J takes every step for all lanes at once (N <= p), else lane
    by lane, and so does `jax.vmap(solve_l1)`; a batch given outside jit uses all cores besides.

    Parameters
    ----------
    J
        Matrix (N, p) of any shape and rank, one a lane (B, N, p), or `factor(J)` for a low rank.
        Use float64: in float32 the gap stops near 1e-6 and the status says ROUNDING_LIMIT.
    y
        Targets (N,), or (B, N).
    lam
        Weight of the l1 norm, > 0, or (B,): with one y, a path. May be traced.
    tol
        Relative gap that counts as CERTIFIED; theta is within sqrt(2 P gap) of the minimiser.
    threads
        Parts that a batch is cut into outside jit, each on a core; by default one a core where
        they are worth a thread each.

    Returns
    -------
    `L1Solution`; never an uncertified answer that looks certified: read `status`. It is not made to
    be differentiated; the optimal value P has dP/dy = nu and dP/dlam = |s|_1.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> solution = solve_l1(jnp.ones((3, 1)), jnp.array([1.0, 1.0, 9.0]), lam=1.0, tol=1e-4)
    >>> [round(float(x), 3) for x in solution.s], int(solution.status)
    ([-0.0, -0.0, 8.0], 0)
    >>> path = solve_l1(jnp.eye(2), jnp.array([1.0, 5.0]), jnp.array([2.0, 3.0]), tol=1e-4)
    >>> [round(float(x), 2) for x in path.s[:, 1]]
    [3.0, 2.0]
    """
    J, basis = (J.core, J.basis) if isinstance(J, Factored) else (J, None)
    J, y, lam = _arguments(J, y, lam)
    _check.number("tol", tol)
    tol = float(tol)
    if threads is not None:
        _check.count("threads", threads)
    shape = np.broadcast_shapes(J.shape[:-2], y.shape[:-1], lam.shape)
    if not shape:
        found = _compiled(tol)(J, y, lam)
    elif any(isinstance(x, Tracer) for x in (J, y, lam)):
        axes = (0 if J.ndim == 3 else None, 0 if y.ndim == 2 else None, 0 if lam.ndim else None)
        found = jax.vmap(_solver(tol), axes)(J, y, lam)
    else:
        # As many threads as the batch is worth, unless the caller knows.
        worth = 1 + shape[0] * J.shape[-2] * J.shape[-1] // _WORTH
        parts = min(cores(), worth) if threads is None else threads
        found = in_parts(partial(_compiled_part, tol), (J, y, lam), shape[0], parts)
    return found if basis is None else found._replace(theta=found.theta @ basis.T)


def _arguments(J: Any, y: Any, lam: Any) -> tuple[Array, Array, Array]:
    J = _check.real("J", J)
    _check.shaped("J", J, (None,) * max(2, min(3, J.ndim)))
    y = _check.real("y", y)
    _check.shaped("y", y, (None,) * (max(1, min(2, y.ndim)) - 1) + (J.shape[-2],))
    _normal("y", y)
    lam = _check.numbers("lam", lam, dtype=J.dtype)
    _normal("lam", lam)
    if lam.size == 0:
        raise ValueError(f"lam must hold at least one number, got shape {lam.shape}")
    if lam.ndim > 1:
        raise ValueError(f"lam must be a number or have shape (lanes,), got {lam.shape}")
    lanes = {J.shape[:-2], y.shape[:-1], lam.shape} - {()}
    if len(lanes) > 1:
        raise ValueError(
            f"J, y and lam must have as many lanes, got J {J.shape}, y {y.shape}, lam {lam.shape}"
        )
    return J, y if y.dtype == J.dtype else y.astype(J.dtype), lam


def _normal(name: str, x: Any) -> None:
    """Refuse numbers so small that XLA takes them for 0."""
    values, tiny = _check.concrete(x), np.finfo(jnp.result_type(float)).tiny
    if values is not None and np.any((values != 0) & (abs(values) < tiny)):
        raise ValueError(
            f"{name} holds numbers below {tiny:.1e}, which count as 0: scale y and lam up"
        )


@lru_cache
def _compiled(tol: float):
    return jax.jit(_solver(tol))


@lru_cache
def _compiled_part(tol: float, size: int):
    """Return `part(J, y, lam, start)` for `size` lanes of a batch."""
    solve = _solver(tol)

    def part(J, y, lam, start):
        def mine(x, alone):
            if x.ndim == alone:
                return jnp.broadcast_to(x, (size, *x.shape))
            return jax.lax.dynamic_slice_in_dim(x, start, size)

        y, lam = mine(y, 1), mine(lam, 0)
        if J.ndim == 2:
            return jax.vmap(solve, (None, 0, 0))(J, y, lam)
        return jax.lax.map(lambda i: solve(J[start + i], y[i], lam[i]), jnp.arange(size))

    return jax.jit(part, compiler_options=one_core())


@lru_cache
def _solver(tol: float):
    """Return solve(J, y, lam) for one program, which knows how to be mapped."""

    @custom_vmap
    def solve(J, y, lam):
        return single(J, y, lam, tol)

    @solve.def_vmap
    def _(size, mapped, J, y, lam):
        y = y if mapped[1] else jnp.broadcast_to(y, (size, *y.shape))
        lam = lam if mapped[2] else jnp.broadcast_to(lam, (size,))
        if not mapped[0] and is_wide(J):
            found = together(J, y, lam)
        else:
            # Not a vmap of `single`: all lanes would wait for the slowest, out of the cache.
            lanes = (J if mapped[0] else None, y, lam)
            found = jax.lax.map(
                lambda lane: solve(J if lane[0] is None else lane[0], *lane[1:]), lanes
            )
        return found, jax.tree.map(lambda _: True, found)

    @custom_vmap
    def together(J, y, lam):
        program = prepare(J, y / lam[:, None])
        found = shared.columns(program, AIM * tol)
        result = jax.vmap(certify, (shared.LANES, 0, 0, 0, None))(program, y, lam, found, tol)
        sure = result.status == Status.CERTIFIED

        def lane(each):
            sure, target, z, y, lam, result = each
            one = program._replace(target=target, z=z)
            return jax.lax.cond(sure, lambda: result, lambda: again(one, y, lam, result, tol))

        lanes = (sure, program.target, program.z, y, lam, result)
        return jax.lax.cond(jnp.all(sure), lambda: result, lambda: jax.lax.map(lane, lanes))

    @together.def_vmap
    def _(size, mapped, *batches):
        def one(lane):
            return together(*(b if x is None else x for b, x in zip(batches, lane, strict=True)))

        lanes = tuple(b if m else None for b, m in zip(batches, mapped, strict=True))
        found = jax.lax.map(one, lanes)
        return found, jax.tree.map(lambda _: True, found)

    return solve
