"""Label smoothing: a target that is never quite sure.

    t = (1 - eps) e_y + eps / C,    loss = -sum_k t_k log p_k.

Szegedy, Vanhoucke, Ioffe, Shlens, Wojna (2016, arXiv 1512.00567); eps = .1. Under wrong labels:
Lukasik, Bhojanapalli, Menon, Kumar (2020, arXiv 2003.02819). At eps = .1 it does not stop
memorization.

Deviation: one published comparison gives the given class 1 - eps - eps / 10, so that its targets
sum to 1 - eps / 10. Ours sum to 1.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxrobust import _check
from jaxrobust.deep import cross_entropy
from jaxrobust.deep.method import Method, Task, by_loss


def loss(logits: Float[Array, "B C"], y: Int[Array, " B"], eps: Any = 0.1) -> Float[Array, " B"]:
    """Return (1 - eps)(-log p_y) + eps mean_k(-log p_k), one number an example.

    >>> z = jnp.array([[2.0, 0.0]])
    >>> print(loss(z, jnp.array([0]), 0.1).round(4))
    [0.2269]
    """
    eps = _check.rate("eps", eps).astype(logits.dtype)
    everywhere = -jnp.mean(jax.nn.log_softmax(logits, axis=1), axis=1)
    return (1 - eps) * cross_entropy.loss(logits, y) + eps * everywhere


def method(task: Task, eps: Any = 0.1) -> Method:
    """Train one network by cross-entropy against smoothed labels."""
    return by_loss(task, lambda logits, y: loss(logits, y, eps))
