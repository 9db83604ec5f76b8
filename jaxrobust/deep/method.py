"""What a method is: four pure functions on one state, whatever it keeps in it.

    init(key) -> State
    epoch(state, whole, key, count) -> State       before each epoch; most methods do nothing here
    step(state, batch, key) -> (State, Info)       one batch
    predict(state, x) -> probabilities             in evaluation mode

A State is any pytree: weights, optimiser, per-example variables, a second network. A method's file
makes these four from a `Task`, what all methods of a run share, and from its own numbers, which may
be traced: `elr.method(task, lam=3.0, beta=0.7)`. All are un-batched; the caller vmaps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

Probabilities = Float[Array, "n C"]


class Weights(NamedTuple):
    """A network's parameters, and the running statistics of its normalisation (or {})."""

    params: Any
    stats: Any


class Network(NamedTuple):
    """A network as two pure functions; `jaxrobust.deep.nets` makes them from flax modules."""

    init: Callable[[PRNGKeyArray], Weights]
    apply: Callable[..., tuple[Float[Array, "n C"], Any]]
    """`apply(weights, x, train: bool) -> (logits, statistics)`: `train` normalises by the batch and
    moves the running statistics; otherwise these are used and come back as they were."""


class Whole(NamedTuple):
    """The training set as a method may see it: no true labels."""

    x: Array
    y: Int[Array, " n"]


class Batch(NamedTuple):
    """Rows of the training set."""

    rows: Int[Array, " B"]
    """Their places in the training set: per-example variables are kept there."""
    x: Array
    """As stored, before `Task.plain`, `weak` or `strong`."""
    y: Int[Array, " B"]
    """Given labels, wrong ones among them."""


class Info(NamedTuple):
    """What a step tells the analyst."""

    loss: Float[Array, ""]
    """The objective on the batch, before the update."""


def _plain(x: Array) -> Array:
    return x


def _same(_: PRNGKeyArray, x: Array) -> Array:
    return x


class Task(NamedTuple):
    """What the methods of a run share. `plain`, `weak`, `strong` take stored rows to inputs."""

    network: Network
    optimiser: optax.GradientTransformation
    """Descends in the weights only; per-example variables have their own steps."""
    n: int
    """Examples in the training set."""
    classes: int
    plain: Callable[[Array], Array] = _plain
    """For evaluation."""
    weak: Callable[[PRNGKeyArray, Array], Array] = _same
    """Augmentation of every step, such as crop and flip."""
    strong: Callable[[PRNGKeyArray, Array], Array] = _same
    """The second, stronger view of those methods that compare two."""


class Method(NamedTuple):
    """The four functions."""

    init: Callable[[PRNGKeyArray], Any]
    step: Callable[[Any, Batch, PRNGKeyArray], tuple[Any, Info]]
    predict: Callable[[Any, Array], Probabilities]
    epoch: Callable[[Any, Whole, PRNGKeyArray, Int[Array, ""]], Any]


class Learner(NamedTuple):
    """One network on its way."""

    weights: Weights
    moments: Any
    """The optimiser's state."""


def start(task: Task, key: PRNGKeyArray) -> Learner:
    """Draw a network and start its optimiser."""
    weights = task.network.init(key)
    return Learner(weights, task.optimiser.init(weights.params))


def two_keys(key: PRNGKeyArray) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    """Return the keys of two networks, the first the key itself: as where there is one network."""
    return key, jax.random.fold_in(key, 1)


def descend(
    task: Task,
    learner: Learner,
    cost: Callable[[Float[Array, "n C"]], tuple[Float[Array, ""], Any]],
    x: Array,
) -> tuple[Learner, Float[Array, ""], Any]:
    """Take one step of the optimiser on the cost of x's logits; return (learner, cost, extra).

    `cost(logits) -> (number, extra)`. x are inputs of the network, augmented already; one
    forward pass, in which its statistics move.
    """

    def objective(params):
        logits, stats = task.network.apply(Weights(params, learner.weights.stats), x, True)
        if logits.shape[1] != task.classes:
            raise ValueError(
                f"classes of the task is {task.classes}, the network has {logits.shape[1]} outputs"
            )
        value, extra = cost(logits)
        return value, (stats, extra)

    (value, (stats, extra)), slope = jax.value_and_grad(objective, has_aux=True)(
        learner.weights.params
    )
    updates, moments = task.optimiser.update(slope, learner.moments, learner.weights.params)
    params = jax.tree.map(jnp.add, learner.weights.params, updates)
    return Learner(Weights(params, stats), moments), value, extra


def predict(task: Task, weights: Weights, x: Array) -> Probabilities:
    """Return the probabilities of one network in evaluation mode."""
    return jax.nn.softmax(task.network.apply(weights, task.plain(x), False)[0], axis=1)


def mean_prediction(task: Task, learners: list[Learner], x: Array) -> Probabilities:
    """Return softmax of the mean of several networks' logits, in evaluation mode."""
    seen = task.plain(x)
    logits = [task.network.apply(one.weights, seen, False)[0] for one in learners]
    return jax.nn.softmax(jnp.mean(jnp.stack(logits), axis=0), axis=1)


def same_size(task: Task) -> Callable[[Any, Whole, PRNGKeyArray, Int[Array, ""]], Any]:
    """Make an `epoch` that does nothing but refuse a training set whose size is not `task.n`.

    For methods that keep variables for each example: indices beyond them would pass in silence.
    """

    def epoch(state: Any, whole: Whole, key: PRNGKeyArray, count: Int[Array, ""]) -> Any:
        if whole.y.shape[0] != task.n:
            raise ValueError(
                f"n of the task is {task.n}, the training set has {whole.y.shape[0]} examples: "
                "make the Task with n = that"
            )
        return state

    return epoch


def no_epoch(state: Any, whole: Whole, key: PRNGKeyArray, count: Int[Array, ""]) -> Any:
    """Leave the state as it is: the `epoch` of methods that work batch by batch."""
    return state


def by_loss(
    task: Task, loss: Callable[[Float[Array, "B C"], Int[Array, " B"]], Float[Array, " B"]]
) -> Method:
    """Make a method of a loss alone: one network, `loss(logits, y) -> one number an example`.

    What descends is the mean over the batch, on the weak view.
    """

    def step(state: Learner, batch: Batch, key: PRNGKeyArray) -> tuple[Learner, Info]:
        def cost(logits):
            return jnp.mean(loss(logits, batch.y)), None

        state, value, _ = descend(task, state, cost, task.weak(key, batch.x))
        return state, Info(value)

    def estimate(state: Learner, x: Array) -> Probabilities:
        return predict(task, state.weights, x)

    return Method(lambda key: start(task, key), step, estimate, no_epoch)
