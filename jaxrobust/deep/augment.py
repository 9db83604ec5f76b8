"""Augmentation of pictures on the device: crop, flip, cutout, AutoAugment, and their compositions.

Every random function is `(key, x) -> x` on a batch (B, H, W, C). Row i draws from
`fold_in(key, i)`: what happens to it depends on its place in the batch, and on nothing else that is
in the batch, nor on how long that is. Pictures are stored as uint8; `views` makes the three
functions that a `Task` wants. The weak and the strong view are those of SOP+ (S. Liu, Z. Zhu, Q. Qu
and C. You (2022), Robust training under label noise by over-parameterization, ICML,
arXiv:2202.14026, and its code):

    weak      crop of 32 after a black border of 4 -> flip -> normalise
    strong    AutoAugment's CIFAR-10 policy -> the same -> cutout of 16

DEVIATION: that code normalises CIFAR-100's strong view by CIFAR-10's numbers; here both views have
their own set's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxrobust._check import count
from jaxrobust.deep import autoaugment as policy


class Scale(NamedTuple):
    """A mean and a spread for each colour, of values in [0, 1]."""

    mean: tuple[float, ...]
    spread: tuple[float, ...]


CIFAR10 = Scale((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
"""The usual numbers. Their spread is the mean of the pictures' own ones; over all pixels it is
(0.2470, 0.2435, 0.2616)."""
CIFAR100 = Scale((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761))
"""Over all pixels."""


class Views(NamedTuple):
    """What a `Task` takes: `Task(network, optimiser, n, classes, *views(CIFAR10))`."""

    plain: Callable[[Array], Array]
    weak: Callable[[PRNGKeyArray, Array], Array]
    strong: Callable[[PRNGKeyArray, Array], Array]


def normalise(x: Array, scale: Scale, dtype: Any = jnp.float32) -> Float[Array, "B H W C"]:
    """Return (x - mean) / spread for each colour; uint8 is divided by 255 first, floats are not.

    >>> import jax.numpy as jnp
    >>> x = jnp.full((1, 1, 1, 1), 255, jnp.uint8)
    >>> float(normalise(x, Scale((0.5,), (0.25,)))[0, 0, 0, 0])
    2.0
    """
    _batch(x)
    if not x.shape[3] == len(scale.mean) == len(scale.spread):
        raise ValueError(
            f"scale must have {x.shape[3]} means and spreads, one a colour, got "
            f"{len(scale.mean)} and {len(scale.spread)}"
        )
    exact = dtype if jnp.finfo(dtype).bits >= 32 else jnp.float32
    mean, spread = jnp.asarray(scale.mean, exact), jnp.asarray(scale.spread, exact)
    unit = x.astype(exact) / 255 if jnp.issubdtype(x.dtype, jnp.integer) else x.astype(exact)
    return ((unit - mean[None, None, None, :]) / spread[None, None, None, :]).astype(dtype)


def crop(key: PRNGKeyArray, x: Array, pad: int = 4) -> Array:
    """Return a window of the same size, anywhere in each picture with a border of zeros around it.

    Each of the (2 pad + 1)^2 places is as likely as another one.
    """
    pad = count("pad", pad, 0)

    def one(key: PRNGKeyArray, x: Array) -> Array:
        start = jax.random.randint(key, (2,), 0, 2 * pad + 1, jnp.int32)
        wide = jnp.pad(x, ((pad, pad), (pad, pad), (0, 0)))
        return jax.lax.dynamic_slice(wide, (start[0], start[1], jnp.int32(0)), x.shape)

    return _each(one, key, x)


def flip(key: PRNGKeyArray, x: Array) -> Array:
    """Return each picture as it is or, with probability 1/2, its mirror image (left for right)."""

    def one(key: PRNGKeyArray, x: Array) -> Array:
        return jnp.where(jax.random.bernoulli(key, jnp.float32(0.5)), x[:, ::-1], x)

    return _each(one, key, x)


def cutout(key: PRNGKeyArray, x: Array, size: int = 16) -> Array:
    """Return each picture with a square set to zero: after `normalise`, to the mean colour.

    Its centre (m, k) is any pixel; rows m - size // 2 to m + size // 2 - 1 and columns alike are
    cut where they lie in the picture. T. DeVries and G. Taylor (2017), Improved regularization of
    convolutional neural networks with cutout, arXiv:1708.04552.
    """
    half = count("size", size, 2) // 2

    def one(key: PRNGKeyArray, x: Array) -> Array:
        height, width, _ = x.shape
        m = jax.random.randint(key, (2,), 0, jnp.array([height, width], jnp.int32), jnp.int32)

        def covered(length: int, middle: Array) -> Array:
            i = jnp.arange(length, dtype=jnp.int32)
            return (i >= middle - half) & (i < middle + half)

        hole = covered(height, m[0])[:, None] & covered(width, m[1])[None, :]
        return jnp.where(hole[:, :, None], jnp.zeros_like(x), x)

    return _each(one, key, x)


def autoaugment(key: PRNGKeyArray, x: Array) -> Array:
    """Return each picture after one of AutoAugment's 25 pairs of operations; x is uint8."""
    return _each(policy.autoaugment, key, x)


def views(scale: Scale, pad: int = 4, size: int = 16, dtype: Any = jnp.float32) -> Views:
    """Return the plain, the weak and the strong view of pictures that are stored as uint8.

    >>> import jax, jax.numpy as jnp
    >>> plain, weak, strong = views(CIFAR10)
    >>> x = jnp.zeros((2, 32, 32, 3), jnp.uint8)
    >>> weak(jax.random.key(0), x).shape, plain(x).dtype
    ((2, 32, 32, 3), dtype('float32'))
    """
    pad, size = count("pad", pad, 0), count("size", size, 2)

    def plain(x: Array) -> Array:
        return normalise(x, scale, dtype)

    def weak(key: PRNGKeyArray, x: Array) -> Array:
        a, b = jax.random.split(key)
        return plain(flip(b, crop(a, x, pad)))

    def strong(key: PRNGKeyArray, x: Array) -> Array:
        a, b, c = jax.random.split(key, 3)
        return cutout(c, weak(b, autoaugment(a, x)), size)

    return Views(plain, weak, strong)


def _batch(x: Array) -> None:
    if x.ndim != 4:
        raise ValueError(
            f"x must be a batch of pictures (B, H, W, C), got shape {x.shape}: "
            "give a grey one its last axis by x[..., None]"
        )


def _each(one: Callable[[PRNGKeyArray, Array], Array], key: PRNGKeyArray, x: Array) -> Array:
    """Apply a function of one picture to all, with a key of each row's own."""
    _batch(x)
    rows = jnp.arange(x.shape[0], dtype=jnp.uint32)
    return jax.vmap(lambda row, x: one(jax.random.fold_in(key, row), x))(rows, x)
