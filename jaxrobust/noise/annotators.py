"""Panels of annotators, and the vote that merges their answers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.noise import _draw, _input
from jaxrobust.noise._input import Values


def panel(
    key: PRNGKeyArray, y: Values, confusion: Values, missing: Values = 0.0
) -> Int[Array, "n workers"]:
    """Draw the answers of a panel, one column a worker; -1 is no answer.

    P(answer[i, r] = -1) = missing_r, else P(answer[i, r] = b | y_i = a) = confusion[r, a, b],
    independent over examples and, given y, over workers (Dawid & Skene 1979). Worker r draws
    from `fold_in(key, r)`: a larger panel leaves the answers of the first workers as they were.

    `y` labels 0..C-1, shape (n,); `confusion` shape (workers, C, C), rows that sum to 1;
    `missing` one rate or one a worker. The answers are int32.

    >>> from jaxrobust.noise import symmetric_matrix
    >>> skill = jnp.array([0.0, 0.2, 0.5])
    >>> confusion = jax.vmap(lambda r: symmetric_matrix(4, r, inclusive=False))(skill)
    >>> answers = panel(jax.random.key(0), [0, 1, 2, 3, 3], confusion)
    >>> answers.shape, [int(a) for a in answers[:, 0]]
    ((5, 3), [0, 1, 2, 3, 3])
    """
    if _check.real("confusion", confusion).ndim != 3:
        raise ValueError(
            f"confusion must have shape (workers, C, C), got {np.shape(confusion)}: "
            "stack one matrix for each worker"
        )
    confusion = _input.stochastic("confusion", confusion, (None, None, None))
    workers, classes = confusion.shape[:2]
    y = _input.labels("y", y, classes).astype(jnp.int32)
    missing = jnp.clip(_input.full(_check.rate("missing", missing)), 0.0, 1.0)
    if missing.shape not in ((), (workers,)):
        raise ValueError(
            f"missing must be one rate or one for each of {workers} workers, got {missing.shape}"
        )

    return _answers(key, y, confusion, jnp.broadcast_to(missing, (workers,)))


@jax.jit
def _answers(key: PRNGKeyArray, y: Array, confusion: Array, missing: Array) -> Array:
    """Draw the answers of all workers from checked input."""
    workers, classes = confusion.shape[:2]

    def one(worker: Array, matrix: Array, absent: Array) -> Array:
        key_class, key_absent = jax.random.split(jax.random.fold_in(key, worker))
        rows = _draw.rotate(matrix, jnp.arange(classes, dtype=jnp.int32))
        given = (y + _draw.pick(key_class, rows, y)) % classes
        return jnp.where(_draw.hits(key_absent, absent, y.shape), -1, given)

    each = jnp.arange(workers, dtype=jnp.int32)
    return jax.vmap(one, out_axes=1)(each, confusion, missing)


def majority(key: PRNGKeyArray, answers: Values, classes: int) -> Int[Array, " n"]:
    """Return the class with the most answers; a tie goes to one of the tied at random.

    Given the answers, the vote is uniform among the classes of the highest count, independent
    over examples. -1 counts for no class; an example with no answer at all gets -1.

    `answers` has shape (n, workers), entries -1..C-1; `classes` is static. The votes are int32.

    >>> votes = majority(jax.random.key(0), [[0, 2, 2], [1, 1, 0], [-1, -1, -1]], 3)
    >>> print(votes)
    [ 2  1 -1]
    """
    classes = _check.count("classes", classes, 2)
    _check.real("answers", answers, (None, None))
    values = _check.concrete(answers)
    if values is not None and (
        np.any(values != np.floor(values)) or values.min() < -1 or values.max() >= classes
    ):
        bad = values[(values != np.floor(values)) | (values < -1) | (values >= classes)].flat[0]
        raise ValueError(
            f"answers must hold labels 0..{classes - 1}, or -1 for no answer, got {bad:g}"
        )
    answers = jnp.asarray(answers).astype(jnp.int32)
    n = answers.shape[0]
    each = jnp.arange(n, dtype=jnp.int32)[:, None]
    given = (answers >= 0).astype(jnp.int32)
    counts = jnp.zeros((n, classes), jnp.int32).at[each, answers].add(given)
    best = counts.max(axis=1, keepdims=True)
    u = jnp.where(counts == best, jax.random.uniform(key, counts.shape, jnp.float32), -1.0)
    return jnp.where(best[:, 0] > 0, jnp.argmax(u, axis=1).astype(jnp.int32), -1)


def majority_error(workers: Values, rate: Values) -> Float[Array, ""]:
    """Return P(the majority is wrong) for two classes and independent workers of one error rate.

    With p = rate, for m odd

        sum_{j > m/2} C(m, j) p^j (1 - p)^(m - j) = I_p((m + 1)/2, (m + 1)/2),

    the regularised incomplete beta function; with ties broken by a fair coin an even panel errs
    exactly as often as one of m - 1. m = 3: 3 p^2 - 2 p^3. Both arguments may be traced.

    >>> round(float(majority_error(3, 0.1)), 6), round(float(majority_error(4, 0.1)), 6)
    (0.028, 0.028)
    """
    workers = _input.number("workers", workers)
    m = _check.concrete(workers)
    if m is not None and not (m >= 1 and m == np.floor(m)):
        raise ValueError(f"workers must be a whole number >= 1, got {m:g}")
    rate = _input.rate("rate", rate)
    half = jnp.ceil(workers.astype(rate.dtype) / 2.0)
    return jax.scipy.special.betainc(half, half, rate)
