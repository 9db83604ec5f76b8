"""Two Gaussians with wrong labels, and a linear classifier that memorizes in the end: ELR's model.

    x_i ~ N(y*_i v, sigma^2 I_p), y*_i = +-1 evenly, |v| = 1; with probability Delta the label is
    REPLACED by a uniformly random one, so that it is wrong with probability Delta / 2
    L(theta) = (1/n) sum_i log(1 + exp(-eps_i theta.x_i)), eps_i = +-1 the given label
    theta <- theta - eta grad L(theta), |theta_0| = 2 in a uniformly random direction

S. Liu, J. Niles-Weed, N. Razavian, C. Fernandez-Granda (2020), arXiv 2007.00151, Section 3. The
loss is that of the logits (0, theta.x), so ELR adds lam log(1 - <p_i, t_i>) with p_i their softmax
(`elr.loss`, clip included); lam = 0 is cross-entropy.

DEVIATIONS. v is the first basis vector: the law of what is measured does not depend on v. As in the
paper's theorems what descends is theta, the difference of two classes' weights; both together would
double eta. The paper prints tanh(theta.x_i) in the gradient: the loss above has
(1 / 2n) sum_i x_i (tanh(theta.x_i / 2) - eps_i).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.deep import elr
from jaxrobust.noise import flip


class Instance(NamedTuple):
    """A sample; classes 1 and 0 stand for +v and -v."""

    x: Float[Array, "n p"]
    truth: Int[Array, " n"]
    y: Int[Array, " n"]
    """The given labels."""

    @property
    def wrong(self) -> Bool[Array, " n"]:
        """Mark the wrong labels."""
        return self.truth != self.y


class State(NamedTuple):
    """The classifier, and ELR's targets."""

    theta: Float[Array, " p"]
    t: Float[Array, "n 2"]


class Info(NamedTuple):
    """What a step tells."""

    loss: Float[Array, ""]
    """The objective before the step."""


def draw(key: PRNGKeyArray, n: int, p: int, sigma: Any, Delta: Any, dtype: Any = float) -> Instance:
    """Draw n examples in p dimensions, each label REPLACED with probability Delta.

    >>> found = draw(jax.random.key(0), 5, 3, 0.2, 0.4)
    >>> found.x.shape, found.y.dtype
    ((5, 3), dtype('int32'))
    """
    n, p = _check.count("n", n), _check.count("p", p)
    sigma = _check.positive("sigma", sigma).astype(dtype)
    Delta = _check.rate("Delta", Delta)
    side, noise, label = jax.random.split(key, 3)
    sign = 2 * jax.random.bernoulli(side, 0.5, (n,)).astype(jnp.int32) - 1
    x = (sigma * jax.random.normal(noise, (n, p), dtype)).at[:, 0].add(sign.astype(dtype))
    eps = flip(label, sign, Delta / 2)
    return Instance(x, (sign + 1) // 2, (eps + 1) // 2)


def logits(theta: Float[Array, " p"], x: Float[Array, "n p"]) -> Float[Array, "n 2"]:
    """Return (0, theta.x), the logits of classes 0 and 1."""
    s = x @ theta
    return jnp.stack([jnp.zeros_like(s), s], axis=1)


def init(key: PRNGKeyArray, given: Instance, radius: Any = 2.0) -> State:
    """Start on the sphere of this radius (0: at zero), with targets 0."""
    direction = jax.random.normal(key, given.x.shape[1:], given.x.dtype)
    theta = jnp.asarray(radius, given.x.dtype) * direction / jnp.linalg.norm(direction)
    return State(theta, jnp.zeros((given.x.shape[0], 2), given.x.dtype))


def step(
    state: State, given: Instance, eta: Any, lam: Any = 0.0, beta: Any = 0.7
) -> tuple[State, Info]:
    """Move the targets, then theta against the gradient of CE + lam log(1 - <p, t>) on all."""
    dtype = given.x.dtype
    t = elr.target(state.t, logits(state.theta, given.x), beta)

    def objective(theta):
        z = logits(theta, given.x)
        return jnp.mean(elr.loss(z, given.y, t, jnp.asarray(lam, dtype)))

    value, slope = jax.value_and_grad(objective)(state.theta)
    return State(state.theta - jnp.asarray(eta, dtype) * slope, t), Info(value)


def descend(
    key: PRNGKeyArray,
    given: Instance,
    times: tuple[int, ...],
    eta: Any,
    lam: Any = 0.0,
    beta: Any = 0.7,
    radius: Any = 2.0,
) -> Float[Array, "times p"]:
    """Return theta after so many steps, for each of the increasing `times` (static)."""
    marks = np.asarray(times)
    if marks.size == 0 or marks[0] < 0 or np.any(np.diff(marks) <= 0):
        raise ValueError(f"times must be whole numbers >= 0 that increase, got {times!r:.40}")
    start = init(key, given, radius)
    # Each step writes to the row of the next mark: the last to write is the mark's own.
    rows = np.searchsorted(marks, np.arange(1, marks[-1] + 1)).astype(np.int32)

    def one(carry, row):
        state, kept = carry
        state, _ = step(state, given, eta, lam, beta)
        return (state, kept.at[row].set(state.theta)), None

    kept = jnp.tile(start.theta[None, :], (len(marks), 1))
    return jax.lax.scan(one, (start, kept), jnp.asarray(rows))[0][1]


def accuracy(theta: Float[Array, " p"], sigma: Float[Array, ""] | float) -> Float[Array, ""]:
    """Return P(sign(theta.x) = y*) for a new x, Phi(theta.v / (sigma |theta|)): exact.

    >>> round(float(accuracy(jnp.array([1.0, 0.0]), 0.5)), 4)  # Phi(2)
    0.9772
    """
    return jax.scipy.stats.norm.cdf(theta[0] / (sigma * jnp.linalg.norm(theta)))
