"""Active and passive: normalised cross-entropy beside the reverse one, robust both.

    alpha NCE + beta RCE,    NCE = log p_y / sum_k log p_k,    RCE = -A (1 - p_y).

Summed over the labels, NCE is 1 and RCE is -A (C - 1), whatever the logits: both are symmetric
losses, which symmetric noise only shifts and scales. Ma, Huang, Wang, Romano, Erfani, Bailey
(ICML 2020, arXiv 2006.13554).

(alpha, beta) in the published code: MNIST (1, 10), CIFAR-10 (1, 1), CIFAR-100 (10, .1).
Deviation: p is not clipped.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxrobust import _check
from jaxrobust.deep import cross_entropy, symmetric
from jaxrobust.deep.method import Method, Task, by_loss


def normalised(logits: Float[Array, "B C"], y: Int[Array, " B"]) -> Float[Array, " B"]:
    """Return log p_y / sum_k log p_k, in [0, 1].

    >>> print(normalised(jnp.zeros((1, 4)), jnp.array([2])))
    [0.25]
    """
    whole = -jnp.sum(jax.nn.log_softmax(logits, axis=1), axis=1)  # at least C log C
    return cross_entropy.loss(logits, y) / whole


def loss(
    logits: Float[Array, "B C"], y: Int[Array, " B"], alpha: Any = 1.0, beta: Any = 1.0
) -> Float[Array, " B"]:
    """Return alpha NCE + beta RCE, one number an example; A = log 1e-4."""
    alpha = _check.between("alpha", alpha, 0.0, jnp.inf).astype(logits.dtype)
    beta = _check.between("beta", beta, 0.0, jnp.inf).astype(logits.dtype)
    return alpha * normalised(logits, y) + beta * symmetric.reverse(logits, y)


def method(task: Task, alpha: Any = 1.0, beta: Any = 1.0) -> Method:
    """Train one network by NCE + RCE; defaults of CIFAR-10."""
    return by_loss(task, lambda logits, y: loss(logits, y, alpha, beta))
