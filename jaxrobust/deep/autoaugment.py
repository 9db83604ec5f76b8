"""AutoAugment's policy for CIFAR-10: one of 25 pairs of picture operations, drawn for each picture.

E. Cubuk, B. Zoph, D. Mané, V. Vasudevan and Q. Le (2019), AutoAugment: learning augmentation
strategies from data, CVPR, arXiv:1805.09501. A pair is ((operation, probability, level), the same
once more), levels 0 to 9; each of the two is applied with its probability, one after the other.
What a level l means follows the authors' code for CIFAR:

    shear        0.03 l of the other coordinate, about the corner    signed
    translate    l pixels                                            signed
    rotate       3 l degrees about the centre                        signed
    solarize     pixels >= 256 - floor(25.6 l) are inverted
    posterize    4 - floor(0.4 l) bits are kept
    contrast, color, brightness, sharpness      factor 0.1 + 0.18 l
    autocontrast, equalize, invert              have no level

A signed operation goes either way with probability 1/2. Geometry takes the nearest pixel, and black
where there is none. All operations are Pillow's: geometry pixel by pixel, the rest to within one
grey level in 255.

The pairs are as two independent copies of the paper's table list them. They differ in one level
(color after brightness, 8 or 6): 8 is taken, as in the pairs that the authors' code has. DEVIATION:
that code fills with the mean colour where geometry leaves nothing; here, as in SOP's code, black.

Under vmap a `switch` runs all of its branches, so the fourteen operations are three branches: a
picture is moved, mapped tone by tone, or blended with a degraded copy. The two operations of a pair
are a scan: unrolled, XLA's CPU compiler computes the first one again for each pixel that the second
one reads. Measured on one core, 128 pictures of 32 x 32 x 3: 17 ms under vmap (46 ms unrolled as a
chain), 3 ms one after another by `lax.map`, where a switch runs one branch.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray, UInt8

OPERATIONS = (
    *("shear_x", "shear_y", "translate_x", "translate_y", "rotate"),
    *("autocontrast", "equalize", "invert", "solarize", "posterize"),
    *("contrast", "color", "brightness", "sharpness"),
)
(_SHEAR_X, _SHEAR_Y, _MOVE_X, _MOVE_Y, _ROTATE, _AUTO, _EQUAL, _INVERT, _SOLAR, _POSTER) = range(10)
(_CONTRAST, _COLOR, _BRIGHT, _SHARP) = range(10, 14)
LEVELS = 10
POLICY = (
    (("invert", 0.1, 7), ("contrast", 0.2, 6)),
    (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
    (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
    (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.5, 8), ("equalize", 0.9, 2)),
    (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
    (("color", 0.4, 3), ("brightness", 0.6, 7)),
    (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
    (("equalize", 0.6, 5), ("equalize", 0.5, 1)),
    (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
    (("color", 0.7, 7), ("translate_x", 0.5, 8)),
    (("equalize", 0.3, 7), ("autocontrast", 0.4, 8)),
    (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
    (("brightness", 0.9, 6), ("color", 0.2, 8)),
    (("solarize", 0.5, 2), ("invert", 0.0, 3)),
    (("equalize", 0.2, 0), ("autocontrast", 0.6, 0)),
    (("equalize", 0.2, 8), ("equalize", 0.6, 4)),
    (("color", 0.9, 9), ("equalize", 0.6, 6)),
    (("autocontrast", 0.8, 4), ("solarize", 0.2, 8)),
    (("brightness", 0.1, 3), ("color", 0.7, 0)),
    (("solarize", 0.4, 5), ("autocontrast", 0.9, 3)),
    (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.9, 2), ("solarize", 0.8, 3)),
    (("equalize", 0.8, 8), ("invert", 0.1, 3)),
    (("translate_y", 0.7, 9), ("autocontrast", 0.9, 1)),
)
_WHICH = np.array([[OPERATIONS.index(o) for o, _, _ in pair] for pair in POLICY], np.int32)
_CHANCE = np.array([[p for _, p, _ in pair] for pair in POLICY], np.float32)
_LEVEL = np.array([[level for _, _, level in pair] for pair in POLICY], np.int32)

Picture = Int[Array, "H W C"]


class Draw(NamedTuple):
    """What chance decides for one picture."""

    pair: Int[Array, ""]
    """0 to 24."""
    applied: Array
    """(2,), whether each of the pair's operations takes place."""
    forward: Array
    """(2,), the sense of each, should it be signed."""


