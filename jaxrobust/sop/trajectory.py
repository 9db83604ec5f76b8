"""Run many steps of SOP descent, in whichever space is the smaller, and keep snapshots.

N <= 2 p: in N-space (`dual`), 2 N^2 flops a step. Otherwise on (theta, u, v) with the public steps
of `descent`, 4 N p flops. Tests hold both forms together.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from jaxrobust import _check
from jaxrobust._status import Status
from jaxrobust.sop import descent, dual
from jaxrobust.sop.theory import stable_step


class Path(NamedTuple):
    """Snapshots along a run; the leading axis T counts them, the last one is the end."""

    theta: Float[Array, "T p"]
    s: Float[Array, "T N"]
    residual: Float[Array, " T"]
    """max_i |J theta + s - y|_i / max_i |y_i| (over 1 where y = 0)."""
    squared_residuals: Float[Array, "T N"]
    """sum of r_i^2 over the steps so far (see `theory.finite_step_lam`)."""
    status: Int[Array, ""]
    """CERTIFIED if the last residual is at most `tol`; otherwise NOT_CONVERGED or NOT_FINITE."""


class End(NamedTuple):
    """The end of a run: the last snapshot of a `Path`."""

    theta: Float[Array, " p"]
    s: Float[Array, " N"]
    residual: Float[Array, ""]
    squared_residuals: Float[Array, " N"]
    status: Int[Array, ""]


def trajectory(
    J: Any,
    y: Any,
    *,
    alpha: Any,
    gamma: Any,
    steps: Any,
    tau: Any = None,
    snapshots: int = 1,
    rule: str = "additive",
    tol: float = 1e-8,
) -> Path:
    """Run `snapshots` segments of `steps` steps each and keep the state after each segment.

    Parameters
    ----------
    J, y
        Matrix (N, p) and targets (N,).
    alpha, gamma, tau
        Ratio of the step sizes, scale of u_0 = v_0 in (0, 1), and step of theta; may be traced.
        Without tau, `theory.stable_step(J, y, alpha)`; the additive rule's bias is of the order of
        alpha tau, so give a smaller one where that matters.
    steps
        Steps in a segment; may be traced (a lane of few steps waits for one of many).
    snapshots
        Number of segments (static).
    rule
        "additive" is gradient descent itself, "multiplicative" the update without step bias.
    tol
        Residual at which the end counts as CERTIFIED. It says that J theta + s = y, so that descent
        is at rest; how far a finite step took it from the flow's limit is another matter.

    Examples
    --------
    >>> import jax
    >>> from jaxrobust.sop import problem
    >>> J, y, theta, s = problem.draw(jax.random.key(0), N=20, p=40, rank=5, k=2, magnitude=3.0)
    >>> path = trajectory(J, y, alpha=2.0, gamma=1e-3, steps=200, snapshots=4)
    >>> path.s.shape
    (4, 20)
    """
    J = _check.real("J", J, (None, None))
    y = _check.real("y", y, (J.shape[0],)).astype(J.dtype)
    alpha = _check.number("alpha", alpha, dtype=J.dtype)
    gamma = _check.number("gamma", gamma, 1.0, J.dtype)
    tau = stable_step(J, y, alpha, gamma) if tau is None else tau
    tau = _check.number("tau", tau, dtype=J.dtype)
    steps = steps if isinstance(steps, Tracer) else _check.count("steps", steps, 0)
    snapshots = _check.count("snapshots", snapshots)
    if rule not in ("additive", "multiplicative"):
        raise ValueError(f'rule must be "additive" or "multiplicative", got {rule!r}')
    N, p = J.shape
    if N > 2 * p:
        start, step, read = _row_form(J, y, alpha, gamma, tau, rule)
    else:
        form = dual.additive if rule == "additive" else dual.multiplicative
        start, step, read = form(J, y, alpha, gamma, tau)

    def one(_, carry):
        state, total = carry
        state, r = step(state)
        return state, total + r * r

    def segment(carry, _):
        carry = jax.lax.fori_loop(0, steps, one, carry)
        return carry, (*read(carry[0]), carry[1])

    _, (theta, s, total) = jax.lax.scan(segment, (start, jnp.zeros_like(y)), None, length=snapshots)
    size = jnp.where(jnp.any(y != 0), jnp.max(jnp.abs(y)), 1.0)
    misfit = jnp.max(jnp.abs(theta @ J.T + s - y[None, :]), axis=1)
    residual = misfit / size
    last = residual[-1]
    status = jnp.where(
        jnp.isfinite(last) & (last < 1e3),  # it starts at 1: a growing residual diverges
        jnp.where(last <= tol, Status.CERTIFIED, Status.NOT_CONVERGED),
        Status.NOT_FINITE,
    )
    return Path(theta, s, residual, total, status)


def run(J: Any, y: Any, **options: Any) -> End:
    """Run `steps` steps and give the end; the arguments are those of `trajectory`."""
    path = trajectory(J, y, snapshots=1, **options)
    return End(
        path.theta[-1], path.s[-1], path.residual[-1], path.squared_residuals[-1], path.status
    )


def _row_form(J: Array, y: Array, alpha: Any, gamma: Any, tau: Any, rule: str) -> dual.Form:
    """Iterate on (theta, u, v) with the public steps: the cheaper form when N > 2 p."""
    rule_step = descent.step if rule == "additive" else descent.multiplicative_step

    def step(state):
        state, info = rule_step(state, J, y, alpha=alpha, tau=tau)
        return state, info.residual

    return descent.init(J, gamma), step, lambda x: (x.theta, descent.sparse_part(x))
