"""The two draws behind the samplers: which places are hit, and which class comes out."""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray


def hits(key: PRNGKeyArray, rate: Array, shape: tuple[int, ...]) -> Bool[Array, "*shape"]:
    """Hit each place independently with probability `rate` (one number, or of this shape)."""
    return jax.random.uniform(key, shape, rate.dtype) < rate


@partial(jax.jit, static_argnames="shape")
def exact_hits(
    key: PRNGKeyArray, rate: Float[Array, ""], shape: tuple[int, ...]
) -> Bool[Array, "*shape"]:
    """Hit exactly k = ceil(rate n) of the n places, every set of k places equally likely.

    A product within rounding of a whole number is that number: 0.07 * 100 counts 7, where
    `ceil` of the float counts 8.
    """
    n = math.prod(shape)
    wanted = rate * n
    nearest = jnp.round(wanted)
    slack = 2 * float(jnp.finfo(rate.dtype).eps)
    k = jnp.where(jnp.abs(wanted - nearest) <= slack * wanted, nearest, jnp.ceil(wanted))
    # The ranks of a random permutation let k be a traced number.
    ranks = jax.random.permutation(key, n)
    return (ranks < jnp.nan_to_num(k).astype(ranks.dtype)).reshape(shape)


def rotate(rows: Float[Array, "m c"], start: Int[Array, " m"]) -> Float[Array, "m c"]:
    """Return R[i, j] = rows[i, (start_i + j) mod c]: column 0 is then "the label is kept"."""
    classes = rows.shape[1]
    offsets = jnp.arange(classes, dtype=start.dtype)
    return jnp.take_along_axis(rows, (start[:, None] + offsets[None, :]) % classes, axis=1)


@jax.jit
def invert(
    u: Float[Array, " n"], rows: Float[Array, "m c"], which: Int[Array, " n"]
) -> Int[Array, " n"]:
    """Return the first category whose cumulated probability in rows[which_i] exceeds u_i.

    u lies in [0, 1). A category of probability zero never comes out, not even by rounding.
    """
    classes = rows.shape[1]
    # A sum in another order may differ in its last bit, and a class of probability zero would
    # then be drawn once in a while: there the running maximum makes the step exactly zero.
    cdf = jax.lax.cummax(jnp.where(rows > 0, jnp.cumsum(rows, axis=1), 0.0), axis=1)
    u = u * cdf[which, -1]
    # Binary search, one example a lane, for the number of steps of the cdf that u has passed.
    passed = jnp.zeros(which.shape, jnp.int32)
    for bit in reversed(range(classes.bit_length())):
        trial = passed + (1 << bit)
        inside = cdf[which, jnp.minimum(trial, classes) - 1] <= u
        passed = jnp.where((trial <= classes) & inside, trial, passed)
    return passed


def pick(key: PRNGKeyArray, rows: Float[Array, "m c"], which: Int[Array, " n"]) -> Int[Array, " n"]:
    """Draw one category from rows[which_i] for each i, by inversion of its distribution.

    One uniform number an example and log2(c) gathers: no n x c array. Exact up to the spacing of
    the uniform numbers, 2^-23 in float32.
    """
    return invert(jax.random.uniform(key, which.shape, rows.dtype), rows, which)
