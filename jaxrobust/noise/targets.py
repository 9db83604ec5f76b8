"""Sparse gross errors on real targets."""

from __future__ import annotations

from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.noise import _draw, _input
from jaxrobust.noise._input import Values

Law = Literal["gaussian", "sign", "uniform"]


def gross_errors(
    key: PRNGKeyArray,
    y: Values,
    rate: Values,
    magnitude: Values,
    *,
    law: Law = "gaussian",
    exact: bool = False,
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Add sparse gross errors to real targets; return y + s and s.

    s_i = magnitude z_i on the support and 0 off it. The support, independent of y:

    - Bernoulli (default): each entry independently with probability `rate`;
    - `exact=True`: exactly k = ceil(rate n) of the n entries, every set of k equally likely.

    The law of z, independent over entries and of the support:

    - "gaussian": N(0, 1), so that E s_i^2 = rate magnitude^2;
    - "sign": +1 or -1 with probability 1/2, so that |s_i| = magnitude on the support;
    - "uniform": uniform on [-1, 1], so that E s_i^2 = rate magnitude^2 / 3.

    `y` has any shape (a vector of targets, a matrix to decompose) and floating dtype, which is
    kept; magnitude > 0 in the units of y. The additive model y = J theta + s is that of sparse
    over-parameterization (Liu et al. 2022, arXiv 2202.14026); Candes et al. 2011 for matrices.

    >>> noisy, s = gross_errors(jax.random.key(0), jnp.zeros(10), 0.3, 5.0, law="sign", exact=True)
    >>> float(abs(s).sum())
    15.0
    """
    if law not in get_args(Law):
        raise ValueError(f"law must be one of {', '.join(get_args(Law))}, got {law!r}")
    y = _check.real("y", y)
    if y.size == 0:
        raise ValueError(f"y is empty, shape {y.shape}: give at least one target")
    rate = _input.rate("rate", rate)
    _check.positive("magnitude", magnitude)
    magnitude = _input.number("magnitude", magnitude)
    key_hit, key_size = jax.random.split(key)
    hit = (_draw.exact_hits if exact else _draw.hits)(key_hit, rate, y.shape)
    wide = _input.full(y).dtype
    if law == "gaussian":
        z = jax.random.normal(key_size, y.shape, wide)
    elif law == "sign":
        z = jax.random.rademacher(key_size, y.shape, wide)
    else:
        z = jax.random.uniform(key_size, y.shape, wide, -1.0, 1.0)
    s = jnp.where(hit, magnitude.astype(wide) * z, 0.0).astype(y.dtype)
    return y + s, s
