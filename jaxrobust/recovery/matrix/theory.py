"""Formulas: the weight that double over-parameterization implies, and how far sub-gradients reach.

Signs of Gaussian measurements. For g standard normal and any s, E[g sign(g - s)] = sqrt(2/pi)
exp(-s^2 / 2). So at U = 0, with y = A(X*) + s*, <A_i, X> ~ N(0, |X|_F^2) and a share of errors s*,
the direction M of `subgradient` has mean -phi X* / |X*|_F with

    phi = sqrt(2/pi) (1 - rate + rate E exp(-s^2 / (2 |X*|_F^2))):

gross errors scale the signal and do not turn it (Ma and Fattahi 2022, arXiv 2202.08788, Sign-RIP;
checked here by simulation). What remains is noise, of size about sqrt(n (n + 1) / (2 m)).
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from jaxrobust import _check


def weight(alpha: Any, gamma: Any = None, gamma_s: Any = None) -> Array:
    """Return the weight of |s|_1 that gradient flow implies as its initialization vanishes.

    1 / alpha for U = gamma I, g = h = gamma (You, Zhu, Qu, Ma 2020); with g = h = gamma_s it is
    log(1/gamma_s) / (alpha log(1/gamma)) (derived here). For commuting maps.

    >>> float(weight(2.0)), round(float(weight(2.0, 1e-3, 1e-6)), 6)
    (0.5, 1.0)
    """
    alpha = _check.number("alpha", alpha)
    if gamma is None and gamma_s is None:
        return 1.0 / alpha
    if gamma is None or gamma_s is None:
        raise ValueError("gamma and gamma_s must be given together, or neither: got one")
    gamma, gamma_s = (
        _check.number(name, x, 1.0) for name, x in (("gamma", gamma), ("gamma_s", gamma_s))
    )
    return jnp.log(gamma_s) / (alpha * jnp.log(gamma))


def sign_slope(errors: Any, size: Any) -> Array:
    """Return phi = sqrt(2/pi) mean_i exp(-s_i^2 / (2 size^2)); size is that of <A_i, X>.

    Entries of `errors` without error count with s_i = 0.

    >>> round(float(sign_slope(jnp.array([0.0, 100.0]), 1.0)), 4)  # half of sqrt(2/pi)
    0.3989
    """
    errors, size = _check.real("errors", errors), _check.number("size", size)
    return jnp.sqrt(2 / jnp.pi) * jnp.mean(jnp.exp(-0.5 * (errors / size) ** 2))


def travel(smallest: Any, total: Any, scale: Any, signal: Any = 1.0) -> Array:
    """Return how long the steps must be in all for the weakest direction to leave its start.

    Near U = 0 the normalized M is -signal X*/|X*|_F plus noise, so a direction with eigenvalue
    `smallest` of X* grows as exp(sum of steps signal smallest / total), total = |X*|_F, from
    alpha_0 = `scale` to sqrt(smallest):

        sum of steps >= log(sqrt(smallest) / scale) total / (signal smallest).

    `subgradient.reach` must be more, or the geometric rule freezes on its way. signal is |mean of
    M|_F / |M|_F, about phi / sqrt(phi^2 + n (n + 1) / (2 m)). Derived here; a scale and no bound:
    noise has eigenvalues of its own, and with k < n columns the start lies only in part along that
    direction, by about sqrt(k / n).

    >>> round(float(travel(1.0, 1.0, 1e-3)), 3)
    6.908
    """
    smallest, total = _check.number("smallest", smallest), _check.number("total", total)
    scale, signal = _check.number("scale", scale), _check.number("signal", signal)
    return jnp.maximum(jnp.log(jnp.sqrt(smallest) / scale), 0.0) * total / (signal * smallest)
