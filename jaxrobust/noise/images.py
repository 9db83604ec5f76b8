"""Impulse noise on images with values in [0, 1]."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.noise import _draw, _input
from jaxrobust.noise._input import Values


def _image(image: Values) -> Array:
    """Return image as floats in [0, 1], (height, width) or (height, width, channels)."""
    array = _check.real("image", image)
    if array.ndim not in (2, 3) or array.size == 0:
        raise ValueError(
            "image must have shape (height, width) or (height, width, channels) and not be empty, "
            f"got {array.shape}: vmap over a batch"
        )
    values = _check.concrete(array)
    if values is not None and (values.min() < 0 or values.max() > 1):
        worst = values.min() if values.min() < 0 else values.max()
        raise ValueError(
            f"image must lie in [0, 1], got {worst:g}: divide 8-bit pixels by 255, un-normalise"
        )
    return array


def _places(image: Array, per_pixel: bool) -> tuple[int, ...]:
    """Return the shape of independent places: entries, or pixels with their channels together."""
    together = per_pixel and image.ndim == 3
    return (*image.shape[:2], 1) if together else image.shape


def salt_and_pepper(
    key: PRNGKeyArray,
    image: Values,
    rate: Values,
    *,
    salt: Values = 0.5,
    per_pixel: bool = False,
) -> Float[Array, "*shape"]:
    """Replace entries by 1 (salt) or 0 (pepper): hit with probability `rate`, salt if hit `salt`.

    P(noisy = 1) = rate salt and P(noisy = 0) = rate (1 - salt) from an entry strictly between,
    else it stays; independent over entries, or over pixels with `per_pixel=True` (static): a hit
    pixel is then white or black in all its channels. A share `rate` of places is hit; entries
    already at the drawn extreme do not change.

    `image` lies in [0, 1], shape (height, width) or (height, width, channels).

    >>> image = jnp.full((2, 3), 0.5)
    >>> print(salt_and_pepper(jax.random.key(0), image, 1.0, salt=1.0))
    [[1. 1. 1.]
     [1. 1. 1.]]
    """
    image = _image(image)
    rate, salt = _input.rate("rate", rate), _input.rate("salt", salt)
    key_hit, key_salt = jax.random.split(key)
    shape = _places(image, per_pixel)
    hit = jnp.broadcast_to(_draw.hits(key_hit, rate, shape), image.shape)
    white = jnp.broadcast_to(_draw.hits(key_salt, salt, shape), image.shape)
    return jnp.where(hit, white.astype(image.dtype), image)


def random_impulses(
    key: PRNGKeyArray, image: Values, rate: Values, *, per_pixel: bool = False
) -> Float[Array, "*shape"]:
    """Replace entries by uniform numbers on [0, 1): random-valued impulse noise.

    Each entry is hit independently with probability `rate` and then redrawn uniformly; with
    `per_pixel=True` (static) the channels of a pixel are hit together, each with its own value.
    `image` as in `salt_and_pepper`.

    >>> image = jnp.full((2, 3), 0.5)
    >>> int((random_impulses(jax.random.key(0), image, 1.0) != image).sum())
    6
    """
    image = _image(image)
    rate = _input.rate("rate", rate)
    key_hit, key_value = jax.random.split(key)
    hit = jnp.broadcast_to(_draw.hits(key_hit, rate, _places(image, per_pixel)), image.shape)
    value = jax.random.uniform(key_value, image.shape, image.dtype)
    return jnp.where(hit, value, image)
