"""What theory says of s = u*u - v*v: which l1 weight, when it recovers, what a finite step adds."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrobust import _check


def lam(alpha: Any, gamma: Any) -> Float[Array, "..."]:
    """Give the l1 weight that descent from scale gamma with rate ratio alpha lands on.

    lam = -log(gamma) / (2 alpha), natural logarithm, 0 < gamma < 1. Along the flow
    theta = J' nu, u = gamma e^(2 alpha nu), v = gamma e^(-2 alpha nu), so s_i = O(1) holds
    nu_i at sign(s_i) lam (1 + o(1)) and all others inside: the optimality conditions of
    min 1/2|theta|^2 + lam |s|_1 s.t. y = J theta + s. Source: SOP, Liu, Zhu, Qu, You (ICML 2022,
    arXiv 2202.14026); the constant derived here and measured (study sop_is_l1).

    Examples
    --------
    >>> round(float(lam(10.0, 1e-8)), 4)
    0.921
    """
    return -jnp.log(_check.numbers("gamma", gamma, 1.0)) / (2 * _check.numbers("alpha", alpha))


def alpha_for(lam: Any, gamma: Any) -> Float[Array, "..."]:
    """Give the rate ratio alpha = -log(gamma) / (2 lam) for the l1 weight lam."""
    return -jnp.log(_check.numbers("gamma", gamma, 1.0)) / (2 * _check.numbers("lam", lam))


def recovery_limit(mu: Any, rank: Any, N: Any) -> Float[Array, "..."]:
    """Give the sparsity below which exact recovery is guaranteed: k < sqrt(N / (4 mu r)).

    Every h = U c in the range of J has |h_i| <= sqrt(mu r / N) |h|_2, hence
    |h_S|_1 <= k sqrt(mu r / N) |h|_1 for |S| = k, which is below |h|_1 / 2 iff
    k^2 r < N / (4 mu): the null-space property of exact l1 recovery. It then holds for every
    lam above some lam_0. Source: the condition of the SOP paper; the constant derived here.

    Examples
    --------
    >>> float(recovery_limit(mu=1.0, rank=1, N=400))
    10.0
    """
    mu = _check.between("mu", mu, 1 - 1e-9, jnp.inf)
    rank, N = _check.positive("rank", rank), _check.positive("N", N)
    return jnp.sqrt(N / (4 * mu * rank))


def finite_step_lam(lam: Any, alpha: Any, tau: Any, squared_residuals: Any) -> Float[Array, "..."]:
    """Give the per-example l1 weight that a finite step tau really solves with.

    lam_i = lam + alpha tau^2 sum_t r_(t,i)^2. The additive update leaves
    u v = gamma^2 prod_t (1 - (2 alpha tau r_t)^2) < gamma^2, as if gamma were smaller:
    log gamma_i = log gamma - 2 alpha^2 tau^2 sum_t r_t^2 to second order. Making gamma smaller does
    not remove it; the multiplicative update does. Source: derived here.

    Parameters
    ----------
    squared_residuals
        sum_t r_(t,i)^2 over the run, shape (N,): `Path.squared_residuals`.
    """
    return jnp.asarray(lam) + alpha * tau**2 * jnp.asarray(squared_residuals)


def stable_step(
    J: Any, y: Any, alpha: Any, gamma: Any = 0.0, *, safety: float = 0.5
) -> Float[Array, ""]:
    """Give a stable step, safety / (|J|_2^2 + 4 alpha hypot(max|y|, 2 gamma^2)).

    Near its end descent on (nu, u, v) has curvature JJ' + 4 alpha diag sqrt(s^2 + 4 gamma^4), so
    that any tau < 2 / (its largest eigenvalue) is stable; max|y| stands for the unknown max|s|, and
    `safety` for what lies between. |J|_2 is the largest singular value.
    """
    J = _check.real("J", J, (None, None))
    y = _check.real("y", y, (J.shape[0],)).astype(J.dtype)
    alpha = _check.number("alpha", alpha, dtype=J.dtype)
    part = _check.number("safety", safety, dtype=J.dtype)
    gamma = _check.between("gamma", gamma, 0.0, 1.0).astype(J.dtype)
    gram = J @ J.T if J.shape[0] <= J.shape[1] else J.T @ J
    spread = jnp.hypot(jnp.max(jnp.abs(y)), 2 * gamma**2)
    return part / (jnp.linalg.eigvalsh(gram)[-1] + 4 * alpha * spread)
