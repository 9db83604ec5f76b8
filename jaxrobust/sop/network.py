"""SOP on a network f(x; params) with scalar outputs: the nonlinear model that `linearize` expands.

h(params, u, v) = 1/2 sum_i (f(x_i; params) + u_i^2 - v_i^2 - y_i)^2, the square loss of the theory
on +-1 labels or real targets, full batch. Source: SOP (arXiv 2202.14026), its Section on the
first-order model; the deep version for classes has another loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrobust import _check
from jaxrobust.sop.descent import Info


class NetworkState(NamedTuple):
    """What the next step needs; `params` is any pytree."""

    params: Any
    u: Float[Array, " N"]
    v: Float[Array, " N"]


def network_init(params: Any, N: int, gamma: Any) -> NetworkState:
    """Start from given weights and u = v = gamma."""
    gamma = _check.number("gamma", gamma, 1.0, jnp.result_type(float))
    scale = jnp.full((_check.count("N", N),), gamma)
    return NetworkState(params, scale, scale)


def network_step(
    state: NetworkState,
    predict: Callable[[Any], Float[Array, " N"]],
    y: Float[Array, " N"],
    *,
    alpha: Any,
    tau: Any,
) -> tuple[NetworkState, Info]:
    """Take one step of gradient descent in the weights, multiplicative in u and v.

    r = predict(params) + u*u - v*v - y; params <- params - tau (d predict)' r;
    u <- u exp(-2 alpha tau r), v <- v exp(2 alpha tau r), as `descent.multiplicative_step`.
    `alpha = 0` leaves s = 0: plain training.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> x, y = jnp.array([1.0, 2.0]), jnp.array([1.0, 2.0])
    >>> state = network_init(jnp.array(0.0), 2, gamma=1e-3)
    >>> state, info = network_step(state, lambda w: w * x, y, alpha=1.0, tau=0.1)
    >>> round(float(state.params), 4)
    0.5
    """
    outputs, pull = jax.vjp(predict, state.params)
    if not outputs.shape == jnp.shape(y) == state.u.shape:
        raise ValueError(
            f"predict, y and u must have one shape (N,), got {outputs.shape}, {jnp.shape(y)} and "
            f"{state.u.shape}: squeeze the network's output"
        )
    r = outputs + state.u**2 - state.v**2 - y
    (gradient,) = pull(r)
    params = jax.tree.map(lambda w, g: w - tau * g, state.params, gradient)
    growth = jnp.exp(-2 * alpha * tau * r)
    return NetworkState(params, state.u * growth, state.v / growth), Info(r)
