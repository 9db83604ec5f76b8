"""Peers of the l1 benchmark: quadratic programs on the dual, and LinearSVR on the primal.

A peer is a function `(matrix, y (B, N), lam (B,), tol, **options) -> (B, N)` of problems that share
a matrix: K = JJ' for programs in the box alone, J for LinearSVR and for the lifted sparse form

    min 1/2|theta|^2 - y'nu  s.t.  J'nu = theta, |nu_i| <= lam,

which needs no N x N matrix and is tried where p < N. With more than one row of y, what a peer can
keep (a factorization, a warm start) it keeps. A failure is an exception or a wrong answer: the
caller certifies all of them. None of the packages is a dependency of jaxrobust.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from scipy.linalg import solve_triangular
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVR

from benchmarks.l1_forms import identity, links, upper, weights

LIMIT = 5.0  # seconds a lane, for the peers that can be told

Options = dict[str, Any]


@dataclass(frozen=True)
class Peer:
    """A solver, its tolerances from loose to tight, and its ways of solving the same problem."""

    name: str
    package: str
    solve: Callable[..., np.ndarray]
    tolerances: tuple[float, ...]
    options: tuple[Options, ...] = ({},)
    lifted: tuple[Options, ...] = ()
    """Further options for p < N, on J."""
    keeps: bool = False
    """Whether something of a lane helps the next one; then lanes apart are tried as well."""
    gives: str = "nu"
    compiles: bool = False
    most: int = 10_000
    """Largest N: beyond it a call would take minutes and cannot be told to stop."""

    @property
    def wheel(self) -> str:
        """The name to install it by."""
        return "scikit-learn" if self.package == "sklearn" else self.package

    @property
    def module(self) -> Any:
        """Import what the peer needs; ImportError where it is not installed."""
        return importlib.import_module(self.package)


def daqp(K: np.ndarray, y: np.ndarray, lam: np.ndarray, tol: float, eps_prox: float) -> np.ndarray:
    """Run DAQP's dual active set; its model is updated from lane to lane and starts warm."""
    import daqp  # pyright: ignore[reportMissingImports]

    model, none = daqp.Model(), np.zeros((0, y.shape[1]))
    model.settings = {
        "primal_tol": tol,
        "eta_prox": tol,
        "eps_prox": eps_prox,
        "iter_limit": 100_000,
        "time_limit": LIMIT,
    }
    found = []
    for one, bound in zip(-y, lam[:, None] * np.ones_like(y), strict=True):
        if found:
            model.update(f=one, bupper=bound, blower=-bound)
        else:
            model.setup(K, one, none, bound, -bound)
        found.append(model.solve()[0])
    return np.stack(found)


def piqp(
    matrix: np.ndarray, y: np.ndarray, lam: np.ndarray, tol: float, lifted: bool = False
) -> np.ndarray:
    """Run PIQP's proximal interior point, dense on K or sparse on the lifted form."""
    import piqp  # pyright: ignore[reportMissingImports]

    solver: Any = piqp.SparseSolver() if lifted else piqp.DenseSolver()
    for name in ("eps_abs", "eps_rel", "eps_duality_gap_abs", "eps_duality_gap_rel"):
        setattr(solver.settings, name, tol)
    free = matrix.shape[1] if lifted else 0  # theta comes first, and has no bounds
    box = np.concatenate([np.full(free, np.inf), np.ones(y.shape[1])])
    found = []
    for one, bound in zip(y, lam, strict=True):
        c = np.concatenate([np.zeros(free), -one])
        if found:
            solver.update(c=c, x_l=-bound * box, x_u=bound * box)
        elif lifted:
            P, A = weights(*y.shape[1:], free), links(matrix, 0)
            solver.setup(P, c, A, np.zeros(free), x_l=-bound * box, x_u=bound * box)
        else:
            solver.setup(matrix.T, c, x_l=-bound * box, x_u=bound * box)  # K' = K, Fortran order
        solver.solve()
        found.append(solver.result.x[free:].copy())  # the solver overwrites it
    return np.stack(found)


def quadprog(K: np.ndarray, y: np.ndarray, lam: np.ndarray, tol: float, floor: float) -> np.ndarray:
    """Run Goldfarb and Idnani's active set on K + floor I, factored once; it has no tolerance."""
    import quadprog  # pyright: ignore[reportMissingImports]

    del tol
    N = y.shape[1]
    G = K + floor * np.trace(K) / N * np.eye(N) if floor else K
    if factored := len(y) > 1:
        G = solve_triangular(np.linalg.cholesky(G).T, np.eye(N))
    sides = _sides(N)
    return np.stack(
        [
            quadprog.solve_qp(G, one, sides, np.full(2 * N, -bound), 0, factored)[0]
            for one, bound in zip(y, lam.tolist(), strict=True)
        ]
    )


