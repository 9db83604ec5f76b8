"""Where data is looked for on disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

FOLDER = "JAXROBUST_DATA"
"""The environment variable that names the folder of all data sets."""


class MissingData(FileNotFoundError):  # noqa: N818
    """A data set is not on this machine; the message says what to get, and where."""


def find(folder: str | Path, name: str, files: Sequence[str], source: str) -> list[Path]:
    """Return the paths of a data set's files.

    They lie in `folder`, or in its folder `name`; an empty `folder` stands for JAXROBUST_DATA.
    Raises MissingData where no folder is given, there is none, or a file is not in it.
    """
    get = f"get {' and '.join(files)} from the {source}"
    given = str(folder) or os.environ.get(FOLDER, "")
    if not given:
        raise MissingData(f"no folder for {name}: {get}, and name their folder or set {FOLDER}")
    root = Path(given).expanduser()
    if not root.is_dir():
        raise MissingData(f"no folder {root} for {name}: {get}, and put them there")
    # The folder that holds more of the files is the one that was meant.
    places = sorted((root / name, root), key=lambda p: -sum((p / f).is_file() for f in files))
    lacking = [f for f in files if not (places[0] / f).is_file()]
    if lacking:
        raise MissingData(f"no {' and no '.join(lacking)} in {places[0]}: {get}")
    return [places[0] / f for f in files]
