"""What deep studies train on: data, network and views, and the label noises that they meet."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments._reading import read
from jaxrobust import data as real
from jaxrobust import noise
from jaxrobust.deep import augment, method, nets, resnet, sets, train

SINGLE, CLASSES = jnp.float32, 10

# Fashion-MNIST: what looks alike. T-shirt -> shirt, pullover <-> coat, sandal -> sneaker -> boot.
FASHION_TARGETS = (6, 1, 4, 3, 2, 7, 6, 9, 8, 9)


class Bed(NamedTuple):
    """Data, network and views; `draw(key)` gives (train, held, test), each (x, true labels)."""

    draw: Callable[[Any], Any]
    network: method.Network
    targets: tuple[int, ...]
    """Where each class goes under asymmetric noise."""
    features: Callable[[Any], Any]
    """Stored rows to the features that instance-dependent noise looks at."""
    views: dict[str, Callable[..., Any]]


def jitter(key, x):
    """Add Gaussian noise to features: the weak view where there are no pictures to move."""
    return x + jnp.asarray(0.05, x.dtype) * jax.random.normal(key, x.shape, x.dtype)


def battered(side, key, x):
    """Move pictures by a pixel at most, and lose a fifth of the pixels: the strong view."""
    place, lost = jax.random.split(key)
    pictures = x.reshape(-1, side, side)
    wide = jnp.pad(pictures, ((0, 0), (1, 1), (1, 1)))
    corner = jax.random.randint(place, (len(x), 2), 0, 3)

    def cut(picture, at):
        return jax.lax.dynamic_slice(picture, (at[0], at[1]), (side, side))

    moved = jax.vmap(cut)(wide, corner).reshape(x.shape)
    return moved * jax.random.bernoulli(lost, 0.8, x.shape).astype(x.dtype)


def flat_views(side):
    """Give the views of pictures that are stored as rows of features."""
    return {"weak": jitter, "strong": functools.partial(battered, side)}


def mlp(inputs, hidden):
    """Give a ReLU network."""
    return nets.network(nets.MLP(CLASSES, hidden), (inputs,), dtype=SINGLE)


def digits(config):
    """Give scikit-learn's 1,797 digits, 8 x 8, split anew by the key; pixels less their mean."""
    from sklearn.datasets import load_digits  # imported late: it takes a second

    pixels, digit = load_digits(return_X_y=True)
    x, y = jnp.asarray(pixels / 16, SINGLE), jnp.asarray(digit, jnp.int32)
    ends = np.cumsum([config.train, config.held])

    def draw(key):
        parts = jnp.split(jax.random.permutation(key, len(y)), ends)
        mean = x[parts[0]].mean(axis=0)
        return [(x[rows] - mean[None, :], y[rows]) for rows in parts]

    network = mlp(64, (config.width, config.width))
    return Bed(draw, network, noise.MNIST_TARGETS, lambda z: z, flat_views(8))


@functools.lru_cache(maxsize=1)
def fashion_pictures(folder, tests):
    """Give Fashion-MNIST as rows of pixels less their mean, and its labels."""
    found = real.fashion_mnist(folder)
    x, test = (a.reshape(len(a), -1) / 255 for a in (found.x, found.test_x[:tests]))
    mean = x.mean(axis=0)
    whole = functools.partial(jnp.asarray, dtype=jnp.int32)
    rows = [jnp.asarray(a - mean, SINGLE) for a in (x, test)]
    return rows[0], whole(found.y), rows[1], whole(found.test_y[:tests])


def fashion(config):
    """Give training and validation pictures drawn from Fashion-MNIST's 60,000; its test set."""
    x, y, *test = read(fashion_pictures, config.folder, config.tests)
    ends = [config.train, config.train + config.held]

    def draw(key):
        chosen = jax.random.permutation(key, len(y))
        parts = [chosen[: ends[0]], chosen[ends[0] : ends[1]]]
        return [*((x[rows], y[rows]) for rows in parts), tuple(test)]

    network = mlp(784, (config.width, config.width))
    return Bed(draw, network, FASHION_TARGETS, lambda z: z, flat_views(28))


@functools.lru_cache(maxsize=1)
def cifar_pictures(folder, tests):
    """Give CIFAR-10 as bytes, on the device."""
    found = real.cifar10(folder)
    whole = functools.partial(jnp.asarray, dtype=jnp.int32)
    test = jnp.asarray(found.test_x[:tests]), whole(found.test_y[:tests])
    return jnp.asarray(found.x), whole(found.y), *test


