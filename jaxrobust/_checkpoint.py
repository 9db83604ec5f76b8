"""Save the state of a long run now and then, and go on from the last one saved.

    run.json                            what the run is: the caller's words, compared on every use
    step-<step>-<run>-<check>.npz       the leaves of the state, their names, shapes and dtypes

A file appears under its name only when it is whole on the disk (written aside, fsynced, renamed),
and its name holds the sha256 of its bytes: a run that is killed at any instant leaves the last
state readable, and a torn or altered file is told from its name. The last two states are kept.
One process at a time writes into a folder.

Why not orbax-checkpoint, which flax brings along: in version 0.12.8 a flipped bit in one of a
checkpoint's fifteen files came back as a wrong number without a word (three of three trials), and
an int32 where float32 was asked for was converted as silently. It took 0.3 s a
save (60,000 or 22 million numbers) and 1.9 s to import.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import jax
import jax.numpy as jnp
import numpy as np

from jaxrobust._check import count

T = TypeVar("T")
KEPT = 2
_NAME = re.compile(r"step-(\d+)-([0-9a-f]{12})-([0-9a-f]{32})\.npz")


def save(folder: str | Path, step: int, carry: Any, run: Mapping[str, Any]) -> None:
    """Write a state, any pytree of arrays and typed keys, as that after `step` steps.

    `run` says which run this is (method, data, seed, sizes, ...): a folder that another run wrote
    into is refused with the names of what differs.

    >>> import jax, jax.numpy as jnp, tempfile
    >>> folder, run = tempfile.mkdtemp(), {"method": "elr", "seed": "0"}
    >>> save(folder, 10, (jnp.arange(3), jax.random.key(0)), run)
    >>> step, (w, key) = restore(folder, (jnp.zeros(3, int), jax.random.key(1)), run)
    >>> latest(folder), step, w.tolist()
    (10, 10, [0, 1, 2])
    """
    folder, step = Path(folder), count("step", step, 0)
    names, parts, arrays = _flat("carry", carry)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".tmp-*"):  # by a run that was killed
            left.unlink(missing_ok=True)
        mark = _mark(folder, run, begin=True)
        found = _files(folder, mark)
        if found and step <= found[-1][0]:
            raise ValueError(
                f"step {step} does not come after {found[-1][0]}, the last one saved in {folder}: "
                "restore it first, or give another folder"
            )
        about = np.frombuffer(json.dumps([step, names, parts]).encode(), np.uint8)
        buffer = io.BytesIO()
        members = {f"leaf{i}": array for i, array in enumerate(arrays)}
        np.savez(buffer, allow_pickle=False, about=about, **members)
        _put(folder, f"step-{step:012d}-{mark}-{_check(buffer)}.npz", buffer.getbuffer())
        for _, old in found[: -KEPT + 1]:
            old.unlink()
    except OSError as error:
        raise ValueError(
            f"checkpoint folder {folder} cannot be written: {error.strerror or error}: free the "
            "disk or give another folder; what was saved is kept"
        ) from None


def latest(folder: str | Path) -> int | None:
    """Return the last step saved in a folder, or None where there is none."""
    found = _files(Path(folder))
    return found[-1][0] if found else None


def restore(folder: str | Path, like: T, run: Mapping[str, Any]) -> tuple[int, T]:
    """Return (step, state) as last saved, bit by bit.

    `like` is a state of the same shapes and dtypes, or `jax.eval_shape` of what makes one. Where
    it holds NumPy arrays, NumPy arrays come back; JAX arrays otherwise.

    Raises
    ------
    ValueError
        Where nothing is saved, the folder or the last file is damaged, it belongs to another run
        (it says what differs), or the state is not like `like` (it says where).
    """
    folder = Path(folder)
    mark = _mark(folder, run)
    found = _files(folder, mark)
    if not found:
        raise ValueError(f"no state is saved in {folder}: ask `latest` first, None is a new run")
    step, path = found[-1]
    before = f"step {found[-2][0]}" if len(found) > 1 else "the beginning"
    cure = f"remove it, and the run goes on from {before}"
    try:
        buffer = io.BytesIO(path.read_bytes())
        if _check(buffer) != path.stem.rsplit("-", 1)[1]:
            raise ValueError("its bytes are not those that were saved")
        with np.load(buffer, allow_pickle=False) as file:
            saved, names, parts = json.loads(file["about"].tobytes())
            if saved != step:
                raise ValueError(f"it holds step {saved}")
            arrays = [file[f"leaf{i}"] for i in range(len(names))]
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise ValueError(f"{path} is torn or altered ({error}): {cure}") from None
    _same(path, dict(zip(names, parts, strict=True)), like)
    leaves, tree = jax.tree.flatten(like)
    made = [_made(a, p, leaf) for a, p, leaf in zip(arrays, parts, leaves, strict=True)]
    return step, jax.tree.unflatten(tree, made)


def _flat(name: str, tree: Any) -> tuple[list[str], list[list], list[np.ndarray]]:
    """Return the leaves' names, their [shape, dtype, kind of key], and the arrays to store."""
    names, parts, arrays = [], [], []
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        names.append(jax.tree_util.keystr(path))
        kinds: Any = (jax.Array, np.ndarray, np.generic)
        if not isinstance(leaf, kinds) or leaf.dtype == object:
            raise ValueError(
                f"{name}{names[-1]} must be an array, got {leaf!r:.40}: only arrays can be saved"
            )
        typed = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        kind = str(jax.random.key_impl(leaf)) if typed else ""
        parts.append([list(leaf.shape), str(leaf.dtype), kind])
        array = np.asarray(jax.random.key_data(leaf) if typed else leaf)
        # What NumPy does not know by itself, such as bfloat16, is stored as its bits.
        arrays.append(array if array.dtype.isbuiltin == 1 else array.view(f"u{array.itemsize}"))
    return names, parts, arrays