def draw(key: PRNGKeyArray) -> Draw:
    """Draw a pair, whether its operations take place, and their senses."""
    a, b, c = jax.random.split(key, 3)
    pair = jax.random.randint(a, (), 0, len(POLICY), jnp.int32)
    applied = jax.random.uniform(b, (2,), jnp.float32) < jnp.asarray(_CHANCE)[pair]
    return Draw(pair, applied, jax.random.bernoulli(c, jnp.float32(0.5), (2,)))


def autoaugment(key: PRNGKeyArray, x: Array) -> UInt8[Array, "H W C"]:
    """Return one picture, grey (C = 1) or in colours (C = 3), after a pair of the policy."""
    if x.dtype != jnp.uint8 or x.ndim != 3 or x.shape[2] not in (1, 3):
        raise ValueError(
            f"x must be a uint8 picture (H, W, 1 or 3) with values 0..255, got {x.dtype} "
            f"{x.shape}: augment pictures as they are stored, before normalise"
        )
    pair, applied, forward = draw(key)

    def one(picture, k):
        op, level, forward = k
        return operate(picture, op, level, forward), None

    ops = jnp.where(applied, jnp.asarray(_WHICH)[pair], -1)
    picture, _ = jax.lax.scan(one, x.astype(jnp.int32), (ops, jnp.asarray(_LEVEL)[pair], forward))
    return picture.astype(jnp.uint8)


def operate(x: Picture, op: Int[Array, ""], level: Int[Array, ""], forward: Array) -> Picture:
    """Return x after OPERATIONS[op] at a level 0..9; op = -1 leaves it as it is.

    Backward (`forward` false) a signed operation takes the other direction.
    """
    kind = sum((op >= first).astype(jnp.int32) for first in (0, _AUTO, _CONTRAST))
    branches = (
        lambda: x,
        lambda: _moved(x, op, level, forward),
        lambda: _toned(x, op, level),
        lambda: _blended(x, op, level),
    )
    return jax.lax.switch(kind, branches)


@lru_cache
def _maps(height: int, width: int) -> np.ndarray:
    """Return (5 operations, 10 levels, backward and forward, 6): where a pixel is fetched from.

    Column a x + b y + c, row d x + e y + f at pixel centres, in units of 2^-16, as Pillow rounds.
    """
    table = np.zeros((5, LEVELS, 2, 6), np.int32)
    for level in range(LEVELS):
        for forward, sense in enumerate((-1, 1)):
            shear, move, turn = 0.03 * level, float(level), -np.deg2rad(3 * level * sense)
            cos, sin, mid_x, mid_y = np.cos(turn), np.sin(turn), width / 2, height / 2
            for op, (a, b, c, d, e, f) in enumerate(
                (
                    (1, sense * shear, 0, 0, 1, 0),
                    (1, 0, 0, sense * shear, 1, 0),
                    (1, 0, sense * move, 0, 1, 0),
                    (1, 0, 0, 0, 1, sense * move),
                    (
                        *(cos, sin, mid_x - cos * mid_x - sin * mid_y),
                        *(-sin, cos, mid_y + sin * mid_x - cos * mid_y),
                    ),
                )
            ):
                c, f = c + (a + b) / 2, f + (d + e) / 2
                table[op, level, forward] = np.floor(65536 * np.array([a, b, c, d, e, f]) + 0.5)
    return table


