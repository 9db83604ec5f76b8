"""SGD as the papers use it: momentum, weight decay in the gradient, a schedule of step sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jaxrobust import _check

Schedule = Callable[[Int[Array, ""]], Float[Array, ""]]


def constant(rate: Any) -> Schedule:
    """Give the same step size always."""
    rate = _check.positive("rate", rate)
    return lambda count: rate


def cosine(rate: Any, steps: int, last: Any = 0.0) -> Schedule:
    """Give last + (rate - last)(1 + cos(pi count / steps)) / 2.

    >>> import jax.numpy as jnp
    >>> [round(float(cosine(0.2, 10)(jnp.array(k))), 3) for k in (0, 5, 10)]
    [0.2, 0.1, 0.0]
    """
    steps, rate = _check.count("steps", steps), _check.positive("rate", rate)
    last = _check.between("last", last, 0.0, jnp.inf, open_high=True).astype(rate.dtype)

    def at(count):
        turn = 1 + jnp.cos(math.pi * count.astype(rate.dtype) / steps)
        return last + (rate - last) / 2 * turn

    return at


def drops(rate: Any, at: Sequence[int], factor: float = 0.1) -> Schedule:
    """Give the step size multiplied by `factor` from each of the steps in `at` on.

    >>> import jax.numpy as jnp
    >>> [round(float(drops(1.0, (3, 6))(jnp.array(k))), 3) for k in (2, 3, 6)]
    [1.0, 0.1, 0.01]
    """
    places, rate = [_check.count("at", step) for step in at], _check.positive("rate", rate)

    def now(count):
        passed = sum((count >= place).astype(rate.dtype) for place in places)
        return rate * jnp.asarray(factor, rate.dtype) ** passed

    return now


def sgd(rate: Any, *, momentum: float = 0.9, decay: float = 0.0) -> optax.GradientTransformation:
    """Make the optimiser; `rate` is a number, traced or not, or a schedule of this file.

    Weight decay is added to the gradient of every parameter, before momentum, as in PyTorch.
    """
    _check.between("momentum", momentum, 0.0, 1.0, open_high=True)
    _check.between("decay", decay, 0.0, jnp.inf, open_high=True)
    momentum, decay = float(momentum), float(decay)  # a NumPy float64 would widen the weights
    schedule: Any = rate if callable(rate) else constant(rate)
    return optax.chain(
        optax.add_decayed_weights(decay) if decay else optax.identity(),
        optax.trace(momentum),
        optax.scale_by_schedule(lambda count: -schedule(jnp.asarray(count))),
    )
