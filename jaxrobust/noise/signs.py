"""Noise on +-1 labels."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float, Num, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.noise import _draw, _input
from jaxrobust.noise._input import Values


def flip(key: PRNGKeyArray, y: Values, rate: Values) -> Num[Array, " n"]:
    """Flip +-1 labels independently: P(noisy_i = -y_i) = rate_i.

    One rate for all is random classification noise (Angluin & Laird 1988); `rate` of shape (n,)
    is one an example. `y` holds -1 and +1, shape (n,), and its dtype is kept. Rates lie in
    [0, 1].

    >>> import jax
    >>> print(flip(jax.random.key(0), [1, -1, 1], [0.0, 1.0, 1.0]))
    [ 1  1 -1]
    """
    y = _input.signs("y", y)
    hit = _draw.hits(key, _input.rates("rate", rate, y.shape[0]), y.shape)
    return jnp.where(hit, -y, y)


def massart(key: PRNGKeyArray, y: Values, eta: Values) -> Num[Array, " n"]:
    """Flip +-1 labels under Massart's condition: P(noisy_i = -y_i) = eta_i, all eta_i < 1/2.

    The law of `flip`, with the promise that the clean label stays the likelier one for every x;
    eta_i may depend on x_i in any way (Massart & Nedelec 2006). `eta` is one number or has shape
    (n,). An eta of 1/2 or more raises ValueError; under a trace it cannot be refused.

    >>> import jax
    >>> print(massart(jax.random.key(0), [1, -1, 1], 0.0))
    [ 1 -1  1]
    """
    _check.between("eta", eta, 0.0, 0.5, open_high=True)
    y = _input.signs("y", y)
    return flip(key, y, _input.rates("eta", eta, y.shape[0]))


def tsybakov_rate(margin: Values, alpha: Values, scale: Values = 1.0) -> Float[Array, " n"]:
    """Return eta(x) = 1/2 - min(1/2, scale |margin|^((1 - alpha) / alpha)).

    Then 1/2 - eta <= t < 1/2 exactly where |margin| <= (t / scale)^(alpha / (1 - alpha)). If
    P(|margin| <= r) <= c r, as for w.x with a bounded density, this is Tsybakov's condition

        P(1/2 - eta(x) <= t) <= A t^(alpha / (1 - alpha)),   A = c scale^(-alpha / (1 - alpha)),

    with equality for a margin uniform on [0, 1/c] while the right side is below 1. As alpha -> 1
    it turns into Massart's condition: alpha = 1 gives the constant rate max(0, 1/2 - scale).
    Small alpha is hard: eta stays near 1/2 far from the boundary.

    `margin` is w.x, shape (n,), its sign ignored; alpha in (0, 1]; scale > 0. The condition is
    Tsybakov's (2004, Optimal aggregation of classifiers) as Diakonikolas et al. state it for
    halfspaces (2020, arXiv 2006.06467); the power of the margin is one rate that meets it.

    >>> print(tsybakov_rate([0.0, 0.25, -1.0], 0.5))
    [0.5  0.25 0.  ]
    """
    margin = _input.full(_check.real("margin", margin, (None,)))
    _check.between("alpha", alpha, 0.0, 1.0, open_low=True)
    _check.positive("scale", scale)
    alpha = _input.number("alpha", alpha).astype(margin.dtype)
    scale = _input.number("scale", scale).astype(margin.dtype)
    gap = scale * jnp.abs(margin) ** ((1.0 - alpha) / alpha)
    return 0.5 - jnp.minimum(0.5, gap)


def tsybakov(
    key: PRNGKeyArray, y: Values, margin: Values, alpha: Values, scale: Values = 1.0
) -> Num[Array, " n"]:
    """Flip +-1 labels under Tsybakov's condition: P(noisy_i = -y_i) = eta(x_i).

    eta(x) is `tsybakov_rate(margin, alpha, scale)` (there the law and the source): a coin flip on
    the boundary, clean where scale |margin|^((1 - alpha) / alpha) >= 1/2. Independent over
    examples given the margins.

    >>> import jax
    >>> print(tsybakov(jax.random.key(0), [1, -1, 1], [0.9, -0.5, 0.8], 0.5))
    [ 1 -1  1]
    """
    y = _input.signs("y", y)
    eta = tsybakov_rate(margin, alpha, scale)
    if eta.shape != y.shape:
        raise ValueError(f"margin must have one entry a label, got {eta.shape} and {y.shape}")
    return flip(key, y, eta)


def positive_unlabelled(key: PRNGKeyArray, y: Values, rate: Values) -> Num[Array, " n"]:
    """Hide positives: a +1 becomes -1 with probability `rate`, a -1 always stays -1.

    P(noisy = +1 | y = +1) = 1 - rate is the label frequency of positive-unlabelled learning, and
    -1 then reads "unlabelled". One rate is "selected completely at random" (Elkan & Noto 2008);
    `rate` of shape (n,) is one an example. With a share pi of positives, a share pi rate of all
    labels is wrong.

    >>> import jax
    >>> print(positive_unlabelled(jax.random.key(0), [1, -1, 1], 1.0))
    [-1 -1 -1]
    """
    y = _input.signs("y", y)
    rate = _input.rates("rate", rate, y.shape[0])
    return flip(key, y, jnp.where(y > 0, rate, 0.0))
