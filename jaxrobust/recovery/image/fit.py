"""Double over-parameterization of a picture: y = phi(weights, z) + g*g - h*h, by plain descent.

Loss mean((phi(weights, z + jitter) + g*g - h*h - y)^2) over the N entries of the picture; the
weights take steps lr, g and h steps lr_gh, from g, h ~ 1e-5 N(0, 1). The ratio alpha = lr_gh / lr
stands for the l1 weight lam = 1 / alpha of the explained corruption s = g*g - h*h, so it need not
know how much is corrupt (You, Zhu, Qu, Ma 2020, arXiv 2006.08857).

**The scale of lr_gh.** On an entry with residual r, g or h grows per step by a factor

    1 + 4 (lr_gh / N) |r|

so what counts is the pace lr_gh / N. From 1e-5, an outlier with |r| = .5 is explained after about
ln(.7 / 1e-5) / (4 pace .5) steps (`activation`): 310 at pace .018. The network must not have
learnt it by then: the paper's lr_gh = 500 belongs to N = 786,432 and 150,000 steps (pace 6e-4); at
64 x 64 it is far too slow. Too fast, and g, h take details of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.recovery.image.network import Prior

START = 1e-5
"""Standard deviation of the first g and h."""


class Rates(NamedTuple):
    """Numbers of a run, all traced: one compiled program does for all losses and steps."""

    lr: Float[Array, ""] | float
    """Step of the weights."""
    lr_gh: Float[Array, ""] | float
    """Step of g and h; 0 leaves them asleep."""
    absolute: Bool[Array, ""] | bool = False
    """Mean absolute error in place of the mean square."""
    jitter: Float[Array, ""] | float = 1 / 30
    """Standard deviation of what is added to z, anew at each step."""


def dop(entries: int, pace: Any = 0.018, lr: Any = 1.0) -> Rates:
    """Return the rates of double over-parameterization, lr_gh = pace times the picture's entries.

    >>> round(dop(64 * 64 * 3).lr_gh, 1)
    221.2
    """
    return Rates(lr, pace * entries)


def least_squares(lr: Any = 1.0) -> Rates:
    """Return the rates of the deep image prior alone: mean square, g and h asleep."""
    return Rates(lr, 0.0)


def least_absolute(lr: Any = 1.0) -> Rates:
    """Return the rates of the deep image prior with the l1 loss, g and h asleep."""
    return Rates(lr, 0.0, True)


def activation(pace: float, residual: float = 0.5, size: float = 0.7) -> float:
    """Return the steps until g or h explains a constant residual: ln(size / 1e-5) / (4 pace |r|).

    `size` is that of g or h at the end, the root of the corruption.

    >>> round(activation(0.018))
    310
    """
    return math.log(size / START) / (4 * pace * residual)


@dataclass(frozen=True)
class Plan:
    """How long a run is, and how often it is read."""

    steps: int = 2_000
    every: int = 50
    """Steps from one reading to the next; divides `steps`."""

    def __post_init__(self):
        for name in ("steps", "every"):
            _check.count(name, getattr(self, name))
        if self.steps % self.every:
            raise ValueError(
                f"every must divide the {self.steps} steps, got {self.every}: take a divisor"
            )

    @property
    def readings(self) -> int:
        """How many readings there are."""
        return self.steps // self.every


class State(NamedTuple):
    """What the next step needs."""

    weights: Any
    memory: Any
    """Of the optimiser's rule."""
    g: Float[Array, "H W C"]
    h: Float[Array, "H W C"]
    z: Float[Array, "..."]
    """The fixed input, .1 times uniform numbers on [0, 1)."""
    key: PRNGKeyArray
    """Of the jitter; step t draws with `fold_in(key, t)`."""
    step: Int[Array, ""]


class Info(NamedTuple):
    """What was seen by a step, before it."""

    loss: Float[Array, ""]
    picture: Float[Array, "H W C"]
    """Of the jittered input."""


class Seen(NamedTuple):
    """What a measure may look at."""

    picture: Float[Array, "H W C"]
    """phi at the jittered input, of the last step: what the paper's code scores."""
    still: Float[Array, "H W C"]
    """phi at z itself, after it."""
    corruption: Float[Array, "H W C"]
    """g*g - h*h."""


class Reading(NamedTuple):
    """A reading of a run."""

    loss: Float[Array, "..."]
    lost: Int[Array, "..."]
    """Entries of the picture and of g, h that are not finite: 0 unless the run diverged."""
    measured: Any
    """What the caller's measure made of `Seen`; None without one."""


