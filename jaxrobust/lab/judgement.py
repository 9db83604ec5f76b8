"""The outcome of one test, in plain numbers and one sentence, and the checks that tests share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np


class Outcome(StrEnum):
    """What a test can say; a plain string, so that it writes to JSON as it stands."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"
    OUT_OF_REGIME = "out_of_regime"


@dataclass(frozen=True)
class Judgement:
    """The outcome of one test.

    predicted, measured and interval belong to the cell that decides (the one nearest to being
    refuted). n counts the seeds, or the entries where a kind has no seeds; cells counts those
    judged. Every number is a Python number; NaN and infinity become None (null in JSON), which
    in an interval means that this end is open.

    >>> of = Judgement.of(Outcome.REFUTED, 0.5, float("nan"), (0.1, float("inf")), 8, 3, "why")
    >>> of.measured, of.interval
    (None, (0.1, None))
    """

    verdict: Outcome
    predicted: float | None
    measured: float | None
    interval: tuple[float | None, float | None] | None
    n: int
    cells: int
    detail: str

    @classmethod
    def of(
        cls,
        verdict: Outcome,
        predicted: Any,
        measured: Any,
        interval: tuple[Any, Any] | None,
        n: int,
        cells: int,
        detail: str,
    ) -> Judgement:
        """Build a judgement from NumPy numbers: Python's are kept, non-finite ones are None."""
        ends = None if interval is None else (_plain(interval[0]), _plain(interval[1]))
        return cls(verdict, _plain(predicted), _plain(measured), ends, int(n), int(cells), detail)


@runtime_checkable
class Kind(Protocol):
    """A test of one kind: data beside a prediction, and the rule that judges them."""

    def judge(self, key: Any, level: float = 0.05) -> Judgement:
        """Return the judgement at an error level; `key` is used by the kinds that resample."""
        ...


class Lanes(NamedTuple):
    """How many lanes (one seed in one cell) are non-finite, and how many there are."""

    bad: int
    total: int


def numbers(name: str, x: Any) -> np.ndarray:
    """Return x as a NumPy array of real numbers; refuse text, complex, empty and traced input.

    Floating types are kept, the rest becomes float64. Non-finite entries pass: they are counted.
    """
    try:
        array = np.asarray(x)
        if array.dtype.kind in "cOSUMm":
            raise TypeError(f"its type is {array.dtype}")
        array = array if array.dtype.kind == "f" else array.astype(float)
    except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{name} is not an array of real numbers: {reason}") from None
    if array.size == 0:
        raise ValueError(f"{name} is empty, shape {array.shape}: give at least one entry")
    return array


def by_seed(name: str, samples: Any) -> np.ndarray:
    """Return samples of shape (seed, *cells); an array with named dims is turned seed first."""
    dims = getattr(samples, "dims", None)
    if dims is not None:
        if "seed" not in dims:
            raise ValueError(f"{name} has dims {tuple(dims)}: name the axis of replicates 'seed'")
        samples = samples.transpose("seed", ...)
    array = numbers(name, samples)
    if array.ndim == 0:
        raise ValueError(f"{name} must have shape (seed, *cells), got one number {array:g}")
    return array


def nonfinite(samples: Any) -> Lanes:
    """Count the entries that are NaN or infinite.

    >>> nonfinite([[0.1, float("nan")], [0.2, 0.3]])
    Lanes(bad=1, total=4)
    """
    array = numbers("samples", samples)
    return Lanes(int(np.sum(~np.isfinite(array))), array.size)


def fraction(name: str, x: float, high: float = 1.0) -> float:
    """Return x as a float; refuse anything outside the open interval (0, high)."""
    if not 0 < x < high:
        raise ValueError(f"{name} must lie strictly between 0 and {high:g}, got {x:g}")
    return float(x)


def _plain(x: Any) -> float | None:
    return None if x is None or not math.isfinite(x) else float(x)


def settle(test: Any, **fields: Any) -> None:
    """Set checked fields of a frozen test while it is being made."""
    for name, value in fields.items():
        object.__setattr__(test, name, value)


def threshold(name: str, x: Any, *, positive: bool = False) -> float:
    """Return x as a finite float >= 0 (> 0 if `positive`)."""
    value = float(x)
    if not math.isfinite(value) or value < 0 or (positive and value == 0):
        raise ValueError(f"{name} must be finite and {'>' if positive else '>='} 0, got {value:g}")
    return value


def over_cells(
    name: str, x: Any, shape: tuple[int, ...], dims: Sequence[Any] | None = None
) -> np.ndarray:
    """Return x broadcast to the cells; by name where both sides have named dims.

    `dims` names the axes of `shape`. Raises ValueError where x does not fit.
    """
    own = getattr(x, "dims", None)
    if own is not None and dims is not None:
        if not set(own) <= set(dims):
            raise ValueError(f"{name} has dims {tuple(own)}, but the cells have {tuple(dims)}")
        x = x.transpose(*(d for d in dims if d in own))
        sizes = iter(x.shape)
        x = np.asarray(x).reshape([next(sizes) if d in own else 1 for d in dims])
    array = numbers(name, x)
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(
            f"{name} must broadcast to the cells {shape}, got shape {array.shape}"
        ) from None


def mask(in_regime: Any, shape: tuple[int, ...], dims: Sequence[Any] | None = None) -> np.ndarray:
    """Return the boolean mask over cells, all True for None."""
    if in_regime is None:
        return np.ones(shape, dtype=bool)
    array = over_cells("in_regime", in_regime, shape, dims)
    if not np.all((array == 0) | (array == 1)):
        raise ValueError(f"in_regime must hold True and False only, got {array.flat[0]:g} ...")
    return array.astype(bool)


def out_of_regime(n: int, cells: int) -> Judgement:
    """Return the judgement of a test none of whose cells satisfies the theorem's assumptions."""
    detail = f"the theorem's assumptions hold in none of the {cells} cells"
    return Judgement.of(Outcome.OUT_OF_REGIME, None, None, None, n, 0, detail)


def where(keep: np.ndarray, i: int) -> str:
    """Return ' in cell (2, 0)' for the i-th kept cell, nothing where there is one cell only."""
    index = tuple(int(k) for k in np.argwhere(keep)[i])
    return f" in cell {index}" if keep.size > 1 else ""


def notes(keep: np.ndarray, lanes: Lanes, what: str = "lanes") -> str:
    """Return what a reader must know besides: lanes that broke, cells that were left out."""
    text = f"; {lanes.bad} of {lanes.total} {what} non-finite" if lanes.bad else ""
    left_out = int(np.sum(~keep))
    return text + (f"; {left_out} of {keep.size} cells out of regime" if left_out else "")
