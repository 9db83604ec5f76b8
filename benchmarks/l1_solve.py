"""Time the certified l1 program beside its peers: `python -m benchmarks.l1_solve`.

min 1/2|theta|^2 + lam |s|_1 s.t. y = J theta + s, alone, in batches and along a path of lam,
against DAQP, PIQP, LinearSVR, quadprog, OSQP, Clarabel, qpax; those not installed are left out.

- The target is a relative duality gap of 1e-10 in every lane, recomputed in NumPy float64 from the
  nu that is returned, clipped to the box. LinearSVR gives no nu: its relative suboptimality counts.
- Before the clock starts every peer gets its fastest setting that reaches the target, and its
  number of BLAS threads. A peer's time holds its set-up, and K = JJ' except where lanes share J.
- Methods take turns in one process, in an order that is drawn anew: a burst of calls each, of which
  the first, whose code and data the others have pushed out of the caches, counts apart. Medians and
  minima. Compiling is apart. A peer 30 times slower than the best is timed once, a batch of it on a
  few lanes, and marked ~.

Peers run a batch lane by lane on one core, so "one thread" is the comparison core for core.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
import sklearn
import tyro

from benchmarks import l1_ladder as ladder
from benchmarks.l1_cells import CELLS, Cell, Problem, draw, excesses, gaps
from benchmarks.l1_peers import PEERS, Peer
from benchmarks.l1_reference import optima
from benchmarks.l1_rounds import interleave
from benchmarks.l1_table import Row, Time, details, markdown, save
from benchmarks.numpy_peers import in_a_folder, machine
from jaxrobust import sop
from jaxrobust._machine import cores

TARGET, KIND = 1e-10, 1e-6  # the second for what gives no nu, beside the first


@dataclass(frozen=True)
class Config:
    """Numbers of the benchmark."""

    cells: tuple[str, ...] = tuple(cell.name for cell in CELLS)
    peers: tuple[str, ...] = tuple(peer.name for peer in PEERS)
    repeats: int | None = None
    """Rounds of a problem; without it as many as take `budget` seconds, 6 to 100."""
    budget: float = 5.0
    cap: float = 5.0
    """Seconds a lane after which a peer is tried with no tighter tolerance."""
    seed: int = 0
    out: Path | None = None
    """Where to write all times as JSON."""
    table: Path | None = None
    """Where to write the table in Markdown."""

    def __post_init__(self) -> None:
        """Refuse names that are not there, and numbers that time nothing."""
        for name, known in (("cells", CELLS), ("peers", PEERS)):
            names = [one.name for one in known]
            if wrong := set(getattr(self, name)) - set(names):
                raise ValueError(f"{name} must be of {', '.join(names)}, got {sorted(wrong)}")
        for name in ("budget", "cap"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("out", "table"):
            in_a_folder(name, getattr(self, name))
        if self.repeats is not None and self.repeats < 1:
            raise ValueError(f"repeats must be at least 1, got {self.repeats}")


def solver(cell: Cell, problem: Problem, threads: int | None) -> Callable[[], Any]:
    """Make jaxrobust's call: jitted for one problem, the batched front door for many."""
    J = sop.factor(problem.J, rank=cell.rank) if cell.rank else jax.device_put(problem.J)  # pyright: ignore
    path = cell.kind == "path"
    if cell.kind == "single":
        solve = jax.jit(sop.solve_l1)
        y, lam = jax.device_put(problem.y[0]), jax.device_put(problem.lam[0])
    else:
        solve = sop.solve_l1 if threads is None else partial(sop.solve_l1, threads=threads)  # pyright: ignore
        y, lam = jax.device_put(problem.y[0] if path else problem.y), jax.device_put(problem.lam)

    def run() -> Any:
        solution = solve(J, y, lam)
        jax.block_until_ready(solution.nu)  # all come from one program; a whole tree takes longer
        return solution

    return run


def certify(found: Time, solution: Any, problem: Problem, optimum: np.ndarray) -> None:
    """Hold nu and theta of every lane to the target, and the status to both."""
    theta = np.asarray(solution.theta).reshape(len(optimum), -1)
    bad = np.maximum(gaps(problem, solution.nu), excesses(problem, theta, optimum))
    found.worst, found.certified = float(np.max(bad)), int(np.sum(bad <= TARGET))
    said = np.broadcast_to(np.asarray(solution.status), bad.shape) == sop.Status.CERTIFIED
    found.silent = int(np.sum((bad > TARGET) & said))


def ours(
    cell: Cell, problem: Problem, optimum: np.ndarray, threads: int | None
) -> tuple[Time, Callable[[], Any] | None]:
    """Compile and certify; what the package cannot do yet is a note in the table."""
    found = Time("jaxrobust", threads=threads or cores())
    try:
        run = solver(cell, problem, threads)
        found.first_call, solution = ladder.clock(run)
        found.first_call *= 1e3
        certify(found, solution, problem, optimum)
    except Exception as error:
        found.note = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:80]}"
        return found, None
    return found, run


