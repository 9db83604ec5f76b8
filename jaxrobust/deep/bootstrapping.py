"""Bootstrapping: believe the label in part, and what the network says for the rest.

    loss = -sum_k t_k log p_k,    soft: t = beta e_y + (1 - beta) p,
                                  hard: t = beta e_y + (1 - beta) e_z, z = argmax p.

Reed, Lee, Anguelov, Szegedy, Erhan, Rabinovich (2014, arXiv 1412.6596); beta = .95 soft, .8 hard.
Soft is beta CE + (1 - beta) H(p): the gradient flows through the target too, as in the paper (its
minimum entropy regularization) and in the code of others. At a tie z is the lower class.

Deviation: p is not clipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxrobust import _check
from jaxrobust.deep import cross_entropy
from jaxrobust.deep.method import Method, Task, by_loss


def soft(logits: Float[Array, "B C"], y: Int[Array, " B"], beta: Any = 0.95) -> Float[Array, " B"]:
    """Return beta (-log p_y) + (1 - beta) H(p), one number an example.

    >>> print(soft(jnp.zeros((1, 4)), jnp.array([2]), 0.5).round(4))  # both are log 4
    [1.3863]
    """
    beta = _check.rate("beta", beta).astype(logits.dtype)
    log_p = jax.nn.log_softmax(logits, axis=1)
    entropy = -jnp.sum(jnp.exp(log_p) * log_p, axis=1)
    return beta * cross_entropy.loss(logits, y) + (1 - beta) * entropy


def hard(logits: Float[Array, "B C"], y: Int[Array, " B"], beta: Any = 0.8) -> Float[Array, " B"]:
    """Return beta (-log p_y) + (1 - beta)(-max_k log p_k), one number an example.

    >>> print(hard(jnp.array([[2.0, 0.0]]), jnp.array([1])).round(4))
    [1.7269]
    """
    beta = _check.rate("beta", beta).astype(logits.dtype)
    z = jnp.argmax(logits, axis=1).astype(y.dtype)
    told, thought = cross_entropy.loss(logits, y), cross_entropy.loss(logits, z)
    return beta * told + (1 - beta) * thought


def method(task: Task, beta: Any = 0.95, loss: Callable[..., Float[Array, " B"]] = soft) -> Method:
    """Train one network by `soft` or `hard` bootstrapping: `method(task, 0.8, hard)`."""
    return by_loss(task, lambda logits, y: loss(logits, y, beta))
