"""One l1 program: the method by its shape, and the interior point where that did not certify."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxrobust._status import Status
from jaxrobust.sop.convex import active_set, crossover, interior
from jaxrobust.sop.convex.dual import (
    Found,
    L1Solution,
    Program,
    better,
    certify,
    nothing,
    prepare,
)

AIM = 0.9  # of tol: the certificate adds what rounding can hide
_SMALL = 100  # rows up to which Cholesky of K beats products with J
_WIDE = 1.2  # p / N from which JJ' is well conditioned enough for the active set
_DETECT = 500  # columns up to which a vain try at exact recovery is cheap


def is_wide(J: Array) -> bool:
    """Return whether the active set is the method: p is well above N, and in double precision."""
    return J.dtype == jnp.float64 and J.shape[-1] >= _WIDE * J.shape[-2]


def single(J: Array, y: Array, lam: Array, tol: float) -> L1Solution:
    """Solve one program."""
    program = prepare(J, y / lam)
    N, p = J.shape
    found = nothing(program)
    aim = AIM * tol
    if is_wide(J):
        method = active_set.by_cholesky if N < _SMALL else active_set.by_conjugate_gradients
        found = method(program, aim)
    elif J.dtype == jnp.float64 and p < N:
        found = crossover.detect(program, aim) if p <= _DETECT else found
        found = jax.lax.cond(
            found.gap <= aim, lambda: found, lambda: _then(found, interior.mixed(program, aim))
        )
    result = certify(program, y, lam, found, tol)
    # A `cond`, out of which XLA does not move the forming of K, as it would out of a `while`.
    return jax.lax.cond(
        result.status == Status.CERTIFIED,
        lambda: result,
        lambda: again(program, y, lam, result, tol),
    )


def again(program: Program, y: Array, lam: Array, first: L1Solution, tol: float) -> L1Solution:
    """Solve by the interior point in double precision what another method did not certify."""
    found = interior.double(program, AIM * tol)
    second = certify(program, y, lam, found, tol)
    stalled = (second.status == Status.NOT_CONVERGED) & (found.steps < interior.STEPS)
    second = second._replace(status=jnp.where(stalled, Status.STALLED, second.status))
    keep = first.gap < second.gap  # of two certificates; False for a NaN
    kept = jax.tree.map(lambda a, b: jnp.where(keep, a, b), first, second)
    return kept._replace(iterations=first.iterations + second.iterations)


def _then(first: Found, second: Found) -> Found:
    """Keep the better answer and count the steps of both."""
    return better(first, second)._replace(steps=first.steps + second.steps)
