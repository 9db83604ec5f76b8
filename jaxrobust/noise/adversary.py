"""The strongest way to spend a budget of label flips against one linear classifier."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Num

from jaxrobust import _check
from jaxrobust.noise import _input
from jaxrobust.noise._input import Values


def adversarial(X: Values, y: Values, w: Values, budget: Values) -> Num[Array, " n"]:
    """Flip at most `budget` of the +-1 labels where that raises the loss of x -> w.x the most.

    Deterministic, hence no key: the labels flipped are the `budget` largest margins
    m_i = y_i w.x_i among the positive ones, ties to the lower index. Examples that w gets wrong
    are left alone, for a flip there would help it.

    Best for every non-increasing margin loss phi at once (0-1, hinge, logistic, exponential): a
    flip turns m_i into -m_i and adds g(m_i) = phi(-m_i) - phi(m_i) to the total loss. phi is
    non-increasing, so g is non-decreasing and odd, and positive margins alone can add; any choice
    of at most k flips adds at most the k largest g(m_i)+, which these flips attain. (The
    squared loss rises again above margin 1 and is not among them.)

    `X` has shape (n, d), `y` (n,) with its dtype kept, `w` (d,). `budget` is a whole number in
    0..n and may be traced (a traced fraction is rounded up, NaN spends nothing).

    >>> X = jnp.array([[3.0], [-1.0], [2.0], [-5.0]])
    >>> print(adversarial(X, [1, -1, 1, 1], [1.0], 2))
    [-1 -1 -1  1]
    """
    y = _input.signs("y", y)
    n = y.shape[0]
    X = _check.real("X", X, (n, None))
    w = _check.real("w", w, (X.shape[1],))
    budget = _input.number("budget", budget)
    k = _check.concrete(budget)
    if k is not None and not (k == np.floor(k) and 0 <= k <= n):
        raise ValueError(f"budget must be a whole number in 0..{n}, the labels to flip, got {k:g}")
    margin = jnp.sign(y).astype(X.dtype) * (X @ w.astype(X.dtype))
    order = jnp.argsort(-margin, stable=True)
    rank = jnp.zeros(n, order.dtype).at[order].set(jnp.arange(n, dtype=order.dtype))
    spent = (rank.astype(budget.dtype) < budget) & (margin > 0)
    return jnp.where(spent, -y, y)
