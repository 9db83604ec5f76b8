"""Two Gaussians on a line: which losses are low, as a posterior probability.

    l_i ~ pi_0 N(m_0, s_0) + pi_1 N(m_1, s_1),    m_0 <= m_1
    E: r_ji = pi_j N(l_i; m_j, s_j) / sum_k pi_k N(l_i; m_k, s_k)
    M: N_j = sum_i r_ji,  pi_j = N_j / n,  m_j = sum_i r_ji l_i / N_j,
       s_j = sum_i r_ji (l_i - m_j)^2 / N_j + 5e-4

Arazo, Ortego, Albert, O'Connor, McGuinness (ICML 2019) fitted two Betas to the losses of a network
on noisy labels; Li, Socher, Hoi (ICLR 2020, DivideMix) two Gaussians, by scikit-learn's
`GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4)`. These are its iterations: at most 10,
as one scan of fixed length in which a fit that has gained less than tol stands still.

Deviation: scikit-learn starts at Lloyd's 2-means from random centres; we start at the best
2-means, which on a line is a cut of the sorted losses (n cuts, all compared): no key is needed.

The posterior of the lower Gaussian need not fall with l: where it is the wider one, the far right
is its own again, as in the published code.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

ITERATIONS, TOLERANCE, FLOOR = 10, 1e-2, 5e-4


class Mixture(NamedTuple):
    """Two Gaussians; in no order until `low` takes the one of smaller mean."""

    weight: Float[Array, "2"]
    mean: Float[Array, "2"]
    variance: Float[Array, "2"]


def two_means(l: Float[Array, " n"]) -> Float[Array, "2 n"]:
    """Return the best 2-means clustering of numbers as responsibilities, the lower cluster first.

    A cut after the k smallest leaves sum_i (l_i - mean)^2 - n S_k^2 / (k (n - k)) inside the two
    clusters, S_k the sum of the k smallest of l - mean. Equal numbers stay together.

    >>> print(two_means(jnp.array([0.9, 0.1, 0.0, 1.0]))[0])
    [0. 1. 1. 0.]
    """
    n = l.shape[0]
    if n < 2:
        return jnp.stack([jnp.ones_like(l), jnp.zeros_like(l)])
    ordered = jnp.sort(l)
    k = jnp.arange(1, n).astype(l.dtype)
    between = jnp.cumsum(ordered - jnp.mean(l))[:-1] ** 2 / (k * (n - k))
    lower = l <= ordered[jnp.argmax(between)]
    return jnp.stack([lower, ~lower]).astype(l.dtype)


def maximise(l: Float[Array, " n"], r: Float[Array, "2 n"], floor: Any = FLOOR) -> Mixture:
    """Return the mixture of responsibilities r (M step); `floor` is added to both variances."""
    mass = jnp.sum(r, axis=1) + 10 * jnp.finfo(l.dtype).eps
    mean = r @ l / mass
    variance = jnp.sum(r * (l[None, :] - mean[:, None]) ** 2, axis=1) / mass + floor
    return Mixture(mass / jnp.sum(mass), mean, variance.astype(l.dtype))


def expect(l: Float[Array, " n"], m: Mixture) -> tuple[Float[Array, "2 n"], Float[Array, ""]]:
    """Return the responsibilities (E step) and the mean log-likelihood."""
    off = (l[None, :] - m.mean[:, None]) ** 2 / m.variance[:, None]
    scale = jnp.log(m.weight) - jnp.log(2 * jnp.pi * m.variance) / 2
    joint = scale[:, None] - off / 2
    return jax.nn.softmax(joint, axis=0), jnp.mean(jax.nn.logsumexp(joint, axis=0))


def fit(
    l: Float[Array, " n"],
    start: Mixture | None = None,
    *,
    iterations: int = ITERATIONS,
    tol: Any = TOLERANCE,
    floor: Any = FLOOR,
) -> Mixture:
    """Fit the mixture by EM from `start`, or from the best 2-means.

    It stands still once the mean log-likelihood has moved by less than tol; 0 turns that off.
    """
    start = maximise(l, two_means(l), floor) if start is None else start

    def step(carry, _):
        m, before, done = carry
        r, gain = expect(l, m)
        moved = maximise(l, r, floor)
        m = jax.tree.map(lambda old, new: jnp.where(done, old, new), m, moved)
        return (m, gain, done | (jnp.abs(gain - before) < tol)), None

    carry = (start, jnp.full((), -jnp.inf, l.dtype), jnp.zeros((), bool))
    (m, _, _), _ = jax.lax.scan(step, carry, None, length=iterations)
    return m


def low(l: Float[Array, " n"], m: Mixture) -> Float[Array, " n"]:
    """Return each number's posterior probability of the component with the smaller mean."""
    return expect(l, m)[0][jnp.argmin(m.mean)]


def normalise(l: Float[Array, " n"]) -> Float[Array, " n"]:
    """Return (l - min) / (max - min); zeros where all are equal.

    >>> print(normalise(jnp.array([1.0, 3.0, 2.0])))
    [0.  1.  0.5]
    """
    span = jnp.max(l) - jnp.min(l)
    return (l - jnp.min(l)) / jnp.where(span == 0, jnp.ones_like(span), span)
