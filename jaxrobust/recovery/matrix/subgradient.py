"""Sub-gradient descent on the l1 loss with a rank that may be far too large.

    f(U) = (1/m) |y - A(U U')|_1,   M = (1/m) sum_i sign(<A_i, U U'> - y_i) A_i,   U <- U - eta M U

from U_0 = alpha_0 times a random U with orthonormal columns (Ma and Fattahi 2022, arXiv
2202.08788). M U is half the sub-gradient. Two step rules:

    geometric   eta_t = eta_0 rho^t / |M_t|_F      the paper's (its constants are ours)
    polyak      eta_t = (f(U_t) - f*) / (2 |M_t U_t|_F^2)      wants f* = (1/m) |s*|_1

The geometric rule's steps sum to at most eta_0 / (1 - rho): it stops moving whether it has arrived
or not, and from a small alpha_0 the way out is log(1 / alpha_0) long. `reach` says how far it goes.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.recovery.matrix.problem import adjoint, measure


class State(NamedTuple):
    """The factor, and the number of steps taken."""

    U: Float[Array, "n k"]
    t: Float[Array, ""]


class Info(NamedTuple):
    """What the step saw, before it moved."""

    loss: Float[Array, ""]
    length: Float[Array, ""]
    """eta_t |M_t|_F: by how much, relative to U, the step can move it."""


def init(key: PRNGKeyArray, n: int, k: int, scale: Any) -> State:
    """Start from a random U with orthonormal columns times `scale`.

    >>> state = init(jax.random.key(0), 4, 2, 0.5)
    >>> bool(jnp.allclose(state.U.T @ state.U, 0.25 * jnp.eye(2), atol=1e-6))
    True
    """
    n = _check.count("n", n)
    k = _check.count("k", k, 1, n)
    Q, _ = jnp.linalg.qr(jax.random.normal(key, (n, k)))
    return State(Q * _check.number("scale", scale, dtype=Q.dtype), jnp.zeros((), Q.dtype))


def geometric(eta: Any, rho: Any) -> Any:
    """Return the rule eta_t = eta rho^t / |M_t|_F, eta > 0 and rho in [0, 1]."""
    eta, rho = _check.positive("eta", eta), _check.rate("rho", rho)

    def rule(t: Array, loss: Array, M: Array, U: Array) -> Array:
        size = jnp.linalg.norm(M)
        return eta * rho**t / jnp.where(size > 0, size, 1.0)

    return rule


def polyak(lowest: Any) -> Any:
    """Return Polyak's rule with the loss at the truth, `lowest` = (1/m) |s*|_1."""

    def rule(t: Array, loss: Array, M: Array, U: Array) -> Array:
        size = jnp.sum((M @ U) ** 2)
        return jnp.maximum(loss - lowest, 0.0) / (2 * jnp.where(size > 0, size, 1.0))

    return rule


def step(A: Array | None, y: Array, state: State, rule: Any) -> tuple[State, Info]:
    """Take one step by a rule, `geometric(...)` or `polyak(...)`."""
    U, t = state
    r = measure(A, U @ U.T) - y
    loss = jnp.mean(jnp.abs(r))
    M = adjoint(A, jnp.sign(r)) / y.size
    M = (M + M.T) / 2
    eta = rule(t, loss, M, U)
    return State(U - eta * M @ U, t + 1), Info(loss, eta * jnp.linalg.norm(M))


def reach(eta: float, rho: float) -> float:
    """Return eta / (1 - rho), the sum of all steps of the geometric rule.

    |M|_F = 1 after division, so no direction of U grows by a factor beyond exp(reach).

    >>> round(reach(0.3, 0.99))
    30
    """
    eta, rho = float(_check.positive("eta", eta)), float(_check.rate("rho", rho))
    return math.inf if rho == 1 else eta / (1 - rho)


def descend(
    key: PRNGKeyArray,
    A: Any,
    y: Any,
    *,
    k: int,
    scale: Any,
    rule: Any,
    steps: int,
    snapshots: int = 1,
    used: Any = None,
) -> Float[Array, "T n n"]:
    """Run `snapshots` segments of `steps` steps each and give X = U U' after each.

    A None: the identity, y is the symmetric matrix. k columns; scale is alpha_0. `used` starts but
    the first so many columns, and may be traced: the others stay 0.

    >>> from jaxrobust.recovery.matrix import problem
    >>> wrong = problem.draw(jax.random.key(0), 10, 1, 0.1, m=100)
    >>> best = polyak(abs(wrong.s).mean())
    >>> X = descend(
    ...     jax.random.key(1), wrong.A, wrong.y, k=1, scale=0.1, rule=best, steps=500
    ... )
    >>> bool(abs(X[-1] - wrong.X).max() < 1e-3)
    True
    """
    if A is None:
        y = _check.real("y", y, (None, None))
        n = y.shape[0]
        _check.shaped("y", y, (n, n))
    else:
        A = _check.real("A", A, (None, None, None))
        _check.shaped("A", A, (None, A.shape[1], A.shape[1]))
        y, n = _check.real("y", y, (A.shape[0],)).astype(A.dtype), A.shape[1]

    def segment(state: State, _: None) -> tuple[State, Array]:
        def one(state: State, _: None) -> tuple[State, None]:
            return step(A, y, state, rule)[0], None

        state, _ = jax.lax.scan(one, state, None, length=_check.count("steps", steps))
        return state, state.U @ state.U.T

    start = init(key, n, k, scale)
    U = start.U if used is None else jnp.where(jnp.arange(k)[None, :] < used, start.U, 0.0)
    start = State(U.astype(y.dtype), start.t.astype(y.dtype))
    return jax.lax.scan(segment, start, None, length=_check.count("snapshots", snapshots))[1]
