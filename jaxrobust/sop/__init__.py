"""Sparse over-parameterization: y = J theta + s with s = u*u - v*v.

`problem` draws instances; `descent` (one step), `dual` (the same in N-space) and `trajectory`
(many) are the algorithm; `flow` is the exact limit of its gradient flow, `convex` the certified l1
program, `theory` what links them: lam = -log(gamma) / (2 alpha). `linearize` makes the model of a
network, and `network_step` trains the network itself. Letters as in the SOP paper, Liu, Zhu, Qu,
You (ICML 2022, arXiv 2202.14026).
"""

from jaxrobust._status import Status, explain
from jaxrobust.sop import convex, descent, flow, problem, theory
from jaxrobust.sop.convex import Factored, L1Solution, certificate, factor, solve_l1
from jaxrobust.sop.flow import FlowLimit, flow_limit
from jaxrobust.sop.linearize import Linearization, linearize
from jaxrobust.sop.network import NetworkState, network_init, network_step
from jaxrobust.sop.problem import Problem, coherence, draw
from jaxrobust.sop.trajectory import End, Path, run, trajectory

__all__ = [
    "End",
    "Factored",
    "FlowLimit",
    "L1Solution",
    "Linearization",
    "NetworkState",
    "Path",
    "Problem",
    "Status",
    "certificate",
    "coherence",
    "convex",
    "descent",
    "draw",
    "explain",
    "factor",
    "flow",
    "flow_limit",
    "linearize",
    "network_init",
    "network_step",
    "problem",
    "run",
    "solve_l1",
    "theory",
    "trajectory",
]
