"""Problems of the l1 benchmark and the certificate of any answer, in NumPy float64.

The program is min 1/2|theta|^2 + lam |s|_1 s.t. y = J theta + s; its dual is the box program
max y'nu - 1/2|J'nu|^2, |nu_i| <= lam, with theta = J'nu.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

CASES = ((0.1, 1.0), (0.4, 1.0), (0.4, 3.0))  # share of corrupted entries, lam
MIXED, PATH = "mixed", "lam .5 to 5"


@dataclass(frozen=True)
class Cell:
    """A size and a kind of problem."""

    name: str
    N: int
    p: int
    kind: str = "single"
    """single, shared (one J, many y), distinct (a J each) or path (one J and y, many lam)."""
    lanes: int = 1
    rank: int | None = None
    peers_factored: bool = False
    """Whether peers are given the factor of a low-rank J, too; jaxrobust is."""
    goals: tuple[float | None, ...] = (None, None, None)

    @property
    def cases(self) -> list[tuple[str, float, float | None]]:
        """The name, the share of corrupted entries and the goal of every case."""
        if self.kind == "path":
            return [(f"rho {rho}, {PATH}", rho, self.goals[0]) for rho in (0.1, 0.4)]
        if self.kind != "single":
            return [(MIXED, 0.0, self.goals[0])]
        return [
            (f"rho {rho}, lam {lam:g}", rho, goal)
            for (rho, lam), goal in zip(CASES, self.goals, strict=True)
        ]


CELLS = (
    Cell("50x100", 50, 100, goals=(1.0,) * 3),
    Cell("200x500", 200, 500, goals=(4.0,) * 3),
    Cell("500x2000", 500, 2000, goals=(4.0,) * 3),
    Cell("1000x200", 1000, 200, goals=(1.3, 10.0, 10.0)),
    Cell("2000x1000", 2000, 1000, goals=(2.5,) * 3),
    Cell("rank20", 200, 500, rank=20, goals=(15.0,) * 3),
    Cell("rank20-factored", 200, 500, rank=20, peers_factored=True),
    Cell("shared-50x100", 50, 100, "shared", 256, goals=(10.0,)),
    Cell("shared-200x500", 200, 500, "shared", 256, goals=(60.0,)),
    Cell("distinct-50x100", 50, 100, "distinct", 256, goals=(3.0,)),
    Cell("distinct-200x500", 200, 500, "distinct", 256, goals=(9.0,)),
    Cell("shared-1000x200", 1000, 200, "shared", 16, goals=(4.0,)),
    Cell("path-50x100", 50, 100, "path", 64),
    Cell("path-200x500", 200, 500, "path", 64),
)


class Problem(NamedTuple):
    """B problems with one J, or with a J each."""

    J: np.ndarray  # (N, p) or (B, N, p)
    y: np.ndarray  # (B, N)
    lam: np.ndarray  # (B,)
    kind: str

    def matrix(self, lane: int) -> np.ndarray:
        """Give the J of a lane."""
        return self.J if self.J.ndim == 2 else self.J[lane]

    def first(self, lanes: int) -> Problem:
        """Keep the first lanes."""
        J = self.J if self.J.ndim == 2 else self.J[:lanes]
        return Problem(J, self.y[:lanes], self.lam[:lanes], self.kind)


def draw(cell: Cell, case: int, seed: int) -> tuple[Problem, np.ndarray | None]:
    """Draw a cell's problem and, of a low-rank J = F V' with V'V = I, the factor F (N, rank).

    J_ij ~ N(0, 1/p), or of a rank with E|J_i|^2 = 1 all the same; theta* ~ N(0, I);
    y = J theta* + 5 N(0, 1) on a share rho of the entries. In a batch the cases take turns.
    """
    rng = np.random.default_rng([seed, cell.N, cell.p, cell.lanes, cell.rank or 0])
    count, factor = cell.lanes if cell.kind == "distinct" else 1, None
    if cell.rank is None:
        J = rng.standard_normal((count, cell.N, cell.p)) / np.sqrt(cell.p)
    else:
        V, R = np.linalg.qr(rng.standard_normal((cell.p, cell.rank)))
        factor = rng.standard_normal((cell.N, cell.rank)) @ R.T / np.sqrt(cell.p * cell.rank)
        J = (factor @ V.T)[None]
    name, rho, _ = cell.cases[case]
    if cell.kind == "path":
        lanes = [(rho, lam) for lam in np.geomspace(5.0, 0.5, cell.lanes)]
    else:
        turns = range(cell.lanes) if name == MIXED else [case]
        lanes = [CASES[turn % len(CASES)] for turn in turns]
    y = np.empty((1 if cell.kind == "path" else cell.lanes, cell.N))
    for i, one in enumerate(y):
        one[:] = J[i % count] @ rng.standard_normal(cell.p)
        wrong = rng.permutation(cell.N)[: round(lanes[i][0] * cell.N)]
        one[wrong] += 5 * rng.standard_normal(len(wrong))
    y = np.array(np.broadcast_to(y, (cell.lanes, cell.N)))
    lam = np.array([lam for _, lam in lanes])
    return Problem(J if cell.kind == "distinct" else J[0], y, lam, cell.kind), factor


def gap(J: Any, y: Any, lam: float, nu: Any) -> float:
    """Certify nu, clipped to the box: (P(theta) - D(nu)) / P(theta) at theta = J'nu.

    P - D = sum_i (lam |r_i| - nu_i r_i) with r = y - J theta has no term below 0, so nothing
    cancels.
    """
    nu = np.clip(nu, -lam, lam)
    theta = J.T @ nu
    r = y - J @ theta
    loss = lam * np.abs(r)
    return float(np.sum(loss - nu * r) / (0.5 * theta @ theta + np.sum(loss)))


def gaps(problem: Problem, nu: np.ndarray) -> np.ndarray:
    """Certify every lane; what is not finite is infinitely far."""
    nu = np.asarray(nu, float).reshape(-1, problem.y.shape[1])
    with np.errstate(all="ignore"):
        found = [
            gap(problem.matrix(i), problem.y[i], problem.lam[i], one) for i, one in enumerate(nu)
        ]
    return np.where(np.isfinite(found), found, np.inf)


def primal(J: Any, y: Any, lam: float, theta: Any) -> float:
    """Give 1/2|theta|^2 + lam |y - J theta|_1."""
    return float(0.5 * theta @ theta + lam * np.sum(np.abs(y - J @ theta)))


def excesses(problem: Problem, theta: np.ndarray, optimum: np.ndarray) -> np.ndarray:
    """Give (P(theta) - P*) / P* of every lane, for a peer that returns no nu."""
    pairs = enumerate(zip(theta, optimum, strict=False))
    found = [
        primal(problem.matrix(i), problem.y[i], problem.lam[i], one) / best - 1
        for i, (one, best) in pairs
    ]
    return np.where(np.isfinite(found), found, np.inf)
