"""Correction by a known transition matrix T_ij = P(given label j | true class i).

    forward     -log (T^T p)_y                    compare the label with what noise makes of p
    backward    sum_j (T^-1)_yj (-log p_j)        unbiased: sum_j T_ij backward(j) = -log p_i

Patrini, Rozza, Menon, Nock, Qu (CVPR 2017, arXiv 1609.03683). T is given here; `anchors` estimates
it. Forward is consistent: at its optimum p is the true posterior. Backward has the clean risk's
mean, may be negative, and grows in variance as T nears a singular matrix.

Deviations: the published code clips p to [1e-7, 1 - 1e-7] in both. Forward needs no clip (it is
summed in logarithms). Backward without one is unbounded below, so there `least` = 1e-7 is the
default and clips log p_j from below, with no gradient there; `least=0` is the formula.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxrobust import _check
from jaxrobust.deep.method import Method, Task, by_loss


def transition(T: Any, classes: int) -> Float[Array, "C C"]:
    """Return T as an array; refuse a wrong size, or rows that are no probabilities."""
    T = _check.between("T", T, 0.0, 1.0)
    _check.shaped("T", T, (classes, classes))
    known = _check.concrete(T)
    if known is not None:
        sums = known.sum(axis=1, dtype=float)
        worst = sums[np.argmax(np.abs(sums - 1))]
        if abs(worst - 1) > 1e-5:
            raise ValueError(
                f"T must have rows that sum to 1, got a sum of {worst:g}: row i is the law of the "
                "given label of class i (transpose T if its columns are)"
            )
    return T


def forward(logits: Float[Array, "B C"], y: Int[Array, " B"], T: Any) -> Float[Array, " B"]:
    """Return -log sum_i p_i T_iy, one number an example; infinite for a label that T never gives.

    >>> T = [[0.5, 0.5], [0.0, 1.0]]
    >>> print(forward(jnp.zeros((1, 2)), jnp.array([1]), T).round(4))  # -log 3/4
    [0.2877]
    """
    T = transition(T, logits.shape[1]).astype(logits.dtype)
    return -jax.nn.logsumexp(jax.nn.log_softmax(logits, axis=1) + jnp.log(T.T[y]), axis=1)


def backward(
    logits: Float[Array, "B C"], y: Int[Array, " B"], T: Any, least: Any = 1e-7
) -> Float[Array, " B"]:
    """Return sum_j (T^-1)_yj (-log max(p_j, least)), one number an example.

    >>> T = [[0.5, 0.5], [0.0, 1.0]]
    >>> print(backward(jnp.log(jnp.array([[0.25, 0.75]])), jnp.array([0]), T).round(4))
    [2.4849]
    """
    T = transition(T, logits.shape[1])
    known = _check.concrete(T)
    if known is not None and np.linalg.cond(known) > 1 / np.finfo(known.dtype).eps:
        raise ValueError("T is singular and cannot be undone: use correction.forward")
    inverse = jnp.linalg.inv(T).astype(logits.dtype)
    least = _check.between("least", least, 0.0, 1.0, open_high=True).astype(logits.dtype)
    log_p = jnp.maximum(jax.nn.log_softmax(logits, axis=1), jnp.log(least))
    return -jnp.sum(inverse[y] * log_p, axis=1)


def method(task: Task, T: Any, loss: Callable[..., Float[Array, " B"]] = forward) -> Method:
    """Train one network by `forward` or `backward` correction with the given T."""
    T = transition(T, task.classes)
    return by_loss(task, lambda logits, y: loss(logits, y, T))
