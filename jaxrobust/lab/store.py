"""A folder of finished blocks, so that a sweep killed at any instant goes on where it was.

    manifest.json                             what made these blocks: a sha256 a part, and words
    blocks-<first>-<count>-<print>-<sha>.npz  finished blocks of the sweep with this fingerprint
    .tmp-<node>-<pid>-<mark>                  being written; left by a killed run it is swept away

A file appears under its name only when it is whole on the disk (written aside, fsynced, renamed).
<print> is the sha256 of the manifest's parts and <sha> that of <print> and the file's bytes, both
cut short: a torn, altered or foreign file is told from its name. Processes on any number of
machines may write into one store: no file is written twice under one name with other content.
The manifest does not know the number of seeds: a store may be extended, or read in part.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

FORMAT = 2
_NAME = re.compile(r"blocks-\d+-\d+-([0-9a-f]{12})-([0-9a-f]{32})\.npz")
_MARK = secrets.token_hex(4)  # a restarted container often has the process number of the last


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
        self.path, self.print = Path(path), sha(parts)[:12]
        self._known: set[str] = set()  # files read or written by this object
        manifest = self.path / "manifest.json"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._sweep_away()
            files = sorted(p.name for p in self._files())
            if not files:
                text = json.dumps({"format": FORMAT, "parts": parts, "about": about}, indent=1)
                self._put(text.encode(), manifest.name)
            elif not manifest.exists():  # asked anew: another process may have just written it
                raise StoreError(
                    f"store {self.path} holds {files[0]} but no manifest.json: "
                    "give an empty or a new folder"
                )
            self._compare(manifest, parts)
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

    def _files(self) -> list[Path]:
        """List the folder without hidden files: what is being written, and what NFS makes."""
        return [p for p in self.path.iterdir() if not p.name.startswith(".")]

    def _sweep_away(self) -> None:
        """Remove what killed runs of this machine left half-written; spare those still alive."""
        mine = re.compile(rf"\.tmp-{re.escape(platform.node())}-(\d+)-([0-9a-f]{{8}})[0-9a-f]*")
        for file in self.path.iterdir():
            match = mine.fullmatch(file.name)
            if match is None or match[2] == _MARK:
                continue
            if int(match[1]) == os.getpid() or not _alive(int(match[1])):
                with suppress(OSError):  # a finished store may be read where none can write
                    file.unlink(missing_ok=True)

    def _put(self, data: bytes, name: str) -> None:
        """Write a file so that it is seen whole or not at all, a power cut included."""
        mark = _MARK + secrets.token_hex(4)
        aside = self.path / f".tmp-{platform.node()}-{os.getpid()}-{mark}"
        try:
            with open(aside, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, self.path / name)
        except BaseException:  # a full disk, Ctrl-C
            with suppress(OSError):
                aside.unlink(missing_ok=True)
            raise
        if hasattr(os, "O_DIRECTORY"):  # the rename itself must reach the disk
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                with suppress(OSError):  # not every network file system knows this
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
        name = f"blocks-{numbers[0]:08d}-{len(numbers)}-{self.print}-{self._check(data)}.npz"
        try:
            self._put(data, name)
        except OSError as error:
            raise StoreError(
                f"store {self.path} cannot be written: {error.strerror or error}: "
                "free the disk or give another folder, what was stored is kept"
            ) from error
        self._known.add(name)

    def _check(self, data: bytes) -> str:
        """Return the checksum of a file of this sweep."""
        return sha(self.print, data)[:32]

    def finished(self) -> Iterator[tuple[int, list[np.ndarray]]]:
        """Yield (number, outputs) of every block not seen before, each file checked first."""
        for file in sorted(self._files()):
            if file.name == "manifest.json" or file.name in self._known:
                continue
            match = _NAME.fullmatch(file.name)
            if match is None:
                raise StoreError(f"{file} is no part of a store: move it away")
            if match[1] != self.print:
                raise StoreError(f"{file} belongs to another sweep: move it away")
            try:
                data = file.read_bytes()
                if self._check(data) != match[2]:
                    raise StoreError(f"{file} is torn or altered: remove it and run again")
                with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                    outputs = [arrays[f"out{i}"] for i in range(len(arrays.files) - 1)]
                    numbers = arrays["blocks"]
            except (OSError, ValueError, KeyError, BadZipFile) as error:
                raise StoreError(
                    f"{file} cannot be read: {error}: remove it and run again"
                ) from error
            self._known.add(file.name)
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
