"""Co-teaching and Co-teaching+: two networks choose each other's examples of small loss.

    l_j(i) = -log softmax(f_j(x_i))[y_i]                             j = 1, 2; i in the batch
    D      = {i : argmax f_1(x_i) != argmax f_2(x_i)}                (Co-teaching: the whole batch)
    S_j    = the n examples of D with the smallest l_j,              n = floor((1 - R(e)) |D|)
    f_1 descends on the mean of l_1 over S_2,  f_2 on the mean of l_2 over S_1
    R(e)   = tau^c e / (T_k - 1) for e < T_k, then tau               e = 1, 2, .. the epoch

Han, Yao, Yu, Niu, Xu, Hu, Tsang, Sugiyama (NeurIPS 2018, Co-teaching); Yu, Han, Yao, Niu, Tsang,
Sugiyama (ICML 2019, How does Disagreement Help Generalization against Label Corruption?).
tau is the share of wrong labels: the method must be told. T_k = 10, c = 1. Co-teaching+ is plain
Co-teaching while e < E: E = 20 on CIFAR-10, 5 on CIFAR-100, 100 on Tiny-ImageNet, 0 on MNIST.

As published code has it: e starts at 1 (the first epoch drops tau / 9 already); one view for both
networks; n = 0 in a non-empty D takes all of D.

Deviations from the published code: the mean over S is divided by n once (there: twice, which a
step size of SGD feels); the losses in D are of the logits (there: of the softmax, taken again); an
empty D costs 0, so that momentum alone moves the weights (there: plain cross-entropy while
e * batch < 5000, then 0); prediction is by the mean of both networks' logits (there: by each
network alone, as `together=False`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.deep import cross_entropy
from jaxrobust.deep.method import (
    Batch,
    Info,
    Learner,
    Method,
    Probabilities,
    Task,
    Whole,
    descend,
    mean_prediction,
    start,
    two_keys,
)

SLACK = 1e-4  # (1 - R) |D| is a whole number at times: rounding must not take one away


class State(NamedTuple):
    """Two networks, and the epoch that they are in, from 1."""

    first: Learner
    second: Learner
    e: Int[Array, ""]


def forget(e: Any, tau: Any, T_k: Any = 10, c: Any = 1.0) -> Float[Array, "..."]:
    """Return R(e), the share of D that is left out in epoch e.

    >>> print(forget(jnp.array([0, 3, 9, 10, 50]), 0.45))
    [0.   0.15 0.45 0.45 0.45]
    """
    tau = jnp.asarray(tau)
    e, T_k = jnp.asarray(e).astype(tau.dtype), jnp.asarray(T_k).astype(tau.dtype)
    ramp = tau ** jnp.asarray(c).astype(tau.dtype) * e / jnp.maximum(T_k - 1, 1)
    return jnp.where(e < T_k, ramp, tau)


def select(
    loss: Float[Array, " B"], D: Bool[Array, " B"], R: Float[Array, ""]
) -> Bool[Array, " B"]:
    """Return the floor((1 - R) |D|) examples of D with the smallest losses; all of D if that is 0.

    >>> D = jnp.array([True, True, False, True])
    >>> print(select(jnp.array([3.0, 2.0, 0.0, 1.0]), D, jnp.array(1 / 3)))
    [False  True False  True]
    """
    size = jnp.sum(D).astype(R.dtype)
    n = jnp.floor((1 - R) * size + SLACK)
    n = jnp.where(n == 0, size, n)
    place = jnp.argsort(jnp.argsort(jnp.where(D, loss, jnp.inf)))
    return D & (place.astype(R.dtype) < n)


def mean(loss: Float[Array, " B"], S: Bool[Array, " B"]) -> Float[Array, ""]:
    """Return the mean of the losses in S; 0 if S is empty."""
    return jnp.sum(jnp.where(S, loss, 0)) / jnp.maximum(jnp.sum(S), 1).astype(loss.dtype)


def method(
    task: Task, tau: Any, *, E: Any | None = 20, T_k: Any = 10, c: Any = 1.0, together: bool = True
) -> Method:
    """Train two networks by Co-teaching+, or by Co-teaching.

    Parameters
    ----------
    tau
        Share of wrong labels, in [0, 1); may be traced, as may T_k, c and E.
    E
        First epoch, from 1, that trains on disagreements; None: never (Co-teaching).
    T_k, c
        Epochs over which the forgotten share grows, and the power of tau that it grows to.
    together
        `predict` averages the two networks; False: the first alone, as the papers report.
    """
    tau = _check.between("tau", tau, 0.0, 1.0, open_high=True)
    T_k, c = _check.between("T_k", T_k, 1.0, jnp.inf, open_high=True), _check.positive("c", c)
    plus = jnp.asarray(jnp.inf) if E is None else _check.between("E", E, 0.0, jnp.inf)

    def init(key: PRNGKeyArray) -> State:
        one, two = two_keys(key)
        return State(start(task, one), start(task, two), jnp.ones((), jnp.int32))

    def epoch(state: State, whole: Whole, key: PRNGKeyArray, count: Int[Array, ""]) -> State:
        return state._replace(e=(count + 1).astype(jnp.int32))

    def step(state: State, batch: Batch, key: PRNGKeyArray) -> tuple[State, Info]:
        x = task.weak(key, batch.x)
        pair = (state.first, state.second)
        # `descend` passes through the networks again; only some programs share these passes.
        z1, z2 = (task.network.apply(one.weights, x, True)[0] for one in pair)
        agree = jnp.argmax(z1, axis=1) == jnp.argmax(z2, axis=1)
        D = ~agree | (state.e.astype(tau.dtype) < plus.astype(tau.dtype))
        R = forget(state.e, tau, T_k, c)
        S1, S2 = (select(cross_entropy.loss(z, batch.y), D, R) for z in (z1, z2))

        def cost(S):
            return lambda logits: (mean(cross_entropy.loss(logits, batch.y), S), None)

        first, a, _ = descend(task, pair[0], cost(S2), x)
        second, b, _ = descend(task, pair[1], cost(S1), x)
        return State(first, second, state.e), Info((a + b) / 2)

    def estimate(state: State, x: Array) -> Probabilities:
        return mean_prediction(task, [state.first, state.second][: 1 + together], x)

    return Method(init, step, estimate, epoch)
