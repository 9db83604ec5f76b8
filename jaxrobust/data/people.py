"""What people answered for the pictures of CIFAR: CIFAR-10N, CIFAR-100N, CIFAR-10H (test set).

J. Wei, Z. Zhu, H. Cheng, T. Liu, G. Niu and Y. Liu (2022), Learning with noisy labels revisited,
ICLR, CC BY-NC 4.0. J. Peterson, R. Battleday, T. Griffiths and O. Russakovsky (2019), Human
uncertainty makes classification more robust, ICCV, CC BY-NC-SA 4.0.
"""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jaxrobust.data import _unpickle, place
from jaxrobust.data.cifar import FIRST
from jaxrobust.data.images import counted

NOISY = "CIFAR-N repository, https://github.com/UCSC-REAL/cifar-10-100n"
COUNTS = "CIFAR-10H repository, https://github.com/jcpeterson/cifar-10h"
_BROKEN = (ValueError, EOFError, OSError, OverflowError, MemoryError)
_KEYS = (
    *("clean_label", "aggre_label", "worse_label"),
    *("random_label1", "random_label2", "random_label3"),
)


class CIFAR10N(NamedTuple):
    """Labels of CIFAR-10's training pictures, in their official order; shares of wrong labels."""

    clean: Int[np.ndarray, " 50000"]
    """The labels of CIFAR-10 itself."""
    aggregate: Int[np.ndarray, " 50000"]
    """The majority of three people; 9.01 % differ from `clean`."""
    worse: Int[np.ndarray, " 50000"]
    """A wrong one of the three where any is wrong; 40.21 %."""
    random1: Int[np.ndarray, " 50000"]
    """What the first of them said; 17.23 %."""
    random2: Int[np.ndarray, " 50000"]
    """The second; 18.12 %."""
    random3: Int[np.ndarray, " 50000"]
    """The third; 17.64 %."""


class CIFAR100N(NamedTuple):
    """Labels of CIFAR-100's training pictures, in their official order."""

    clean: Int[np.ndarray, " 50000"]
    """The fine labels of CIFAR-100 itself."""
    noisy: Int[np.ndarray, " 50000"]
    """What one person said; 40.20 % differ from `clean`."""


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:80]


def cifar10n(folder: str | Path = "") -> CIFAR10N:
    """Read CIFAR-10_human.pt, an archive with a pickle of arrays; the pickle is not run.

    Parameters
    ----------
    folder
        Holds the file, or a folder `cifar-10n` with it. Default: the folder that JAXROBUST_DATA
        names.

    Raises
    ------
    MissingData
        Where the folder or the file is missing.
    ValueError
        Where the file is not the official one, or holds more than arrays.
    """
    path, parts = _labels(folder, "cifar-10n", "CIFAR-10_human.pt", _KEYS, 10)
    if tuple(parts[0][: len(FIRST)]) != FIRST:
        raise ValueError(
            f"clean_label of {path} is not in the order of CIFAR-10's files: get it again from the "
            f"{NOISY}"
        )
    return CIFAR10N(*parts)


def cifar100n(folder: str | Path = "") -> CIFAR100N:
    """Read CIFAR-100_human.pt, an archive with a pickle of arrays; the pickle is not run.

    Arguments and errors as in `cifar10n`, from a folder `cifar-100n`. The coarse labels that later
    versions of the file also hold are not read.
    """
    keys = ("clean_label", "noisy_label")
    return CIFAR100N(*_labels(folder, "cifar-100n", "CIFAR-100_human.pt", keys, 100)[1])


def _labels(
    folder: str | Path, name: str, file: str, keys: tuple[str, ...], classes: int
) -> tuple[Path, list[np.ndarray]]:
    """Return the file's path and its label arrays, the first of them with equal classes."""
    (path,) = place.find(folder, name, [file], NOISY)
    again = f"get it again from the {NOISY}"
    try:
        with zipfile.ZipFile(path) as archive:
            (member,) = (i for i in archive.infolist() if i.filename.endswith("/data.pkl"))
            size = member.file_size
            if size > 50_000_000:
                raise ValueError(f"its data.pkl has {size:,} bytes, 2.4 million expected")
            labels = _unpickle.load(archive.read(member))
    except (*_BROKEN, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise ValueError(f"{path} was not read ({_line(error)}): {again}") from None
    parts = [labels.get(key) if isinstance(labels, dict) else None for key in keys]
    for key, part in zip(keys, parts, strict=True):
        fits = isinstance(part, np.ndarray) and part.shape == (50_000,) and part.dtype.kind in "iu"
        if not fits or part.min() < 0 or part.max() >= classes:  # pyright: ignore
            raise ValueError(f"{path} has no {key} of 50,000 labels 0..{classes - 1}: {again}")
    arrays = [np.asarray(part).astype(np.int64) for part in parts]
    counted(f"{keys[0]} of {path}", arrays[0], (50_000 // classes,) * classes, NOISY)
    return path, arrays


def cifar10h(folder: str | Path = "") -> Int[np.ndarray, "10000 10"]:
    """Read cifar10h-counts.npy: how often people gave each class to each test picture.

    Rows are the test pictures of CIFAR-10 in their official order; each has 47 to 63 answers,
    511,000 in all. Arguments and errors as in `cifar10n`, from a folder `cifar-10h`.
    """
    (path,) = place.find(folder, "cifar-10h", ["cifar10h-counts.npy"], COUNTS)
    again = f"get it again from the {COUNTS}"
    try:
        counts = np.load(path, allow_pickle=False)
    except (*_BROKEN, SyntaxError, tokenize.TokenError) as error:
        raise ValueError(f"{path} was not read ({_line(error)}): {again}") from None
    if not isinstance(counts, np.ndarray) or counts.shape != (10_000, 10):
        raise ValueError(f"{path} has no table of 10,000 x 10 counts: {again}")
    if counts.dtype.kind not in "iu" or counts.min() < 0:
        raise ValueError(f"{path} must hold counts, got dtype {counts.dtype}: {again}")
    answers = counts.sum(axis=1)
    if answers.min() < 47 or answers.max() > 63:
        raise ValueError(
            f"{path} has {answers.min()} to {answers.max()} answers a picture, 47 to 63 expected: "
            f"{again}"
        )
    if answers.sum() != 511_000:
        raise ValueError(f"{path} has {answers.sum():,} answers, 511,000 expected: {again}")
    return counts.astype(np.int64)
