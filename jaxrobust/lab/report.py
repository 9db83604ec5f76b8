"""Write what a study gave: its picture, its verdicts, and the gallery of all that lies there."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import jax

from jaxrobust.lab.study import Result

KEY = 2026
"""Root of all randomness, unless another one is asked for."""
GALLERY = Path("figures")
DRAFTS = GALLERY / "drafts"
"""Of runs other than the gallery's: those of another preset, key or number than in laptop."""
KEPT = ("long", "gpu")
"""Presets with a gallery of their own, below the first, where nothing else was changed."""

_HEAD = """# Gallery

Drawn and written by the studies themselves; do not edit by hand. Theory, and the certified program
that stands for it, is a line; practice is points, with 95 % t intervals of the mean over n seeds.
Each claim is judged beside a control, a wrong formula or estimator put through the same test, which
must come out refuted. Predicted and measured are those of the cell nearest to refutation; a claim
that allows a tolerance says so. Intervals are corrected for the number of cells within a claim, not
across claims.
"""


def changes(result: Result) -> dict[str, Any]:
    """Return what differs from the preset that was run: numbers of the study, and the key."""
    preset = result.study.presets.get(result.provenance["preset"])
    if preset is None:  # called without one
        return {}
    before, after = (dataclasses.asdict(config) for config in (preset, result.config))
    found = {name: value for name, value in after.items() if value != before.get(name)}
    words = result.provenance["key"]
    if words != jax.random.key_data(jax.random.key(KEY)).ravel().tolist():
        found["key"] = sum(word << 32 * i for i, word in enumerate(reversed(words)))
    return found


def label(result: Result) -> str:
    """Name a run by its preset and what was changed: "laptop, seeds=8"."""
    return _label(result.provenance["preset"], changes(result))


def _label(preset: str, changed: dict[str, Any]) -> str:
    return ", ".join([preset or "none", *(f"{name}={said(v)}" for name, v in changed.items())])


def is_draft(result: Result) -> bool:
    """Return whether a run is another than the gallery's."""
    return label(result) != "laptop"


def place(result: Result) -> Path:
    """Return the folder that a run is drawn in where none is named."""
    if not is_draft(result):
        return GALLERY
    kept = result.provenance["preset"]
    return GALLERY / kept if label(result) == kept and kept in KEPT else DRAFTS


def said(value: Any) -> str:
    """Write a value as the command line takes it."""
    if isinstance(value, list | tuple):
        return " ".join(map(said, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def files(result: Result) -> dict[str, bytes]:
    """Return NAME.png, NAME.json, and NAME.md if there is a table: file name -> content."""
    name = result.study.name
    record = {
        "name": name,
        "title": result.study.title,
        "caption": result.study.caption,
        "ok": result.ok,
        "claims": [v.as_dict() for v in result.verdicts],
        "uncertified": result.uncertified,
        "provenance": result.provenance,
    }
    if changed := changes(result):
        record["changed"] = changed
    if result.table is not None:
        record["table"] = f"{name}.md"
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    made = {f"{name}.png": result.picture, f"{name}.json": text.encode()}
    if result.table is not None:
        made[record["table"]] = f"# {result.study.title}\n\n{result.table}".encode()
    return made


def write(made: dict[str, bytes], out: Path) -> None:
    """Write the files of a result and the gallery README.md, each whole or not at all.

    For one process at a time in a folder: the gallery is that of the records that lie there.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise OSError(f"out {out} is a file: give a folder") from None
    for name, content in made.items():
        _replace(out / name, content)
    _replace(out / "README.md", gallery(out).encode())


def gallery(out: Path) -> str:
    """Make the gallery's text from the records in a folder."""
    parts = [_HEAD]
    for path in sorted(out.glob("*.json")):
        record = json.loads(path.read_text())
        if "claims" not in record:  # a benchmark's numbers
            continue
        seeds, preset = (record["provenance"][k] for k in ("seeds", "preset"))
        parts.append(
            f"\n## {record['title']}\n\n`{record['name']}` · {seeds} seeds · preset "
            f"{_label(preset, record.get('changed', {}))}\n\n"
            f"![{record['name']}]({record['name']}.png)\n\n"
            f"{record['caption']}{_beside(record)}\n\n"
            "| claim | kind | predicted | measured | n | verdict | control | its verdict |\n"
            "|---|---|---|---|---|---|---|---|\n"
        )
        parts.extend(_row(claim) for claim in record["claims"])
    return "".join(parts)


def _beside(record: dict[str, Any]) -> str:
    return f" All numbers: [{record['table']}]({record['table']})." if "table" in record else ""


def _row(claim: dict[str, Any]) -> str:
    control = claim["control"]
    cells = (
        f"**{claim['name']}**: {claim['statement']} *({claim['basis']}: {claim['source']})*",
        claim["kind"],
        _number(claim["predicted"]),
        _number(claim["measured"]) + _span(claim["interval"]),
        str(claim["n"]),
        f"**{claim['verdict'].replace('_', ' ')}**",
        f"{control['name']}: predicted {_number(control['predicted'])}, measured "
        f"{_number(control['measured'])}",
        control["verdict"],
    )
    return "| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in cells) + " |\n"


def _number(x: float | None) -> str:
    return "–" if x is None else f"{x:.3g}"


def _span(interval: list[float | None] | None) -> str:
    if interval is None:
        return ""
    low, high = ("∞" if x is None else f"{x:.3g}" for x in interval)
    return f" [{'−' if low == '∞' else ''}{low}, {high}]"


def _replace(path: Path, content: bytes) -> None:
    """Write beside and rename, so that a full disk or Ctrl-C leaves the previous file."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except PermissionError:
        raise OSError(f"cannot write in {path.parent}: choose another folder with --out") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