def _moved(x: Picture, op: Int[Array, ""], level: Int[Array, ""], forward: Array) -> Picture:
    height, width, colours = x.shape
    table = jnp.asarray(_maps(height, width))
    a, b, c, d, e, f = table[op, level, forward.astype(jnp.int32)]
    i, j = jnp.arange(height, dtype=jnp.int32)[:, None], jnp.arange(width, dtype=jnp.int32)[None, :]
    column, row = (a * j + b * i + c) >> 16, (d * j + e * i + f) >> 16
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    place = jnp.clip(row, 0, height - 1) * width + jnp.clip(column, 0, width - 1)
    return jnp.where(inside[:, :, None], x.reshape(height * width, colours)[place], 0)


def _toned(x: Picture, op: Int[Array, ""], level: Int[Array, ""]) -> Picture:
    """Map each grey level of each colour to another one."""
    low, high = jnp.min(x, axis=(0, 1)), jnp.max(x, axis=(0, 1))
    low, high = jnp.where(high > low, low, 0), jnp.where(high > low, high, 255)
    stretch = 255 * (x - low[None, None, :]) // (high - low)[None, None, :]
    threshold = 256 - (256 * level) // 10
    bits = jnp.where(op == _POSTER, 4 - (4 * level) // 10, 8)
    x = jnp.where(op == _AUTO, stretch, x)
    x = jnp.where(op == _EQUAL, _equalized(x), x)
    x = jnp.where((op == _INVERT) | ((op == _SOLAR) & (x >= threshold)), 255 - x, x)
    return (x >> (8 - bits)) << (8 - bits)


def _equalized(x: Picture) -> Picture:
    """Give every grey level its rank: (pixels below it + step/2) / step, step of 256 alike."""
    height, width, colours = x.shape
    flat = x.reshape(height * width, colours)
    counts = jnp.zeros((256, colours), jnp.int32)
    counts = counts.at[flat, jnp.arange(colours, dtype=jnp.int32)[None, :]].add(1)
    below = jnp.cumsum(counts, axis=0, dtype=jnp.int32) - counts
    most = below[255] + counts[255] - jnp.take_along_axis(counts, jnp.max(flat, axis=0)[None], 0)[0]
    step = most // 255
    ranks = (below + (step // 2)[None, :]) // jnp.maximum(step, 1)[None, :]
    ranks = jnp.minimum(ranks, 255)
    ranks = jnp.where((step > 0)[None, :], ranks, jnp.arange(256, dtype=jnp.int32)[:, None])
    return jnp.take_along_axis(ranks, flat, axis=0).reshape(x.shape)


def _blended(x: Picture, op: Int[Array, ""], level: Int[Array, ""]) -> Picture:
    """Blend with a copy that lacks contrast, colour, light or sharpness: copy + factor (x - copy).

    Beyond factor 1 this moves away from the copy.
    """
    grey = _grey(x)
    mean = (2 * jnp.sum(grey, dtype=jnp.int32) + grey.size) // (2 * grey.size)
    copy = jnp.select(
        [op == _CONTRAST, op == _COLOR, op == _SHARP],
        [jnp.full_like(x, mean), jnp.broadcast_to(grey, x.shape), _smooth(x)],
        jnp.zeros_like(x),
    )
    factor = 0.1 + 0.18 * level.astype(jnp.float32)
    blend = copy.astype(jnp.float32) + factor * (x - copy).astype(jnp.float32)
    return jnp.clip(blend, 0, 255).astype(jnp.int32)


def _grey(x: Picture) -> Int[Array, "H W 1"]:
    if x.shape[2] == 1:
        return x
    red, green, blue = x[:, :, 0], x[:, :, 1], x[:, :, 2]  # the weights of ITU-R 601-2
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16)[:, :, None]


def _smooth(x: Picture) -> Picture:
    """Average 3 x 3 pixels, the middle one five times; the border stays as it is."""
    height, width, _ = x.shape
    if min(height, width) < 3:
        return x
    rows = x[:-2] + x[1:-1] + x[2:]
    total = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] + 4 * x[1:-1, 1:-1]
    return x.at[1:-1, 1:-1].set((2 * total + 13) // 26)
