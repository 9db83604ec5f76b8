"""How near a run of `fit` is to a known truth, reading by reading."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrobust.recovery.image.fit import Seen
from jaxrobust.recovery.image.scores import psnr


class Scores(NamedTuple):
    """How near a run is to the truth; PSNR in dB, for a data range of 1."""

    psnr: Float[Array, "..."]
    """Of phi at the jittered input."""
    still: Float[Array, "..."]
    """Of phi at z itself."""
    explained: Float[Array, "..."]
    """Share of the corrupt entries whose corruption g*g - h*h explains to a half or more."""
    taken: Float[Array, "..."]
    """Mean |g*g - h*h| over the entries that are not corrupt."""


def scored(
    truth: Float[Array, "H W C"], picture: Float[Array, "H W C"]
) -> Callable[[Seen], Scores]:
    """Make the measure that compares with a known truth; `picture` is what was given to `fit`."""
    wrong = picture - truth
    hit = wrong != 0

    def measure(seen: Seen) -> Scores:
        s = seen.corruption
        half = s * wrong >= wrong * wrong / 2
        return Scores(
            psnr(seen.picture, truth),
            psnr(seen.still, truth),
            jnp.mean(half.astype(s.dtype), where=hit),
            jnp.mean(jnp.abs(s), where=~hit),
        )

    return measure