def cifar10(config):
    """Give CIFAR-10 split into training and validation, with the papers' networks and views."""
    x, y, *test = read(cifar_pictures, config.folder, config.tests)
    ends = [config.train, config.train + config.held]

    def draw(key):
        chosen = jax.random.permutation(key, len(y))
        parts = [chosen[: ends[0]], chosen[ends[0] : ends[1]]]
        return [*((x[rows], y[rows]) for rows in parts), tuple(test)]

    if config.network == "resnet34":
        module = resnet.resnet34(CLASSES, compute=jnp.bfloat16)
    else:  # as SOP's and DivideMix's code has it
        module = resnet.preact18(CLASSES, repositories=True, compute=jnp.bfloat16)
    network = nets.network(module, (32, 32, 3))
    views = augment.views(augment.CIFAR10)
    return Bed(draw, network, noise.CIFAR10_TARGETS, views.plain, views._asdict())


BEDS = {"digits": digits, "fashion_mnist": fashion, "cifar10": cifar10}
KINDS = (
    "clean",
    "symmetric 20",
    "symmetric 40",
    "symmetric 60",
    "symmetric 80",
    "asymmetric 40",
    "pair 40",
    "instance 40",
)
"""Symmetric rates leave out the true class: 40 means that 40 % of the labels are wrong."""


class Told(NamedTuple):
    """What some methods are told of the noise, and others are not."""

    T: Any
    """P(given label | true label); its mean over examples where the noise depends on them."""
    rate: Any
    """The share of training labels that are wrong."""


def noisy(key, kind, x, y, bed):
    """Draw given labels by KINDS[kind] (kind may be traced); return them and T."""
    rates = [int(name.split()[1]) / 100 for name in KINDS if name.startswith("symmetric")]
    matrices = [
        jnp.eye(CLASSES),
        *(noise.symmetric_matrix(CLASSES, rate, inclusive=False) for rate in rates),
        noise.asymmetric_matrix(bed.targets, 0.4),
        noise.pair_matrix(CLASSES, 0.4),
    ]
    by_class, by_example = jax.random.split(key)
    # Of one length, or the wrong class would be the likelier one function of x the longer x is.
    features = bed.features(x).reshape(len(x), -1)
    features = 2.5 * features / jnp.linalg.norm(features, axis=1, keepdims=True)
    given, rows = noise.instance_dependent(by_example, features, y, CLASSES, 0.4)
    one = jax.nn.one_hot(y, CLASSES, dtype=rows.dtype)
    each = (one.T @ rows) / jnp.maximum(one.sum(axis=0), 1)[:, None]
    single = [jnp.asarray(matrix, SINGLE) for matrix in (*matrices, each)]
    T = jnp.stack(single)[kind]
    T = T / T.sum(axis=1, keepdims=True)
    drawn = noise.transition(by_class, y, T)
    return jnp.where(kind == KINDS.index("instance 40"), given, drawn).astype(jnp.int32), T


class Meeting(NamedTuple):
    """One draw of data and noise, and the keys of the networks that meet it."""

    data: sets.Data
    told: Told
    keys: train.Keys


def meet(bed, key, kind):
    """Draw data and noise; keys of split, noise, weights and order are apart."""
    split, corrupt, weights, order = jax.random.split(key, 4)
    (x, y), (held_x, held_y), (test_x, test_y) = bed.draw(split)
    n = len(x)
    given, T = noisy(corrupt, kind, jnp.concatenate([x, held_x]), jnp.concatenate([y, held_y]), bed)
    held = sets.Labelled(held_x, given[n:], held_y)
    data = sets.Data(sets.Labelled(x, given[:n], y), held, sets.Labelled(test_x, test_y))
    flipped = jnp.mean((given[:n] != y).astype(SINGLE))
    return Meeting(data, Told(T, flipped), train.Keys(weights, order))


def run(bed, plan, met, make, optimiser):
    """Train one method, `make(task, told) -> Method`; give its last state and its readings."""
    n = len(met.data.train.x)
    task = method.Task(bed.network, optimiser(plan.steps(n)), n, CLASSES, **bed.views)
    return train.fit(met.keys, make(task, met.told), met.data, plan)
