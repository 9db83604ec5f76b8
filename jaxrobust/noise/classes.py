"""Noise on class labels that depends on the class alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Integer, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.noise import _draw, _input
from jaxrobust.noise._input import Values
from jaxrobust.noise.matrices import asymmetric_matrix, pair_matrix, symmetric_matrix


def transition(key: PRNGKeyArray, y: Values, matrix: Values) -> Integer[Array, " n"]:
    """Draw noisy labels by a transition matrix: P(noisy_i = b | y_i = a) = matrix[a, b].

    Independent over examples. `y` holds labels 0..C-1, shape (n,), and its dtype is kept;
    `matrix` has shape (C, C), entries in [0, 1], rows that sum to 1. An entry that is zero is
    never drawn. Each label is kept exactly where one uniform number falls below matrix[a, a], so
    that with one key the labels kept are nested as the diagonal grows.

    Raises ValueError for labels outside 0..C-1 and for rows that do not sum to 1.

    >>> swap = [[0, 1], [1, 0]]
    >>> print(transition(jax.random.key(0), [0, 1, 1], swap))
    [1 0 0]
    """
    matrix = _input.stochastic("matrix", matrix, (None, None))
    classes = matrix.shape[0]
    y = _input.labels("y", y, classes)
    true = y.astype(jnp.int32)
    rows = _draw.rotate(matrix, jnp.arange(classes, dtype=jnp.int32))
    return ((true + _draw.pick(key, rows, true)) % classes).astype(y.dtype)


def symmetric(
    key: PRNGKeyArray,
    y: Values,
    classes: int,
    rate: Values,
    *,
    inclusive: bool,
    exact: bool = False,
) -> Integer[Array, " n"]:
    """Draw symmetric noise; `inclusive` says whether a redrawn label may be the true one.

    Bernoulli (default): independent labels by `symmetric_matrix(classes, rate, inclusive=...)`:
    P(noisy = y) = 1 - rate, others rate / (C - 1) each (exclusive), or 1 - rate + rate / C, others
    rate / C each (inclusive).

    `exact=True`: k = ceil(rate n) examples, every set of k equally likely, are redrawn uniformly
    over the other C - 1 classes (exclusive: exactly k labels are wrong) or over all C classes
    (inclusive: the number of wrong labels is Binomial(k, (C - 1) / C)). One label alone has the
    Bernoulli law at rate k / n; two labels are negatively dependent. `inclusive=True, exact=True`
    is what the code of SOP and ELR draws. A product rate * n within rounding of a whole number
    counts as that number.

    Shapes and errors as in `transition`; `classes`, `inclusive` and `exact` are static.

    >>> y = jnp.zeros(100, int)
    >>> noisy = symmetric(jax.random.key(0), y, 10, 0.4, inclusive=False, exact=True)
    >>> int((noisy != y).sum())
    40
    """
    classes = _check.count("classes", classes, 2)
    if not exact:
        return transition(key, y, symmetric_matrix(classes, rate, inclusive=inclusive))
    y = _input.labels("y", y, classes)
    rate = _input.rate("rate", rate)
    key_hit, key_class = jax.random.split(key)
    hit = _draw.exact_hits(key_hit, rate, y.shape)
    # The offset 0 is the true class.
    low = 0 if inclusive else 1
    offset = jax.random.randint(key_class, y.shape, low, classes, jnp.int32)
    moved = (y.astype(jnp.int32) + offset) % classes
    return jnp.where(hit, moved.astype(y.dtype), y)


def pair(key: PRNGKeyArray, y: Values, classes: int, rate: Values) -> Integer[Array, " n"]:
    """Draw pair flips: y becomes (y + 1) mod C with probability `rate`, else stays.

    The law is `transition` by `pair_matrix(classes, rate)`; independent over examples.

    >>> print(pair(jax.random.key(0), [0, 1, 2], 3, 1.0))
    [1 2 0]
    """
    return transition(key, y, pair_matrix(classes, rate))


def asymmetric(key: PRNGKeyArray, y: Values, targets: Values, rate: Values) -> Integer[Array, " n"]:
    """Draw class-dependent flips: y becomes targets[y] with probability `rate`, else stays.

    `targets` has one entry a class, shape (C,); a class that is its own target stays clean. The
    law is `transition` by `asymmetric_matrix(targets, rate)`, independent over examples. The maps
    of the literature are `CIFAR10_TARGETS` and `CIFAR100_TARGETS`; conditional on the five noisy
    classes of CIFAR-10 the rate is `rate`, over balanced classes it is rate / 2.

    >>> from jaxrobust.noise import CIFAR10_TARGETS
    >>> print(asymmetric(jax.random.key(0), [9, 2, 4, 3, 5, 8], CIFAR10_TARGETS, 1.0))
    [1 0 7 5 3 8]
    """
    return transition(key, y, asymmetric_matrix(targets, rate))
