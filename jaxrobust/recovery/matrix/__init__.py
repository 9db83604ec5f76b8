"""Low-rank matrices under sparse gross errors: y = A(X*) + s*, rank and share of errors unknown.

`problem` draws them; `program` solves nuclear norm + l1 and certifies it; `dop` is double
over-parameterization and `flow` its exact limit for commuting maps; `subgradient` and `altproj`
are the rivals; `theory` has the formulas.
"""

from jaxrobust.recovery.matrix import altproj, dop, flow, problem, program, subgradient, theory

__all__ = ["altproj", "dop", "flow", "problem", "program", "subgradient", "theory"]
