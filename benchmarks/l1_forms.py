"""Sparse matrices of the l1 benchmark's dual programs, from index patterns that are kept.

A user of SciPy would build them with `csc_matrix` and `hstack`; that takes longer than some of the
solvers, and is not what is compared.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse as sp


@lru_cache(maxsize=2)
def identity(N: int, times: int) -> sp.csc_matrix:
    """Stack I, or I over -I."""
    return sp.csc_matrix(sp.vstack([sp.eye(N), -sp.eye(N)][:times]))


@lru_cache(maxsize=2)
def weights(N: int, p: int) -> sp.csc_matrix:
    """Weigh theta, and not nu."""
    return sp.csc_matrix((np.ones(p), np.arange(p), np.r_[: p + 1, np.full(N, p)]), (p + N, p + N))


@lru_cache(maxsize=2)
def _triangle(N: int) -> tuple[Any, np.ndarray, np.ndarray]:
    rows, columns = np.tril_indices(N)
    return (rows, columns), columns.astype(np.int32), np.r_[0, np.arange(1, N + 1).cumsum()]


def upper(K: np.ndarray) -> sp.csc_matrix:
    """Give the upper triangle by columns: of a symmetric K, the lower one by rows."""
    where, indices, starts = _triangle(len(K))
    return sp.csc_matrix((K[where], indices, starts), K.shape)


@lru_cache(maxsize=2)
def _pattern(N: int, p: int, bounds: int) -> tuple[np.ndarray, np.ndarray]:
    own = p + np.arange(N)[:, None] + N * np.arange(bounds)
    rows = np.concatenate([np.broadcast_to(np.arange(p), (N, p)), own], axis=1)
    starts = np.r_[:p, p + (p + bounds) * np.arange(N + 1)]
    return np.r_[:p, rows.ravel()].astype(np.int32), starts


def links(J: np.ndarray, bounds: int) -> sp.csc_matrix:
    """Give the rows J'nu - theta, then nu once, or nu and -nu, by columns of (theta, nu)."""
    N, p = J.shape
    indices, starts = _pattern(N, p, bounds)
    values = np.concatenate([J, np.tile([1.0, -1.0][:bounds], (N, 1))], axis=1)
    data = np.concatenate([np.full(p, -1.0), values.ravel()])
    return sp.csc_matrix((data, indices, starts), (p + bounds * N, p + N))
