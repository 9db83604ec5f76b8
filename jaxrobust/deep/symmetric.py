"""Symmetric cross-entropy: the labels against the network, and the network against the labels.

    alpha CE + beta RCE,    RCE = -sum_k p_k log e_y[k], log 0 := A,    that is -A (1 - p_y).

RCE is a multiple of the mean absolute error: it forgives symmetric noise and learns slowly; CE
brings the speed. Wang, Ma, Chen, Luo, Yi, Bailey (ICCV 2019, arXiv 1908.06112).

(alpha, beta) in the published code: MNIST (.01, 1), CIFAR-10 (.1, 1), CIFAR-100 (6, .1).

Deviations: A is log 1e-4 = -9.21, as the code clips the one-hot label; the paper's text names
A = -4. Only beta A matters. Nor is p clipped: CE is exact for every logit.
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxrobust import _check
from jaxrobust.deep import cross_entropy
from jaxrobust.deep.method import Method, Task, by_loss

A_CODE = math.log(1e-4)
"""What the published code puts for log 0."""


def reverse(
    logits: Float[Array, "B C"], y: Int[Array, " B"], A: Any = A_CODE
) -> Float[Array, " B"]:
    """Return the reverse cross-entropy -A (1 - p_y), A < 0.

    >>> print(reverse(jnp.zeros((1, 4)), jnp.array([2]), -4.0))
    [3.]
    """
    size = _check.positive("-A", -A).astype(logits.dtype)
    return -size * jnp.expm1(-cross_entropy.loss(logits, y))


def loss(
    logits: Float[Array, "B C"],
    y: Int[Array, " B"],
    alpha: Any = 0.1,
    beta: Any = 1.0,
    A: Any = A_CODE,
) -> Float[Array, " B"]:
    """Return alpha (-log p_y) - beta A (1 - p_y), one number an example."""
    alpha = _check.between("alpha", alpha, 0.0, jnp.inf).astype(logits.dtype)
    beta = _check.between("beta", beta, 0.0, jnp.inf).astype(logits.dtype)
    return alpha * cross_entropy.loss(logits, y) + beta * reverse(logits, y, A)


def method(task: Task, alpha: Any = 0.1, beta: Any = 1.0, A: Any = A_CODE) -> Method:
    """Train one network by symmetric cross-entropy; defaults of CIFAR-10."""
    return by_loss(task, lambda logits, y: loss(logits, y, alpha, beta, A))