def init(key: PRNGKeyArray, prior: Prior, shape: tuple[int, ...], dtype: Any = None) -> State:
    """Start a run on a picture of a shape: weights, g, h and z are drawn."""
    kw, kg, kh, kz, key = jax.random.split(key, 5)
    dtype = dtype or jnp.float32
    weights = prior.init(kw)
    return State(
        weights,
        prior.rule.init(weights),
        START * jax.random.normal(kg, shape, dtype),
        START * jax.random.normal(kh, shape, dtype),
        0.1 * jax.random.uniform(kz, prior.inputs, dtype),
        key,
        jnp.zeros((), jnp.int32),
    )


def step(
    state: State, picture: Float[Array, "H W C"], rates: Rates, prior: Prior
) -> tuple[State, Info]:
    """Take one step of the weights and of g, h, all from the same residual.

    With r = phi + g*g - h*h - y, and slope 2 r / N of the mean square (sign(r) / N absolute):
    weights -= lr rule(phi'^T slope), g -= 2 lr_gh slope g, h += 2 lr_gh slope h.
    """
    lr, lr_gh, jitter = (
        jnp.asarray(x).astype(picture.dtype) for x in (rates.lr, rates.lr_gh, rates.jitter)
    )
    key = jax.random.fold_in(state.key, state.step)
    z = state.z + jitter * jax.random.normal(key, state.z.shape, state.z.dtype)
    phi, pull = jax.vjp(lambda weights: prior.apply(weights, z), state.weights)
    r = phi + state.g * state.g - state.h * state.h - picture
    loss = jnp.where(rates.absolute, jnp.abs(r), r * r).mean()
    slope = jnp.where(rates.absolute, jnp.sign(r), 2 * r) / r.size
    update, memory = prior.rule.update(pull(slope)[0], state.memory, state.weights)
    weights = jax.tree.map(lambda w, d: w - lr * d, state.weights, update)
    g = state.g - 2 * lr_gh * slope * state.g
    h = state.h + 2 * lr_gh * slope * state.h
    return State(weights, memory, g, h, state.z, state.key, state.step + 1), Info(loss, phi)


def advance(
    state: State,
    picture: Float[Array, "H W C"],
    rates: Rates,
    prior: Prior,
    steps: int,
    measure: Callable[[Seen], Any] | None = None,
) -> tuple[State, Seen, Reading]:
    """Take steps, then read: the state, what is seen of it, and the reading."""

    def some(carry: Any, _: None) -> tuple[Any, None]:
        state, info = step(carry[0], picture, rates, prior)
        return (state, info), None

    start = state, Info(jnp.zeros((), picture.dtype), jnp.zeros_like(picture))
    (state, info), _ = jax.lax.scan(some, start, length=_check.count("steps", steps))
    corruption = state.g * state.g - state.h * state.h
    seen = Seen(info.picture, prior.apply(state.weights, state.z), corruption)
    lost = sum((jnp.sum(~jnp.isfinite(x), dtype=jnp.int32) for x in seen[1:]), jnp.int32(0))
    return state, seen, Reading(info.loss, lost, measure(seen) if measure else None)


def fit(
    key: PRNGKeyArray,
    picture: Float[Array, "H W C"],
    rates: Rates,
    plan: Plan,
    prior: Prior,
    measure: Callable[[Seen], Any] | None = None,
) -> tuple[State, Seen, Reading]:
    """Run to the end: the state, what is seen at the end, and the readings, (readings,) each.

    `measure` makes of each `Seen` any arrays: `measure.scored(truth, picture)` compares with a
    truth. A run that diverges goes on with NaN, and `lost` counts it.

    >>> free = Prior(lambda key: jnp.zeros((4, 4, 1)), lambda weights, z: weights, (1,))
    >>> y = jnp.full((4, 4, 1), 0.5)
    >>> state, seen, readings = fit(jax.random.key(0), y, dop(y.size), Plan(20, 10), free)
    >>> readings.loss.shape, int(readings.lost.sum())
    ((2,), 0)
    """

    def segment(carry: Any, _: None) -> tuple[Any, Reading]:
        state, seen, reading = advance(carry[0], picture, rates, prior, plan.every, measure)
        return (state, seen), reading

    start = init(key, prior, picture.shape, picture.dtype)
    nothing = jnp.zeros_like(picture)
    carry = start, Seen(nothing, nothing, nothing)
    (state, seen), readings = jax.lax.scan(segment, carry, length=plan.readings)
    return state, seen, readings
