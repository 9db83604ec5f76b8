"""J of low rank, factored once and solved in the space of its rank."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxrobust import _check


class Factored(NamedTuple):
    """J = core basis' with basis'basis = I: goes where J goes in `solve_l1`."""

    core: Float[Array, "N r"]
    basis: Float[Array, "p r"]


def factor(J: Any, rank: Any = None) -> Factored:
    """Factor J = core basis' by one singular value decomposition, to be shared by many y and lam.

    With theta = basis t the program keeps its form, |theta| = |t|, and J is only N x r. A
    certificate then speaks of core basis', which is J to within about max(N, p) eps |J|.

    Parameters
    ----------
    J
        Matrix (N, p).
    rank
        r; by default the number of singular values above max(N, p) eps times the largest.

    Raises
    ------
    ValueError
        If J is not of that rank: then core basis' would be another program.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> core, basis = factor(jnp.outer(jnp.arange(1.0, 5.0), jnp.ones(3)))
    >>> core.shape, basis.shape
    ((4, 1), (3, 1))
    """
    J = _check.real("J", J, (None, None))
    values = _check.concrete(J)
    if values is None:
        raise ValueError("J is traced and its rank cannot be read: factor it outside jit")
    U, sizes, V = np.linalg.svd(values.astype(np.float64), full_matrices=False)
    eps = np.finfo(values.dtype).eps
    kept = int(np.sum(sizes > max(values.shape) * eps * sizes[0]))
    r = max(1, kept) if rank is None else _check.count("rank", rank, 1, min(values.shape))
    if rank is not None and r < kept:
        raise ValueError(f"rank must be at least {kept}, the rank of J, got {r}")
    return Factored(jnp.asarray(U[:, :r] * sizes[:r], J.dtype), jnp.asarray(V[:r].T, J.dtype))
