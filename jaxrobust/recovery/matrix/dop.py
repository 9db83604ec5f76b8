"""Double over-parameterization: gradient descent on f = 1/4 |A(U U') + g*g - h*h - y|^2.

With r the residual, and steps alpha times larger for g and h than for U (You, Zhu, Qu, Ma, NeurIPS
2020, arXiv 2006.08857):

    U <- U - tau A*(r) U        g <- g - alpha tau r*g        h <- h + alpha tau r*h

from U = gamma I, g = h = gamma. It knows neither the rank nor the share of errors, and needs no
early stopping: where gamma -> 0 its limit solves min tr X + lam |s|_1 with lam = 1 / alpha, for
commuting maps (`flow` has the limit at any gamma). For X that is not >= 0, U V' takes the place of
U U': U <- U - tau A*(r) V, V <- V - tau A*(r)' U. These are twice the steps of f's gradient, as
[U; V] [U; V]' has X in it twice; lam = 1 / alpha stays.

Steps simultaneous, from one residual. The 1/4 and the steps follow from f; the paper's text was
not at hand for its settings.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxrobust import _check
from jaxrobust._status import Status
from jaxrobust.recovery.matrix.problem import adjoint, measure


class State(NamedTuple):
    """The factors."""

    U: Float[Array, "n k"]
    V: Float[Array, "p k"] | None
    """None: X = U U'."""
    g: Float[Array, "..."]
    h: Float[Array, "..."]

    @property
    def X(self) -> Float[Array, "n p"]:
        """Return the matrix."""
        return self.U @ (self.U if self.V is None else self.V).T

    @property
    def s(self) -> Float[Array, "..."]:
        """Return the gross errors, (g - h)(g + h)."""
        return (self.g - self.h) * (self.g + self.h)


class Info(NamedTuple):
    """What the step saw."""

    residual: Float[Array, "..."]
    """A(X) + s - y, before the step."""


class Path(NamedTuple):
    """Snapshots along a run, the last one its end."""

    X: Float[Array, "T n p"]
    s: Float[Array, "T ..."]
    residual: Float[Array, " T"]
    """max |A(X) + s - y| / max |y|."""
    status: Int[Array, ""]
    """CERTIFIED: the last residual is at most `tol`, so X and s fit the data; it does not say that
    they are optimal in any way. Else NOT_CONVERGED or NOT_FINITE."""


def init(A: Any, y: Any, gamma: Any, *, psd: bool = True, gamma_s: Any = None) -> State:
    """Start from U = gamma I and g = h = gamma, or gamma_s where that is given.

    Without `psd` U and V are gamma times the first rows of an identity of size max(n, p), so
    that U U' and V V' are gamma^2 I and X is gamma^2 on its diagonal.

    >>> import jax.numpy as jnp
    >>> init(jnp.ones((5, 2, 2)), jnp.ones(5), 0.1).U.tolist()
    [[0.1, 0.0], [0.0, 0.1]]
    """
    A, y, (n, p) = _checked(A, y, psd)
    gamma = _check.number("gamma", gamma, dtype=y.dtype)
    gamma_s = gamma if gamma_s is None else _check.number("gamma_s", gamma_s, dtype=y.dtype)
    k = max(n, p)
    V = None if psd else gamma * jnp.eye(p, k, dtype=y.dtype)
    ones = jnp.ones_like(y) * gamma_s
    return State(gamma * jnp.eye(n, k, dtype=y.dtype), V, ones, ones)


def rate(A: Array | None, y: Array, state: State, alpha: Any) -> tuple[State, Info]:
    """Return the flow's velocity (U', V', g', h'), from one residual.

    The 1/4 of f makes U' = -A*(r) U, g' = -alpha r*g and h' = alpha r*h exact.
    """
    U, V, g, h = state
    r = measure(A, state.X) + state.s - y
    G, move = adjoint(A, r), alpha * r
    if V is None:
        return State(-(G + G.T) / 2 @ U, None, -move * g, move * h), Info(r)
    return State(-G @ V, -G.T @ U, -move * g, move * h), Info(r)


def step(A: Array | None, y: Array, state: State, tau: Any, alpha: Any) -> tuple[State, Info]:
    """Take one step of gradient descent: Euler's step of length tau along the flow."""
    velocity, info = rate(A, y, state, alpha)
    return _along(state, velocity, tau), info


