"""Linear probes on frozen features of CIFAR-10, for cifar10n: labels, methods, one trial."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import _human
from experiments._reading import read
from jaxrobust import data, lab, noise
from jaxrobust.deep import (
    anchors,
    correction,
    cross_entropy,
    elr,
    gce,
    nets,
    optimiser,
    protocol,
    sop,
)
from jaxrobust.deep.method import Task
from jaxrobust.deep.sets import Data, Labelled
from jaxrobust.deep.train import Keys, Plan, classes, fit

SINGLE = jnp.float32
SOURCES = ("aggregate", "random1", "random2", "random3", "worse")
KINDS = ("human", "shuffled", "symmetric")
LABELS = ("true", *(f"{source}, {kind}" for source in SOURCES for kind in KINDS))

# A method's settings: step size, and its own number. `choose` kept one.
_STEPS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02)
_WIDE = (0.002, 0.005, 0.01, 0.005, 0.01, 0.03)
GRID = {
    "cross-entropy": [(step, 0.0) for step in _STEPS],
    "GCE": list(zip((0.002, 0.005, 0.01, 0.005, 0.02, 0.05), 3 * (0.3,) + 3 * (0.7,), strict=True)),
    "ELR": list(zip(_WIDE, 3 * (1.0,) + 3 * (3.0,), strict=True)),
    "SOP": list(zip(_WIDE, 3 * (100.0,) + 3 * (400.0,), strict=True)),
    "forward, T told": [(step, 0.0) for step in _STEPS],
    "forward, T estimated": [(step, 0.0) for step in _STEPS],
}
METHODS = tuple(GRID)
CHOSEN = (2, 4, 1, 2, 3, 3)
"""The best of each GRID by `python -m experiments._probe`."""
KEY = 71
SHAPE = dict.fromkeys(("held", "last", "best", "noisy", "memorized", "agreed"), ("learner",))


class Seen(NamedTuple):
    """Whitened features of the pictures, true labels, and what people said (source, picture)."""

    x: Any
    y: Any
    human: Any
    test_x: Any
    test_y: Any


@functools.lru_cache(maxsize=1)
def features(config, seed):
    """Give principal components of `_human.pictures`, each of variance 1; no label is used."""
    votes = read(data.cifar10n, config.folder)
    seen = _human.pictures(config.folder, config.filters, config.train, config.test, seed)
    values, vectors = np.linalg.eigh(seen.z.T @ seen.z / len(seen.z))
    d = config.components
    turn = vectors[:, -d:] / np.sqrt(np.maximum(values[-d:], 1e-6))
    human = np.stack([getattr(votes, s)[: config.train] for s in SOURCES])
    x, test_x = (jnp.asarray(z @ turn, SINGLE) for z in (seen.z, seen.test_z))
    y, human, test_y = (jnp.asarray(a, jnp.int32) for a in (seen.y, human, seen.test_y))
    return Seen(x, y, human, test_x, test_y)


def shuffled(key, labels, groups):
    """Deal the labels out anew within each group: what was given stays, who got it moves."""
    places, order = (
        jnp.lexsort((jax.random.uniform(k, labels.shape, SINGLE), groups))
        for k in jax.random.split(key)
    )
    return jnp.zeros_like(labels).at[places].set(labels[order])


def given(key, truth, human, train, kind):
    """Give labels of a kind: 0 true, 1 human, 2 shuffled in each class, 3 symmetric.

    Shuffled and symmetric ones have as many wrong labels as the human ones, among the first `train`
    and among the rest; shuffled ones also the same confusion matrix.
    """
    rest, first, second = jax.random.split(key, 3)
    late = jnp.arange(len(truth), dtype=jnp.int32) >= train
    dealt = shuffled(rest, human, 2 * truth + late.astype(jnp.int32))
    parts = []
    for k, part in ((first, slice(None, train)), (second, slice(train, None))):
        rate = jnp.mean((human != truth)[part].astype(float))
        parts.append(noise.symmetric(k, truth[part], 10, rate, inclusive=False, exact=True))
    return jnp.stack([truth, human, dealt, jnp.concatenate(parts)])[kind]


def confusion(truth, labels):
    """Give the matrix of P(given j | true i) in these labels."""
    one, said = (jax.nn.one_hot(a, 10, dtype=SINGLE) for a in (truth, labels))
    counts = one.T @ said
    return counts / jnp.maximum(counts.sum(axis=1), 1)[:, None]


def method(name, task, number, T, warm):
    """Make one of METHODS with its number."""
    if name == "cross-entropy":
        return cross_entropy.method(task)
    if name == "GCE":
        return gce.method(task, number)
    if name == "ELR":
        return elr.method(task, lam=number)
    if name == "SOP":
        return sop.method(task, lr_u=number, lr_v=number)
    if name == "forward, T told":
        return correction.method(task, T)
    return anchors.forward_estimated(task, warm, restart=False)


def trial(config, seen, key, labels, setting=None):
    """Train every method on one draw of the pictures, with the setting chosen or the one given.

    For the former also what is right of the test pictures (cross-entropy), and confusion matrices.
    """
    draw, flips, weights, order = jax.random.split(key, 4)
    rows = jax.random.permutation(draw, len(seen.y))[: config.rows + config.held]
    source = jnp.maximum(labels - 1, 0) // len(KINDS)
    kind = jnp.where(labels == 0, 0, 1 + (labels - 1) % len(KINDS))
    x, truth, n = seen.x[rows], seen.y[rows], config.rows
    y = given(jax.random.fold_in(flips, source), truth, seen.human[source][rows], n, kind)
    train, held = (Labelled(x[s], y[s], truth[s]) for s in (slice(n), slice(n, None)))
    sets = Data(train, held, Labelled(seen.test_x, seen.test_y))
    plan = Plan(config.epochs, config.batch, config.every)
    network = nets.network(nets.Linear(10), x.shape[1:])
    T, found, right = confusion(train.truth, train.y), [], None
    for chosen, (name, grid) in zip(CHOSEN, GRID.items(), strict=True):
        rate, number = jnp.asarray(grid, SINGLE)[chosen if setting is None else setting]
        task = Task(network, optimiser.sgd(rate), n, 10)
        one = method(name, task, number, T, config.warm)
        state, path = fit(Keys(weights, order), one, sets, plan)
        wrong = held.y != held.truth
        said = wrong & (classes(one, state, held.x, plan.block) == held.y)
        score, last = protocol.score(path), jax.tree.map(lambda a: a[-1], path)
        out = (last.held_noisy, score.last, score.best, score.noisy, last.memorized,
               jnp.sum(said) / jnp.maximum(jnp.sum(wrong), 1))  # fmt: skip
        found.append([a.astype(SINGLE) for a in out])
        if right is None:
            right = classes(one, state, seen.test_x, plan.block) == seen.test_y
    stacked = dict(zip(SHAPE, map(jnp.stack, zip(*found, strict=True)), strict=True))
    return stacked if setting is not None else stacked | {"right": right, "confusion": T}


def choose(config, seeds=2):
    """Give each method's accuracy on noisy held-out labels, (method, setting).

    The mean at the last epoch over nine sets of labels, three of each kind, over draws by a key of
    its own; neither true labels nor test pictures have a say. One setting serves all labels.
    """
    seen = features(config, KEY)

    names = [f"{s}, {k}" for s in ("aggregate", "random1", "worse") for k in KINDS]
    places = jnp.asarray([LABELS.index(name) for name in names])

    def one(key, labels, setting):
        return trial(config, seen, key, places[labels], setting)

    axes = {"labels": names, "setting": np.arange(len(_STEPS))}
    found = lab.sweep(one, axes, seeds, key=jax.random.key(KEY), dims=SHAPE, width=54)
    return found.held.mean(("seed", "labels")).transpose("learner", "setting").values


if __name__ == "__main__":
    from experiments.cifar10n import Config

    jax.config.update("jax_enable_x64", True)
    for name_, row in zip(METHODS, choose(Config()), strict=True):
        print(f"{name_}: {row.round(4)}, best {row.argmax()}: {GRID[name_][row.argmax()]}")
