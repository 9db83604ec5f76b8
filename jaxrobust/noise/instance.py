"""Noise on class labels that depends on the example's features."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.noise import _draw, _input
from jaxrobust.noise._input import Values


def instance_rows(
    key: PRNGKeyArray, X: Values, y: Values, classes: int, rate: Values, spread: Values = 0.1
) -> Float[Array, "n c"]:
    """Draw a random law of the noisy label for each example: rows[i, j] = P(noisy_i = j).

    With d features an example and C classes:

    1. q_i ~ N(rate, spread^2) truncated to [0, 1], independent over examples;
    2. W_c in R^{d x C} with N(0, 1) entries, one independent matrix for each class c;
    3. a_i = x_i W_{y_i}, and a_i[y_i] = -infinity;
    4. rows[i] = q_i softmax(a_i) off the true class, rows[i, y_i] = 1 - q_i.

    The rate of example i is q_i, with mean m = rate + spread (phi(l) - phi(h)) / (Phi(h) - Phi(l))
    at l = -rate / spread, h = (1 - rate) / spread: equal to `rate` only away from 0 and 1
    (spread 0.1: 0.1 gives 0.129, 0.2 gives 0.206). Given y = c and x, the class that a flip leads
    to is the same function of x for every example of the class: that is the dependence. X is used
    as it comes: standardise it, for scores have standard deviation |x_i|, and with raw 0..255
    pixels each example has a single wrong class.

    `X` has shape (n, ...), flattened to d; `y` labels 0..C-1, shape (n,); `classes` is static.
    Xia et al. 2020, Part-dependent label noise (arXiv 2006.07836), as its code draws it.

    >>> rows = instance_rows(jax.random.key(0), jnp.eye(3), [0, 1, 2], 3, 0.4)
    >>> rows.shape, bool(jnp.allclose(rows.sum(axis=1), 1.0))
    ((3, 3), True)
    """
    classes = _check.count("classes", classes, 2)
    y = _input.labels("y", y, classes).astype(jnp.int32)
    X = _input.full(_check.real("X", X))
    if X.ndim < 2 or X.size == 0 or X.shape[0] != y.shape[0]:
        raise ValueError(f"X must hold one row for each of {y.shape[0]} labels, got {X.shape}")
    X = X.reshape(X.shape[0], -1)
    rate = _input.rate("rate", rate).astype(X.dtype)
    _check.positive("spread", spread)
    spread = _input.number("spread", spread).astype(X.dtype)
    return _rows(key, X, y, classes, rate, spread)


@partial(jax.jit, static_argnames="classes")
def _rows(key: PRNGKeyArray, X: Array, y: Array, classes: int, rate: Array, spread: Array) -> Array:
    """Draw the rows from checked input: compiled once, where the scan would be at every call."""
    key_rate, key_class = jax.random.split(key)
    low, high = -rate / spread, (1.0 - rate) / spread
    normal = jax.random.truncated_normal(key_rate, low, high, y.shape, X.dtype)
    q = jnp.clip(rate + spread * normal, 0.0, 1.0)

    # One W_c at a time: all of them are a C x d x C array, and a gather by y an n x d x C one.
    def project(scores: Array, c: Array) -> tuple[Array, None]:
        W = jax.random.normal(jax.random.fold_in(key_class, c), (X.shape[1], classes), X.dtype)
        return jnp.where((y == c)[:, None], X @ W, scores), None

    ids = jnp.arange(classes, dtype=jnp.int32)
    scores, _ = jax.lax.scan(project, jnp.zeros((y.shape[0], classes), X.dtype), ids)
    true = y[:, None] == ids[None, :]
    wrong = q[:, None] * jax.nn.softmax(jnp.where(true, -jnp.inf, scores), axis=1)
    return jnp.where(true, 1.0 - q[:, None], wrong)


def instance_dependent(
    key: PRNGKeyArray, X: Values, y: Values, classes: int, rate: Values, spread: Values = 0.1
) -> tuple[Integer[Array, " n"], Float[Array, "n c"]]:
    """Draw instance-dependent noise; return the noisy labels and the rows they were drawn from.

    The rows are those of `instance_rows` (there the law, shapes and source); given the rows, the
    noisy labels are independent with P(noisy_i = j) = rows[i, j]. The dtype of `y` is kept.

    >>> noisy, rows = instance_dependent(jax.random.key(0), jnp.eye(3), [0, 1, 2], 3, 0.4)
    >>> noisy.shape, rows.shape
    ((3,), (3, 3))
    """
    key_rows, key_label = jax.random.split(key)
    rows = instance_rows(key_rows, X, y, classes, rate, spread)
    y = _input.labels("y", y, classes)
    true = y.astype(jnp.int32)
    each = jnp.arange(y.shape[0], dtype=jnp.int32)
    offset = _draw.pick(key_label, _draw.rotate(rows, true), each)
    return ((true + offset) % classes).astype(y.dtype), rows
