"""`trajectory.stream` on points of two coordinates each: a step costs O(1) instead of O(d).

The points of LEVER, BASIS and their mixtures lie in one pair of coordinates (2j, 2j + 1) each, and
a step touches only that pair of w. It is held as w = rho v: the projection onto the ball changes
the number rho, |w - c x|^2 = |w|^2 - 2 c z + c^2 |x|^2 carries the length on, and the sum of the
weights so far is u + R v with R = sum of rho, where a v_j that moves by delta takes R delta off
u_j. Every 32 steps all is multiplied out and |w|^2 summed anew; meanwhile rho loses a factor 1 + mu
a step at worst, and the sum of weights as many digits: for mu up to 1. Source: w = rho v is of
Shalev-Shwartz et al. (2011, Math. Program. 127, Pegasos), u + R v of Xu (2011, arXiv 1107.2490).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxrobust import _check
from jaxrobust.halfspace import _guard, online
from jaxrobust.halfspace.instance import Instance, Points, noisy
from jaxrobust.halfspace.trajectory import Path, in_segments, over_segment, segment_of, settings

_AT_ONCE = 32  # steps between two multiplications


def in_pairs(it: Instance) -> tuple[Array, Array] | None:
    """Return each point's pair j (m,) and its two coordinates there (m, 2); None if it has more.

    >>> from jaxrobust import halfspace
    >>> [pairs.tolist() for pairs in in_pairs(halfspace.basis(3, 0.2))]
    [[0, 0, 1], [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]]
    >>> in_pairs(halfspace.gaussian_margin(2, 0.1, halfspace.adversary.constant(0.2))) is None
    True
    """
    x = None if it.atoms is None else _check.concrete(it.atoms.x)
    if x is None or it.places is None:
        return None
    m, d = x.shape
    pairs = np.pad(x, ((0, 0), (0, d % 2))).reshape(m, -1, 2)
    used = np.any(pairs != 0, axis=2)
    if np.any(np.sum(used, axis=1) > 1):
        return None
    where = np.argmax(used, axis=1)
    return jnp.asarray(where), jnp.asarray(pairs[np.arange(m), where])


def stream(
    key: Any,
    it: Instance,
    *,
    rule: Any = "normalized",
    eta: Any,
    gamma: Any,
    mu: Any,
    steps: int,
    snapshots: int = 1,
) -> Path:
    """Give `trajectory.stream(key, it.draw, it.d, ...)`, the same examples, up to rounding.

    `it` must have finitely many points, `in_pairs`, and be built outside of jit.

    >>> import jax
    >>> from jaxrobust import halfspace
    >>> options = {"eta": 0.3, "gamma": 0.02, "mu": 1e-3, "steps": 10_000}
    >>> it = halfspace.levers(5)
    >>> fast = stream(jax.random.key(0), it, **options)
    >>> slow = halfspace.stream(jax.random.key(0), it.draw, it.d, **options)
    >>> bool(abs(fast.w - slow.w).max() < 1e-5)
    True
    """
    segment, found = segment_of(steps, snapshots), in_pairs(it)
    _guard.one_key("key", key)
    if found is None or it.atoms is None or it.places is None:
        raise ValueError("it must have finitely many points in pairs of coordinates: use `stream`")
    (where, pair), atoms, places = found, it.atoms, it.places
    numbers = settings(rule, eta, gamma, mu, pair.dtype)

    def piece(state: online.State, k: Array) -> online.State:
        first, second = jax.random.split(jax.random.fold_in(key, k))  # as `Instance.draw` does
        i, sign = places(first, segment)
        points = Points(sign[:, None] * pair[i], sign * atoms.clean[i], atoms.rate[i])
        return _learn(state, (where[i], points.x, noisy(second, points)), *numbers)

    return in_segments(piece, online.init(it.d, pair.dtype), segment, jnp.arange(snapshots))


def _learn(
    state: online.State, examples: Any, rule: online.Rule, eta: Any, gamma: Any, mu: Any
) -> online.State:
    """Take one segment, `_AT_ONCE` steps between two multiplications by rho."""
    n, d = examples[0].shape[0], state.w.size
    eta, gamma, mu = (jnp.asarray(v).astype(state.w.dtype) for v in (eta, gamma, mu))
    one, zero = jnp.ones((), state.w.dtype), jnp.zeros((), state.w.dtype)

    def step(carry: Any, example: Any) -> tuple[Any, None]:
        table, rho, R, square, mistakes = carry
        j, x, y = example
        v, u = jnp.split(jax.lax.dynamic_slice(table, (j, 0), (1, 4))[0], 2)
        z = rho * (x @ v)
        c = mu * rule.slope(z, y, eta, gamma)
        R, move = R + rho, (c / rho) * x
        row = jnp.concatenate([v - move, u + R * move])
        table = jax.lax.dynamic_update_slice(table, row[None, :], (j, 0))
        square = square - 2 * c * z + c * c * (x @ x)
        shrink = jnp.where(rule.projected & (square > 1), jax.lax.rsqrt(square), one)
        shrink = jnp.where(square < jnp.inf, shrink, jnp.nan)  # an overflow is not 0
        square = square * shrink * shrink
        mistakes = mistakes + online.wrong(z, y).astype(jnp.int32)
        return (table, rho * shrink, R, square, mistakes), None

    def few(carry: Any, examples: Any) -> tuple[Any, None]:
        w, _, total, mistakes = carry
        table = jnp.stack([jnp.pad(v, (0, d % 2)).reshape(-1, 2) for v in (w, total)], axis=1)
        begin = (table.reshape(-1, 4), one, zero, w @ w, mistakes)
        (table, rho, R, _, mistakes), _ = jax.lax.scan(step, begin, examples)
        v, u = (table[:, part].reshape(-1)[:d] for part in (slice(0, 2), slice(2, 4)))
        return (rho * v, one, u + R * v, mistakes), None

    whole, rest = divmod(n, _AT_ONCE)

    def run(carry: Any) -> Any:
        if whole:
            parts = [e[: n - rest].reshape(whole, _AT_ONCE, *e.shape[1:]) for e in examples]
            carry = jax.lax.scan(few, carry, tuple(parts))[0]
        return few(carry, tuple(e[n - rest :] for e in examples))[0] if rest else carry

    return over_segment(state, run)
