"""Gradient descent on h(theta, u, v) = 1/2 |J theta + u*u - v*v - y|^2 with discrepant steps.

theta moves with step tau, u and v with alpha tau. From theta = 0, u = v = gamma it lands on
min 1/2|theta|^2 + lam |s|_1 s.t. y = J theta + s, lam = -log(gamma) / (2 alpha) (`theory.lam`).
Source: SOP, Liu, Zhu, Qu, You (ICML 2022, arXiv 2202.14026). `trajectory` runs many steps.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrobust import _check


class State(NamedTuple):
    """What the next step needs."""

    theta: Float[Array, " p"]
    u: Float[Array, " N"]
    v: Float[Array, " N"]


class Info(NamedTuple):
    """What the analyst wants: r_t = J theta_t + u_t*u_t - v_t*v_t - y before the step."""

    residual: Float[Array, " N"]


def init(J: Any, gamma: Any) -> State:
    """Start at theta = 0, u = v = gamma: the whole size of the initialization is in gamma.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> state = init(jnp.ones((2, 3)), 0.1)
    >>> state, info = step(state, jnp.ones((2, 3)), jnp.ones(2), alpha=1.0, tau=0.1)
    >>> info.residual.shape, state.theta.shape
    ((2,), (3,))
    """
    J = _check.real("J", J, (None, None))
    gamma = _check.number("gamma", gamma, 1.0, J.dtype)
    N, p = J.shape
    scale = jnp.full((N,), gamma, J.dtype)
    return State(jnp.zeros((p,), J.dtype), scale, scale)


def sparse_part(state: State) -> Float[Array, " N"]:
    """Give s = u*u - v*v."""
    return state.u**2 - state.v**2


def step(
    state: State, J: Float[Array, "N p"], y: Float[Array, " N"], *, alpha: Any, tau: Any
) -> tuple[State, Info]:
    """Take one step of gradient descent, as on the slides.

    r = J theta + u*u - v*v - y; theta <- theta - tau J'r; u <- u - 2 alpha tau u*r;
    v <- v + 2 alpha tau v*r. Its limit differs from the flow's by about alpha tau in relative
    terms (`theory.finite_step_lam`).
    """
    theta, u, v = state
    r = J @ theta + sparse_part(state) - y
    rate = 2 * alpha * tau
    return State(theta - tau * (J.T @ r), u - rate * u * r, v + rate * v * r), Info(r)


def multiplicative_step(
    state: State, J: Float[Array, "N p"], y: Float[Array, " N"], *, alpha: Any, tau: Any
) -> tuple[State, Info]:
    """Take one step that keeps u*v = gamma^2 exactly, so that a finite step leaves no bias.

    As `step`, but u <- u exp(-2 alpha tau r), v <- v exp(2 alpha tau r). With nu = -tau sum r_t,
    theta = J'nu and u = gamma exp(2 alpha nu): this is gradient descent with step tau on the convex
    dual of the flow's limit (`flow`), and any stable tau ends there. Source: derived here.
    """
    theta, u, v = state
    r = J @ theta + sparse_part(state) - y
    growth = jnp.exp(-2 * alpha * tau * r)
    return State(theta - tau * (J.T @ r), u * growth, v / growth), Info(r)
