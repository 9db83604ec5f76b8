"""A user's own picture: read, refused in one line where it is unclear, made to fit, saved.

Everything else in this package takes plain arrays: (height, width) for grey, (height, width, 3) for
red, green, blue, floats in [0, 1]. `read` makes one of a file or of an array in any of the usual
forms, or says what is unclear about it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float
from PIL import Image

from jaxrobust import _check
from jaxrobust.recovery.image import _decode, _picture

Picture = Float[np.ndarray, "height width *colours"]

# Bundled pictures, and the square of each that studies use: first row, first column, side.
# Where none is given it is the largest one in the middle.
_SAMPLES = {
    "astronaut": ("astronaut.png", (0, 96, 256)),
    "brick": ("brick.png", None),
    "camera": ("camera.png", (40, 100, 256)),
    "chelsea": ("chelsea.png", None),
    "coffee": ("coffee.png", None),
    "coins": ("coins.png", None),
    "grass": ("grass.png", None),
    "gravel": ("gravel.png", None),
    "hubble": ("hubble_deep_field.jpg", None),
    "moon": ("moon.png", None),
    "motorcycle": ("motorcycle_left.png", None),
    "rocket": ("rocket.jpg", None),
}
SAMPLES = tuple(_SAMPLES)
"""The names that `sample` knows."""


def read(
    source: Any,
    *,
    background: float | Sequence[float] | None = None,
    frame: int | None = None,
) -> Picture:
    """Return a picture as floats in [0, 1], (height, width) or (height, width, 3).

    `source` is the path of a file that Pillow reads (PNG, JPEG, TIFF, WebP, ...), an image that it
    has opened, or an array of shape (height, width) or (height, width, channels): booleans, uint8
    (divided by 255), uint16 (by 65535), or floats that lie in [0, 1] already. One channel is grey,
    two are grey and alpha, three colours, four colours and alpha. Files are turned as their EXIF
    note says; colour profiles are not applied; colour files of 16 bit a channel come at Pillow's 8.

    `background`, one number or one a colour in [0, 1], is what a transparent picture lies on: it
    is refused without, unless all of it is opaque. `frame` picks one of an animation or a stack.

    Raises
    ------
    ValueError
        One line that names what is wrong and its cure: no such file, not a picture, several
        frames, CMYK, channels first, integers of unknown white, values outside [0, 1], NaN, alpha.

    Examples
    --------
    >>> read([[0.0, 0.5], [1.0, 0.25]]).shape
    (2, 2)
    >>> float(read(np.full((4, 4, 3), 255, np.uint8)).min())
    1.0
    """
    name = "picture"
    if isinstance(source, str | os.PathLike):
        name, values = _decode.file(Path(source), frame)
    elif isinstance(source, Image.Image):
        values = _decode.opened(name, source, frame)
    elif frame is not None:
        raise ValueError(f"frame is for files, got {frame!r:.20} with an array: give picture[i]")
    else:
        values = _decode.numbers(name, source)
    values = _decode.unit(name, values)
    if values.ndim == 3 and values.shape[2] in (2, 4):
        values = _decode.composite(name, values, background)
    elif background is not None:
        _decode.colour(background, values.shape[2] if values.ndim == 3 else 1)
    return values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values


def save(path: str | os.PathLike[str], picture: ArrayLike) -> Path:
    """Write a picture as an 8-bit PNG, and return its path.

    Values are rounded to 255ths. The file appears under its name only when it is whole: it is
    written beside it and renamed. `picture` as `read` returns it; the name must end in .png.
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"path must be a file's name, got {path!r:.40}: the picture comes second")
    path, values = Path(path), read(picture)
    if path.suffix.lower() != ".png":
        raise ValueError(f"path must end in .png, got {path.name!r:.60}: other formats lose detail")
    image = Image.fromarray(np.round(values * 255).astype(np.uint8))
    left = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".tmp-", delete=False) as file:
            left = file.name
            image.save(file, format="PNG")
            file.flush()
            os.fsync(file.fileno())
        Path(left).chmod(0o644)  # a temporary file is its owner's alone
        Path(left).replace(path)
    except OSError as error:
        if left:
            Path(left).unlink(missing_ok=True)
        raise ValueError(
            f"path {path} cannot be written: {error.strerror or error}: make its folder, or give "
            "another"
        ) from None
    return path


def fit_to(picture: ArrayLike, multiple: int) -> Float[Array, "*shape"]:
    """Extend a picture below and to the right, so that both sides are multiples of `multiple`.

    What is added mirrors the picture without repeating its edge (a b c d | c b a), over and over
    where one mirror image does not do. `crop_to(fitted, picture.shape)` takes it off again.

    >>> import jax.numpy as jnp
    >>> fit_to(jnp.array([[0.1, 0.2, 0.3]]), 4).shape
    (4, 4)
    """
    picture, multiple = _picture.real("picture", picture), _check.count("multiple", multiple)
    more = [(0, -n % multiple) for n in picture.shape[:2]]
    return jnp.pad(picture, [*more, *[(0, 0)] * (picture.ndim - 2)], mode="reflect")


def crop_to(picture: ArrayLike, shape: Sequence[int]) -> Float[Array, "*shape"]:
    """Return the upper left part of a picture that has the height and width of `shape`.

    >>> import jax.numpy as jnp
    >>> crop_to(jnp.zeros((32, 64, 3)), (17, 40, 3)).shape
    (17, 40, 3)
    """
    picture = _picture.real("picture", picture)
    if len(shape) < 2:
        raise ValueError(f"shape must begin with height and width, got {tuple(shape)}")
    H, W = (_check.count("shape", shape[axis], 1, picture.shape[axis]) for axis in (0, 1))
    return picture[:H, :W]


def sample(name: str, size: int | None = 64, *, whole: bool = False) -> Picture:
    """Return a photograph that comes with scikit-image, as a square of `size` pixels.

    `name` is one of `SAMPLES`; nothing is downloaded. A square of the photograph is taken (the
    face of the astronaut, the man with the camera, the largest in the middle of the others; of all
    with `whole=True`) and reduced with anti-aliasing, which `size=None` leaves out.

    >>> sample("astronaut", 16).shape, sample("camera", 16).shape
    ((16, 16, 3), (16, 16))
    """
    from skimage.transform import resize  # slow to import

    if not isinstance(name, str) or name not in _SAMPLES:
        raise ValueError(f"name must be one of {', '.join(SAMPLES)}, got {name!r:.40}")
    file, square = _SAMPLES[name]
    with resources.as_file(resources.files("skimage") / "data" / file) as path:
        picture = read(path)
    H, W = picture.shape[:2]
    side = min(H, W)
    top, left, side = square if square and not whole else ((H - side) // 2, (W - side) // 2, side)
    picture = picture[top : top + side, left : left + side]
    if size is None:
        return picture
    _check.count("size", size, 1, side)
    return np.asarray(resize(picture, (size, size, *picture.shape[2:]), anti_aliasing=True))
