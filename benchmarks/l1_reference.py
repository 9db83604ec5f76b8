"""A NumPy reference of the l1 program: what an answer without a certificate is held against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from benchmarks.l1_cells import Problem, gap, primal


def optima(problem: Problem) -> np.ndarray:
    """Give P* of every lane to about 1e-14; ValueError where the reference stops above 1e-12."""
    best = np.empty(len(problem.y))
    for i in range(len(problem.y)):
        J, y, lam = problem.matrix(i), problem.y[i], problem.lam[i]
        nu = reference(J, y, lam)
        found = gap(J, y, lam, nu)
        if not found <= 1e-12:
            raise ValueError(f"the reference stopped at gap {found:.1e} in lane {i}: change seed")
        best[i] = primal(J, y, lam, J.T @ nu)
    return best


def reference(J: np.ndarray, y: np.ndarray, lam: float, steps: int = 60) -> np.ndarray:
    """Solve one problem by Mehrotra's interior point on the box dual, for y / lam in the unit box.

    Slacks a = 1 + nu and b = 1 - nu are variables of their own, with multipliers za and zb.
    """
    N, y = len(y), y / lam
    factor = _factor(J)
    nu, a, b = np.zeros(N), np.ones(N), np.ones(N)
    za, zb = (np.mean(np.abs(y)) + np.maximum(sign * y, 0.0) for sign in (-1, 1))
    best, least, stall = nu, np.inf, 0
    for _ in range(steps):
        solve = factor(za / a + zb / b)
        off = (J @ (J.T @ nu) - y - za + zb, a - 1 - nu, b - 1 + nu)
        now = (a, b, za, zb)
        mu = (a @ za + b @ zb) / (2 * N)
        _, *(da, db, dza, dzb) = _move(solve, now, off, -a * za, -b * zb)
        t = _longest(now, (da, db, dza, dzb))
        ahead = ((a + t * da) @ (za + t * dza) + (b + t * db) @ (zb + t * dzb)) / (2 * N)
        center = (ahead / mu) ** 3 * mu
        targets = center - a * za - da * dza, center - b * zb - db * dzb
        d, *move = _move(solve, now, off, *targets)
        t = 0.995 * _longest(now, move)
        nu = nu + t * d
        a, b, za, zb = (v + t * m for v, m in zip(now, move, strict=True))
        found = gap(J, y, 1.0, nu)
        stall = 0 if found < 0.3 * least else stall + 1
        if found < least:
            best, least = nu, found
        if least <= 1e-15 or stall > (1 if least <= 1e-12 else 12) or not np.isfinite(found):
            break
    return lam * np.clip(best, -1.0, 1.0)


def _factor(J: np.ndarray) -> Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]:
    """Make D -> solver of (JJ' + diag D) d = rho, in N-space, or in p-space for p < N."""
    N, p = J.shape
    floor = 1e-12 * np.sum(J * J) / N
    K = J @ J.T if p >= N else None

    def factor(D: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        D = D + floor
        if K is not None:
            chol = cho_factor(K + np.diag(D))
            return lambda rho: cho_solve(chol, rho)
        chol = cho_factor(np.eye(p) + (J.T / D) @ J)
        return lambda rho: (rho - J @ cho_solve(chol, J.T @ (rho / D))) / D

    return factor


def _move(solve: Callable, now: Any, off: Any, to_a: np.ndarray, to_b: np.ndarray) -> tuple:
    """Give a Newton step of nu, a, b, za, zb, where a dza + za da = to_a and likewise b."""
    (a, b, za, zb), (dual, off_a, off_b) = now, off
    d = solve((to_a + za * off_a) / a - (to_b + zb * off_b) / b - dual)
    da, db = d - off_a, -d - off_b
    return d, da, db, (to_a - za * da) / a, (to_b - zb * db) / b


def _longest(now: Any, move: Any) -> float:
    """Give the longest step, at most 1, that keeps everything positive."""
    return 1 / max(1.0, *(float(np.max(-m / v)) for v, m in zip(now, move, strict=True)))