def flow_step(A: Array | None, y: Array, state: State, tau: Any, alpha: Any) -> tuple[State, Info]:
    """Take one Runge-Kutta step (classical, order 4) of length tau along the gradient flow.

    Where `step` is off the flow by O(tau) in the end, this one is by O(tau^4).
    """
    first, info = rate(A, y, state, alpha)
    second, _ = rate(A, y, _along(state, first, tau / 2), alpha)
    third, _ = rate(A, y, _along(state, second, tau / 2), alpha)
    fourth, _ = rate(A, y, _along(state, third, tau), alpha)
    mean = jax.tree.map(
        lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, first, second, third, fourth
    )
    return _along(state, mean, tau), info


def _along(state: State, velocity: State, tau: Any) -> State:
    return jax.tree.map(lambda at, v: at + tau * v, state, velocity)


def stable_step(A: Array | None, y: Array, alpha: Any) -> Float[Array, ""]:
    """Return a step size that is stable unless the answer is far larger than the data say.

    Near a solution a step maps r to (I - 2 tau M) r with |M| <= |A|^2 |X|_2 + alpha max(g^2 + h^2),
    and is stable for tau < 1 / |M|. |X|_2 is taken to be at most twice |Z|_2 |Z|_F^2 / |A(Z)|^2 for
    Z = A*(y), and max(g^2 + h^2) to be max|y|; half of that bound is returned.
    """
    norm = 1.0 if A is None else jnp.linalg.norm(A.reshape(A.shape[0], -1), 2)
    Z = adjoint(A, y)
    seen = jnp.sum(measure(A, Z) ** 2)
    size = jnp.linalg.norm(Z, 2) * jnp.sum(Z * Z) / jnp.where(seen > 0, seen, 1.0)
    bound = 2 * norm**2 * size + alpha * jnp.max(jnp.abs(y))
    return 0.5 / jnp.where(bound > 0, bound, 1.0)


def descend(
    A: Any,
    y: Any,
    *,
    alpha: Any,
    gamma: Any,
    steps: int,
    tau: Any = None,
    psd: bool = True,
    gamma_s: Any = None,
    snapshots: int = 1,
    tol: float = 1e-6,
    move: Any = step,
) -> Path:
    """Run `snapshots` segments of `steps` steps each from `init`, and keep X and s after each.

    tau None: `stable_step`. move: `step`, or `flow_step` for the flow itself. alpha, gamma, tau and
    gamma_s may be traced.

    >>> import jax
    >>> from jaxrobust.recovery.matrix import problem
    >>> wrong = problem.draw(jax.random.key(0), 10, 1, 0.1, m=80)
    >>> path = descend(wrong.A, wrong.y, alpha=1.0, gamma=0.01, steps=100)
    >>> path.X.shape, int(path.status)  # far from its end
    ((1, 10, 10), 2)
    """
    A, y, _ = _checked(A, y, psd)
    alpha = _check.number("alpha", alpha, dtype=y.dtype)
    steps, snapshots = _check.count("steps", steps), _check.count("snapshots", snapshots)
    tau = stable_step(A, y, alpha) if tau is None else _check.number("tau", tau, dtype=y.dtype)
    size = jnp.max(jnp.abs(y))

    def segment(state: State, _: None) -> tuple[State, Any]:
        def one(state: State, _: None) -> tuple[State, None]:
            return move(A, y, state, tau, alpha)[0], None

        state, _ = jax.lax.scan(one, state, None, length=steps)
        left = jnp.max(jnp.abs(measure(A, state.X) + state.s - y))
        return state, (state.X, state.s, left / jnp.where(size > 0, size, 1.0))

    start = init(A, y, gamma, psd=psd, gamma_s=gamma_s)
    _, (X, s, residual) = jax.lax.scan(segment, start, None, length=snapshots)
    end = residual[-1]
    status = jnp.where(end <= tol, Status.CERTIFIED, Status.NOT_CONVERGED)
    return Path(X, s, residual, jnp.where(jnp.isfinite(end), status, Status.NOT_FINITE))


def _checked(A: Any, y: Any, psd: bool) -> tuple[Array | None, Array, tuple[int, int]]:
    if A is None:
        y = _check.real("y", y, (None, None))
        shape = y.shape
    else:
        A = _check.real("A", A, (None, None, None))
        y = _check.real("y", y, (A.shape[0],)).astype(A.dtype)
        shape = A.shape[1:]
    if psd and shape[0] != shape[1]:
        raise ValueError(f"psd wants square X, got shape {shape}: take psd=False")
    return A, y, shape
