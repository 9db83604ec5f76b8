"""The certificate of the l1 program: any nu in the box bounds how far its theta is from optimal.

The dual of min 1/2|theta|^2 + lam |s|_1, y = J theta + s is max_nu y'nu - 1/2|J'nu|^2 over
|nu_i| <= lam, and theta = J'nu. With s = y - J theta,

    P(theta) - D(nu) = sum_i (lam |s_i| - nu_i s_i),

a sum of terms >= 0 that reads correctly where the difference P - D would cancel. For a theta that
is not quite J'nu, by rounding, there is 1/2|theta - J'nu|^2 besides, far below what s loses.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxrobust import _check
from jaxrobust._status import Status


class L1Solution(NamedTuple):
    """A minimiser with its certificate; a batch has the lanes in front."""

    theta: Float[Array, "*B p"]
    s: Float[Array, "*B N"]
    nu: Float[Array, "*B N"]
    gap: Float[Array, "*B"]
    """At least (P(theta) - D(nu)) / P(theta) for these two as they are, theta rounded;
    |theta - theta*|^2 <= 2 P gap."""
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
    program = prepare(J, y / lam)
    return certify(program, y, lam, measured(program, nu / lam), 1e-10)


class Program(NamedTuple):
    """The program as the methods see it: lam is 1, and JJ' has mean eigenvalue about 1.

    With z = y / (lam c) and K = JJ' / c the dual is max z'nu - 1/2 nu'K nu over the unit box, for
    any c > 0: nu and the relative gap are those of the program as given.
    """

    J: Float[Array, "N p"]
    """As given: dividing a large matrix costs as much as multiplying by it."""
    target: Float[Array, "*B N"]
    """y / lam."""
    z: Float[Array, "*B N"]
    c: Float[Array, ""]
    """A power of two."""
    norm: Float[Array, ""]
    """|J|_F."""
    low: Float[Array, "N p"]
    """J / sqrt(c) in single precision: what does most of the work."""


class Found(NamedTuple):
    """What a method reached; all that follows from nu is computed in the precision of J."""

    nu: Float[Array, " N"]
    """In the unit box."""
    theta: Float[Array, " p"]
    """J'nu."""
    s: Float[Array, " N"]
    """y / lam - J theta."""
    residual: Float[Array, " N"]
    """s / c = z - K nu."""
    gap: Float[Array, ""]
    """Relative, without what rounding can hide."""
    steps: Int[Array, ""]


def prepare(J: Array, target: Array) -> Program:
    """Scale the program of J and target = y / lam."""
    # Dot products of rows: on a CPU XLA sums one number at a time, and wakes a thread for vdot.
    square = jnp.sum(jnp.einsum("ij,ij->i", J, J))
    info = jnp.finfo(J.dtype)
    c = jax.lax.reduce_precision(square / J.shape[0], info.nexp, 0)
    c = jnp.where(square > 0, c, 1.0)
    low = (J * (1 / jnp.sqrt(c))).astype(jnp.float32)
    return Program(J, target, target / c, c, jnp.sqrt(square), low)


def measured(program: Program, nu: Array, steps: Any = 0) -> Found:
    """Clip nu to the box and see how far it is, both products with J."""
    nu = jnp.clip(nu, -1.0, 1.0)
    theta = nu @ program.J
    s = program.target - program.J @ theta
    residual = s / program.c
    gap = gap_at(nu, residual, theta @ theta / program.c)
    return Found(nu, theta, s, residual, gap, jnp.asarray(steps))


def nothing(program: Program) -> Found:
    """Begin at nu = 0, of which nothing is known."""
    far = jnp.asarray(jnp.inf, program.z.dtype)
    theta = jnp.zeros(program.J.shape[1:], program.J.dtype)
    none = jnp.zeros_like(program.z)
    return Found(none, theta, program.target, program.z, far, jnp.array(0))


def gap_at(nu: Array, residual: Array, energy: Array) -> Array:
    """Give the relative gap where the residual z - K nu and energy = nu'K nu are known."""
    primal = 0.5 * energy + jnp.sum(jnp.abs(residual))
    absolute = jnp.sum(jnp.abs(residual) - nu * residual)
    return jnp.where(primal == 0, 0.0, absolute / primal)


def better(first: Any, second: Any) -> Any:
    """Keep what has the smaller `gap`; a NaN is none."""
    take = second.gap < first.gap
    return jax.tree.map(lambda a, b: jnp.where(take, b, a), first, second)


def certify(program: Program, y: Array, lam: Array, found: Found, tol: Any) -> L1Solution:
    """Certify what was found, on the scale of y / lam, where it cannot under- or overflow.

    The gap is the one computed plus what rounding can hide in it: s_i = z_i - J_i theta is wrong by
    about (1 + r(p)) eps (|z_i| + |J_i| |theta|) at most, its term by twice that, and
    sum_i |J_i| <= sqrt N |J|_F; likewise |theta - J'nu| <= (1 + r(N)) eps |J|_F |nu|. With
    r(n) = sqrt n these are the bounds that hold with high probability for rounding errors of either
    sign (Higham and Mary, SIAM J. Sci. Comput. 2019). In very long sums of like terms they add up,
    block by block: hence r(n) = n / 256 from n = 65536 on. The worst case is r(n) = n.
    """
    (N, p), norm = program.J.shape, program.norm
    nu, theta, s, z = found.nu, found.theta, found.s, program.target
    energy = theta @ theta
    primal = 0.5 * energy + jnp.sum(jnp.abs(s))
    # 0/0 is a certificate only where y = 0: elsewhere y / lam or P has underflowed.
    idle = (primal == 0) & ~jnp.any(y != 0)
    seen = jnp.where(idle, 0.0, jnp.sum(jnp.abs(s) - nu * s) / primal)
    size = jnp.sum(jnp.abs(z)) + N**0.5 * norm * jnp.sqrt(energy)
    info = jnp.finfo(z.dtype)
    lost = float(N * p) * info.tiny  # a product below `tiny` is flushed to 0
    hidden = 2 * (1 + _root(p)) * info.eps * (size / primal) + lost / primal
    drift = (1 + _root(N)) * info.eps * norm * jnp.sqrt(nu @ nu)  # |theta - J'nu|
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
    return L1Solution(lam * theta, lam * s, lam * nu, relative, status, found.steps)


def _root(n: int) -> float:
    return max(n**0.5, n / 256)
