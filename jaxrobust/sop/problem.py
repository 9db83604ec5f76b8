"""Draw instances of the linear model y = J theta + s together with their ground truth."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, Float
from scipy.linalg import hadamard

from jaxrobust import _check


class Problem(NamedTuple):
    """An instance y = J theta + s with s sparse."""

    J: Float[Array, "N p"]
    y: Float[Array, " N"]
    theta: Float[Array, " p"]
    s: Float[Array, " N"]


def draw(
    key: Any,
    N: int,
    p: int,
    *,
    rank: Any = None,
    k: Any = 0,
    magnitude: Any = 1.0,
    signs: bool = False,
    flat: bool = False,
) -> Problem:
    """Draw y = J theta + s with Gaussian J of a given rank and exactly k gross errors.

    J_ij = N(0, 1)/sqrt(p) at full rank (rank=None), else J = A B / sqrt(r p) with Gaussian
    A (N x r), B (r x p): rows have expected squared norm 1 either way. theta is N(0, I) projected
    on the row space of J, the only part of it that the data can tell. s has exactly k non-zeros
    at places drawn without replacement; they are magnitude * N(0, 1), or magnitude * (+-1) with
    `signs=True`.

    Parameters
    ----------
    key
        PRNG key. Problems of one key and different rank, k or magnitude are nested: the factors of
        rank r are the first r columns of those of rank r + 1, and so are the corrupted places.
    N, p
        Number of examples and of parameters (static: they set shapes).
    rank
        None, or a number in 1..min(N, p); may be traced, so that a sweep over ranks compiles once.
    k
        Number of corrupted examples in 0..N; may be traced. Fractions are rounded down.
    magnitude
        Scale of the gross errors, > 0; may be traced.
    signs
        Draw errors of equal size +-magnitude.
    flat
        Take for A the columns of a Hadamard matrix, rows and columns permuted: every example has
        the same leverage and J has coherence 1, the best case of `theory.recovery_limit`. Needs a
        rank, and for N a power of 2.

    Examples
    --------
    >>> import jax
    >>> J, y, theta, s = draw(jax.random.key(0), N=20, p=40, rank=5, k=3)
    >>> J.shape, int((s != 0).sum()), bool(abs(y - J @ theta - s).max() < 1e-6)
    ((20, 40), 3, True)
    """
    N, p = _check.count("N", N), _check.count("p", p)
    m = min(N, p)
    k = jnp.floor(jnp.clip(_check.between("k", k, 0, N), 0, N))
    magnitude = _check.positive("magnitude", magnitude)
    key_J, key_theta, key_support, key_s = jax.random.split(key, 4)

    if flat and (rank is None or N & (N - 1)):
        raise ValueError(f"flat needs a rank and N = 2, 4, 8, ..., got rank {rank} and N = {N}")
    # One draw of the full-size factors serves every rank: smaller ones are prefixes of it.
    if rank is None:
        J = jax.random.normal(key_J, (N, p)) / p**0.5
        rows = J if p > N else None  # p <= N: every theta is in the row space
    else:
        rank = jnp.floor(jnp.clip(_check.between("rank", rank, 1, m), 1, m))
        key_A, key_B = jax.random.split(key_J)
        kept = jnp.where(jnp.arange(m, dtype=rank.dtype) < rank, 1.0, 0.0)
        A = (_flat(key_A, N)[:, :m] if flat else jax.random.normal(key_A, (N, m))) * kept[None, :]
        B = jax.random.normal(key_B, (m, p)) * kept[:, None]
        J = A @ B / jnp.sqrt(rank * p)
        rows = B

    theta = jax.random.normal(key_theta, (p,))
    if rows is not None:
        # Projection B' (B B')^-1 B theta; rows that the rank left out get a unit diagonal.
        gram = rows @ rows.T
        gram = gram + jnp.diag(jnp.where(jnp.diagonal(gram) == 0, 1.0, 0.0))
        theta = rows.T @ cho_solve(cho_factor(gram, lower=True), rows @ theta)

    places = jax.random.permutation(key_support, N)
    values = (
        jax.random.rademacher(key_s, (N,), dtype=J.dtype)
        if signs
        else jax.random.normal(key_s, (N,))
    )
    s = jnp.where(places.astype(k.dtype) < k, magnitude * values, 0.0)
    return Problem(J, J @ theta + s, theta, s)


def _flat(key: Any, N: int) -> Array:
    """Give a Hadamard matrix (entries +-1, orthogonal columns) with rows and columns permuted."""
    first, second = jax.random.split(key)
    columns = jax.random.permutation(first, jnp.asarray(hadamard(N), float), axis=1)
    return jax.random.permutation(second, columns)


def coherence(J: Any, rank: Any = None) -> Float[Array, ""]:
    """Coherence mu(J) = (N / r) max_i |U_r' e_i|^2 of the column space of J.

    J = U S V' with r its rank; 1 <= mu <= N/r, mu = 1 when no example sticks out. Without `rank`,
    singular values above max(N, p) * eps * S_0 count. Source: the definition that goes with the
    recovery condition k^2 r < N / (4 mu); see `theory.recovery_limit`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> round(float(coherence(jnp.ones((4, 1)))), 4), float(coherence(jnp.eye(4)[:, :2]))
    (1.0, 2.0)
    """
    J = _check.real("J", J, (None, None))
    if not isinstance(J, Tracer) and not jnp.any(J):
        raise ValueError("J is zero: coherence is not defined")
    if rank is not None:
        rank = _check.between("rank", rank, 1, min(J.shape))
    U, S, _ = jnp.linalg.svd(J, full_matrices=False)
    floor = max(J.shape) * jnp.finfo(J.dtype).eps * S[0]
    kept = S > floor if rank is None else jnp.arange(S.size, dtype=S.dtype) < rank
    leverage = jnp.sum(jnp.where(kept, U, 0.0) ** 2, axis=1)
    return J.shape[0] / jnp.sum(kept) * jnp.max(leverage)
