"""From a file or an array in any of the usual forms to floats in [0, 1], or one line why not."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from PIL import Image, ImageOps, UnidentifiedImageError

from jaxrobust import _check
from jaxrobust.recovery.image import _picture

# Modes of Pillow whose numbers are those of the picture: bits, 8 and 16 bit, float, with alpha.
_MODES = ("1", "L", "LA", "RGB", "RGBA", "I;16", "I;16L", "I;16B", "F")
# What decoders raise at broken files.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)


def file(path: Path, frame: int | None) -> tuple[str, np.ndarray]:
    """Open a file by Pillow; give what to call it and its numbers."""
    name = f"picture {path.name}"
    try:
        image = Image.open(path)
    except FileNotFoundError:
        raise ValueError(f"{name} is not in {path.parent}: check the path") from None
    except IsADirectoryError:
        raise ValueError(f"{name} is a folder: give one of its files") from None
    except UnidentifiedImageError:
        cure = "save it as PNG, or give an array (of numpy.load for .npy)"
        raise ValueError(f"{name} is not a picture that Pillow reads: {cure}") from None
    except (Image.DecompressionBombError, *_BROKEN) as error:
        raise ValueError(f"{name} cannot be opened ({error}): save it anew, or smaller") from None
    with image:
        return name, opened(name, image, frame)


def opened(name: str, image: Image.Image, frame: int | None) -> np.ndarray:
    """Give the numbers of an image that Pillow has opened."""
    # The second picture of a telephone's MPO file is a preview.
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1 and frame is None:
        raise ValueError(f"{name} has {frames} frames: pick one, frame=0 is the first")
    if frame is not None:
        _check.count("frame", frame, 0, frames - 1)
    try:
        if frame:
            image.seek(frame)
        image = ImageOps.exif_transpose(image)
        if image.mode in ("P", "PA"):  # colours from a table
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        elif "transparency" in image.info and image.mode in ("L", "RGB"):  # one colour is none
            image = image.convert("LA" if image.mode == "L" else "RGBA")
        values = np.asarray(image)
    except _BROKEN as error:
        raise ValueError(f"{name} cannot be decoded ({error}): save it anew") from None
    if image.mode not in _MODES:
        raise ValueError(
            f"{name} is in mode {image.mode}, which has no one reading in [0, 1]: convert it to "
            'RGB or grey (in Pillow image.convert("RGB")), or give an array in [0, 1]'
        )
    return values


def numbers(name: str, source: Any) -> np.ndarray:
    """Give an array as NumPy has it."""
    if isinstance(source, Tracer):
        raise ValueError(f"{name} is traced: read it before jit and vmap")
    if isinstance(source, jax.Array) and jnp.issubdtype(source.dtype, jnp.bfloat16):
        source = source.astype(jnp.float32)
    try:
        values = np.asarray(source)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} is not an array of numbers: {error}") from None
    if values.ndim == 0 and values.dtype.kind not in "biufc":
        kind = type(source).__name__
        raise ValueError(f"{name} must be a path, an image of Pillow or an array, got {kind}")
    return values


def unit(name: str, values: np.ndarray) -> np.ndarray:
    """Give the values as float64 in [0, 1], shape checked; refuse what has no clear white."""
    _shape(name, values)
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "b":
        return values.astype(float)
    if kind == "u" and size in (1, 2):
        return values.astype(float) / (2 ** (8 * size) - 1)
    if kind in "iu":
        raise ValueError(
            f"{name} holds {values.dtype}, whose white is unclear: use astype(np.uint8) "
            "where white is 255, astype(np.uint16) where it is 65535"
        )
    if kind != "f":
        raise ValueError(
            f"{name} must hold numbers, got dtype {values.dtype}: give floats or uint8"
        )
    values = values.astype(float)
    bad = int(np.sum(~np.isfinite(values)))
    if bad:
        raise ValueError(
            f"{name} has {bad} non-finite of {values.size} entries: set them to 0 or 1, which "
            "`fill` takes for unseen"
        )
    low, high = values.min(), values.max()
    if low < 0 or high > 1:
        cure = "divide it by 255" if low >= 0 and 2 < high <= 255 else "rescale, or use np.clip"
        worst = low if low < 0 else high
        raise ValueError(f"{name} must lie in [0, 1], got {worst:g}: {cure}")
    return values


def _shape(name: str, values: np.ndarray) -> None:
    shape = values.shape
    if values.ndim == 2 or (values.ndim == 3 and shape[2] in (1, 2, 3, 4)):
        if not values.size:
            raise ValueError(f"{name} is empty, shape {shape}: give at least one pixel")
        return
    cure = f"give shape {_picture.SHAPES}, at most 4 channels"
    if values.ndim == 3 and shape[0] in (1, 3, 4):
        cure = "channels come last, at most 4: np.moveaxis(picture, 0, -1) where they are first"
    elif values.ndim in (3, 4):
        cure = "give one picture of a stack, as picture[0]"
    raise ValueError(f"{name} has shape {shape}: {cure}")


def composite(name: str, values: np.ndarray, background: Any) -> np.ndarray:
    """Lay a picture with alpha, its last channel, on a background."""
    colours, alpha = values[..., :-1], values[..., -1:]
    behind = None if background is None else colour(background, colours.shape[2])
    if np.all(alpha == 1):
        return colours
    if behind is None:
        raise ValueError(
            f"{name} has an alpha channel, {np.mean(alpha < 1):.0%} of it not opaque: say what "
            "lies behind, background=1.0 for white"
        )
    return alpha * colours + (1 - alpha) * behind


def colour(background: Any, channels: int) -> np.ndarray:
    """Give a background as one number or one a channel."""
    values = np.asarray(_check.between("background", background, 0.0, 1.0), float)
    if values.shape not in ((), (channels,)):
        raise ValueError(
            f"background must be one number or {channels}, one a channel, got shape {values.shape}"
        )
    return values
