"""Halfspaces under Massart noise."""

from jaxrobust.halfspace import choice, online
from jaxrobust.halfspace.choice import CHOICES, Errors, errors, select
from jaxrobust.halfspace.constructions import (
    basis,
    drag,
    lever,
    levers,
    long_servedio,
    mix,
    mixture,
)
from jaxrobust.halfspace.instance import Atoms, Instance, Points, finite, from_data, noisy, predict
from jaxrobust.halfspace.trajectory import Path, over, stream
