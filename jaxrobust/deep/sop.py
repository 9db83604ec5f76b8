"""SOP on networks: one over-parameterized noise a training label, s = u*u*y - v*v*(1 - y).

For a label y (one-hot), u a number and v a vector an example, p = softmax(logits):

    U = min(u^2, 1) y,   V = min(v^2, 1)(1 - y)
    q = max(p + U - V, 1e-4), over its sum              the corrected prediction
    CE  = -log q_y                                      trains the weights and u
    MSE = |onehot(argmax p) + U - V - y|^2              trains v

u and v start at N(0, 1e-8^2) and are never used to predict. They move by plain gradient descent,
outside the optimiser's momentum and weight decay: row by row, by lr_u and lr_v times the gradients
of the losses' means over the batch of B, so that lr_u and lr_v should grow with B. `theory` says
after how many visits they wake up.

S. Liu, Z. Zhu, Q. Qu, C. You (2022), Robust training under label noise by over-parameterization,
ICML, arXiv 2202.14026. Values: lr_u 10, lr_v 10 for CIFAR-10 with symmetric noise, lr_v 100 with
asymmetric; 1 and 10, 100 for CIFAR-100. Its Algorithm 1 was read second-hand.

`routing="paper"`: u by CE alone, v by MSE alone. `"repository"`: u by CE + MSE, v by MSE, as in the
published code since September 2022. In both V has no gradient in CE, yet moves its value, and an
entry of p + U - V below 1e-4 sends none. The paper's projection of u and v to [-1, 1] is a clip of
their squares here, as in the code: beyond 1 they stay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.deep.method import (
    Batch,
    Info,
    Learner,
    Method,
    Probabilities,
    Task,
    descend,
    predict,
    same_size,
    start,
)

FLOOR = 1e-4
SCALE = 1e-8


class State(NamedTuple):
    """One network and the over-parameterized noise; s = u*u*y - v*v*(1 - y)."""

    learner: Learner
    u: Float[Array, " n"]
    v: Float[Array, "n C"]


def noise(
    u: Float[Array, " B"], v: Float[Array, "B C"], y: Float[Array, "B C"]
) -> tuple[Float[Array, "B C"], Float[Array, "B C"]]:
    """Return U and V for one-hot labels y; the estimated noise is s = U - V."""
    return jnp.minimum(u**2, 1)[:, None] * y, jnp.minimum(v**2, 1) * (1 - y)


def corrected(
    p: Float[Array, "B C"], U: Float[Array, "B C"], V: Float[Array, "B C"]
) -> Float[Array, "B C"]:
    """Return q, the normalised max(p + U - V, 1e-4), V without gradient."""
    raw = p + U - jax.lax.stop_gradient(V)
    q = jnp.where(raw > FLOOR, raw, FLOOR)  # not jnp.maximum, which halves the slope at a tie
    q = q / q.sum(axis=1, keepdims=True)
    return jnp.where(q > FLOOR, q, FLOOR)


def losses(
    logits: Float[Array, "B C"],
    y: Int[Array, " B"],
    u: Float[Array, " B"],
    v: Float[Array, "B C"],
    *,
    routing: str = "paper",
) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
    """Return CE and MSE, each one number an example; their sum has the gradients of `routing`.

    For an optax loop of one's own, with u and v as rows of one's own:

    >>> z, y = jnp.array([[3.0, 0.0]]), jnp.array([1])
    >>> ce, mse = losses(z, y, jnp.ones(1), jnp.ones((1, 2)))
    >>> round(float(ce[0]), 3), float(mse[0])  # s explains the label: q is y, nothing is left
    (0.0, 0.0)
    """
    one = jax.nn.one_hot(y, logits.shape[1], dtype=logits.dtype)
    U, V = noise(u.astype(logits.dtype), v.astype(logits.dtype), one)
    q = corrected(jax.nn.softmax(logits, axis=1), U, V)
    ce = -jnp.log(jnp.sum(q * one, axis=1))
    said = jax.nn.one_hot(jnp.argmax(logits, axis=1), logits.shape[1], dtype=logits.dtype)
    free = jax.lax.stop_gradient(U) if routing == "paper" else U
    return ce, jnp.sum((said + free - V - one) ** 2, axis=1)


def objective(
    logits: Float[Array, "B C"],
    y: Int[Array, " B"],
    u: Float[Array, " B"],
    v: Float[Array, "B C"],
    routing: str,
) -> Float[Array, ""]:
    """Return mean CE + mean MSE: one number whose gradients in the weights, u and v are SOP's."""
    ce, mse = losses(logits, y, u, v, routing=routing)
    return jnp.mean(ce) + jnp.mean(mse)


def begin(task: Task, key: PRNGKeyArray, dtype: Any) -> State:
    """Draw the network, and u, v ~ N(0, 1e-16)."""
    first, second = jax.random.split(jax.random.fold_in(key, 1))
    u = SCALE * jax.random.normal(first, (task.n,), dtype)
    v = SCALE * jax.random.normal(second, (task.n, task.classes), dtype)
    return State(start(task, key), u, v)


def check(lr_u: Any, lr_v: Any, routing: str, dtype: Any) -> tuple[Array, Array]:
    """Return the rates as numbers >= 0; refuse a routing or a dtype that will not do."""
    if routing not in ("paper", "repository"):
        raise ValueError(f"routing must be 'paper' or 'repository', got {routing!r}")
    if jnp.dtype(dtype) not in (jnp.float32, jnp.float64):
        raise ValueError(f"dtype must be float32 or float64, got {dtype}: u^2 starts at 1e-16")
    lr_u = _check.between("lr_u", lr_u, 0.0, jnp.inf, open_high=True)
    return lr_u, _check.between("lr_v", lr_v, 0.0, jnp.inf, open_high=True)


def method(
    task: Task,
    *,
    lr_u: Any = 10.0,
    lr_v: Any = 10.0,
    routing: str = "paper",
    dtype: Any = jnp.float32,
) -> Method:
    """Train one network with SOP; `dtype`, of u and v, is float32 at least: u^2 starts at 1e-16."""
    lr_u, lr_v = check(lr_u, lr_v, routing, dtype)

    def step(state: State, batch: Batch, key: PRNGKeyArray) -> tuple[State, Info]:
        def whole(logits, u, v):
            return objective(logits, batch.y, u, v, routing)

        return descend_all(task, state, batch, task.weak(key, batch.x), whole, (lr_u, lr_v))

    def estimate(state: State, x: Array) -> Probabilities:
        return predict(task, state.learner.weights, x)

    return Method(lambda key: begin(task, key, dtype), step, estimate, same_size(task))


def descend_all(
    task: Task,
    state: State,
    batch: Batch,
    x: Array,
    whole: Callable[[Array, Array, Array], Float[Array, ""]],
    rates: tuple[Any, Any],
) -> tuple[State, Info]:
    """Take one step on whole(logits, u, v): in the weights, and in u, v at the rows of the batch.

    Both at the values before the step; the network is passed once.
    """
    u, v = state.u[batch.rows], state.v[batch.rows]

    def cost(logits):
        return whole(logits, u, v), logits

    learner, value, logits = descend(task, state.learner, cost, x)
    du, dv = jax.grad(lambda u, v: whole(logits, u, v), argnums=(0, 1))(u, v)
    lr_u, lr_v = (jnp.asarray(rate, u.dtype) for rate in rates)
    rows = batch.rows
    u, v = state.u.at[rows].add(-lr_u * du), state.v.at[rows].add(-lr_v * dv)
    return State(learner, u, v), Info(value)
