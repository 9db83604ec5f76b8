"""The median filter, the classical cure of sparse impulses."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxrobust.recovery.image import _picture


def median(picture: ArrayLike, size: int = 3) -> Float[Array, "*shape"]:
    """Replace every entry by the median of the size x size window around it, channel by channel.

    Right where fewer than half of a window's entries are corrupt; it blurs what is finer than the
    window. Past the edge the picture is mirrored, the edge itself repeated (d c b a | a b c d).

    `picture` has shape (height, width) or (height, width, channels); `size` is odd and static.

    Source: Tukey, Exploratory Data Analysis, 1977; the same numbers as scipy.ndimage.median_filter.

    >>> import jax.numpy as jnp
    >>> dot = jnp.full((5, 5), 0.5).at[2, 2].set(1.0)
    >>> float(abs(median(dot) - 0.5).max())
    0.0
    """
    picture, size = _picture.real("picture", picture), _picture.odd("size", size)
    return _median(picture, size)


@partial(jax.jit, static_argnums=1)
def _median(picture: Array, size: int) -> Array:
    (H, W), r = picture.shape[:2], size // 2
    pad = [(r, r), (r, r)] + [(0, 0)] * (picture.ndim - 2)
    wide = jnp.pad(picture, pad, mode="symmetric")
    shifts = [wide[i : i + H, j : j + W] for i in range(size) for j in range(size)]
    return jnp.sort(jnp.stack(shifts), axis=0)[len(shifts) // 2]
