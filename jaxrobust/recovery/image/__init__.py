"""Pictures with impulse noise: the deep image prior with double over-parameterization, and rivals.

- A user's own picture: `clean` is the front door, any size, with checkpoints; `pictures` reads,
  refuses in one line, makes fit and saves.
- The method: `fit` is a whole run as one pure function of key, picture, rates, plan and network,
  which `network` makes.
- Scores: `psnr`, `ssim`.
- Classical rivals: `median`; `fill`, for corruption whose places can be seen; `total_variation`
  with an l1 fit and a certified gap.

Scores and rivals are un-batched and pure. What needs flax is imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from jaxrobust.recovery.image import pictures
from jaxrobust.recovery.image.fill import fill
from jaxrobust.recovery.image.median import median
from jaxrobust.recovery.image.scores import psnr, ssim
from jaxrobust.recovery.image.tv import TotalVariation, total_variation

if TYPE_CHECKING:
    from jaxrobust.recovery.image import fit, network
    from jaxrobust.recovery.image.long import Cleaned, clean

__all__ = [
    "Cleaned",
    "TotalVariation",
    "clean",
    "fill",
    "fit",
    "median",
    "network",
    "pictures",
    "psnr",
    "ssim",
    "total_variation",
]


def __getattr__(name: str):
    """Import the network on first use, so that a median comes without flax."""
    if name in ("fit", "network"):
        return import_module(f"{__name__}.{name}")
    if name in ("Cleaned", "clean"):
        return getattr(import_module(f"{__name__}.long"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
