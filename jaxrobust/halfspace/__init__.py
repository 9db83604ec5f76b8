"""Halfspaces under Massart noise: labels sign(w*.x), each flipped with its own eta(x) <= eta < 1/2.

`instance`, `given`, `constructions`, `mixtures`, `gaussian` and `adversary` draw data together with
its truth. `online` is the algorithm, one line a learner; `trajectory` runs it and `choice` returns
an iterate of it; `filtertron`, `decision_list`, `program` and `erm` are rivals of other kinds.
`theory` and `population` say what should happen, `search` looks for instances on which it does not
(`search.run`, pointed at one of `targets`). `halfspace.estimators`, imported by itself, wraps the
learners for scikit-learn.
"""

from jaxrobust.halfspace import (
    adversary,
    candidate,
    choice,
    constructions,
    decision_list,
    erm,
    filtertron,
    gaussian,
    given,
    instance,
    mixtures,
    online,
    population,
    program,
    search,
    sphere,
    targets,
    theory,
    trajectory,
)
from jaxrobust.halfspace.choice import CHOICES, Errors, errors, mean_iterate_error, select
from jaxrobust.halfspace.constructions import basis, drag, lever, long_servedio
from jaxrobust.halfspace.gaussian import chen_mixture, gaussian_margin, lever_in
from jaxrobust.halfspace.given import finite, from_data
from jaxrobust.halfspace.instance import Atoms, Instance, Points, noisy, predict
from jaxrobust.halfspace.mixtures import levers, mix, mixture, scales
from jaxrobust.halfspace.online import RULES, Rule
from jaxrobust.halfspace.trajectory import Path, over, stream

__all__ = [
    "CHOICES",
    "RULES",
    "Atoms",
    "Errors",
    "Instance",
    "Path",
    "Points",
    "Rule",
    "adversary",
    "basis",
    "candidate",
    "chen_mixture",
    "choice",
    "constructions",
    "decision_list",
    "drag",
    "erm",
    "errors",
    "filtertron",
    "finite",
    "from_data",
    "gaussian",
    "gaussian_margin",
    "given",
    "instance",
    "lever",
    "lever_in",
    "levers",
    "long_servedio",
    "mean_iterate_error",
    "mix",
    "mixture",
    "mixtures",
    "noisy",
    "online",
    "over",
    "population",
    "predict",
    "program",
    "scales",
    "search",
    "select",
    "sphere",
    "stream",
    "targets",
    "theory",
    "trajectory",
]
