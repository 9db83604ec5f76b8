"""The certificate of the l1 program: any nu in the box bounds how far its theta is from optimal.

The dual of min 1/2|theta|^2 + lam |s|_1, y = J theta + s is max_nu y'nu - 1/2|J'nu|^2 over
|nu_i| <= lam, and theta = J'nu. With s = y - J theta,

    P(theta) - D(nu) = sum_i (lam |s_i| - nu_i s_i),

a sum of terms >= 0 that reads correctly where the difference P - D would cancel. For a theta that
is not quite J'nu, by rounding, there is 1/2|theta - J'nu|^2 besides, far below what s loses.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxrobust import _check
from jaxrobust.sop.status import Status


class L1Solution(NamedTuple):
    """A minimiser with its certificate; a batch has the lanes in front."""

    theta: Float[Array, "*B p"]
    s: Float[Array, "*B N"]
    nu: Float[Array, "*B N"]
    gap: Float[Array, "*B"]
    """At least (P(theta) - D(nu)) / P(theta) for these two; |theta - theta*|^2 <= 2 P gap."""
    status: Int[Array, "*B"]
    iterations: Int[Array, "*B"]


def certificate(J: Any, y: Any, lam: Any, nu: Any) -> L1Solution:
    """Give the primal point that nu implies and the relative duality gap between the two.

    nu is clipped to the box, theta = J'nu, s = y - J theta; gap as in the module's formula, and
    what rounding of s can hide is added to it. The status is CERTIFIED at gap <= 1e-10, else
    ROUNDING_LIMIT when the gap is about what rounding can make, else NOT_CONVERGED; `iterations`
    is 0.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> point = certificate(jnp.eye(2), jnp.array([0.5, 3.0]), 1.0, jnp.array([0.5, 9.0]))
    >>> bool(point.gap < 1e-5), point.s.tolist()
    (True, [0.0, 2.0])
    """
    J = _check.real("J", J, (None, None))
    y = _check.real("y", y, (J.shape[0],)).astype(J.dtype)
    lam = _check.number("lam", lam, dtype=J.dtype)
    nu = _check.real("nu", nu, y.shape).astype(J.dtype)
    return certify(J, y, lam, nu / lam, 1e-10, jnp.array(0))


def certify(J: Array, y: Array, lam: Array, nu: Array, tol: Any, count: Array) -> L1Solution:
    """Certify lam * nu from scratch on the scale of y / lam, where it cannot under- or overflow.

    The gap is the one computed plus what rounding can hide in it: s_i = z_i - J_i theta is wrong by
    about (1 + sqrt p) eps (|z_i| + |J_i| |theta|) at most, its term by twice that, and
    sum_i |J_i| <= sqrt N |J|_F; likewise |theta - J'nu| <= (1 + sqrt N) eps |J|_F |nu|. These are
    the bounds that hold with high probability for rounding errors of either sign (Higham and Mary,
    SIAM J. Sci. Comput. 2019); the worst case, never met in practice, has p and N for their roots.
    """
    N, p = J.shape
    nu, z = jnp.clip(nu, -1.0, 1.0), y / lam
    theta = nu @ J
    s = z - J @ theta
    energy = theta @ theta
    primal = 0.5 * energy + jnp.sum(jnp.abs(s))
    # 0/0 is a certificate only where y = 0: elsewhere P has underflowed.
    idle = (primal == 0) & ~jnp.any(y != 0)
    seen = jnp.where(idle, 0.0, jnp.sum(jnp.abs(s) - nu * s) / primal)
    norm = jnp.sqrt(jnp.vdot(J, J))
    size = jnp.sum(jnp.abs(z)) + N**0.5 * norm * jnp.sqrt(energy)
    info = jnp.finfo(J.dtype)
    lost = float(N * p) * info.tiny  # a product below `tiny` is flushed to 0
    hidden = 2 * (1 + p**0.5) * info.eps * (size / primal) + lost / primal
    drift = (1 + N**0.5) * info.eps * norm * jnp.sqrt(nu @ nu)  # |theta - J'nu|
    hidden = hidden + 0.5 * drift * (drift / primal)
    hidden = jnp.where(idle, 0.0, hidden)
    # What is given back is lam times this: it must be there whole.
    flushed = (lam < info.tiny / info.eps**2) & ~idle
    sound = jnp.isfinite(lam * (size + jnp.sqrt(energy)))
    relative = jnp.where(sound, jnp.where(flushed, jnp.inf, seen + hidden), jnp.nan)
    at_limit = flushed | ((seen <= 8 * hidden) & (relative <= jnp.maximum(1e-2, tol)))
    status = jnp.where(at_limit, Status.ROUNDING_LIMIT, Status.NOT_CONVERGED)
    status = jnp.where(relative <= tol, Status.CERTIFIED, status)
    status = jnp.where(jnp.isfinite(relative) | (flushed & sound), status, Status.NOT_FINITE)
    return L1Solution(lam * theta, lam * s, lam * nu, relative, status, count)


class Program(NamedTuple):
    """The program as the methods see it: lam is 1, and JJ' has mean eigenvalue 1.

    With z = y / (lam c) and K = JJ' / c the dual is max z'nu - 1/2 nu'K nu over the unit box, for
    any c > 0: nu and the relative gap are those of the program as given.
    """

    J: Float[Array, "N p"]
    """As given: dividing a large matrix costs as much as multiplying by it."""
    z: Float[Array, "*B N"]
    c: Float[Array, ""]
    low: Float[Array, "N p"]
    """J / sqrt(c) in single precision: what does most of the work."""


class Found(NamedTuple):
    """What a method reached: nu in the unit box, its relative gap as the method saw it, steps."""

    nu: Float[Array, " N"]
    gap: Float[Array, ""]
    steps: Int[Array, ""]


def prepare(J: Array, z: Array) -> Program:
    """Scale the program of J and z = y / lam."""
    energy = jnp.vdot(J, J) / J.shape[0]  # a dot product: XLA sums one number at a time on a CPU
    c = jnp.where(energy > 0, energy, 1.0)
    return Program(J, z / c, c, (J * (1 / jnp.sqrt(c))).astype(jnp.float32))


def nothing(program: Program) -> Found:
    """Begin at nu = 0, of which nothing is known."""
    far = jnp.asarray(jnp.inf, program.z.dtype)
    return Found(jnp.zeros_like(program.z), far, jnp.array(0))


def gap(program: Program, nu: Array) -> tuple[Array, Array]:
    """Give the relative gap of nu in the unit box, and the residual z - K nu, both through J."""
    J, z, c, _ = program
    theta = nu @ J
    residual = z - (J @ theta) / c
    return gap_at(nu, residual, theta @ theta / c), residual


def gap_at(nu: Array, residual: Array, energy: Array) -> Array:
    """Give the relative gap where the residual z - K nu and energy = nu'K nu are known."""
    primal = 0.5 * energy + jnp.sum(jnp.abs(residual))
    absolute = jnp.sum(jnp.abs(residual) - nu * residual)
    return jnp.where(primal == 0, 0.0, absolute / primal)
