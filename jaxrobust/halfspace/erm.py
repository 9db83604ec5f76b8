"""The best halfspace of the plane, exactly: minimal 0-1 error by a sweep over angles.

Turn w = (-sin t, cos t) through half a turn. Each point is a line through 0 at an angle c in
[0, pi), and w.x changes its sign only when t passes c: n sorted angles, one cumulative sum of what
each passing costs, and the other half turn errs on exactly the other points. O(n log n).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrobust import _check
from jaxrobust.halfspace.instance import predict


class Erm(NamedTuple):
    """A minimiser and its error."""

    w: Float[Array, "2"]
    error: Float[Array, ""]
    """Weighted share of wrong labels under sign(w.x), counted again with the w returned."""


def erm_2d(x: Any, y: Any, weight: Any = None) -> Erm:
    """Minimise sum_i weight_i 1{sign(w.x_i) != y_i} / sum_i weight_i over w in the plane.

    Parameters
    ----------
    x, y
        Points (n, 2) of any length, labels -1 and +1 (n,). A point at 0 is always predicted +1.
    weight
        At least 0, not all 0; None for equal weights.

    Returns
    -------
    Erm
        w of length 1 in the middle of the best arc, of equally good ones the widest. Arcs narrower
        than 16 roundings are passed over: they are ties, not halfspaces with a margin. A w exactly
        on a point's line is no candidate either (it would have the +1 of sign 0 for free).
        NaN under jit where x or a weight is not finite, or all weights are 0.

    >>> import jax.numpy as jnp
    >>> best = erm_2d(jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 1.0]]), jnp.array([1.0, 1.0, -1.0]))
    >>> print(f"{best.w[0]:.3f} {best.w[1]:.3f} {best.error:.1f}")
    0.924 0.383 0.0
    """
    x = _check.real("x", x, (None, 2))
    y = _check.signs("y", y).astype(x.dtype)
    n, dtype = x.shape[0], x.dtype
    _check.shaped("y", y, (n,))
    if weight is None:
        weight = jnp.ones(n, dtype)
    else:
        weight = _check.between("weight", weight, 0.0, math.inf).astype(dtype)
        _check.shaped("weight", weight, (n,))
        values = _check.concrete(weight)
        if values is not None and not values.any():
            raise ValueError("weight is 0 everywhere: give at least one example a weight above 0")
    return _sweep(x, y, weight)


@jax.jit
def _sweep(x: Array, y: Array, weight: Array) -> Erm:
    n, dtype = x.shape[0], x.dtype
    total = jnp.sum(weight)
    valid = jnp.all(jnp.isfinite(x)) & jnp.isfinite(total) & jnp.all(weight >= 0) & (total > 0)

    # The angle of the line through x: x or -x, whichever points up, so opposite points tie exactly.
    up = (x[:, 1] > 0) | ((x[:, 1] == 0) & (x[:, 0] > 0))
    side = jnp.where(up, 1.0, -1.0).astype(dtype)
    counts = (weight > 0) & jnp.any(x != 0, axis=1)
    c = jnp.where(counts, jnp.arctan2(side * x[:, 1], side * x[:, 0]), jnp.inf)
    # Before t passes c the line's upper half is on the + side, after it on the - side.
    upper = jnp.where(counts, weight * side * y, jnp.zeros_like(weight))
    order = jnp.argsort(c)
    c, passing = c[order], jnp.cumsum(upper[order])
    error = jnp.sum(jnp.maximum(-upper, 0.0)) + passing
    last = jnp.arange(n) == jnp.sum(counts) - 1
    following = jnp.where(last, c[0] + math.pi, jnp.roll(c, -1))
    arc = jnp.isfinite(c) & (following - c > 16 * float(jnp.finfo(dtype).eps))

    # Both w (the arc after c_k) and -w, which is wrong where w is right.
    error = jnp.concatenate([error, jnp.sum(jnp.abs(upper)) - error])
    error = jnp.where(jnp.concatenate([arc, arc]), error, jnp.inf)
    width = jnp.concatenate([following - c, following - c])
    close = error <= jnp.min(error) + 8 * float(jnp.finfo(dtype).eps) * total
    k = jnp.argmax(jnp.where(close & jnp.isfinite(error), width, -1.0))
    middle = (c + jnp.where(jnp.isfinite(c), 0.5 * (following - c), 0.0))[k % n]
    t = jnp.where(jnp.isfinite(middle), middle, 0.0)  # all points at 0: any w
    w = jnp.where(k < n, 1.0, -1.0).astype(dtype) * jnp.stack([-jnp.sin(t), jnp.cos(t)])
    w = jnp.where(valid, w, jnp.nan)
    wrong = (predict(w, x) != y).astype(dtype)
    return Erm(w, jnp.where(valid, (weight @ wrong) / total, jnp.nan))
