"""One style for every figure: theory as a line, practice as points with intervals, n stated."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxrobust.lab.stats import mean_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN, PAGE = 3.4, 7.0
"""Widths of one column and of a page, in inches."""

# Okabe and Ito's palette, told apart by every common kind of colour vision.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#000000",
    "#8A8A8A",
)

_STYLE = {
    "font.size": 8,
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same glyphs everywhere
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "figure.constrained_layout.use": True,
}


def style() -> AbstractContextManager[None]:
    """Give the context in which a study's figure is drawn; the command line enters it."""
    import matplotlib as mpl

    settings: Any = {**mpl.rcParamsDefault, "backend": mpl.get_backend(), **_STYLE}
    return mpl.rc_context(settings)


def panels(
    columns: int, *, rows: int = 1, width: float = PAGE, height: float = 2.5, **kwargs: Any
) -> tuple[Figure, Any]:
    """Make a figure with a grid of axes, lettered (a), (b), ... when there are several.

    `height` is that of one row, in inches. Returns the figure and its axes: one, or an array. It is
    a bare Figure: a notebook shows it once `%matplotlib inline` has run.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height * rows))
    axes = figure.subplots(rows, columns, **kwargs)
    if isinstance(axes, np.ndarray):
        for letter, ax in zip("abcdefghijkl", axes.flat, strict=False):
            ax.text(
                0.0, 1.12, f"({letter})", transform=ax.transAxes, ha="right", weight="bold", size=8
            )
    return figure, axes


def theory(ax: Axes, x: Any, y: Any, **kwargs: Any) -> None:
    """Draw what theory says: a line without markers, black unless told otherwise."""
    ax.plot(np.asarray(x), np.asarray(y), **{"color": BLACK, "zorder": 2, **kwargs})


def points(
    ax: Axes,
    x: Any,
    samples: Any,
    *,
    log: bool = False,
    across: bool = False,
    level: float = 0.95,
    **kwargs: Any,
) -> None:
    """Draw what was measured: means over seeds with t intervals, as points with bars.

    Parameters
    ----------
    x, samples
        Places, shape (cells,), and measurements, shape (seeds, cells).
    log
        Geometric means, with intervals of the mean logarithm: for quantities on a log axis. Zeros
        count as the smallest positive number measured.
    across
        Draw measurements along the horizontal axis, at heights x: for lists of names.

    Markers are hollow where there is no interval (one seed).
    """
    samples = np.asarray(samples, float)
    if log:
        positive = samples[samples > 0]
        samples = np.log(np.maximum(samples, positive.min() if positive.size else 1.0))
    found = mean_interval(samples, level)
    middle, low, high = (np.exp(z) if log else z for z in (found.estimate, found.low, found.high))
    bars = np.abs(np.stack([middle - low, high - middle]))
    options = {"fmt": "o", "capsize": 1.5, "elinewidth": 0.8, "zorder": 3, **kwargs}
    known = np.isfinite(bars).all(axis=0)
    if not known.all():  # one seed, or lost lanes: no interval
        options["mfc"] = "none"
    bars = np.where(known, bars, 0.0)
    if across:
        ax.errorbar(middle, np.asarray(x), xerr=bars, **options)
    else:
        ax.errorbar(np.asarray(x), middle, yerr=bars, **options)


def stamp(figure: Figure, verdicts: Sequence[Any]) -> None:
    """Write one line a claim under the figure: its verdict, and its control's."""
    marks = {"confirmed": "✓", "refuted": "✗", "inconclusive": "?", "out_of_regime": "–"}
    lines = [
        f"{marks[v.main.verdict]} {v.claim.name}: {v.main.verdict.replace('_', ' ')}"
        f"   (control, {v.claim.control_name}: {v.control.verdict})"
        for v in verdicts
    ]
    # About 17 letters of this size fit in an inch.
    width = int(17 * figure.get_figwidth())
    lines = [textwrap.fill(line, width, subsequent_indent="    ") for line in lines]
    figure.supxlabel("\n".join(lines), fontsize=6.5, ha="left", x=0.01, color="#444444")


def png(figure: Figure) -> bytes:
    """Give the picture's bytes, the same at each drawing."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
