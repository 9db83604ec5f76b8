"""Scikit-learn's digits, two classes of them: a small real problem that needs no file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxrobust import _check


class Digits(NamedTuple):
    """Pictures of two digits, and which one each shows."""

    x: Float[np.ndarray, "n 64"]
    """Pixels in [0, 1], 8 rows of 8."""
    y: Float[np.ndarray, " n"]
    """+1 for the first digit of the pair, -1 for the second."""


def digits(pair: Any = (4, 9)) -> Digits:
    """Return the pictures of two digits, in scikit-learn's order.

    1,797 pictures of 8 x 8 pixels with 17 grey levels, about 180 a digit: the test part of E.
    Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository.

    >>> x, y = digits((4, 9))
    >>> x.shape, int((y > 0).sum())
    ((361, 64), 181)
    """
    from sklearn.datasets import load_digits  # imported late: it takes a second

    if not isinstance(pair, Sequence | np.ndarray) or len(pair) != 2:
        raise ValueError(f"pair must be two digits, such as (4, 9), got {pair!r:.40}")
    first, second = (_check.count("pair", digit, low=0, high=9) for digit in pair)
    if first == second:
        raise ValueError(f"pair must be two different digits, got {first} twice")
    pixels, digit = map(np.asarray, load_digits(return_X_y=True))
    chosen = (digit == first) | (digit == second)
    return Digits(pixels[chosen] / 16, np.where(digit[chosen] == first, 1.0, -1.0))
