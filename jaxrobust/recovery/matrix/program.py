"""The convex program that knows nothing of the rank: nuclear norm plus l1, with a certificate.

    min_X |X|_* + lam |y - A(X)|_1        (with `psd`: over X >= 0, where |X|_* = tr X)

The identity A is principal component pursuit (Candes, Li, Ma, Wright 2011, arXiv 0912.3599). The
dual is max <y, nu> over |nu_i| <= lam and |A*(nu)|_2 <= 1 (with `psd`: its largest eigenvalue), so
any X and any nu, made feasible by clipping and scaling, bound how far X is from optimal.

Found by the alternating direction method of multipliers on Z = X, t = A(X) with over-relaxation
1.6 and a balanced penalty (Boyd et al. 2011, section 3.4). Penalties that only grow, as in the
inexact augmented Lagrangian codes, freeze the dual: they stop early, at a wrong point, unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxrobust import _check
from jaxrobust._status import Status
from jaxrobust.recovery.matrix.problem import adjoint, measure
from jaxrobust.recovery.matrix.prox import nuclear, shrink, soft, spectral

_RELAX = 1.6
_ROUND = 25  # steps between two looks at the gap
_BALANCED = 40  # rounds in which the penalty may change: later it stays, and the method converges


class Solution(NamedTuple):
    """A minimiser with its certificate."""

    X: Float[Array, "n p"]
    s: Float[Array, "..."]
    """y - A(X)."""
    nu: Float[Array, "..."]
    """Feasible for the dual."""
    value: Float[Array, ""]
    gap: Float[Array, ""]
    """At least (value - <y, nu>) / value >= (value - optimum) / value, recomputed from X and nu;
    what rounding can hide is added."""
    status: Int[Array, ""]
    iterations: Int[Array, ""]


class _State(NamedTuple):
    Z: Array
    t: Array
    U: Array
    W: Array
    rho: Array
    best: Solution


_Step = Callable[[_State], tuple[_State, Array]]


def weight(n: int, p: int) -> float:
    """Return lam = 1 / sqrt(max(n, p)), which principal component pursuit needs no tuning of.

    Source: Candes et al. 2011, Theorem 1.1.

    >>> weight(100, 25)
    0.1
    """
    return 1.0 / max(_check.count("n", n), _check.count("p", p)) ** 0.5


def certificate(A: Any, y: Any, lam: Any, X: Any, nu: Any, *, psd: bool = False) -> Solution:
    """Make nu feasible and give the relative gap between it and X; the status asks for 1e-8.

    nu is clipped to |nu_i| <= lam and divided by max(1, gauge of A*(nu)). With `psd` the symmetric
    part of X counts, and one that is not >= 0 has value and gap infinite.

    >>> import jax.numpy as jnp
    >>> point = certificate(None, jnp.eye(2), 1.0, jnp.eye(2), jnp.eye(2))
    >>> float(point.value), bool(point.gap < 1e-4)
    (2.0, True)
    """
    A, y, lam, shape = _checked(A, y, lam, psd)
    X = _check.real("X", X, shape).astype(y.dtype)
    nu = _check.real("nu", nu, y.shape).astype(y.dtype)
    return _certify(A, y, lam, X, nu, psd, 1e-8)


def solve(
    A: Any,
    y: Any,
    lam: Any = None,
    *,
    psd: bool = False,
    tol: float = 1e-8,
    max_iterations: int = 5_000,
) -> Solution:
    """Minimise |X|_* + lam |y - A(X)|_1 and certify it.

    Parameters
    ----------
    A, y
        Maps (m, n, p) and measurements (m,); A None: the identity, y is the matrix (n, p).
    lam
        Weight of the l1 norm, > 0; None: `weight(n, p)`, for the identity.
    psd
        Over positive semi-definite X (static); then n = p.
    tol
        Relative duality gap at which the answer is CERTIFIED, in (0, 1). What rounding can hide is
        part of the gap: in float32 about 1e-5 is the best to be had, else the status is
        ROUNDING_LIMIT.
    max_iterations
        Steps at most, rounded up to 25s, each one eigenvalue decomposition.

    Examples
    --------
    >>> import jax
    >>> from jaxrobust.recovery.matrix import problem
    >>> wrong = problem.draw(jax.random.key(0), 20, 1, 0.05, p=20)
    >>> found = solve(None, wrong.y, tol=1e-4)
    >>> int(found.status), bool(abs(found.X - wrong.X).max() < 1e-2)
    (0, True)
    """
    A, y, lam, shape = _checked(A, y, lam, psd)
    goal = _check.number("tol", tol, 1.0, y.dtype)
    most = _check.count("max_iterations", max_iterations)
    # In units of max|y|: squares would leave the range of numbers otherwise.
    size = jnp.max(jnp.abs(y))
    unit = jnp.where(size > 0, size, 1.0)
    found = _solve(A, y / unit, lam, shape, psd, goal, most)
    return found._replace(X=unit * found.X, s=unit * found.s, value=unit * found.value)


@partial(jax.jit, static_argnums=(3, 4, 6))
def _solve(
    A: Array | None,
    y: Array,
    lam: Array,
    shape: tuple[int, int],
    psd: bool,
    tol: Any,
    most: int,
) -> Solution:
    # Maps and measurements over the maps' norm: then X and t weigh alike.
    norm = jnp.ones((), y.dtype) if A is None else jnp.linalg.norm(A.reshape(A.shape[0], -1), 2)
    norm = jnp.where(norm > 0, norm, 1.0)
    step = _pursuit(y, lam, psd) if A is None else _sensing(A / norm, y / norm, lam * norm, psd)

    def a_round(carry: tuple[_State, Array]) -> tuple[_State, Array]:
        state, rounds = carry
        state, ratios = jax.lax.scan(lambda at, _: step(at), state, None, length=_ROUND)
        nu = -state.rho * state.W / norm
        here = _certify(A, y, lam, state.Z, nu, psd, tol)
        better = here.gap < state.best.gap
        best = jax.tree.map(lambda a, b: jnp.where(better, a, b), here, state.best)
        best = best._replace(iterations=(rounds + 1) * _ROUND)
        factor = jnp.where(jnp.isfinite(ratios[-1]), jnp.clip(ratios[-1], 0.2, 5.0), 1.0)
        factor = jnp.where(rounds < _BALANCED, factor, 1.0)
        scaled = state._replace(
            U=state.U / factor, W=state.W / factor, rho=state.rho * factor, best=best
        )
        return scaled, rounds + 1

    def going(carry: tuple[_State, Array]) -> Array:
        state, rounds = carry
        sound = jnp.all(jnp.isfinite(state.Z))
        return (state.best.gap > tol) & (rounds * _ROUND < most) & sound

    zero = jnp.zeros(shape, y.dtype)
    begin = _certify(A, y, lam, zero, jnp.zeros_like(y), psd, tol)
    size = jnp.sqrt(_square(y)) / norm
    rho = jnp.sqrt(jnp.asarray(shape[0], y.dtype)) / jnp.where(size > 0, size, 1.0)
    state = _State(zero, jnp.zeros_like(y), zero, jnp.zeros_like(y), rho, begin)
    state, _ = jax.lax.while_loop(going, a_round, (state, jnp.zeros((), jnp.int32)))
    return state.best


def _sensing(B: Array, b: Array, bound: Array, psd: bool) -> _Step:
    """Return a step on min |Z|_* + bound |b - t|_1 s.t. Z = X, t = B(X)."""
    flat = B.reshape(B.shape[0], -1)
    K = jnp.linalg.inv(jnp.eye(b.size, dtype=b.dtype) + flat @ flat.T)

    def step(state: _State) -> tuple[_State, Array]:
        Z, t, U, W, rho, _ = state
        R = Z - U + adjoint(B, t - W)
        X = R - adjoint(B, K @ measure(B, R))  # (I + B*B)^-1 R
        t_X = measure(B, X)
        X_bar, t_bar = _RELAX * X + (1 - _RELAX) * Z, _RELAX * t_X + (1 - _RELAX) * t
        Z_new = shrink(X_bar + U, 1 / rho, psd)
        t_new = b + soft(t_bar + W - b, bound / rho)
        apart = (_square(X - Z_new) + _square(t_X - t_new)) / (_square(Z_new) + _square(t_new))
        U, W = U + X_bar - Z_new, W + t_bar - t_new
        moved = _square(Z_new - Z + adjoint(B, t_new - t)) / (_square(U) + _square(W))
        return state._replace(Z=Z_new, t=t_new, U=U, W=W), (apart / moved) ** 0.25

    return step


def _pursuit(y: Array, bound: Array, psd: bool) -> _Step:
    """Return a step on min |Z|_* + bound |y - t|_1 s.t. Z = t."""

    def step(state: _State) -> tuple[_State, Array]:
        _, t, _, W, rho, _ = state
        Z = shrink(t - W, 1 / rho, psd)
        Z_bar = _RELAX * Z + (1 - _RELAX) * t
        t_new = y + soft(Z_bar + W - y, bound / rho)
        W = W + Z_bar - t_new
        apart = _square(Z - t_new) / jnp.maximum(_square(Z), _square(t_new))
        moved = _square(t_new - t) / _square(W)
        return state._replace(Z=Z, t=t_new, W=W), (apart / moved) ** 0.25

    return step


def _certify(
    A: Array | None, y: Array, lam: Array, X: Array, nu: Array, psd: bool, tol: Any
) -> Solution:
    X = (X + X.T) / 2 if psd else X
    nu = jnp.clip(nu, -lam, lam)
    nu = nu / jnp.maximum(1.0, spectral(adjoint(A, nu), psd))
    s = y - measure(A, X)
    value = nuclear(X, psd) + lam * jnp.sum(jnp.abs(s))
    low = jnp.sum(y * nu)
    # Sums of so many terms, each with a unit of rounding or two; the gauge has that much besides.
    terms = value + jnp.sum(jnp.abs(y * nu))
    hidden = 2 * jnp.finfo(y.dtype).eps * jnp.sqrt(jnp.asarray(y.size, y.dtype)) * terms
    whole = jnp.where(value == 0, 1.0, value)
    gap = jnp.where(value == 0, 0.0, (jnp.maximum(value - low, 0.0) + hidden) / whole)
    gap = jnp.where(jnp.isinf(value), jnp.inf, gap)
    stuck = jnp.where(hidden / whole > 0.5 * gap, Status.ROUNDING_LIMIT, Status.NOT_CONVERGED)
    short = jnp.where(jnp.isfinite(gap), stuck, Status.NOT_FINITE)
    status = jnp.where(gap <= tol, Status.CERTIFIED, short)
    return Solution(X, s, nu, value, gap, status, jnp.zeros((), jnp.int32))


def _square(x: Array) -> Array:
    return jnp.sum(x * x)


def _checked(A: Any, y: Any, lam: Any, psd: bool) -> tuple[Array | None, Array, Array, Any]:
    """Refuse what does not fit together; give A, y, lam and the shape of X."""
    if A is None:
        y = _check.real("y", y, (None, None))
        shape = y.shape
        lam = weight(*shape) if lam is None else lam
    else:
        A = _check.real("A", A, (None, None, None))
        y = _check.real("y", y, (A.shape[0],)).astype(A.dtype)
        shape = A.shape[1:]
        if lam is None:
            raise ValueError(
                "lam is None: name the weight of the l1 norm (only the identity, A=None, has a "
                "default); about 1 / |A|_op is a start"
            )
    if psd and shape[0] != shape[1]:
        raise ValueError(f"psd wants square X, got shape {shape}: take psd=False")
    return A, y, _check.number("lam", lam, dtype=y.dtype), shape
