"""Alternating projections for robust principal component analysis (Netrapalli et al. 2014).

Hard thresholds in turn, on singular values and on entries, one rank after another (arXiv
1410.7660; the formulas are from memory and work as written; beta is a public port's, the theory's
is 4 mu^2 r / sqrt(n p)):

    S = H_{beta |M|_2}(M);  for k = 1..r, t = 0..T-1:
        L = best rank-k approximation of M - S,
        zeta = beta (sigma_{k+1}(M - S) + 2^-t sigma_k(M - S)),    S = H_zeta(M - L).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrobust import _check


def hard(x: Array, t: Any) -> Array:
    """Keep the entries above t in size, the others are 0."""
    return jnp.where(jnp.abs(x) > t, x, 0.0)


def solve(
    M: Any, rank: Any, *, most: int, rounds: int = 50, beta: Any = None
) -> tuple[Float[Array, "n p"], Float[Array, "n p"]]:
    """Split M into L of the given rank and sparse S.

    Parameters
    ----------
    M
        Matrix (n, p).
    rank
        What it is told: r in 1..most, which may be traced.
    most
        The largest rank (static): `most` stages are run, those past `rank` change nothing.
    rounds
        T, projections a stage.
    beta
        None: 1 / sqrt(max(n, p)).

    >>> import jax
    >>> from jaxrobust.recovery.matrix import problem
    >>> wrong = problem.draw(jax.random.key(0), 40, 2, 0.05, p=40)
    >>> L, S = solve(wrong.y, 2, most=2)
    >>> bool(abs(L - wrong.X).max() < 1e-3)
    True
    """
    M = _check.real("M", M, (None, None))
    most = _check.count("most", most, 1, min(M.shape))
    rounds = _check.count("rounds", rounds)
    _check.between("rank", rank, 1, most)
    beta = 1.0 / max(M.shape) ** 0.5 if beta is None else _check.number("beta", beta)

    def a_round(S: Array, at: Any) -> tuple[Array, Array]:
        k, t = at
        U, w, V = jnp.linalg.svd(M - S, full_matrices=False)
        places = jnp.arange(w.size)
        L = (U * jnp.where(places < k, w, 0.0)[None, :]) @ V
        low = jnp.where(k < w.size, w[jnp.minimum(k, w.size - 1)], 0.0)
        zeta = beta * (low + 0.5**t * w[k - 1])
        ahead = k <= rank
        return jnp.where(ahead, hard(M - L, zeta), S), jnp.where(ahead, L, jnp.nan)

    ranks = jnp.repeat(jnp.arange(1, most + 1), rounds)
    turns = jnp.tile(jnp.arange(rounds), most).astype(M.dtype)
    S, _ = jax.lax.scan(a_round, hard(M, beta * jnp.linalg.norm(M, 2)), (ranks, turns))
    U, w, V = jnp.linalg.svd(M - S, full_matrices=False)
    L = (U * jnp.where(jnp.arange(w.size) < rank, w, 0.0)[None, :]) @ V
    return L, M - L
