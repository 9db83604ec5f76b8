"""SOP+: SOP with a second, strongly augmented view that must agree, and classes kept in balance.

    L = CE + MSE on the weak view (as SOP)
      + .9 mean KL(sg softmax(z_weak) | softmax(z_strong))
      + .1 (1/C) sum_c -log max(mean_i q_ic, 1e-4)         q the corrected prediction, weak view

One forward pass of both views together. Source and values as in `sop`, with 300 epochs, a cosine
step from .02 to .0002 and weight decay 5e-4 (the published configuration: 1e-3); lr_u 1 (published
code: .1) and lr_v 10 for CIFAR-100. The balance moves u too, for q holds it, as in the code.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxrobust.deep import sop
from jaxrobust.deep.method import Batch, Info, Method, Probabilities, Task, predict, same_size


def consistency(weak: Float[Array, "B C"], strong: Float[Array, "B C"]) -> Float[Array, " B"]:
    """Return KL(softmax(weak) | softmax(strong)), one number an example; weak without gradient."""
    told = jax.nn.log_softmax(jax.lax.stop_gradient(weak), axis=1)
    return jnp.sum(jnp.exp(told) * (told - jax.nn.log_softmax(strong, axis=1)), axis=1)


def balance(q: Float[Array, "B C"]) -> Float[Array, ""]:
    """Return (1/C) sum_c -log max(mean_i q_ic, 1e-4): log C where classes are even, else more."""
    mean = jnp.mean(q, axis=0)
    return -jnp.mean(jnp.log(jnp.where(mean > sop.FLOOR, mean, sop.FLOOR)))


def method(
    task: Task,
    *,
    lr_u: Any = 10.0,
    lr_v: Any = 10.0,
    lam_c: Any = 0.9,
    lam_b: Any = 0.1,
    routing: str = "paper",
    dtype: Any = jnp.float32,
) -> Method:
    """Train one network with SOP+; the views are `task.weak` and `task.strong`.

    Where the task has no strong view the two are compared with each other, at twice the cost.
    """
    lr_u, lr_v = sop.check(lr_u, lr_v, routing, dtype)

    def step(state: sop.State, batch: Batch, key: PRNGKeyArray) -> tuple[sop.State, Info]:
        first, second = jax.random.split(key)
        views = jnp.concatenate([task.weak(first, batch.x), task.strong(second, batch.x)])

        def whole(logits, u, v):
            weak, strong = jnp.split(logits, 2)
            one = jax.nn.one_hot(batch.y, weak.shape[1], dtype=weak.dtype)
            u, v = u.astype(weak.dtype), v.astype(weak.dtype)
            q = sop.corrected(jax.nn.softmax(weak, axis=1), *sop.noise(u, v, one))
            same, even = jnp.asarray(lam_c, weak.dtype), jnp.asarray(lam_b, weak.dtype)
            plus = same * jnp.mean(consistency(weak, strong)) + even * balance(q)
            return sop.objective(weak, batch.y, u, v, routing) + plus

        return sop.descend_all(task, state, batch, views, whole, (lr_u, lr_v))

    def estimate(state: sop.State, x: Array) -> Probabilities:
        return predict(task, state.learner.weights, x)

    return Method(lambda key: sop.begin(task, key, dtype), step, estimate, same_size(task))
