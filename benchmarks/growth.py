"""Measure what a sweep costs as it grows: `python -m benchmarks.growth`.

Two small trials, from 2^4 to 2^16 lanes (seeds x 8 cells), each sweep in a process of its own, with
a store: SOP descent (N = 32, p = 64) and a halfspace learned by averaging 500 flipped examples.
Taken down: wall time; its parts, compilation, computation and storing; and the peak of resident
memory over what the process held before the sweep, and the arrays that the sweep returns. The peak
of a small sweep is the compiler's. Draws figures/benchmark_growth.png, with the numbers in
figures/benchmark_growth.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from benchmarks.numpy_peers import in_a_folder
from jaxrobust import lab, noise, sop
from jaxrobust._machine import cores

CELLS = 8
TRIALS = {"descent": "SOP descent, 1,000 steps", "average": "averaging flipped labels"}


@dataclass(frozen=True)
class Config:
    """Numbers of the benchmark."""

    first: int = 4
    """The smallest sweep has 2^first lanes."""
    last: int = 16
    step: int = 2
    """Between sweeps the number of lanes grows by 2^step."""
    out: Path = Path("figures")
    one: str = ""
    """For the benchmark itself: run only "TRIAL LANES" and print its numbers."""

    def __post_init__(self) -> None:
        """Refuse what makes no row, or has nowhere to go."""
        if self.step < 1 or not 3 <= self.first <= self.last:
            raise ValueError(
                "first, last and step must hold 3 <= first <= last and step >= 1, got "
                f"{self.first}, {self.last}, {self.step}"
            )
        in_a_folder("out", self.out)


def descent(key, alpha):
    """Descend a small problem."""
    J, y, _, _ = sop.draw(key, 32, 64, k=4)
    end = sop.run(J, y, alpha=alpha, gamma=1e-6, steps=1000)
    return {"theta": end.theta, "s": end.s, "residual": end.residual}


def average(key, rate):
    """Learn a halfspace from flipped labels by the mean of y x, and score it on clean ones."""
    points, flips = jax.random.split(key)
    x = jax.random.normal(points, (500, 10))
    clean = jnp.where(x[:, 0] >= 0, 1.0, -1.0)
    w = noise.flip(flips, clean, rate) @ x
    return {"error": jnp.mean(jnp.where(x @ w >= 0, 1.0, -1.0) != clean)}


def measure(trial: str, lanes: int) -> dict[str, float]:
    """Run one sweep and give its numbers: seconds and bytes."""
    jax.config.update("jax_enable_x64", True)
    axes = {
        "descent": {"alpha": np.geomspace(1.0, 30.0, CELLS)},
        "average": {"rate": 0.05 * np.arange(1, CELLS + 1)},
    }
    jax.block_until_ready(jnp.zeros(8) + 1)  # the runtime is up before the count starts
    before, start = _peak(), time.perf_counter()
    with tempfile.TemporaryDirectory() as store:
        found = lab.sweep(
            {"descent": descent, "average": average}[trial],
            axes[trial],
            lanes // CELLS,
            key=jax.random.key(0),
            store=store,
            progress=False,
        )
        wall, seconds = time.perf_counter() - start, found.attrs["seconds"]
    return {
        "lanes": lanes,
        "wall_s": wall,
        "compile_s": seconds["compile"],
        "store_s": seconds["store"],
        "compute_s": wall - seconds["compile"] - seconds["store"],
        "peak_bytes": _peak() - before,
        "result_bytes": sum(x.nbytes for x in found.values()),
    }


def _peak() -> int:
    """Give the peak of this process's resident memory, in bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def alone(trial: str, lanes: int) -> dict[str, float]:
    """Measure one sweep in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.growth", "--one", f"{trial} {lanes}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{trial} of {lanes} lanes failed: {done.stderr.strip()[-300:]}")
    return json.loads(done.stdout.splitlines()[-1])


def draw(found: dict[str, list[dict[str, float]]], out: Path) -> None:
    """Draw time and memory against lanes."""
    look = lab.figure
    colours = dict(zip(TRIALS, ((look.BLUE, "o"), (look.RED, "s")), strict=True))
    with look.style():
        figure, (left, right) = look.panels(2, width=look.PAGE, height=2.7)
        for trial, rows in found.items():
            lanes, wall, built, peak, result = (
                np.array([row[name] for row in rows])
                for name in ("lanes", "wall_s", "compile_s", "peak_bytes", "result_bytes")
            )
            colour, marker = colours[trial]
            busy, style = wall - built, {"color": colour, "ls": "none", "marker": marker}
            each = (busy[-1] - busy[0]) / (lanes[-1] - lanes[0])
            look.theory(left, lanes, busy[0] + each * (lanes - lanes[0]), color=colour, lw=0.9)
            left.plot(lanes, busy, label=TRIALS[trial], **style)
            left.plot(lanes, built, mfc="none", **style)
            right.plot(lanes, (peak - result) / 2**20, label=TRIALS[trial], **style)
            look.theory(right, lanes, result / 2**20, color=colour, lw=0.9, ls=":")
        left.plot([], [], "o", color=look.BLACK, mfc="none", label="compilation (hollow)")
        left.plot([], [], color=look.BLACK, lw=0.9, label="a + b lanes, through both ends")
        right.plot([], [], ":", color=look.BLACK, lw=0.9, label="arrays returned (dotted)")
        for ax in (left, right):
            ax.set_xscale("log", base=2)
            ax.set_xlabel("lanes (seeds x cells)")
        left.set(yscale="log", ylabel="time (s)", title="Compute and store, compilation apart")
        left.set_ylim(top=30 * left.get_ylim()[1])
        left.legend(loc="upper left")
        right.set(ylabel="memory (MiB)", title="Peak memory beside the arrays returned")
        right.set_ylim(0, 1.6 * right.get_ylim()[1])
        right.legend(loc="upper left")
        (out / "benchmark_growth.png").write_bytes(look.png(figure))


def main(config: Config) -> int:
    """Measure, print, draw; return 0."""
    if config.one:
        trial, lanes = config.one.split()
        print(json.dumps(measure(trial, int(lanes))))
        return 0
    found: dict[str, list[dict[str, float]]] = {}
    print(f"{'trial':9}{'lanes':>8}{'wall s':>9}{'compile':>9}{'compute':>9}{'store':>8}"
          f"{'MiB':>7}{'result':>8}{'us/lane':>9}")  # fmt: skip
    for trial in TRIALS:
        for power in range(config.first, config.last + 1, config.step):
            row = alone(trial, 2**power)
            found.setdefault(trial, []).append(row)
            seconds = "".join(f"{row[x]:9.2f}" for x in ("wall_s", "compile_s", "compute_s"))
            rest = 1e6 * (row["wall_s"] - row["compile_s"]) / row["lanes"]
            print(
                f"{trial:9}{2**power:8}{seconds}{row['store_s']:8.2f}"
                f"{row['peak_bytes'] / 2**20:7.0f}{row['result_bytes'] / 2**20:8.1f}{rest:9.0f}",
                flush=True,
            )
    about = {"machine": f"{cores()} cores", "load": os.getloadavg()[0]}
    config.out.mkdir(parents=True, exist_ok=True)
    draw(found, config.out)
    numbers = json.dumps({"about": about, "trials": TRIALS, "found": found}, indent=1)
    (config.out / "benchmark_growth.json").write_text(numbers + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(tyro.cli(Config)))
