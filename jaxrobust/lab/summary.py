"""What the command line keeps of a run: words and files, which travel between processes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxrobust.lab import report
from jaxrobust.lab.study import Result

_COLOURS = {"confirmed": "green", "refuted": "red", "inconclusive": "yellow"}


class Summary(NamedTuple):
    """A run of a study.

    Attributes
    ----------
    study, ok, seconds
        Its name, its verdict and the wall seconds that it took.
    draft
        What makes it another run than the gallery's ("smoke", "laptop, seeds=8"), or nothing.
    place, files
        The folder where it is drawn unless another one is named; file name -> content.
    rows, notes
        Of the table of all claims, and what is said below it.
    """

    study: str
    ok: bool
    seconds: float
    draft: str
    place: Path
    files: dict[str, bytes]
    rows: list[tuple[str, ...]]
    notes: list[str]


def of(result: Result, seconds: float) -> Summary:
    """Return the summary of a result."""
    name = result.study.name
    draft = report.label(result) if report.is_draft(result) else ""
    rows = [_row(name, v) for v in result.verdicts]
    files, place = report.files(result), report.place(result)
    return Summary(name, result.ok, seconds, draft, place, files, rows, list(_notes(result)))


def _row(study, v):
    said, measured, controlled = v.main.verdict.value, v.main.measured, v.control.verdict.value
    return (
        study,
        v.claim.name,
        v.claim.kind,
        "" if measured is None else f"{measured:.3g}",
        f"[{_COLOURS.get(said, 'white')}]{said}[/]",
        f"[{'green' if controlled == 'refuted' else 'red'}]{controlled}[/]",
    )


def _notes(result):
    name = result.study.name
    for output, lanes in result.uncertified.items():
        if lanes:
            yield f"{name}: {lanes} lanes of {output} are not certified"
    for v in result.verdicts:
        if v.lost:
            yield f"{name} / {v.claim.name}: {v.lost} numbers not finite"
        if not v.ok or v.main.verdict == "inconclusive":
            yield f"{name} / {v.claim.name}: {v.main.detail}"
        if v.control.verdict != "refuted":
            yield f"{name} / {v.claim.name}, control: {v.control.detail}"


def show(summaries: Sequence[Summary]) -> None:
    """Print the table of all claims, and below it what needs a word."""
    from rich.console import Console
    from rich.table import Table

    table = Table("study", "claim", "kind", "measured", "verdict", "control")
    for summary in summaries:
        for row in summary.rows:
            table.add_row(*row)
    console = Console()
    console.print(table)
    for summary in summaries:
        for note in summary.notes:
            console.print(note)
