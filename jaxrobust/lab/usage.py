"""What the command line takes and says of itself: flags, the help of a study, what it claims."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import json
import sys
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import Any

from jaxrobust.lab import report
from jaxrobust.lab.study import LONG, PRESETS, Study


def parser(known: dict[str, Study], one: bool) -> argparse.ArgumentParser:
    """Return the parser of the common flags; with one study (`one`) it names no studies."""
    only = next(iter(known.values())) if one else None
    made = argparse.ArgumentParser(
        prog=f"python {Path(sys.argv[0]).name}" if one else "python -m experiments",
        description=only.title if only else "Run studies: figures, verdicts, gallery.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    if not one:
        which = "studies (all of them by default), or: list, or: list NAME for what it claims"
        made.add_argument("names", nargs="*", help=which)
        many = "studies at once, in a process each; default: one a core, and for 4 GiB of memory"
        made.add_argument("--jobs", type=int, help=many)
    made.set_defaults(jobs=None)
    presets = (*PRESETS, LONG)
    made.add_argument("--preset", choices=presets, default="laptop", help="default: laptop")
    made.add_argument("--seeds", type=int, help="replicates; default: the preset's")
    key = f"root of all randomness; default: {report.KEY}"
    made.add_argument("--key", type=int, default=report.KEY, help=key)
    where = f"default: {report.GALLERY}; {report.DRAFTS} if preset, key or a number is changed"
    made.add_argument("--out", type=Path, help=where)
    made.add_argument("--store", type=Path, help="folder that makes the run resumable")
    made.add_argument("--quiet", action="store_true", help="no progress bars")
    made.add_argument("-h", "--help", action="store_true", help="this, and a study's own flags")
    return made


def of_study(study: Study, preset: str, one: bool) -> argparse.ArgumentParser:
    """Return a parser whose help shows one study: the common flags and its own numbers."""
    made = parser({study.name: study}, True)
    made.prog = made.prog if one else f"python -m experiments {study.name}"
    made.description = f"{study.title}\n\n{textwrap.fill(study.caption, 80)}"
    config = study.presets[preset]
    notes = _notes(type(config))
    numbers = made.add_argument_group(f"numbers of {study.name}, as in the preset {preset}")
    for field in dataclasses.fields(config):
        if field.name == "seeds":  # among the common flags
            continue
        value = getattr(config, field.name)
        many = isinstance(value, list | tuple)
        kind = type(value[0] if many and value else value).__name__.upper()
        about = [*notes.get(field.name, "").split(), f"(default: {report.said(value) or 'none'})"]
        options: dict[str, Any] = {"metavar": f"{kind} ..." if many else kind}
        if isinstance(value, bool):
            options = {"action": argparse.BooleanOptionalAction}
        flag = f"--{field.name.replace('_', '-')}"
        numbers.add_argument(flag, help=" ".join(about).replace("%", "%%"), **options)
    return made


def _notes(config: type) -> dict[str, str]:
    """Return the strings that stand below the fields of a dataclass."""
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(config))).body[0]
    except (OSError, SyntaxError):  # typed in, not read from a file
        return {}
    found = {}
    for field, note in pairwise(getattr(body, "body", [])):
        match field, note:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = text
    return found


def claims(study: Study, out: Path) -> str:
    """Say what a study claims, and how it was judged, from what its last run wrote in a folder."""
    lines = ["", textwrap.fill(study.caption, 80), ""]
    path = out / f"{study.name}.json"
    if not path.exists():
        lines.append(f"no {path} to read its claims from: run it first, or name a folder by --out")
        return "\n".join(lines)
    for claim in json.loads(path.read_text())["claims"]:
        verdict = claim["verdict"].replace("_", " ")
        text = f"{claim['name']}: {claim['statement']} ({claim['kind']}; {verdict})"
        lines.append(textwrap.fill(text, 80, initial_indent="- ", subsequent_indent="  "))
    return "\n".join(lines)
