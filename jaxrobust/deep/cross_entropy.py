"""Cross-entropy: what networks memorize wrong labels with."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxrobust.deep.method import Method, Task, by_loss


def loss(logits: Float[Array, "B C"], y: Int[Array, " B"]) -> Float[Array, " B"]:
    """Return -log p_y, p = softmax(logits), one number an example.

    >>> import jax.numpy as jnp
    >>> round(float(loss(jnp.zeros((1, 4)), jnp.array([2]))[0]), 4)  # log 4
    1.3863
    """
    return -jnp.take_along_axis(jax.nn.log_softmax(logits, axis=1), y[:, None], axis=1)[:, 0]


def method(task: Task) -> Method:
    """Train one network by cross-entropy on the given labels."""
    return by_loss(task, loss)