def climb(
    config: Config, peers: list[Peer], problem: Problem, optimum: np.ndarray
) -> list[ladder.Choice]:
    """Choose every peer's setting, the quickest peers first: they bound the others."""
    choices, best = [], math.inf
    for peer in peers:
        for target in (TARGET, KIND) if peer.gives == "theta" else (TARGET,):
            one = ladder.choose(peer, problem, optimum, target, best, config.cap)
            choices.append(one)
            if one.run and target == TARGET:
                best = min(best, one.seconds)
    return choices


def measure(config: Config, peers: list[Peer], cell: Cell, case: int) -> Row:
    """Draw a problem, choose the settings, time and certify."""
    problem, factor = draw(cell, case, config.seed)
    optimum = optima(problem)
    theirs = problem._replace(J=factor) if cell.peers_factored and factor is not None else problem
    first, run = ours(cell, problem, optimum, None)
    single, run_single = (None, None)
    if cell.kind != "single":
        single, run_single = ours(cell, problem, optimum, 1)
    choices = climb(config, peers, theirs, optimum)

    best = min((x.seconds for x in choices if x.run), default=math.inf)
    calls: dict[int, tuple[Callable[[], Any], float, int]] = {}
    for i, one in enumerate((run, run_single)):
        if one is not None:
            calls[i] = (one, ladder.clock(one)[0], 1)
    for i, choice in enumerate(choices, 2):
        if choice.run and not choice.scaled and choice.seconds <= ladder.SLOW * best:
            calls[i] = (choice.run, choice.seconds, choice.threads)
    times = interleave(calls, config.budget, config.repeats) if calls else {}
    first.times, first.cold = times.get(0, ([], []))
    if single is not None:
        single.times, single.cold = times.get(1, ([], []))
    found = []
    for i, choice in enumerate(choices, 2):
        once = choice.run is not None and i not in times
        alone = [1e3 * choice.seconds] if once else []
        known, cold = times.get(i, (alone, alone))
        about = (cold, choice.worst, choice.setting, choice.threads, once, choice.note)
        found.append(Time(choice.name, known, *about))
    name, _, goal = cell.cases[case]
    return Row(cell.name, name, len(optimum), goal, first, single, found, TARGET)


def installed(config: Config) -> list[Peer]:
    """Leave out peers that are not there, and hold the others to a problem small enough to know.

    With J = I the answer is nu = y clipped to the box, and theta = nu.
    """
    rng = np.random.default_rng(0)
    y, lam = 3 * rng.standard_normal((3, 8)), np.array([0.5, 1.0, 2.0])
    y[np.abs(np.abs(y) - lam[:, None]) < 0.05] += 0.2
    answer = np.clip(y, -lam[:, None], lam[:, None])
    found = []
    for peer in (peer for peer in PEERS if peer.name in config.peers):
        try:
            peer.module  # noqa: B018
        except ImportError:
            print(f"{peer.name} is not installed and left out: pip install {peer.wheel}")
            continue
        for options in peer.options[:1] + peer.lifted:
            got = peer.solve(np.eye(8), y, lam, peer.tolerances[-1], **options)
            if not np.max(np.abs(got - answer)) < 1e-5:
                raise RuntimeError(f"{peer.name} {options}: a wrong answer for J = I, got {got}")
        found.append(peer)
    return found


def main(config: Config) -> int:
    """Measure the cells, print the table, return 1 if an uncertified lane says CERTIFIED."""
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # before JAX computes anything
    jax.config.update("jax_enable_x64", True)
    sklearn.set_config(assume_finite=True, skip_parameter_validation=True)  # its fastest way
    with ladder.blas(1):
        peers = installed(config)
        versions = ", ".join(f"{peer.name} {version(peer.wheel)}" for peer in peers)
        about = {"machine": machine(cores()), "peers": versions}
        print(f"{about['machine']}\n{versions}\nfloat64; one BLAS thread but where it says two")
        rows: list[Row] = []
        for cell in (cell for cell in CELLS if cell.name in config.cells):
            for case in range(len(cell.cases)):
                rows.append(measure(config, peers, cell, case))
                print(markdown(rows[-1:]).splitlines()[-1], flush=True)
                print(details(rows[-1]), flush=True)
                if config.out:
                    save(rows, config.out, about)
    silent = sum(x.silent for row in rows for x in (row.ours, row.single) if x is not None)
    text = f"{markdown(rows)}\n\n{LEGEND}"
    print(f"\n{text}\nlanes above {TARGET:g} that say CERTIFIED: {silent}")
    if config.table:
        config.table.write_text(text + "\n")
    return 1 if silent else 0


LEGEND = """Milliseconds for all lanes, medians of hot calls. **Bold**: a peer that is faster.
ratio: best peer that reaches 1e-10 in every lane over jaxrobust, of hot calls (of first calls);
one thread: jaxrobust held to one, as the peers are but for forming K;
kind: LinearSVR to a suboptimality of 1e-6 is let in. ~: timed once, a batch on a few lanes.
certified: jaxrobust's lanes with a gap, recomputed in NumPy float64, of at most 1e-10."""

if __name__ == "__main__":
    raise SystemExit(main(tyro.cli(Config)))
