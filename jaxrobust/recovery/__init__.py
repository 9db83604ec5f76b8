"""Structured corruption: what is low-rank, or a picture, under sparse gross errors.

`matrix` recovers low-rank matrices by double over-parameterization, by rivals and by certified
convex programs; `image` cleans pictures with a deep image prior trained in the same way.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxrobust.recovery import image, matrix

__all__ = ["image", "matrix"]


def __getattr__(name: str) -> Any:
    """Import a part on first use: the networks of `image` take a while to load."""
    if name in __all__:
        return import_module(f"jaxrobust.recovery.{name}")
    raise AttributeError(f"module 'jaxrobust.recovery' has no attribute {name!r}")
