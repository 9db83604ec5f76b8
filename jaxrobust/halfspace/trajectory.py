"""Run an online learner over many examples and keep snapshots of its weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.halfspace import online
from jaxrobust.halfspace.instance import flip_rate, in_ball

_AT_ONCE = 64  # examples laid out together: they stay in the cache


class Path(NamedTuple):
    """Snapshots of the weights, K + 1 of them at equal distances: the start, ..., the end."""

    w: Float[Array, "K+1 d"]
    average: Float[Array, "K+1 d"]
    """Mean of the weights that met the examples so far (0 at the start)."""
    mistakes: Int[Array, " K+1"]
    """Examples so far that the current weights got wrong before they learned from them."""
    finite: Bool[Array, ""]
    """Whether all of these weights and averages are finite."""


def stream(
    key: PRNGKeyArray,
    draw: Callable[[PRNGKeyArray, int], tuple[Array, Array]],
    d: int,
    *,
    rule: str | online.Rule = "normalized",
    eta: Any,
    gamma: Any,
    mu: Any,
    steps: int,
    snapshots: int = 1,
) -> Path:
    """Learn from fresh examples, drawn piece by piece: memory does not grow with `steps`.

    draw(key, n) -> x (n, d), y (n,), such as `Instance.draw`; piece k is drawn with fold_in(key, k)
    and holds steps / snapshots examples. eta, gamma, mu may be traced. What draw makes of the key
    alone is shared by all lanes that share the key.

    >>> import jax
    >>> from jaxrobust import halfspace
    >>> it = halfspace.lever()
    >>> options = {"eta": 0.3, "gamma": 0.05, "mu": 5e-4, "steps": 10_000, "snapshots": 4}
    >>> path = stream(jax.random.key(0), it.draw, it.d, **options)
    >>> path.w.shape, bool(it.error(path.w[-1]) < 0.1)
    ((5, 2), True)
    """
    segment = _segment(steps, snapshots)
    settings = _settings(rule, eta, gamma, mu)
    dtype = jax.eval_shape(lambda k: draw(k, 1), key)[0].dtype

    def piece(state: online.State, k: Array) -> tuple[online.State, tuple]:
        x, y = draw(jax.random.fold_in(key, k), segment)
        return _learn(state, x, y, *settings)

    return _path(piece, online.init(d, dtype), segment, snapshots)


def over(
    x: Any,
    y: Any,
    *,
    rule: str | online.Rule = "normalized",
    eta: Any,
    gamma: Any,
    mu: Any,
    snapshots: int = 1,
) -> Path:
    """Learn from given examples, in their order: x (n, d) in the unit ball, y (n,) of -1 and +1.

    `snapshots` must divide n. One pass; for more, repeat and permute the rows. Under a trace bad
    labels and long rows cannot be refused: the weights are NaN then.
    """
    x = _check.real("x", x, (None, None))
    y = _check.signs("y", y).astype(x.dtype)
    _check.shaped("y", y, (x.shape[0],))
    in_ball("x", x)
    both_classes("y", y)
    found, eta, gamma, mu = _settings(rule, eta, gamma, mu)
    sound = jnp.all(jnp.abs(y) == 1) & jnp.all(jnp.sum(x * x, axis=1) <= 1 + 3e-5)
    mu = jnp.where(sound, mu, jnp.nan)
    segment = _segment(x.shape[0], snapshots)

    def piece(state: online.State, k: Array) -> tuple[online.State, tuple]:
        xs, ys = (jax.lax.dynamic_slice_in_dim(v, k * segment, segment) for v in (x, y))
        return _learn(state, xs, ys, found, eta, gamma, mu)

    return _path(piece, online.init(x.shape[1], x.dtype), segment, snapshots)


def both_classes(name: str, y: Array) -> None:
    """Refuse labels of one class only."""
    values = _check.concrete(y)
    if values is not None and (values == values.flat[0]).all():
        raise ValueError(f"{name} holds one class only, {values.flat[0]:g}: two are needed")


def _settings(
    rule: str | online.Rule, eta: Any, gamma: Any, mu: Any
) -> tuple[online.Rule, Array, Array, Array]:
    found = online.rule_named(rule)
    eta, gamma = flip_rate("eta", eta), _check.number("gamma", gamma)
    mu = _check.number("mu", mu)
    known = jnp.isfinite(eta) & jnp.isfinite(gamma)  # not all rules read them
    return found, eta, gamma, jnp.where(known, mu, jnp.nan)


def _segment(steps: Any, snapshots: Any) -> int:
    steps, snapshots = _check.count("steps", steps), _check.count("snapshots", snapshots)
    if steps % snapshots:
        raise ValueError(f"snapshots must divide the {steps} steps, got {snapshots}")
    return steps // snapshots


def _learn(
    state: online.State, x: Array, y: Array, rule: online.Rule, eta: Any, gamma: Any, mu: Any
) -> tuple[online.State, tuple]:
    """Take one segment, some examples at a time; give the state and its snapshot."""
    eta, gamma, mu = (jnp.asarray(v).astype(x.dtype) for v in (eta, gamma, mu))

    def one(carry: tuple, example: tuple) -> tuple[tuple, None]:
        v, shrink, total, mistakes = carry
        x, y = example
        after, factor, z = online.advance(v, shrink, x, y, rule, eta, gamma, mu)
        mistakes = mistakes + online.wrong(z, y).astype(jnp.int32)
        return (after, factor, total + shrink * v, mistakes), None

    def few(k: Array, carry: tuple) -> tuple:
        part = [jax.lax.dynamic_slice_in_dim(v, k * _AT_ONCE, _AT_ONCE) for v in (x, y)]
        return jax.lax.scan(one, carry, tuple(part), unroll=2)[0]

    whole, rest = divmod(x.shape[0], _AT_ONCE)
    # Sums of a segment first: in float32 a sum of a million weights would lose digits.
    carry = (state.w, jnp.ones((), x.dtype), jnp.zeros_like(state.w), state.mistakes)
    if whole:
        carry = jax.lax.fori_loop(0, whole, few, carry)
    if rest:
        carry = jax.lax.scan(one, carry, (x[-rest:], y[-rest:]))[0]
    state = online.State(carry[1] * carry[0], state.total + carry[2], carry[3])
    return state, (state.w, state.total, state.mistakes)


def _path(piece: Callable, start: online.State, segment: int, snapshots: int) -> Path:
    _, (w, total, mistakes) = jax.lax.scan(piece, start, jnp.arange(snapshots))
    seen = segment * (1 + jnp.arange(snapshots, dtype=w.dtype))
    first = jnp.zeros((1, w.shape[1]), w.dtype)
    return Path(
        jnp.concatenate([first, w]),
        jnp.concatenate([first, total / seen[:, None]]),
        jnp.concatenate([jnp.zeros(1, mistakes.dtype), mistakes]),
        jnp.all(jnp.isfinite(w)) & jnp.all(jnp.isfinite(total)),
    )
