"""Run an online learner over many examples and keep snapshots of its weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Shaped

from jaxrobust import _check
from jaxrobust.halfspace import _guard, online

_AT_ONCE = 64  # examples laid out together: they stay in the cache

Carry = tuple[Array, Array, Array, Array]
"""v and shrink (w = shrink v, see `online.advance`), the segment's sum of weights, mistakes."""


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
    key: Any,
    draw: Any,
    d: Any,
    *,
    rule: Any = "normalized",
    eta: Any,
    gamma: Any,
    mu: Any,
    steps: int,
    snapshots: int = 1,
) -> Path:
    """Learn from fresh examples, drawn piece by piece: memory does not grow with `steps`.

    draw(key, n) -> x (n, d), y (n,), such as `Instance.draw`; piece k is drawn with fold_in(key, k)
    and holds steps / snapshots examples. `rule` is a name of `online.RULES` or a `Rule`. eta,
    gamma, mu may be traced. What draw makes of the key alone is shared by all lanes that share the
    key.

    >>> import jax
    >>> from jaxrobust import halfspace
    >>> it = halfspace.lever()
    >>> options = {"eta": 0.3, "gamma": 0.05, "mu": 5e-4, "steps": 10_000, "snapshots": 4}
    >>> path = stream(jax.random.key(0), it.draw, it.d, **options)
    >>> path.w.shape, bool(it.error(path.w[-1]) < 0.1)
    ((5, 2), True)
    """
    segment = segment_of(steps, snapshots)
    _guard.one_key("key", key)
    dtype = _drawn(key, draw, segment, _check.count("d", d))
    found = settings(rule, eta, gamma, mu, dtype)

    def piece(state: online.State, k: Array) -> online.State:
        x, y = draw(jax.random.fold_in(key, k), segment)
        return _learn(state, x, y, *found)

    return in_segments(piece, online.init(d, dtype), segment, jnp.arange(snapshots))