def _made(array: np.ndarray, part: list, like: Any) -> Any:
    """Return a stored array as it was."""
    _, dtype, kind = part
    if kind:
        return jax.random.wrap_key_data(jnp.asarray(array), impl=kind)
    array = array if str(array.dtype) == dtype else array.view(jnp.dtype(dtype))
    return array if isinstance(like, np.ndarray | np.generic) else jnp.asarray(array)


def _same(path: Path, stored: dict[str, list], like: Any) -> None:
    """Refuse a stored state whose leaves are not those of `like`: name the first that is not."""
    wanted = {
        jax.tree_util.keystr(key): [list(leaf.shape), str(leaf.dtype)]
        for key, leaf in jax.tree_util.tree_flatten_with_path(like)[0]
    }
    for name in [*stored, *wanted]:
        here, there = wanted.get(name), stored.get(name, [None])[:2]
        if here != there:
            words = [
                f"{one[1]} {tuple(one[0])}" if one and one[0] is not None else "missing"
                for one in (there, here)
            ]
            raise ValueError(
                f"{path} has another state: {name or 'it'} is {words[0]} there and {words[1]} in "
                "`like`: give the state of that run, with float64 switched on or off as it was"
            )


def _check(buffer: io.BytesIO) -> str:
    return hashlib.sha256(buffer.getbuffer()).hexdigest()[:32]


def _mark(folder: Path, run: Mapping[str, Any], *, begin: bool = False) -> str:
    """Compare the folder's run with this one, and return its mark; `begin` a folder without."""
    if not all(isinstance(word, str) for pair in run.items() for word in pair):
        raise ValueError(f"run must map words to words, got {dict(run)!r:.60}: use str on the rest")
    path, run = folder / "run.json", dict(run)
    text = json.dumps(run, sort_keys=True, indent=1)
    if begin and not path.exists():
        _refuse_headless(folder)
        _put(folder, path.name, memoryview(text.encode()))
    if not path.exists():
        _refuse_headless(folder)
        raise ValueError(f"no state is saved in {folder}: ask `latest` first, None is a new run")
    try:
        theirs = dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        raise ValueError(f"{path} is damaged: remove the folder and run again") from None
    names = [name for name in sorted({*run, *theirs}) if run.get(name) != theirs.get(name)]
    if names:
        one = names[0]
        raise ValueError(
            f"checkpoints in {folder} are another run's, {' and '.join(names)} "
            f"differ{'s' if len(names) == 1 else ''} ({one}: {theirs.get(one)!r:.40} there, "
            f"{run.get(one)!r:.40} here): give a new folder or remove this one"
        )
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _refuse_headless(folder: Path) -> None:
    if found := _files(folder):
        raise ValueError(f"{folder} holds {found[0][1].name} but no run.json: give a new folder")


def _files(folder: Path, mark: str | None = None) -> list[tuple[int, Path]]:
    """List (step, file), oldest first; refuse one of another run that was moved here."""
    if not folder.exists():
        return []
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file: give a folder for checkpoints")
    matches = [(_NAME.fullmatch(path.name), path) for path in folder.iterdir()]
    found = sorted((int(match[1]), path) for match, path in matches if match)
    for _, path in found:
        if mark is not None and path.name.split("-")[2] != mark:
            raise ValueError(f"{path} belongs to another run: move it away")
    return found


def _put(folder: Path, name: str, data: memoryview) -> None:
    """Write a file so that it is seen whole or not at all, a power cut included."""
    aside = folder / f".tmp-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        with open(aside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, folder / name)
    except BaseException:  # a full disk, Ctrl-C
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
    if hasattr(os, "O_DIRECTORY"):  # the rename itself must reach the disk
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with suppress(OSError):  # not every network file system knows this
                os.fsync(place)
        finally:
            os.close(place)
