"""CIFAR-10 and CIFAR-100: 60,000 pictures of 32 x 32 pixels in colour, from the official files.

A. Krizhevsky (2009), Learning multiple layers of features from tiny images, technical report,
University of Toronto. The binary version has one row a picture: the label (CIFAR-100: the coarse
one, then the fine one), then the 1,024 red, green and blue values, row by row. The python version
holds the same as pickles, which are read but never run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from jaxrobust.data import _unpickle, place
from jaxrobust.data.images import Images, counted

SOURCE = "CIFAR site, https://www.cs.toronto.edu/~kriz/cifar.html"
PIXELS = 3 * 32 * 32
CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
FIRST = (6, 9, 9, 4, 1, 1, 2, 7, 8, 3)
"""The first labels of CIFAR-10's training set: they tell the official order from another one."""
_TRAIN = [f"data_batch_{b}" for b in range(1, 6)]


def cifar10(folder: str | Path = "") -> Images:
    """Read CIFAR-10: 5,000 training and 1,000 test pictures of each of 10 classes.

    Parameters
    ----------
    folder
        Holds data_batch_1.bin to data_batch_5.bin and test_batch.bin, or a folder
        `cifar-10-batches-bin` with them; where those are not there, the same files without .bin, or
        a folder `cifar-10-batches-py`. Default: the folder that JAXROBUST_DATA names.

    Raises
    ------
    MissingData
        Where the folder or a file is missing.
    ValueError
        Where a file is not the official one: size, contents, labels, or a pickle of other things.
    """
    files = [*_TRAIN, "test_batch"]
    try:
        wanted = [f"{file}.bin" for file in files]
        paths, read = place.find(folder, "cifar-10-batches-bin", wanted, SOURCE), _binary
    except place.MissingData as error:
        try:
            paths, read = place.find(folder, "cifar-10-batches-py", files, SOURCE), _python
        except place.MissingData:
            raise error from None
    x = np.empty((60_000, 32, 32, 3), np.uint8)
    y = np.empty(60_000, np.int64)
    for b, path in enumerate(paths):
        part = slice(10_000 * b, 10_000 * (b + 1))
        x[part], y[part] = read(path)
        begin = y[: len(FIRST)].tolist()
        if begin != list(FIRST):
            raise ValueError(
                f"the labels of {paths[0]} begin {begin}, {list(FIRST)} expected: "
                f"it is not the official file; get it from the {SOURCE}"
            )
    y, test_y = y[:50_000], y[50_000:]
    y = counted(paths[0].parent, y, (5_000,) * 10, SOURCE)
    test_y = counted(paths[5], test_y, (1_000,) * 10, SOURCE)
    return Images(x[:50_000], y, x[50_000:], test_y, CLASSES)


def cifar100(folder: str | Path = "", *, coarse: bool = False) -> Images:
    """Read CIFAR-100: 100 classes, or the 20 coarse ones that hold five each.

    As `cifar10`; the files are train.bin, test.bin and {fine,coarse}_label_names.txt, in the folder
    or in its folder `cifar-100-binary`; where those are not there, train, test and meta, in the
    folder or in its folder `cifar-100-python`.
    """
    level, classes = ("coarse", 20) if coarse else ("fine", 100)
    try:
        files = ["train.bin", "test.bin", f"{level}_label_names.txt"]
        *paths, names = place.find(folder, "cifar-100-binary", files, SOURCE)
        binary, words = True, tuple(names.read_text(encoding="utf-8").split())
    except place.MissingData as error:
        try:
            files = ["train", "test", "meta"]
            *paths, names = place.find(folder, "cifar-100-python", files, SOURCE)
        except place.MissingData:
            raise error from None
        listed = _entries(names, 100_000).get(f"{level}_label_names")
        texts = [_text(word) for word in listed] if isinstance(listed, list) else []
        binary, words = False, tuple(word for word in texts if isinstance(word, str))
    if len(set(words)) != classes:
        raise ValueError(
            f"{names} names {len(set(words))} classes, {classes} expected: get it from the {SOURCE}"
        )
    parts = []
    for path, rows in zip(paths, (50_000, 10_000), strict=True):
        if binary:
            table = _table(path, rows, 2)
            x, y = _pictures(table[:, 2:]), table[:, 0 if coarse else 1]
        else:
            x, y = _python(path, rows, f"{level}_labels", classes)
        label = counted(path, y, (rows // classes,) * classes, SOURCE)
        parts.append((np.ascontiguousarray(x), label))
    (x, y), (test_x, test_y) = parts
    return Images(x, y, test_x, test_y, words)


def _pictures(rows: np.ndarray) -> np.ndarray:
    """Return rows of 3,072 values, colour by colour, as pictures (n, 32, 32, 3): a view."""
    return rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def _table(path: Path, rows: int, labels: int) -> np.ndarray:
    """Return a binary file as a table, (rows, labels + 3072)."""
    size, got = rows * (labels + PIXELS), path.stat().st_size
    if got != size:
        raise ValueError(
            f"{path} holds {got:,} bytes, {size:,} expected: it is cut or not the official file; "
            f"get it again from the {SOURCE}"
        )
    return np.fromfile(path, np.uint8).reshape(rows, labels + PIXELS)


def _binary(path: Path) -> tuple[np.ndarray, np.ndarray]:
    table = _table(path, 10_000, 1)
    return _pictures(table[:, 1:]), table[:, 0]


def _text(x: Any) -> Any:
    return x.decode("latin1") if isinstance(x, bytes) else x


def _entries(path: Path, most: int) -> dict[Any, Any]:
    """Return the dict that a pickle of at most so many bytes describes, its keys as text."""
    again = f"it is not the official file; get it again from the {SOURCE}"
    size = path.stat().st_size
    if size > most:
        raise ValueError(f"{path} holds {size:,} bytes, at most {most:,} expected: {again}")
    try:
        batch = _unpickle.load(path.read_bytes())
    except _unpickle.Refused as error:
        raise ValueError(f"{path} was not read, for {error}: {again}") from None
    return {_text(k): v for k, v in batch.items()} if isinstance(batch, dict) else {}


def _python(
    path: Path, rows: int = 10_000, labels: str = "labels", classes: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    again = f"it is not the official file; get it again from the {SOURCE}"
    entry = _entries(path, 4_000 * rows)
    x, y = entry.get("data"), entry.get(labels)
    if not isinstance(x, np.ndarray) or x.shape != (rows, PIXELS) or x.dtype != np.uint8:
        raise ValueError(f"{path} has no data of {rows:,} x {PIXELS:,} bytes: {again}")
    if not isinstance(y, list) or {type(k) for k in y} != {int} or len(y) != rows:
        raise ValueError(f"{path} has no list of {rows:,} {labels}: {again}")
    if min(y) < 0 or max(y) >= classes:
        raise ValueError(f"{path} has {labels} outside 0..{classes - 1}: {again}")
    return _pictures(x), np.array(y)