def over(
    x: Any,
    y: Any,
    *,
    rule: Any = "normalized",
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
    _guard.in_ball("x", x)
    _guard.both_classes("y", y)
    found, eta, gamma, mu = settings(rule, eta, gamma, mu, x.dtype)
    sound = jnp.all(jnp.abs(y) == 1) & jnp.all(jnp.sum(x * x, axis=1) <= 1 + 3e-5)
    mu = jnp.where(sound, mu, jnp.nan)
    segment = segment_of(x.shape[0], snapshots)

    def piece(state: online.State, k: Array) -> online.State:
        xs, ys = (jax.lax.dynamic_slice_in_dim(v, k * segment, segment) for v in (x, y))
        return _learn(state, xs, ys, found, eta, gamma, mu)

    return in_segments(piece, online.init(x.shape[1], x.dtype), segment, jnp.arange(snapshots))


def _drawn(key: PRNGKeyArray, draw: Any, n: int, d: int) -> Any:
    """Return the dtype of what `draw` gives; refuse what gives no n examples of d features."""
    wanted = "draw must be a function of (key, n), such as it.draw of an instance `it`"
    if not callable(draw):
        raise ValueError(f"{wanted}, got {draw!r:.40}")
    found = jax.eval_shape(lambda k: draw(k, n), key)
    shapes = [part.shape for part in jax.tree.leaves(found)]
    if len(shapes) != 2 or len(shapes[0]) != 2 or shapes[0][0] != n or shapes[1] != (n,):
        raise ValueError(f"{wanted}, and give x (n, d) and y (n,), got shapes {shapes} for n = {n}")
    if shapes[0][1] != d:
        raise ValueError(
            f"d must be {shapes[0][1]}, the number of features that draw gives, got {d}"
        )
    return found[0].dtype


def settings(
    rule: Any, eta: Any, gamma: Any, mu: Any, dtype: Any
) -> tuple[online.Rule, Array, Array, Array]:
    """Check a rule and its numbers; mu is NaN where they are not known."""
    found = online.tried(rule, dtype)
    eta, gamma = _guard.flip_rate("eta", eta), _check.number("gamma", gamma)
    mu = _check.number("mu", mu)
    known = jnp.isfinite(eta) & jnp.isfinite(gamma)  # not all rules read them
    return found, eta, gamma, jnp.where(known, mu, jnp.nan)


def segment_of(steps: Any, snapshots: Any) -> int:
    """Return how many steps lie between two snapshots, which must divide the steps."""
    steps, snapshots = _check.count("steps", steps), _check.count("snapshots", snapshots)
    if steps % snapshots:
        raise ValueError(f"snapshots must divide the {steps} steps, got {snapshots}")
    return steps // snapshots


def _learn(
    state: online.State, x: Array, y: Array, rule: online.Rule, eta: Any, gamma: Any, mu: Any
) -> online.State:
    """Take one segment, some examples at a time."""
    one = learner(rule, eta, gamma, mu, x.dtype)

    def few(k: Array, carry: Carry) -> Carry:
        few_x, few_y = (jax.lax.dynamic_slice_in_dim(v, k * _AT_ONCE, _AT_ONCE) for v in (x, y))
        return jax.lax.scan(one, carry, (few_x, few_y), unroll=2)[0]

    whole, rest = divmod(x.shape[0], _AT_ONCE)

    def run(carry: Carry) -> Carry:
        if whole:
            carry = jax.lax.fori_loop(0, whole, few, carry)
        if rest:
            carry = jax.lax.scan(one, carry, (x[-rest:], y[-rest:]))[0]
        return carry

    return over_segment(state, run)


def learner(
    rule: online.Rule, eta: Any, gamma: Any, mu: Any, dtype: Any
) -> Callable[[Carry, tuple[Array, Array]], tuple[Carry, None]]:
    """Return one step of a rule as a scan wants it: (carry, (x, y)) -> (carry, None)."""
    eta, gamma, mu = (jnp.asarray(v).astype(dtype) for v in (eta, gamma, mu))

    def one(carry: Carry, example: tuple[Array, Array]) -> tuple[Carry, None]:
        v, shrink, total, mistakes = carry
        x, y = example
        after, factor, z = online.advance(v, shrink, x, y, rule, eta, gamma, mu)
        mistakes = mistakes + online.wrong(z, y).astype(jnp.int32)
        return (after, factor, total + shrink * v, mistakes), None

    return one


def over_segment(state: online.State, run: Callable[[Carry], Carry]) -> online.State:
    """Run the steps of a segment, which see the sum of its own weights only.

    In float32 one sum of a million weights would lose digits.
    """
    start = state.w, jnp.ones((), state.w.dtype), jnp.zeros_like(state.w), state.mistakes
    v, shrink, total, mistakes = run(start)
    return online.State(shrink * v, state.total + total, mistakes)


def in_segments(
    piece: Callable[[online.State, Any], online.State],
    start: online.State,
    segment: Any,
    pieces: Shaped[Array, "K ..."],
) -> Path:
    """Scan piece(state, pieces[k]) -> state, of `segment` steps each; a snapshot after each.

    `segment` may be traced; where it is not, what `segment_of` gives.
    """

    def one(state: online.State, what: Any) -> tuple[online.State, online.State]:
        state = piece(state, what)
        return state, state

    _, (w, total, mistakes) = jax.lax.scan(one, start, pieces)
    dtype = w.dtype
    seen = jnp.asarray(segment).astype(dtype) * (1 + jnp.arange(w.shape[0], dtype=dtype))
    return Path(
        jnp.concatenate([start.w[None, :], w]),
        jnp.concatenate([jnp.zeros_like(start.w)[None, :], total / seen[:, None]]),
        jnp.concatenate([start.mistakes[None], mistakes]),
        jnp.all(jnp.isfinite(w)) & jnp.all(jnp.isfinite(total)),
    )
