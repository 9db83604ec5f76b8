"""Proximal maps of the norms, and what makes a dual point feasible."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array


def soft(x: Array, t: Any) -> Array:
    """Shrink entries to 0 by t: sign(x) max(|x| - t, 0), the proximal map of t |x|_1.

    >>> soft(jnp.array([3.0, -0.5]), 1.0).tolist()
    [2.0, -0.0]
    """
    return jnp.sign(x) * jnp.maximum(jnp.abs(x) - t, 0.0)


def shrink(X: Array, t: Any, psd: bool) -> Array:
    """Return the proximal map of t |X|_*.

    Singular values fall by t and stop at 0; with `psd` (static) eigenvalues do, of the symmetric
    part: the proximal map of t tr X on X >= 0.
    """
    if psd:
        w, Q = jnp.linalg.eigh((X + X.T) / 2)
        w = jnp.maximum(w - t, 0.0)
        return (Q * w[None, :]) @ Q.T
    # By eigenvalues of the smaller Gram matrix, 4 times as fast as an SVD on a CPU. Their error, a
    # unit of rounding times (|X|_2 / sigma)^2 relative, counts only where sigma > t.
    wide = X.shape[0] < X.shape[1]
    w, Q = jnp.linalg.eigh(X @ X.T if wide else X.T @ X)
    w = jnp.sqrt(jnp.maximum(w, 0.0))
    kept = jnp.where(w > t, 1.0 - t / jnp.where(w > t, w, 1.0), 0.0)
    P = (Q * kept[None, :]) @ Q.T
    return P @ X if wide else X @ P


def nuclear(X: Array, psd: bool) -> Array:
    """Return |X|_*: the sum of singular values; with `psd` inf where X is clearly not >= 0.

    With `psd` X is symmetric, and eigenvalues below 0 by rounding count by their size: what is
    returned is never below the nuclear norm.
    """
    if psd:
        w = jnp.linalg.eigvalsh(X)
        slack = 16 * X.shape[0] * jnp.finfo(X.dtype).eps * jnp.maximum(w[-1], 0.0)
        return jnp.where(w[0] >= -slack, jnp.sum(jnp.abs(w)), jnp.inf)
    return jnp.sum(jnp.linalg.svd(X, compute_uv=False))


def spectral(X: Array, psd: bool) -> Array:
    """Return the gauge of the dual constraint: |X|_2, or with `psd` the largest eigenvalue."""
    if psd:
        return jnp.linalg.eigvalsh((X + X.T) / 2)[-1]
    return jnp.linalg.norm(X, 2)
