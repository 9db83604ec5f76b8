"""Write the README's table of the l1 benchmark: `python -m benchmarks.l1_readme`.

From figures/benchmark_l1.json, what `benchmarks.l1_solve --out` saved on all cores, and
figures/benchmark_l1_one_core.json, the same held to one core (`taskset -c 0`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.l1_table import number

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- l1 benchmark -->\n", "<!-- end of l1 benchmark -->\n"
HEAD = ("problem", "jaxrobust, ms", "best peer, ms", "ratio", "first calls", "one core", "goal")


def table(both: list[dict[str, Any]], one: list[dict[str, Any]]) -> str:
    """Give a line a problem, its cases side by side; bold where a peer is faster."""
    alone = {(row["cell"], row["case"]): row["ratio"]["medians"] for row in one}
    cells: dict[str, list[dict[str, Any]]] = {}
    for row in both:
        cells.setdefault(row["cell"], []).append(row)
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    for cell, rows in cells.items():
        # A batch is a lane after another for the peers: its one thread is the one core.
        single = [alone.get((cell, r["case"])) or r["ratio"]["one thread"] for r in rows]
        goal = rows[0]["goal"]
        columns = (
            cell,
            _join(number(row["ours"]["median"]) for row in rows),
            _join(_best(row) for row in rows),
            _join(_ratio(row["ratio"]["medians"]) for row in rows),
            _join(_ratio(row["ratio"]["first calls"]) for row in rows),
            _join(_ratio(x) for x in single),
            "–" if goal is None else _join(_goal(row) for row in rows),
        )
        lines.append("| " + " | ".join(columns) + " |")
    return "\n".join(lines) + "\n"


def _goal(row: dict[str, Any]) -> str:
    return f"{row['goal']:g}" + (" ✓" if row["met"] == "yes" else "")


def _join(texts: Any) -> str:
    return " / ".join(texts)


def _best(row: dict[str, Any]) -> str:
    good = [x for x in row["peers"] if x["median"] is not None and x["worst"] <= row["target"]]
    if not good:
        return "none"
    best = min(good, key=lambda x: x["median"])
    return f"{best['name']} {'~' if best['once'] else ''}{number(best['median'])}"


def _ratio(x: float | None) -> str:
    text = number(np.nan if x is None else x)
    return f"**{text}**" if x is not None and x < 1 else text


def readme(text: str, folder: Path = ROOT / "figures") -> str:
    """Put the table into the text of the README."""
    both, one = (
        json.loads((folder / f"benchmark_l1{name}.json").read_text())["rows"]
        for name in ("", "_one_core")
    )
    head, rest = text.split(BEGIN)
    return head + BEGIN + table(both, one) + END + rest.split(END)[1]


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(readme(path.read_text()))
