"""SOP descent in N-space, where many lanes that share J are one matrix product a step.

From theta = 0 the iterates stay in the row space: theta_t = J' nu_t, nu_t = -tau sum_(k<t) r_k, so
that r = K nu + s - y with K = J J', 2 N^2 flops a step in place of 4 N p. `trajectory` owns the
loop; a test holds these steps to those of `descent`.

Beside the product a step costs what it reads and writes: XLA makes one pass an output on a CPU and
works r out anew in each, unless r is carried. u and v travel as one complex array, w = u + iv with
s = Re w^2: one pass in place of two, and no copies.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxrobust.sop.flow import sparse_part

# ln 2 in two parts: k times the first is exact for |k| < 2^20 (as in fdlibm's e_exp.c).
_LN2 = (6.93147180369123816490e-01, 1.90821492927058770002e-10)
_WHOLE = 1.5 * 2.0**52  # k + this holds a whole k in its lowest bits
_LOWEST, _HIGHEST = -1022.0, 1022.0  # exponents of normal numbers
_COSH = [1 / math.factorial(j) for j in (12, 10, 8, 6, 4, 2, 0)]
_SINH = [1 / math.factorial(j) for j in (13, 11, 9, 7, 5, 3, 1)]


Form = tuple[Any, Callable[[Any], tuple[Any, Array]], Callable[[Any], tuple[Array, Array]]]


def additive(J: Array, y: Array, alpha: Array, gamma: Array, tau: Array) -> Form:
    """Give (start, step, read) of gradient descent; `step(state) -> state, r before it`."""
    K = J @ J.T  # symmetric; nu @ K keeps the lanes in front when many share one K
    rate = 2 * alpha * tau
    zero, scale = jnp.zeros_like(y), jnp.full_like(y, gamma)

    def step(state: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array, Array], Array]:
        nu, w, r = state
        # u - rate u r and v + rate v r. Written with complex products XLA does not do it twice.
        nu, w = nu - tau * r, w - w.conj() * (rate * r).astype(w.dtype)
        return (nu, w, nu @ K + (w * w).real - y), r

    def read(state: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        return J.T @ state[0], (state[1] * state[1]).real

    return (zero, jax.lax.complex(scale, scale), -y), step, read


def multiplicative(J: Array, y: Array, alpha: Array, gamma: Array, tau: Array) -> Form:
    """Give (start, step, read) of the rule without step bias: nu alone is the state.

    u = gamma e^(2 alpha nu) and v = gamma e^(-2 alpha nu), so s = 2 gamma^2 sinh(4 alpha nu).
    """
    K = J @ J.T
    log_gamma = jnp.log(gamma)
    # A number an example in place of one a run: XLA cuts a kernel of more flops than bytes in tasks
    # for its pool, which costs a third of the time where every core runs a block of lanes already.
    scale, slope, tau = (x + 0 * y for x in (2 * log_gamma, 4 * alpha, tau))
    sparse = exp_difference(scale)

    def step(nu: Array) -> tuple[Array, Array]:
        r = nu @ K + sparse(slope * nu) - y
        return nu - tau * r, r

    return jnp.zeros_like(y), step, lambda nu: (J.T @ nu, sparse_part(nu, alpha, log_gamma))


def exp_difference(c: Array) -> Callable[[Array], Array]:
    """Give the function x -> e^(c + x) - e^(c - x), accurate to rounding of e^c + |result|.

    XLA's float64 exp takes about twice the time of this on a CPU, and two of them are needed. With
    x = k ln 2 + f, |f| <= ln 2 / 2, both exponentials come from the even and the odd part of one
    Taylor series in f, and the powers of 2 are written as bits. c is split likewise, so neither
    factor overflows; past the largest power of 2 the result stays there, and NaN stays NaN.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> sinh = exp_difference(jnp.log(jnp.asarray(0.5)))
    >>> bool(jnp.allclose(sinh(jnp.asarray([-2.0, 0.0, 3.0])), jnp.sinh(jnp.asarray([-2.0, 0, 3]))))
    True
    """
    if c.dtype != jnp.float64:
        top = 0.99 * jnp.log(jnp.finfo(c.dtype).max).astype(c.dtype)
        return lambda x: jnp.exp(jnp.minimum(c + x, top)) - jnp.exp(jnp.minimum(c - x, top))
    m, rest = _split(c)
    factor = jnp.exp(rest)
    most = (_HIGHEST - m) * math.log(2.0)

    def difference(x: Array) -> Array:
        k, f = _split(jnp.clip(x, -most, most))
        square = f * f
        cosh, sinh = _horner(_COSH, square), f * _horner(_SINH, square)
        up, down = _power_of_2(m + k), _power_of_2(m - k)
        return factor * (up * (cosh + sinh) - down * (cosh - sinh))

    return difference


def _split(x: Array) -> tuple[Array, Array]:
    """Split x = k ln 2 + f with k whole."""
    k = jnp.round(x * (1 / math.log(2.0)))
    return k, (x - k * _LN2[0]) - k * _LN2[1]


def _horner(coefficients: list[float], x: Array) -> Array:
    """Evaluate a polynomial, highest power first."""
    value = jnp.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        value = value * x + c
    return value


def _power_of_2(k: Array) -> Array:
    """Give 2^k of a whole float64 k: its lowest bits, biased, moved to the exponent's place."""
    bits = jax.lax.bitcast_convert_type(jnp.maximum(k, _LOWEST) + (_WHOLE + 1023), jnp.int64)
    return jax.lax.bitcast_convert_type(bits << 52, jnp.float64)
