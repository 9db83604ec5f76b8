"""Which epoch's accuracy a table shows: last, best, or selected. Each answers another question.

last: what you get if you train to the end. best: the highest over the readings by the TEST set,
which nobody has: an upper bound, and what many papers print. noisy: at the reading with the best
accuracy on a validation set as noisy as the training set, which everybody has. clean: on the same
examples with their true labels, which some have.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrobust.deep.train import Reading


class Score(NamedTuple):
    """Test accuracy of one run under four choices of the epoch."""

    last: Float[Array, "..."]
    best: Float[Array, "..."]
    noisy: Float[Array, "..."]
    clean: Float[Array, "..."]


def score(readings: Reading) -> Score:
    """Choose epochs of readings, (..., readings) each; of equal ones the first.

    Raises ValueError where a test or validation set was not given.

    >>> import jax.numpy as jnp
    >>> test = jnp.array([0.8, 0.9, 0.7])
    >>> told = Reading(test, test, None, None, jnp.array([0.5, 0.4, 0.4]), 1 - test, test)
    >>> [round(float(a), 1) for a in score(told)]
    [0.7, 0.9, 0.8, 0.7]
    """
    test, noisy, clean = readings.test, readings.held_noisy, readings.held_clean
    if test is None or noisy is None or clean is None:
        lacking = [n for n in ("test", "held_noisy", "held_clean") if getattr(readings, n) is None]
        raise ValueError(f"readings have no {lacking[0]}: give the run a test and a held set")
    return Score(test[..., -1], jnp.max(test, axis=-1), _at(test, noisy), _at(test, clean))


def _at(values: Float[Array, "... t"], by: Float[Array, "... t"]) -> Float[Array, "..."]:
    """Return the values where `by` is largest."""
    place = jnp.argmax(by, axis=-1)
    return jnp.take_along_axis(values, place[..., None], axis=-1)[..., 0]