def osqp(
    matrix: np.ndarray, y: np.ndarray, lam: np.ndarray, tol: float, lifted: bool = False
) -> np.ndarray:
    """Run OSQP with polish; its factorization is kept and the next lane starts warm."""
    import osqp  # pyright: ignore[reportMissingImports]

    N = y.shape[1]
    free = matrix.shape[1] if lifted else 0
    P, A = (weights(N, free), links(matrix, 1)) if lifted else (upper(matrix), identity(N, 1))
    solver, found = osqp.OSQP(), []
    for one, bound in zip(y, lam, strict=True):
        q = np.concatenate([np.zeros(free), -one])
        limits = np.concatenate([np.zeros(free), np.full(N, bound)])
        if found:
            solver.update(q=q, l=-limits, u=limits)
        else:
            how: Options = {"polishing": True, "max_iter": 100_000, "time_limit": LIMIT}
            how |= {"eps_abs": tol, "eps_rel": tol, "verbose": False}
            solver.setup(P, q, A, -limits, limits, **how)
        found.append(solver.solve(raise_error=False).x[free:])
    return np.stack(found)


def clarabel(
    matrix: np.ndarray, y: np.ndarray, lam: np.ndarray, tol: float, lifted: bool = False
) -> np.ndarray:
    """Run Clarabel's interior point; a solver is updated from lane to lane."""
    clarabel: Any = importlib.import_module("clarabel")

    N = y.shape[1]
    free = matrix.shape[1] if lifted else 0
    P, A = (weights(N, free), links(matrix, 2)) if lifted else (upper(matrix), identity(N, 2))
    how: Any = clarabel.DefaultSettings()
    how.verbose, how.presolve_enable, how.time_limit = False, False, LIMIT
    how.tol_gap_abs = how.tol_gap_rel = how.tol_feas = tol
    cones = [clarabel.ZeroConeT(free)] if free else []
    cones.append(clarabel.NonnegativeConeT(2 * N))
    solver: Any = None
    found = []
    for one, bound in zip(y, lam, strict=True):
        q = np.concatenate([np.zeros(free), -one])
        b = np.concatenate([np.zeros(free), np.full(2 * N, bound)])
        if solver is None:
            solver = clarabel.DefaultSolver(P, q, A, b, cones, how)
        else:
            solver.update(q=q, b=b)
        found.append(np.array(solver.solve().x)[free:])
    return np.stack(found)


def qpax(K: np.ndarray, y: np.ndarray, lam: np.ndarray, tol: float) -> np.ndarray:
    """Run qpax's interior point, jitted, lane by lane: under vmap it is slower on a CPU."""
    N = y.shape[1]
    solve, constants = _qpax(), _qpax_constants(N)
    gram = jax.device_put(K)
    pairs = zip(y, lam, strict=True)
    return np.stack(
        [
            np.asarray(solve(gram, -one, *constants, np.full(2 * N, bound), tol)[0])
            for one, bound in pairs
        ]
    )


def linear_svr(J: np.ndarray, y: np.ndarray, lam: np.ndarray, tol: float) -> np.ndarray:
    """Run liblinear's dual coordinate descent; it gives theta and no dual point."""
    sweeps = max(1000, int(LIMIT / (1.5e-9 * J.size)))  # liblinear cannot be told a time
    how: Options = {"epsilon": 0.0, "fit_intercept": False, "dual": True, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.stack(
            [
                LinearSVR(C=bound, tol=tol, max_iter=sweeps, **how).fit(J, one).coef_
                for one, bound in zip(y, lam, strict=True)
            ]
        )


@lru_cache(maxsize=1)
def _qpax() -> Callable:
    import qpax  # pyright: ignore[reportMissingImports]

    def solve(K: Any, q: Any, A: Any, b: Any, G: Any, h: Any, tol: Any) -> Any:
        return qpax.solve_qp(K, q, A, b, G, h, solver_tol=tol, max_iter=100)

    return jax.jit(solve)


@lru_cache(maxsize=2)
def _qpax_constants(N: int) -> tuple[jax.Array, ...]:
    both = np.concatenate([np.eye(N), -np.eye(N)])
    return tuple(jax.device_put(x) for x in (np.zeros((0, N)), np.zeros(0), both))


@lru_cache(maxsize=2)
def _sides(N: int) -> np.ndarray:
    return np.concatenate([np.eye(N), -np.eye(N)], axis=1)


_LADDER = tuple(10.0**-k for k in range(4, 13))
_LIFTED: tuple[Options, ...] = ({"lifted": True},)
PEERS = (
    # DAQP's default eps_prox, -1e-6, regularises a singular K; 0 is faster where K is not.
    Peer(
        "DAQP",
        "daqp",
        daqp,
        (1e-6, 1e-9, 1e-12),
        tuple({"eps_prox": eps} for eps in (0.0, -1e-6, 1e-3)),
        keeps=True,
    ),
    Peer("PIQP", "piqp", piqp, _LADDER[2:], lifted=_LIFTED, keeps=True),
    Peer("LinearSVR", "sklearn", linear_svr, _LADDER, gives="theta"),
    Peer(
        "quadprog",
        "quadprog",
        quadprog,
        (0.0,),
        tuple({"floor": floor} for floor in (0.0, 1e-12, 1e-10)),
        keeps=True,
        most=1000,
    ),
    Peer("OSQP", "osqp", osqp, _LADDER, lifted=_LIFTED, keeps=True),
    Peer("Clarabel", "clarabel", clarabel, _LADDER[2:], lifted=_LIFTED, keeps=True),
    Peer("qpax", "qpax", qpax, _LADDER[2:], compiles=True, most=1000),
)
