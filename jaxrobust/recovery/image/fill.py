"""Masked Gaussian average: fill entries known to be corrupt from those that are not."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from jaxrobust import _check
from jaxrobust.recovery.image import _picture


def fill(
    picture: ArrayLike, sigma: ArrayLike = 0.7, *, seen: ArrayLike | None = None
) -> Float[Array, "*shape"]:
    """Replace entries that are not seen by the Gaussian average of those around that are.

    x_i = sum_j G_ij m_j y_j / sum_j G_ij m_j with m_j = 1 where j is seen, G_ij =
    exp(-|i - j|^2 / (2 sigma^2)) up to 4 sigma along each axis, channel by channel; where no entry
    within reach is seen, sigma doubles until one is. Seen entries stay as they are.

    Without `seen`, an entry is seen where 0 < y < 1: salt-and-pepper noise gives its places away.
    The picture's own black and white are then filled too. For noise that can be told only by what
    is around it, as random-valued impulses, this function is of no use unless `seen` is known.

    `picture` in [0, 1] has shape (height, width) or (height, width, channels), `seen` (booleans)
    the same; `sigma` > 0 is in pixels. Refuses a channel of which nothing is seen; there NaN in
    traced code.

    Source: normalised convolution, Knutsson and Westin, CVPR 1993.

    >>> import jax.numpy as jnp
    >>> hurt = jnp.full((4, 6), 0.25).at[1, 2].set(1.0).at[3].set(0.0)
    >>> float(abs(fill(hurt) - 0.25).max())
    0.0
    """
    picture = _picture.unit("picture", picture)
    if np.shape(sigma) == picture.shape:
        raise ValueError("sigma must be one number, got the picture's shape: give a mask as seen=")
    sigma = _check.number("sigma", sigma, dtype=picture.dtype)
    mask = (picture > 0) & (picture < 1) if seen is None else _mask(seen, picture.shape)
    known = _check.concrete(mask.any(axis=(0, 1)))
    if known is not None and not known.all():
        cure = "give it more entries strictly between 0 and 1" if seen is None else "mark some True"
        raise ValueError(
            f"picture has a channel with nothing seen, so nothing to fill from: {cure}"
        )
    return _fill(picture, mask, sigma)


@jax.jit
def _fill(picture: Array, mask: Array, sigma: Array) -> Array:
    H, W = picture.shape[:2]
    weight = mask.astype(picture.dtype)
    value = jnp.where(mask, picture, 0.0)

    def widen(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        filled, done, width = state
        rows, columns = _gaussian(H, width), _gaussian(W, width)

        def average(x: Array) -> Array:
            return jnp.einsum("ij,jk...,kl->il...", rows, x, columns, precision="highest")

        below = average(weight)
        found = ~done & (below > 0)
        here = average(value) / jnp.where(found, below, 1.0)
        return jnp.where(found, here, filled), done | found, 2 * width

    def lacking(state: tuple[Array, Array, Array]) -> Array:
        return ~state[1].all() & (state[2] < jnp.inf)  # a bad traced sigma is NaN: it ends

    hopeless = ~mask.any(axis=(0, 1), keepdims=True)
    start = (jnp.where(mask, picture, jnp.nan), mask | hopeless, sigma)
    return jax.lax.while_loop(lacking, widen, start)[0]


def _gaussian(n: int, sigma: Array) -> Array:
    place = jnp.arange(n, dtype=sigma.dtype)
    away = jnp.abs(place[:, None] - place[None, :])
    reach = jnp.floor(4 * sigma + 0.5)
    return jnp.where(away <= reach, jnp.exp(-0.5 * (away / sigma) ** 2), 0.0)


def _mask(seen: Any, shape: tuple[int, ...]) -> Bool[Array, "*shape"]:
    try:
        array = seen if isinstance(seen, jax.Array) else np.asarray(seen)
    except ValueError as error:
        raise ValueError(f"seen is not an array of booleans: {error}") from None
    if array.dtype != bool or array.shape != shape:
        raise ValueError(
            f"seen must hold booleans of the picture's shape {shape}, got {array.dtype} of "
            f"{array.shape}"
        )
    return jnp.asarray(array)
