"""What the estimators run: their numbers of steps, their steps, and programs compiled once a shape.

Rows and columns are padded up to powers of two, so that tables of many sizes share a few programs.
A row (0, +1) is right for every w, and is never trained on; a column of zeros keeps its weight at
0: no result depends on the padding. FilterTron and the list look at all rows and are not padded.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxrobust.halfspace import choice as choices
from jaxrobust.halfspace import decision_list, filtertron, online, trajectory
from jaxrobust.halfspace.trajectory import Carry, Path

CHOICES = ("holdout", "holdout_average", "last", "average")
"""The iterates that are a weight; `mean_iterate` of `choice.CHOICES` is none."""

EXCESS = 0.05
"""Error above eta that the default number of steps makes sure of, where it can."""
MOST = 1_000_000
"""The bound alone never asks for more steps than this."""


def default_steps(n: int, eta: float, gamma: float) -> int:
    """Return 20 passes, or ((1 - eta) / (gamma EXCESS))^2 steps where that is more (up to MOST).

    The bound eta + (1 - eta) / (gamma sqrt T) on the mean iterate is then at most eta + EXCESS; it
    is proved for T fresh examples, on fewer rows it is only the right order for the optimization.
    """
    root = min((1 - eta) / (gamma * EXCESS), math.sqrt(MOST))  # its square could overflow
    return max(20 * n, math.ceil(root**2))


def theory_step(rule: str, eta: float, gamma: float, steps: int) -> float:
    """Return mu = B / (G sqrt T), the least of the regret bound B^2 / (2 mu) + mu G^2 T / 2.

    B is the norm of the weights to compete with and G bounds the gradients: B = 1 in the unit ball,
    where G = (1 - eta) / gamma for the normalized rules and 1 - eta for leaky; hinge and logistic
    have G = 1 and B = 1 / gamma, the least norm that can reach y w.x >= 1. The perceptron's answer
    does not depend on mu: 1.
    """
    B, G = {
        "normalized": (1.0, (1 - eta) / gamma),
        "normalized_max": (1.0, (1 - eta) / gamma),
        "leaky": (1.0, 1 - eta),
        "logistic": (1 / gamma, 1.0),
        "hinge": (1 / gamma, 1.0),
        "perceptron": (math.sqrt(steps), 1.0),
    }[rule]
    return B / (G * math.sqrt(steps))


def lines(order: np.ndarray, number: int) -> tuple[Array, int]:
    """Return row numbers as `number` lines, each padded up, and the true length of a line."""
    order = order.reshape(number, -1)
    segment = order.shape[1]
    return jnp.asarray(np.pad(order, ((0, 0), (0, size(segment) - segment)))), segment


def size(n: int) -> int:
    """Return the power of two that n is padded to."""
    return 1 << (n - 1).bit_length()


def padded(x: np.ndarray, y: np.ndarray) -> tuple[Array, Array]:
    """Return x (n, d) and y (n,) as JAX arrays, with rows (0, +1) and columns of 0 added."""
    n, d = x.shape
    rows, columns = size(n) - n, size(d) - d
    points = jnp.asarray(np.pad(x, ((0, rows), (0, columns))))
    labels = np.pad(y, (0, rows), constant_values=1)
    return points, jnp.asarray(labels).astype(points.dtype)


@partial(jax.jit, static_argnames="rule")
def learn(
    x: Float[Array, "n d"],
    y: Float[Array, " n"],
    order: Int[Array, "K m"],
    segment: Any,
    *,
    rule: str,
    eta: Any,
    gamma: Any,
    mu: Any,
) -> Path:
    """Run a rule of `online` over rows in the order given; a snapshot after each line of `order`.

    Only the first `segment` row numbers of each line are used.
    """
    one = trajectory.learner(online.rule_named(rule), eta, gamma, mu, x.dtype)

    def piece(state: online.State, rows: Array) -> online.State:
        def at(t: Array, carry: Carry) -> Carry:
            return one(carry, (x[rows[t]], y[rows[t]]))[0]

        # Not a scan over rows: `segment`, the true length of a line, is traced.
        return trajectory.over_segment(state, lambda c: jax.lax.fori_loop(0, segment, at, c))

    return trajectory.in_segments(piece, online.init(x.shape[1], x.dtype), segment, order)


@partial(jax.jit, static_argnames=("steps", "slabs", "snapshots"))
def filtertron_path(
    seed: Any,
    x: Array,
    y: Array,
    lam: Any,
    least: Any,
    mu: Any,
    steps: int,
    slabs: int,
    snapshots: int,
) -> Path:
    """Run FilterTron; compiled once a shape. Its slabs are quantiles of the rows: no padding."""
    numbers = {"lam": lam, "least": least, "mu": mu}
    options = {"steps": steps, "slabs": slabs, "snapshots": snapshots}
    return filtertron.run(jax.random.key(seed), x, y, **numbers, **options)


@partial(jax.jit, static_argnames=("rounds", "steps"))
def rule_list(
    x: Array, y: Array, lam: Any, least: Any, mu: Any, rounds: int, steps: int
) -> decision_list.DecisionList:
    """Fit a decision list; compiled once a shape."""
    return decision_list.fit(x, y, lam=lam, least=least, mu=mu, rounds=rounds, steps=steps)


@partial(jax.jit, static_argnames="choice")
def returned(
    w: Float[Array, "N d"],
    average: Float[Array, "N d"],
    x: Float[Array, "m d"],
    y: Float[Array, " m"],
    *,
    choice: str,
) -> Float[Array, " d"]:
    """Return the iterate of a run that `choice` names; (x, y) are the held-out rows."""
    kept = average if choice.endswith("average") else w
    return choices.select(kept[1:], x, y)[0] if choice.startswith("holdout") else kept[-1]


def first_rule(z: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return what a list says, -1 or +1 (n,): the first rule with |z| >= its threshold, z (n, R).

    Where no rule speaks, the last one does, as in `decision_list.predict`.
    """
    fires = np.abs(z) >= thresholds
    rule = np.where(fires.any(axis=1), fires.argmax(axis=1), thresholds.size - 1)
    return np.where(z[np.arange(rule.size), rule] >= 0, 1.0, -1.0)
