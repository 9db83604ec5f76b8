"""Solve min 1/2|theta|^2 + lam |s|_1 s.t. y = J theta + s with a certificate."""

from jaxrobust.sop.convex.dual import L1Solution, certificate
from jaxrobust.sop.convex.lowrank import Factored, factor
from jaxrobust.sop.convex.program import solve_l1

__all__ = ["Factored", "L1Solution", "certificate", "factor", "solve_l1"]
