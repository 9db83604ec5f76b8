"""jaxrobust: theory beside practice for learning with wrong labels and sparse corruption.

Rooms, each imported when first used:

- `jaxrobust.noise`: samplers of label noise and gross errors, each with its exact law.
- `jaxrobust.sop`: sparse over-parameterization, the linear model y = J theta + s, s = u*u - v*v.
- `jaxrobust.halfspace`: halfspaces under Massart noise: instances, learners, bounds.
- `jaxrobust.deep`: networks on noisy labels: SOP, ELR, DivideMix and sixteen others on one loop.
- `jaxrobust.distill`: students of noisy teachers: SLaM and its rivals, beside closed forms.
- `jaxrobust.crowd`: what many annotators' answers tell: flip rates, votes, Dawid-Skene.
- `jaxrobust.recovery`: low-rank matrices and pictures under sparse gross corruption.
- `jaxrobust.smoothed`: smoothed benchmarks and L1 polynomial regression.
- `jaxrobust.data`: real data, read from its publishers' own files.
- `jaxrobust.lab`: the bench: seed sweeps, resumable stores, claims with verdicts, figures.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxrobust import (
        crowd,
        data,
        deep,
        distill,
        halfspace,
        lab,
        noise,
        recovery,
        smoothed,
        sop,
    )

__version__ = "0.1.0"
_ROOMS = (
    "crowd",
    "data",
    "deep",
    "distill",
    "halfspace",
    "lab",
    "noise",
    "recovery",
    "smoothed",
    "sop",
)
__all__ = [
    "__version__",
    "crowd",
    "data",
    "deep",
    "distill",
    "halfspace",
    "lab",
    "noise",
    "recovery",
    "smoothed",
    "sop",
]


def __getattr__(name: str):
    """Import a room on first use, so that `import jaxrobust` stays quick and light."""
    if name in _ROOMS:
        return import_module(f"jaxrobust.{name}")
    raise AttributeError(f"module 'jaxrobust' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
