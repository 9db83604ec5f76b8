"""Mixup: train on lines between examples, so that no label is learned alone.

    x' = l x + (1 - l) x_s,    t' = l e_y + (1 - l) e_{y_s},    l ~ Beta(a, a) once a batch,

s a random permutation of the batch; loss -sum_k t'_k log p_k(x'), which is l CE(y) + (1 - l)
CE(y_s). Zhang, Cisse, Dauphin, Lopez-Paz (ICLR 2018, arXiv 1710.09412). On wrong labels they take
a large a: 8 (our default) to 32; on clean CIFAR-10 1. `floor` puts l >= 1/2 (MixMatch, DivideMix,
ELR+), so that x' stays nearer to x.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.deep.method import (
    Batch,
    Info,
    Learner,
    Method,
    Task,
    descend,
    no_epoch,
    predict,
    start,
)


def mix(key: PRNGKeyArray, a: Any, x: Array, y: Any, floor: bool = False) -> tuple[Array, Any]:
    """Return x and y mixed with one l and one permutation.

    Parameters
    ----------
    a
        > 0, may be traced; as a -> 0 l is 0 or 1, as a grows it is 1/2.
    x
        Inputs of the network (floating).
    y
        One-hot or soft labels (B, C), or any tree of arrays with a row an example.
    floor
        Take max(l, 1 - l).

    >>> import jax
    >>> x, y = mix(jax.random.key(0), 1.0, jnp.array([[1.0], [3.0]]), jnp.eye(2), floor=True)
    >>> bool((y[0, 0] >= 0.5) & (abs(x.sum() - 4) < 1e-6))
    True
    """
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"x must be floating to be mixed, got {x.dtype}: let Task.weak convert it")
    draw, order = jax.random.split(key)
    wide = jnp.float32 if jnp.finfo(x.dtype).bits < 32 else x.dtype
    a = _check.positive("a", a).astype(wide)
    l = jax.random.beta(draw, a, a, dtype=wide)
    l = jnp.maximum(l, 1 - l) if floor else l
    rows = jax.random.permutation(order, x.shape[0])

    def line(z: Array) -> Array:
        part = l.astype(z.dtype)
        return part * z + (1 - part) * z[rows]

    return line(x), jax.tree.map(line, y)


def loss(logits: Float[Array, "B C"], t: Float[Array, "B C"]) -> Float[Array, " B"]:
    """Return -sum_k t_k log p_k, one number an example; t soft labels."""
    return -jnp.sum(t.astype(logits.dtype) * jax.nn.log_softmax(logits, axis=1), axis=1)


def method(task: Task, a: Any = 8.0) -> Method:
    """Train one network on mixtures of pairs; what it predicts is of single inputs."""

    def step(state: Learner, batch: Batch, key: PRNGKeyArray) -> tuple[Learner, Info]:
        view, draw = jax.random.split(key)
        x = task.weak(view, batch.x)
        x, t = mix(draw, a, x, jax.nn.one_hot(batch.y, task.classes, dtype=x.dtype))

        def cost(logits):
            return jnp.mean(loss(logits, t)), None

        state, value, _ = descend(task, state, cost, x)
        return state, Info(value)

    def estimate(state: Learner, x: Array) -> Float[Array, "n C"]:
        return predict(task, state.weights, x)

    return Method(lambda key: start(task, key), step, estimate, no_epoch)
