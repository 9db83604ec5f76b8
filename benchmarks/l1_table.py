"""What the l1 benchmark found, as a table for the README and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass
class Time:
    """Milliseconds of a method for all lanes of a problem, and how good its answers are."""

    name: str
    times: list[float] = field(default_factory=list)
    """Of calls that follow one of their own."""
    cold: list[float] = field(default_factory=list)
    """Of calls that follow one of another method."""
    worst: float = float("inf")
    """Relative gap of the worst lane, recomputed; suboptimality for what gives no nu."""
    setting: str = ""
    threads: int = 1
    once: bool = False
    """Whether it was timed once, being far slower than the best peer."""
    note: str = ""
    first_call: float = float("nan")
    """Milliseconds with compilation."""
    certified: int = 0
    silent: int = 0
    """Lanes above the target whose status says CERTIFIED."""

    @property
    def median(self) -> float:
        """Median of the times; infinite without any."""
        return float(np.median(self.times)) if self.times else float("inf")

    @property
    def least(self) -> float:
        """Least of the times."""
        return min(self.times, default=float("inf"))

    @property
    def first(self) -> float:
        """Median of the first calls."""
        return float(np.median(self.cold)) if self.cold else float("inf")


@dataclass
class Row:
    """A problem, ours on all cores and on one thread, and the peers."""

    cell: str
    case: str
    lanes: int
    goal: float | None
    ours: Time
    single: Time | None
    """One thread; None for a single problem."""
    peers: list[Time]
    target: float

    @property
    def reached(self) -> list[Time]:
        """The peers that reach the target, best first."""
        good = [x for x in self.peers if x.worst <= self.target and x.times]
        return sorted(good, key=lambda x: x.median)

    def ratio(self, ours: Time | None, of: str = "median", kind: bool = False) -> float:
        """Give best peer / ours `of` median, least or first; `kind` lets in a looser target."""
        rivals = [x for x in self.peers if x.times] if kind else self.reached
        if ours is None or not ours.times or not rivals:
            return float("nan")
        return min(getattr(x, of) for x in rivals) / getattr(ours, of)

    @property
    def met(self) -> str:
        """Say whether the goal is met by medians, all lanes certified."""
        ratio = self.ratio(self.ours)
        if self.goal is None or np.isnan(ratio):
            return "–"
        return "yes" if ratio >= self.goal and self.ours.certified == self.lanes else "no"


HEAD = (
    "problem",
    "case",
    "jaxrobust",
    "one thread",
    "peers that reach it, best first",
    "ratio (first)",
    "one thread",
    "kind",
    "goal",
    "met",
    "certified",
)


def markdown(rows: list[Row]) -> str:
    """Write the table: milliseconds, and in bold every peer that is faster than jaxrobust."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in rows]
    return "\n".join(lines)


def details(row: Row) -> str:
    """Write a line a method: its times, its answer, its setting or why it has none."""
    lines = [
        f"    {x.name:19}{x.median:11.4f} ms, first {x.first:11.4f}, least {x.least:11.4f}, "
        f"{len(x.times):3} calls, worst "
        f"{x.worst:.0e} {x.setting} {x.note}".rstrip()
        for x in (row.ours, row.single, *row.peers)
        if x is not None
    ]
    return "\n".join(lines)


def _cells(row: Row) -> list[str]:
    ours, single = row.ours, row.single
    return [
        row.cell,
        row.case,
        number(ours.median) if ours.times else f"not available: {ours.note}",
        "" if single is None else number(single.median) if single.times else "not available",
        _peers(row),
        f"{number(row.ratio(ours))} ({number(row.ratio(ours, 'first'))})",
        number(row.ratio(single)) if single else "",
        number(row.ratio(ours, kind=True)),
        "–" if row.goal is None else f"{row.goal:g}",
        row.met,
        f"{ours.certified}/{row.lanes}" + (f", {ours.silent} SILENT" if ours.silent else ""),
    ]


def _peers(row: Row) -> str:
    loose = [x for x in row.peers if x.times and x not in row.reached]
    known = sorted([*row.reached, *loose], key=lambda x: x.median)
    texts = [_peer(x, row.ours) for x in known]
    texts += [f"{x.name}: not reached ({x.note})" for x in row.peers if not x.times]
    return ", ".join(texts)


def _peer(peer: Time, ours: Time) -> str:
    marks = ("~" if peer.once else "") + number(peer.median)
    text = f"{peer.name} {marks}" + (f" ({peer.threads} threads)" if peer.threads > 1 else "")
    return f"**{text}**" if peer.median < ours.median and ours.times else text


def number(x: float) -> str:
    """Give two or three digits."""
    if not np.isfinite(x):
        return "–"
    return (
        f"{x:.3f}"
        if x < 0.0995
        else f"{x:.2f}"
        if x < 9.95
        else f"{x:.1f}"
        if x < 99.5
        else f"{x:.0f}"
    )


def save(rows: list[Row], path: Path, about: dict[str, str]) -> None:
    """Write what was found as JSON; what is not finite as null."""
    tables = []
    for row in rows:
        ratios = {
            "medians": row.ratio(row.ours),
            "first calls": row.ratio(row.ours, "first"),
            "minima": row.ratio(row.ours, "least"),
            "one thread": row.ratio(row.single),
            "kind": row.ratio(row.ours, kind=True),
        }
        methods = {
            "ours": _summary(row.ours),
            "single": row.single and _summary(row.single),
            "peers": [_summary(peer) for peer in row.peers],
        }
        tables.append({**asdict(row), **methods, "ratio": ratios, "met": row.met})
    path.write_text(json.dumps(_plain({"about": about, "rows": tables}), indent=1) + "\n")


def _summary(time: Time) -> dict[str, Any]:
    known = {key: value for key, value in asdict(time).items() if key not in ("times", "cold")}
    calls = {"calls": len(time.times), "bursts": len(time.cold)}
    return known | {"median": time.median, "first": time.first, "least": time.least} | calls


def _plain(x: object) -> object:
    if isinstance(x, dict):
        return {key: _plain(value) for key, value in x.items()}
    if isinstance(x, list):
        return [_plain(value) for value in x]
    return None if isinstance(x, float) and not np.isfinite(x) else x
