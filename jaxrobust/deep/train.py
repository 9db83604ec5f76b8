"""The training loop: one pure function of (keys, method, data, plan), every step inside it.

Data lie on the device; an epoch goes through them in a new order, in batches gathered by index; the
last, partial batch is left out. What is reported never reaches the method: true labels are read by
the readings alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.deep.method import Batch, Method, Whole
from jaxrobust.deep.sets import Data, check, ready


class Keys(NamedTuple):
    """Separate, so that one noise can meet many networks; those of the data are the data's."""

    weights: PRNGKeyArray
    order: PRNGKeyArray
    """Batches, augmentation and whatever else a method draws."""


@dataclass(frozen=True)
class Plan:
    """How long a run is, and how often it is read."""

    epochs: int = 100
    batch: int = 100
    every: int = 5
    """Epochs from one reading to the next; divides `epochs`."""
    block: int = 2_000
    """Examples that are predicted together."""

    def __post_init__(self):
        for name in ("epochs", "batch", "every", "block"):
            _check.count(name, getattr(self, name))
        if self.epochs % self.every:
            raise ValueError(
                f"every must divide the {self.epochs} epochs, got {self.every}: take a divisor"
            )

    @property
    def readings(self) -> int:
        """How many readings there are."""
        return self.epochs // self.every

    def steps(self, n: int) -> int:
        """Return the steps of the whole run on n examples."""
        return self.epochs * per_epoch(self, n)


class Reading(NamedTuple):
    """What is seen of a run after an epoch: shares in [0, 1]; NaN where the network is not finite.

    None where nothing is known: no truth, no validation or test set.
    """

    loss: Float[Array, "..."]
    """The objective, mean over the last epoch's batches; not comparable between methods."""
    fitted: Float[Array, "..."]
    """Training examples predicted as their given label."""
    memorized: Float[Array, "..."] | None
    """Wrongly labelled training examples predicted as that label (0 where there are none)."""
    corrected: Float[Array, "..."] | None
    """Wrongly labelled training examples predicted as their true class."""
    held_noisy: Float[Array, "..."] | None
    """Validation examples predicted as their given label: what may choose a hyper-parameter."""
    held_clean: Float[Array, "..."] | None
    """Validation examples predicted as their true class."""
    test: Float[Array, "..."] | None
    """Test accuracy."""


class Run(NamedTuple):
    """A run on its way: what the next epoch needs."""

    state: Any
    epoch: Int[Array, ""]
    """Epochs done."""


def begin(keys: Keys, method: Method) -> Run:
    """Start a run."""
    return Run(method.init(keys.weights), jnp.zeros((), jnp.int32))


def advance(keys: Keys, method: Method, data: Data, plan: Plan, run: Run) -> tuple[Run, Reading]:
    """Train for `plan.every` epochs, then read."""
    n = check(data, plan.batch)
    whole = Whole(data.train.x, data.train.y)

    def step(state, piece):
        rows, key = piece
        batch = Batch(rows, whole.x[rows], whole.y[rows])
        state, info = method.step(state, batch, key)
        return state, info.loss

    def epoch(run, _):
        order, first, rest = jax.random.split(jax.random.fold_in(keys.order, run.epoch), 3)
        state = method.epoch(run.state, whole, first, run.epoch)
        steps = per_epoch(plan, n)
        rows = jax.random.permutation(order, jnp.arange(n, dtype=jnp.int32))
        rows = rows[: steps * plan.batch].reshape(steps, plan.batch)
        state, losses = jax.lax.scan(step, state, (rows, jax.random.split(rest, steps)))
        return Run(state, run.epoch + 1), jnp.mean(losses)

    run, losses = jax.lax.scan(epoch, run, length=plan.every)
    return run, read(method, data, plan, run.state, losses[-1])


def fit(keys: Keys, method: Method, data: Data, plan: Plan) -> tuple[Any, Reading]:
    """Train from the start to the end; return the last state and the readings, (readings,) each.

    Pure: jit it, vmap it over keys, labels, and the numbers in the method's closure. On a CPU take
    seeds one after another (`many`): XLA's batched products are slower there.
    """
    data = ready(data, method, keys.weights, plan.batch)

    def go(run, _):
        return advance(keys, method, data, plan, run)

    run, readings = jax.lax.scan(go, begin(keys, method), length=plan.readings)
    return run.state, readings


def many(trial: Callable[..., Any], *columns: Any) -> Any:
    """Call `trial` on each row of its arguments: side by side on an accelerator, else in turn."""
    if jax.default_backend() == "cpu":
        return jax.lax.map(lambda row: trial(*row), columns)
    return jax.vmap(trial)(*columns)


def read(method: Method, data: Data, plan: Plan, state: Any, loss: Any) -> Reading:
    """Score a state on everything that is there."""

    def said(part):
        """Return the likeliest classes; -1 where a probability is not a number."""
        p = probabilities(method, state, part.x, plan.block)
        found = jnp.argmax(p, axis=1).astype(jnp.int32)
        return jnp.where(jnp.all(jnp.isfinite(p), axis=1), found, -1)

    train, held, test = data
    guess = said(train)
    # A network that blew up has no accuracy: class 0 everywhere would look like one.
    alive = jnp.where(jnp.all(guess >= 0), 1.0, jnp.nan).astype(jnp.float32)

    def share(hit, among=None):
        hit = hit.astype(jnp.float32)
        if among is None:
            return alive * jnp.mean(hit)
        among = among.astype(jnp.float32)
        return alive * jnp.sum(hit * among) / jnp.maximum(jnp.sum(among), 1)

    memorized = corrected = held_noisy = held_clean = None
    if train.truth is not None:
        wrong = train.truth != train.y
        memorized = share(guess == train.y, wrong)
        corrected = share(guess == train.truth, wrong)
    if held is not None:
        seen = said(held)
        held_noisy = share(seen == held.y)
        held_clean = None if held.truth is None else share(seen == held.truth)
    score = None if test is None else share(said(test) == test.y)
    fitted = share(guess == train.y)
    return Reading(loss, fitted, memorized, corrected, held_noisy, held_clean, score)


def probabilities(method: Method, state: Any, x: Array, block: int) -> Float[Array, "n C"]:
    """Predict in blocks, so that the memory of a forward pass does not grow with n."""
    n = x.shape[0]
    if n <= block:
        return method.predict(state, x)
    full = n // block
    parts = x[: full * block].reshape(full, block, *x.shape[1:])
    found = jax.lax.map(lambda part: method.predict(state, part), parts)
    found = found.reshape(full * block, found.shape[-1])
    if n % block:
        found = jnp.concatenate([found, method.predict(state, x[full * block :])])
    return found


def classes(method: Method, state: Any, x: Array, block: int) -> Int[Array, " n"]:
    """Return the likeliest class of each example."""
    return jnp.argmax(probabilities(method, state, x, block), axis=1).astype(jnp.int32)


def per_epoch(plan: Plan, n: int) -> int:
    """Return the batches of an epoch."""
    return n // plan.batch
