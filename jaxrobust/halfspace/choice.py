"""Which iterate a run returns: the same choices for every learner.

    last              w at the end
    average           mean of all weights
    mean_iterate      no weight, but the mean error of all iterates: that of one taken at random
    holdout           the snapshot with the fewest mistakes on held-out noisy examples (pocket)
    holdout_average   the same among the running averages

To compare one learner's hold-out with another's last iterate would be unfair.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxrobust import _check
from jaxrobust.halfspace import _guard
from jaxrobust.halfspace.instance import predict
from jaxrobust.halfspace.trajectory import Path

CHOICES = ("last", "average", "mean_iterate", "holdout", "holdout_average")


class Errors(NamedTuple):
    """err of what each choice returns; for an array of them, `jnp.stack(errors)`."""

    last: Float[Array, ""]
    average: Float[Array, ""]
    mean_iterate: Float[Array, ""]
    holdout: Float[Array, ""]
    holdout_average: Float[Array, ""]


def noisy_error(w: Float[Array, "K d"], x: Any, y: Any) -> Float[Array, " K"]:
    """Return the share of the examples (x, y) that each of K weights gets wrong.

    (1 - mean y sign(w.x)) / 2; so y may be sums of labels, as `Instance.hold_out` gives them.
    """
    return jax.lax.map(lambda one: 0.5 * (1 - jnp.mean(predict(one, x) * y)), w)


def select(w: Float[Array, "K d"], x: Any, y: Any) -> tuple[Float[Array, " d"], Int[Array, ""]]:
    """Return the weights with the fewest mistakes on held-out examples, and their place.

    x (n, d) in the unit ball and noisy y (n,), drawn apart from the training examples. Of equals
    the first; weights that are not finite come last. By Hoeffding and a union bound the one
    returned errs at most 2 sqrt(log(2 K / delta) / (2 n)) more than the best, with probability
    1 - delta.
    """
    x = _check.real("x", x, (None, None))
    y = _check.signs("y", y).astype(x.dtype)
    _check.shaped("y", y, (x.shape[0],))
    _guard.in_ball("x", x)
    if w.ndim != 2 or w.shape[1] != x.shape[1]:
        raise ValueError(f"w must have shape (K, {x.shape[1]}), a row each, got {w.shape}")
    best = _best(w, x, y)
    return w[best], best


def _best(w: Array, x: Array, y: Array) -> Array:
    known = jnp.all(jnp.isfinite(w), axis=1)
    return jnp.argmin(jnp.where(known, noisy_error(w, x, y), jnp.inf))


def mean_iterate_error(path: Path, error: Callable[[Array], Array]) -> Float[Array, ""]:
    """Return the mean of err over the iterates, by the trapezoid rule over the snapshots.

    The start, of error 1/2 or so, weighs 1 / (2 K): few snapshots overstate the mean of a long run.
    """
    along = jax.lax.map(error, path.w)
    return (0.5 * (along[0] + along[-1]) + jnp.sum(along[1:-1])) / (along.size - 1)


def errors(path: Path, error: Callable[[Array], Array], x: Any, y: Any) -> Errors:
    """Return err of every choice for one run.

    `error` is the instance's; (x, y) are held-out noisy examples, from its `hold_out` (x in the
    unit ball). The start,
    w = 0, takes no part in a hold-out. A run that did not stay finite has NaN throughout.
    """
    x = _check.real("x", x, (None, path.w.shape[1]))
    y = _check.real("y", y, (x.shape[0],)).astype(x.dtype)
    values = _check.concrete(y)
    if values is not None and set(np.unique(values)) <= {0.0, 1.0} and values.any():
        raise ValueError("y must hold -1 and +1, or what `hold_out` gives: map 0/1 by 2*y - 1")
    _guard.in_ball("x", x)
    later, averages = path.w[1:], path.average[1:]
    found = Errors(
        last=error(path.w[-1]),
        average=error(path.average[-1]),
        mean_iterate=mean_iterate_error(path, error),
        holdout=error(later[_best(later, x, y)]),
        holdout_average=error(averages[_best(averages, x, y)]),
    )
    return Errors(*(jnp.where(path.finite, e, jnp.nan) for e in found))
