"""A folder of finished blocks, so that a sweep killed at any instant goes on where it was.

    manifest.json                     what made these blocks: a sha256 a part, words for people
    blocks-<first>-<count>-<sha>.npz  some finished blocks; <sha> is the sha256 of the file itself
    .tmp-<node>-<pid>-<n>             being written; left by a killed run it is swept away

A file appears under its name only when it is whole on the disk (written aside, fsynced, renamed),
and its name holds the checksum of its bytes: a torn, altered or foreign file is told by its name.
The manifest does not know the number of seeds: a store may be extended, or read in part.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

FORMAT = 1
_NAME = re.compile(r"blocks-\d+-\d+-([0-9a-f]{32})\.npz")
_serial = itertools.count()


class StoreError(RuntimeError):
    """A store that cannot be used: one line with the file, what is wrong and the cure."""


def sha(*parts: Any) -> str:
    """Return the sha256 of values that `json` or `bytes` can write.

    >>> sha("a", [1, 2.5]) == sha("a", [1, 2.5]), sha("a") == sha("b")
    (True, False)
    """
    found = hashlib.sha256()
    for part in parts:
        found.update(part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode())
        found.update(b"\0")
    return found.hexdigest()


class Store:
    """Finished blocks on disk: open with `Store(path, parts, about)`.

    `parts` maps each part of the fingerprint (trial, axes, key, ...) to its sha256; a store whose
    parts differ is refused with the names of those that do. `about` is JSON for people.
    """

    def __init__(self, path: Any, parts: dict[str, str], about: dict[str, Any]) -> None:
        self.path = Path(path)
        manifest = self.path / "manifest.json"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._sweep_away()
            files = sorted(p for p in self.path.iterdir() if not p.name.startswith(".tmp-"))
            if manifest in files:
                self._compare(manifest, parts)
            elif files:
                raise StoreError(
                    f"store {self.path} holds {files[0].name} but no manifest.json: "
                    "give an empty or a new folder"
                )
            else:
                text = json.dumps({"format": FORMAT, "parts": parts, "about": about}, indent=1)
                self._put(text.encode(), "manifest.json")
        except OSError as error:
            raise StoreError(
                f"store {self.path} cannot be used as a folder: {error.strerror or error}: "
                "give a folder that can be written"
            ) from error

    def _compare(self, manifest: Path, parts: dict[str, str]) -> None:
        """Refuse a manifest that is torn, of another format, or of another sweep."""
        try:
            known = json.loads(manifest.read_text())
            version, theirs = known["format"], dict(known["parts"])
        except (ValueError, KeyError, TypeError):
            raise StoreError(f"{manifest} is damaged: remove the folder and run again") from None
        if version != FORMAT:
            raise StoreError(f"{manifest} has format {version}, not {FORMAT}: give a new folder")
        names = [name for name in sorted({*parts, *theirs}) if parts.get(name) != theirs.get(name)]
        if names:
            raise StoreError(
                f"store {self.path} was made by another sweep, {' and '.join(names)} "
                f"differ{'s' if len(names) == 1 else ''}: give a new folder or remove this one"
            )

    def _sweep_away(self) -> None:
        """Remove what killed runs of this machine left half-written; spare those still alive."""
        mine = re.compile(rf"\.tmp-{re.escape(platform.node())}-(\d+)-\d+")
        for file in self.path.iterdir():
            if (match := mine.fullmatch(file.name)) and not _alive(int(match[1])):
                file.unlink(missing_ok=True)

    def _put(self, data: bytes, name: str) -> None:
        """Write a file so that it is seen whole or not at all, a power cut included."""
        aside = self.path / f".tmp-{platform.node()}-{os.getpid()}-{next(_serial)}"
        with open(aside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, self.path / name)
        if hasattr(os, "O_DIRECTORY"):  # the rename itself must reach the disk
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def write(self, blocks: dict[int, list[np.ndarray]]) -> None:
        """Add finished blocks, all in one file: {number: [one array an output]}."""
        if not blocks:
            return
        numbers, outputs = list(blocks), zip(*blocks.values(), strict=True)
        buffer = io.BytesIO()
        arrays = {f"out{i}": np.stack(column) for i, column in enumerate(outputs)}
        np.savez(buffer, allow_pickle=False, blocks=np.asarray(numbers, np.int64), **arrays)
        data = buffer.getvalue()
        check = hashlib.sha256(data).hexdigest()[:32]
        try:
            self._put(data, f"blocks-{numbers[0]:08d}-{len(numbers)}-{check}.npz")
        except OSError as error:
            raise StoreError(
                f"store {self.path} cannot be written: {error.strerror or error}: "
                "free the disk or give another folder, what was stored is kept"
            ) from error

    def finished(self) -> Iterator[tuple[int, list[np.ndarray]]]:
        """Yield (number, outputs) of every block in the store, each file checked first."""
        for file in sorted(self.path.iterdir()):
            if file.name == "manifest.json" or file.name.startswith(".tmp-"):
                continue
            match = _NAME.fullmatch(file.name)
            if match is None:
                raise StoreError(f"{file} is no part of a store: move it away")
            try:
                data = file.read_bytes()
                if hashlib.sha256(data).hexdigest()[:32] != match[1]:
                    raise StoreError(f"{file} is torn or altered: remove it and run again")
                with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                    outputs = [arrays[f"out{i}"] for i in range(len(arrays.files) - 1)]
                    numbers = arrays["blocks"]
            except (OSError, ValueError, KeyError, BadZipFile) as error:
                raise StoreError(
                    f"{file} cannot be read: {error}: remove it and run again"
                ) from error
            for i, number in enumerate(numbers):
                yield int(number), [out[i] for out in outputs]


def _alive(pid: int) -> bool:
    """Return whether a process runs under this number (someone else's counts)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
