"""Where the convex surrogates end up with all the data in the world: certified minimisers.

On finitely many points the expected loss is a finite sum over u_i = clean_i x_i,

    F(w) = sum_i p_i [(1 - e_i) phi(u_i.w) + e_i phi(-u_i.w)],

with weights p_i and flip rates e_i; the mirror images (-x, -y) have the same losses. Each loss has
its own exact method and its own proof of optimality, in float64 and in plain NumPy, not for jit:

    logistic  log(1 + exp(-u))          damped Newton; the Newton decrement bounds what is left
    hinge     max(0, 1 - u)             a linear program; its dual gives a lower bound
    leaky     (1/2 - lam)|u| - u / 2    over the unit ball; the dual is a nearest-point problem

err(w) at the minimiser, `instance.error(w)`, says whether the surrogate works on the instance.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from jaxrobust import _check
from jaxrobust.halfspace.instance import Instance

LOSSES = ("logistic", "hinge", "leaky")
TOLERANCE = 1e-12
_EPS = float(np.finfo(float).eps)


class Optimum(NamedTuple):
    """A minimiser of an expected loss, with its proof."""

    w: Float[Array, " d"]
    value: float
    """The expected loss at w."""
    gap: float
    """How far the value may be above the infimum, rounding included; infinite if unproved."""
    certified: bool
    """Whether gap <= 1e-12 (of the larger of 1 and the value)."""
    unique: bool
    """Whether w is proved to be the only minimiser in the span of the points. Others may err
    differently."""


def population_optimum(instance: Instance, loss: str = "logistic", *, lam: Any = None) -> Optimum:
    """Minimise the expected loss on an instance with atoms: over all w, "leaky" over |w| <= 1.

    lam is the leaky ReLU's, in [0, 1/2] (None: the instance's eta). On points of rate lam its loss
    is 0 for every w that is right, so that the optimum may leave them undecided, w.x = 0, of which
    err counts one half. Logistic has no minimiser where some direction is right on clean points and
    indifferent to noisy ones: w grows without end, and what is returned is not certified. w has the
    dtype of the instance: in float32 it is the certified one rounded.

    >>> from jaxrobust import halfspace
    >>> it = halfspace.lever(0.05, 0.3)
    >>> best = population_optimum(it, "logistic")
    >>> print(best.certified, f"err {it.error(best.w):.2f}, OPT {it.opt:.2f}")
    True err 0.66, OPT 0.06
    """
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")
    if instance.atoms is None:
        raise ValueError("instance must be a finite one (with atoms): fit a large sample instead")
    if lam is not None and loss != "leaky":
        raise ValueError(f'lam belongs to the loss "leaky", got {lam} with {loss!r}')
    if any(isinstance(part, Tracer) for part in (*instance.atoms, instance.eta, lam)):
        raise ValueError("instance is traced: call population_optimum outside jit and vmap")
    lam = float(_check.between("lam", instance.eta if lam is None else lam, 0.0, 0.5))
    for name, part in zip(instance.atoms._fields, instance.atoms, strict=True):
        _check.real(f"instance.atoms.{name}", part)
    x, clean, rate, p = (np.asarray(part, float) for part in instance.atoms)
    u, rate, p = (v[p > 0] for v in (clean[:, None] * x, rate, p))
    if loss == "leaky":
        w, value, lower, unique = _leaky(u, rate, p, lam)
    else:
        v = np.concatenate([u, -u])
        q = np.concatenate([p * (1 - rate), p * rate])
        v, q = v[q > 0], q[q > 0]
        w, value, lower, unique = (_logistic if loss == "logistic" else _hinge)(v, q)
    size = max(1.0, abs(value))
    gap = abs(value - lower) + _EPS * size
    certified = gap <= TOLERANCE * size
    return Optimum(
        jnp.asarray(w, instance.w_star.dtype),
        float(value),
        float(gap),
        bool(certified),
        bool(unique and certified),
    )


def _logistic(v: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, float, float, bool]:
    """Minimise sum_j q_j log(1 + exp(-v_j.w)) by damped Newton in the span of the v_j.

    Let nu^2 = F' F''^-1 F' (the decrement) and S^2 = max_j v_j F''^-1 v_j, at some w. Take h with
    h F'' h = 1 and g(t) = F(w + t h): since the third derivative of phi is at most its second,
    g''(t) >= exp(-S t), and g'(0) >= -nu. Integrated twice: where nu S < 1, g has a minimum, of at
    least g(0) - nu^2. So nu^2 bounds what is left, and there is a minimiser. Along a direction in
    which F has none, nu S > 1 for ever. Asked for is 1/2, and an F'' that can be trusted: its
    condition below 1e10.
    """
    _, size, basis = np.linalg.svd(v, full_matrices=False)
    basis = basis[size > 1e-12 * size[0]]
    a = v @ basis.T

    def loss(t: np.ndarray) -> float:
        return float(q @ np.logaddexp(0.0, -(a @ t)))

    t, best, lower = np.zeros(a.shape[1]), math.inf, -math.inf
    kept = t
    for _ in range(200):
        s = 1 / (1 + np.exp(np.clip(a @ t, -700, 700)))
        slope, curve = -a.T @ (q * s), (a.T * (q * s * (1 - s))) @ a
        try:
            found = np.linalg.solve(curve, np.column_stack([slope, a.T]))
        except np.linalg.LinAlgError:
            break  # no curvature left: w grows without end
        newton, spread = found[:, 0], np.sum(a.T * found[:, 1:], axis=0)
        square, widest = max(float(slope @ newton), 0.0), max(float(np.max(spread)), 0.0)
        size = np.linalg.eigvalsh(curve)
        sure = math.sqrt(square * widest) < 0.5 and bool(size[0] > 1e-10 * size[-1])
        if (square >= best) if sure else (square < _EPS**2):
            break  # no better in this arithmetic
        kept, step = t, 1.0
        if sure:
            best, lower = square, loss(t) - square
        else:
            while loss(t - step * newton) > loss(t) - step * square / 4 and step > 1e-9:
                step /= 2
        t = t - step * newton
    return basis.T @ kept, loss(kept), lower, True


def _hinge(v: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, float, float, bool]:
    """Minimise sum_j q_j max(0, 1 - v_j.w): HiGHS, then one exact solve on its active set.

    Dual: the largest sum_j alpha_j with sum_j alpha_j v_j = 0 and 0 <= alpha <= q. A residual r of
    the equation costs |r||w|. If points with v_j.w = 1 and 0 < alpha_j < q_j span what all points
    span, then 0 is inside the subdifferential, and w is the only minimiser there.
    """
    from scipy.optimize import linprog  # imported late: it takes a second

    n, d = v.shape
    cost = np.concatenate([np.zeros(2 * d), q])
    found = linprog(
        cost,
        A_ub=np.hstack([-v, v, -np.eye(n)]),
        b_ub=-np.ones(n),
        bounds=(0, None),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if found.x is None:
        return np.zeros(d), float(np.sum(q)), -np.inf, False
    w, alpha = found.x[:d] - found.x[d : 2 * d], np.clip(-found.ineqlin.marginals, 0, q)
    left = 1 - v @ w
    active = np.abs(left) < 1e-7 * (1 + np.abs(v) @ np.abs(w))
    # Primal: the active points exactly on their kink. Dual: the others at their ends.
    if active.any():
        w = w + np.linalg.lstsq(v[active], left[active], rcond=1e-10)[0]
    alpha = np.where(active, alpha, np.where(left > 0, q, 0.0))
    inside = active & (alpha > 1e-9 * q) & (alpha < (1 - 1e-9) * q)
    if inside.any():
        alpha[inside] -= np.linalg.lstsq(v[inside].T, alpha @ v, rcond=1e-10)[0]
    alpha = np.clip(alpha, 0, q)
    value = float(q @ np.maximum(0.0, 1 - v @ w))
    lower = float(np.sum(alpha) - np.linalg.norm(alpha @ v) * np.linalg.norm(w))
    unique = inside.any() and np.linalg.matrix_rank(v[inside]) == np.linalg.matrix_rank(v)
    return w, value, lower, bool(unique)


def _leaky(
    u: np.ndarray, rate: np.ndarray, p: np.ndarray, lam: float
) -> tuple[np.ndarray, float, float, bool]:
    """Minimise sum_i p_i [(1/2 - lam)|u_i.w| - (1/2 - e_i) u_i.w] over |w| <= 1.

    F(w) = max of s.w over Z = {sum_i p_i [(1/2 - lam) t_i - 1/2 + e_i] u_i, |t_i| <= 1},
    so that min F = -min |s|: least squares in a box, solved by active sets. Any s in Z proves
    F >= -|s|. The minimiser is w = -s / |s|, and the only one; where s = 0 it is w = 0, perhaps
    among others (if all rates are lam, F = 0 at every w that makes no mistake).
    """
    from scipy.optimize import lsq_linear  # imported late: it takes a second

    linear, width = -(p * (0.5 - rate)) @ u, (0.5 - lam) * p
    if lam == 0.5:
        s = linear
    else:
        found = lsq_linear((width[:, None] * u).T, -linear, (-1, 1), method="bvls", tol=1e-15)
        t = found.x
        free = np.abs(t) < 1
        if free.any():
            a = (width[:, None] * u).T
            t[free] -= np.linalg.lstsq(a[:, free], a @ t + linear, rcond=1e-12)[0]
        s = linear + (width * np.clip(t, -1, 1)) @ u
    size = float(np.linalg.norm(s))
    w = -s / size if size > 1e-14 else np.zeros_like(s)
    z = u @ w
    value = float(p @ ((0.5 - lam) * np.abs(z) - (0.5 - rate) * z))
    return w, value, -size, size > 1e-14
