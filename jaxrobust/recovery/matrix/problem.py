"""Low-rank matrices seen through linear maps, some measurements grossly wrong: y = A(X*) + s*.

A(X)_i = <A_i, X> for m matrices A_i of X's shape; `A = None` is the identity, y = X* + s* (robust
principal component analysis).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.noise import gross_errors
from jaxrobust.noise.targets import Law


class Problem(NamedTuple):
    """Measurements with their ground truth."""

    A: Float[Array, "m n p"] | None
    """The maps, None for the identity."""
    y: Float[Array, "..."]
    """Shape (m,), or that of X for the identity."""
    X: Float[Array, "n p"]
    s: Float[Array, "..."]
    """The gross errors, of y's shape."""


def measure(A: Array | None, X: Array) -> Array:
    """Return A(X): <A_i, X> for every i, or X itself for the identity.

    >>> measure(jnp.ones((1, 2, 2)), jnp.eye(2)).tolist()
    [2.0]
    """
    return X if A is None else A.reshape(A.shape[0], -1) @ X.reshape(-1)


def adjoint(A: Array | None, nu: Array) -> Array:
    """Return A*(nu) = sum_i nu_i A_i, or nu itself for the identity.

    >>> adjoint(jnp.ones((1, 2, 2)), jnp.array([3.0])).tolist()
    [[3.0, 3.0], [3.0, 3.0]]
    """
    return nu if A is None else (nu @ A.reshape(A.shape[0], -1)).reshape(A.shape[1:])


def low_rank(
    key: PRNGKeyArray, n: int, rank: Any, p: int | None = None, *, most: int | None = None
) -> Float[Array, "n p"]:
    """Draw a matrix of a given rank with Frobenius norm n (p None) or sqrt(n p).

    p None: positive semi-definite, X = F F' with F (n, rank) standard normal, then scaled. Else
    X = F G' with F (n, rank) and G (p, rank). Entries have mean square 1 either way. rank 0 is 0.
    With `most` (static) the rank may be traced, up to that; the same draw at more columns.

    >>> import jax
    >>> X = low_rank(jax.random.key(0), 5, 2)
    >>> int(jnp.linalg.matrix_rank(X)), round(float(jnp.linalg.norm(X)), 4)
    (2, 5.0)
    """
    n = _check.count("n", n)
    columns = n if p is None else _check.count("p", p)
    if most is None:
        rank = most = _check.count("rank", rank, 0, min(n, columns))
    left, right = jax.random.split(key)
    kept = jnp.arange(_check.count("most", most, 0, min(n, columns))) < rank
    F = jnp.where(kept[None, :], jax.random.normal(left, (n, most)), 0.0)
    G = F if p is None else jax.random.normal(right, (columns, most))
    X = F @ G.T
    size = jnp.linalg.norm(X)
    return X * jnp.where(size > 0, jnp.sqrt(n * columns) / jnp.where(size > 0, size, 1.0), 0.0)


def gaussian_maps(key: PRNGKeyArray, m: int, n: int, p: int | None = None) -> Float[Array, "m n p"]:
    """Draw m independent Gaussian maps, scaled so that E |A(X)|^2 = |X|_F^2.

    p None: symmetric, (G + G') / 2 of standard normal G, over sqrt(m / 2) on the whole, for
    symmetric X: <A_i, X> is N(0, |X|_F^2 / m). Else entries N(0, 1/m).

    >>> import jax
    >>> gaussian_maps(jax.random.key(0), 7, 3).shape
    (7, 3, 3)
    """
    m, n = _check.count("m", m), _check.count("n", n)
    columns = n if p is None else _check.count("p", p)
    G = jax.random.normal(key, (m, n, columns)) / jnp.sqrt(m)
    return G if p is not None else (G + G.transpose(0, 2, 1)) / 2


def commuting_maps(
    key: PRNGKeyArray, m: int, n: int
) -> tuple[Float[Array, "m n n"], Float[Array, "m n"], Float[Array, "n n"]]:
    """Draw m symmetric maps that commute: A_i = Q diag(B_i) Q', B standard normal / sqrt(m).

    Returns A, the eigenvalues B (m, n) and the eigenvectors Q. With X = Q diag(x) Q', A(X) = B x:
    the matrix program is a linear program in x. Q is uniform over orthogonal matrices.

    >>> import jax
    >>> A, B, Q = commuting_maps(jax.random.key(0), 4, 3)
    >>> bool(jnp.allclose(A[0] @ A[1], A[1] @ A[0], atol=1e-6))
    True
    """
    m, n = _check.count("m", m), _check.count("n", n)
    first, second = jax.random.split(key)
    B = jax.random.normal(first, (m, n)) / jnp.sqrt(m)
    Q, R = jnp.linalg.qr(jax.random.normal(second, (n, n)))
    Q = Q * jnp.sign(jnp.diagonal(R))[None, :]
    return jnp.einsum("ij,mj,kj->mik", Q, B, Q), B, Q


def draw(
    key: PRNGKeyArray,
    n: int,
    rank: Any,
    rate: Any,
    *,
    p: int | None = None,
    m: int | None = None,
    size: Any = 3.0,
    law: Law = "gaussian",
    exact: bool = True,
    most: int | None = None,
) -> Problem:
    """Draw a problem: `low_rank` X*, `gaussian_maps` (m None: the identity), `gross_errors`.

    Parameters
    ----------
    rank, most
        Of `low_rank`.
    rate, law, exact
        Of `noise.gross_errors`, for s* on the measurements.
    p
        Columns; None: square, symmetric and positive semi-definite.
    size
        Magnitude of the errors over the root mean square of the clean measurements.

    >>> import jax
    >>> problem = draw(jax.random.key(0), 6, 2, 0.25, m=40)
    >>> problem.y.shape, int((problem.s != 0).sum())
    ((40,), 10)
    """
    of_X, of_A, of_s = jax.random.split(key, 3)
    X = low_rank(of_X, n, rank, p, most=most)
    A = None if m is None else gaussian_maps(of_A, m, n, p)
    clean = measure(A, X)
    magnitude = _check.number("size", size) * jnp.sqrt(jnp.mean(clean**2))
    y, s = gross_errors(
        of_s, clean, rate, jnp.where(magnitude > 0, magnitude, 1.0), law=law, exact=exact
    )
    return Problem(A, y, X, s)
