"""What an adversary may choose in the plane, as free numbers that always decode to an instance."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrobust.halfspace.given import finite
from jaxrobust.halfspace.instance import Atoms, Instance

FLOOR = 0.02
"""Least weight of a point."""


class Candidate(NamedTuple):
    """What the search changes: m points by free numbers; what lies outside [-1, 1] acts as its end.

    The adversary's best choices lie at ends (margin exactly gamma, rate exactly 0 or eta); clipping
    reaches them, a sigmoid would not.
    """

    place: Float[Array, "... m 2"]
    weight: Float[Array, "... m"]
    rate: Float[Array, "... m"]


def packed(candidate: Candidate) -> Float[Array, "... m 4"]:
    """Return a candidate's numbers as one array: the place, the weight, the rate of each point."""
    place, weight, rate = candidate
    return jnp.concatenate([place, weight[..., None], rate[..., None]], axis=-1)


def unpacked(numbers: Float[Array, "... m 4"]) -> Candidate:
    """Return the candidate that `packed` made an array of."""
    return Candidate(numbers[..., :2], numbers[..., 2], numbers[..., 3])


def atoms_of(candidate: Candidate, eta: Any, gamma: Any, floor: Any = FLOOR) -> Atoms:
    """Return the points that a candidate stands for, all of clean label +1 (w* = (1, 0)).

    With p, q, r, l the four numbers of a point, clipped to [-1, 1]:
    x = (gamma^((1 - p)/2), q^3 sqrt(1 - x_1^2)), rate eta (1 + r)/2, and the weight is the floor
    and a share of the rest by softmax(4 l). Both coordinates spread over all scales down to gamma.

    >>> import jax.numpy as jnp
    >>> two = Candidate(jnp.array([[1.0, 0.0], [-1.0, -1.0]]), jnp.zeros(2), jnp.array([9.0, -9.0]))
    >>> print(atoms_of(two, 0.3, 0.6).x)
    [[ 1.   0. ]
     [ 0.6 -0.8]]
    """
    place, weight, rate = (jnp.clip(v, -1.0, 1.0) for v in candidate)
    eta, gamma, floor = (jnp.asarray(v).astype(place.dtype) for v in (eta, gamma, floor))
    first = jnp.maximum(gamma ** ((1 - place[:, 0]) / 2), gamma)
    # (1 - x)(1 + x), for 1 - x^2 could round to something that leaves the disc.
    second = place[:, 1] ** 3 * jnp.sqrt((1 - first) * (1 + first))
    share = floor + (1 - floor * weight.size) * jax.nn.softmax(4 * weight)
    x = jnp.stack([first, second], axis=1)
    return Atoms(x, jnp.ones_like(first), eta * ((1 + rate) / 2), share)


def instance_of(candidate: Candidate, eta: Any, gamma: Any, floor: Any = FLOOR) -> Instance:
    """Return a candidate as an instance; w* = (1, 0), its eta and gamma are the bounds given."""
    atoms = atoms_of(candidate, eta, gamma, floor)
    return finite(atoms, jnp.array([1.0, 0.0], atoms.x.dtype), gamma, eta)
