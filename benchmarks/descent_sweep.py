"""Time a sweep of SOP descent beside NumPy and PyTorch: `python -m benchmarks.descent_sweep`.

The same runs (seeds x rates x alphas) of the same data with the same step tau:

- NumPy, a loop over runs, on (theta, u, v): J theta and J'r, 4 N p flops a step;
- NumPy, a loop over runs, on (nu, u, v) with K = JJ': 2 N^2 flops a step;
- NumPy, all runs side by side: one matrix product a seed and step;
- PyTorch, where it is installed, all runs side by side: `torch.func.vmap` of `grad` of the loss on
  (theta, u, v), and written by hand on (nu, u, v);
- jaxrobust through the public front door: `lab.sweep` of `sop.run`;
- the multiplicative rule, a NumPy loop on nu beside jaxrobust.

NumPy is held to one BLAS thread and to as many as there are cores. The loops time a few runs and
PyTorch a few steps, and scale. Repetitions are interleaved; medians are reported.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from benchmarks import torch_peers
from benchmarks.numpy_peers import (
    Data,
    Found,
    descend_gram,
    descend_multiplicative,
    descend_theta,
    in_a_folder,
    loop,
    machine,
    peak,
    together,
)
from jaxrobust import _machine, lab, sop

TOLERANCE = 1e-9  # on max |theta - theta'| and max |s - s'|; both are numbers of order 1


@dataclass(frozen=True)
class Config:
    """Numbers of the benchmark; there are runs / (rates * alphas) seeds."""

    runs: int = 512
    steps: int = 10_000
    rates: int = 8
    """Shares of corrupted examples, 5 %, 10 %, ..."""
    alphas: int = 4
    """Ratios of the step sizes, 1 to 30."""
    N: int = 100
    p: int = 200
    gamma: float = 1e-6
    repeats: int = 3
    timed: int = 8
    """Runs that the loops time in each repetition, before scaling to all."""
    timed_steps: int = 500
    """Steps that PyTorch is timed for in each repetition, before scaling to all."""
    out: Path | None = None
    """Where to write the figures of the table as JSON."""

    def __post_init__(self) -> None:
        """Refuse what cannot be cut into whole seeds."""
        cells = self.rates * self.alphas
        if self.runs < cells or self.runs % cells:
            raise ValueError(f"runs must be a multiple of {cells} (rates x alphas): {self.runs}")
        in_a_folder("out", self.out)
        for name in ("steps", "repeats", "timed", "timed_steps", "N", "p"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    @property
    def axes(self) -> dict[str, np.ndarray]:
        """The cells of the sweep."""
        return {
            "rate": 0.05 * np.arange(1, self.rates + 1),
            "alpha": np.geomspace(1.0, 30.0, self.alphas),
        }

    @property
    def seeds(self) -> int:
        """Number of seeds."""
        return self.runs // (self.rates * self.alphas)


def problem(config: Config, key, rate, alpha):
    """Draw one problem and its stable step; J depends on the key alone."""
    J, y, _, _ = sop.draw(key, config.N, config.p, k=rate * config.N)
    return J, y, sop.theory.stable_step(J, y, alpha)


def draw(config: Config, key) -> Data:
    """Draw the problems of the sweep for the peers."""
    rate, alpha = (
        jnp.asarray(x.ravel()) for x in np.meshgrid(*config.axes.values(), indexing="ij")
    )

    @jax.jit
    @jax.vmap
    def seed(i):
        one = jax.random.fold_in(key, i)
        return jax.vmap(lambda *cell: problem(config, one, *cell), out_axes=(None, 0, 0))(
            rate, alpha
        )

    J, y, tau = (np.array(x) for x in seed(jnp.arange(config.seeds)))
    return Data(J, y, np.array(alpha), tau)


def front_door(config: Config, key, rule: str = "additive") -> Found:
    """Draw and descend all runs as a user of jaxrobust does."""
    options: dict = {"gamma": config.gamma, "steps": config.steps, "rule": rule}

    def trial(key, rate, alpha):
        J, y, tau = problem(config, key, rate, alpha)
        end = sop.run(J, y, alpha=alpha, tau=tau, **options)
        return {"theta": end.theta, "s": end.s}

    wall, cpu = time.perf_counter(), time.process_time()
    found = lab.sweep(trial, config.axes, config.seeds, key=key, progress=False)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    theta, s = (found[name].values.reshape(config.runs, -1) for name in ("theta", "s"))
    return Found(
        np.arange(config.runs), theta, s, wall, found.attrs["seconds"]["compile"], cpu / wall
    )


def compare(name: str, found: Found, ours: Found) -> tuple[str, bool]:
    """Hold a peer's ends to the sweep's; a lane that is not finite on either side is counted."""
    gaps = [
        np.abs(theirs - mine[found.lanes]).max(axis=1)
        for theirs, mine in ((found.theta, ours.theta), (found.s, ours.s))
    ]
    lost = int(np.sum(~np.isfinite(gaps).all(axis=0)))
    worst = [float(np.max(gap, initial=0.0, where=np.isfinite(gap))) for gap in gaps]
    line = (
        f"{name}: {len(found.lanes)} runs compared, max |theta - theta'| = {worst[0]:.1e}, "
        f"max |s - s'| = {worst[1]:.1e}, {lost} not finite"
    )
    return line, lost == 0 and max(worst) <= TOLERANCE


Methods = dict[str, tuple[float, Callable[[], Found]]]
OURS, OURS_TOO = "jaxrobust", "jaxrobust, multiplicative"


def contestants(config: Config, data: Data, key, cores: int, others: Callable) -> Methods:
    """Give each method's name, its GFLOP in matrix products, and the call that runs it."""
    N = config.N
    theta_space = 4e-9 * N * config.p * config.runs * config.steps
    dual_space = 2e-9 * N * N * config.runs * config.steps
    given = (data, config.gamma, config.steps)
    methods: Methods = {}
    for threads in sorted({1, cores}):
        tail = f", {threads} BLAS thread" + "s" * (threads > 1)
        slow = partial(loop, descend_theta, *given, config.timed, threads)
        fair = partial(loop, descend_gram, *given, config.timed, threads)
        methods["NumPy loop, theta-space" + tail] = (theta_space, slow)
        methods["NumPy loop, N-space" + tail] = (dual_space, fair)
        methods["NumPy side by side" + tail] = (dual_space, partial(together, *given, threads))
    for name, (dual, call) in others(*given, config.timed_steps, cores).items():
        methods[name] = (dual_space if dual else theta_space, call)
    form = dual_space if 2 * config.p >= N else theta_space  # what `sop.run` chooses
    methods[OURS] = (form, partial(front_door, config, key))
    peer = partial(loop, descend_multiplicative, *given, config.timed, 1)
    methods["NumPy loop, multiplicative, N-space"] = (dual_space, peer)
    methods[OURS_TOO] = (form, partial(front_door, config, key, "multiplicative"))
    return methods


def main(config: Config, others: Callable = lambda *_: {}) -> int:
    """Time all methods and `others`, print the table, return 0 if their results agree."""
    jax.config.update("jax_enable_x64", True)
    cores = _machine.cores()
    print(machine(cores))
    print(
        f"{config.runs} runs ({config.seeds} seeds x {config.rates} rates x {config.alphas} alphas)"
        f" of {config.steps} steps, N = {config.N}, p = {config.p}, float64;\n"
        f"{config.repeats} repetitions, interleaved; a loop times {config.timed} runs and scales"
    )
    key = jax.random.key(0)
    data = draw(config, key)
    methods = contestants(config, data, key, cores, others)
    found: dict[str, list[Found]] = {name: [] for name in methods}
    best = 0.0
    for _ in range(config.repeats):
        best = max(best, peak(cores))
        for name, (_, run) in methods.items():
            found[name].append(run())

    table = report(methods, found, best, cores)
    if config.out:
        about = {"machine": machine(cores), "peak GFLOP/s": best}
        config.out.write_text(json.dumps({"about": about, "table": table}, indent=1) + "\n")
    extra = [name for name in methods if "torch" in name.lower()]
    wants = {name: found[OURS_TOO if "multiplicative" in name else OURS][-1] for name in methods}
    if extra:  # they went fewer steps
        short = min(config.timed_steps, config.steps)
        wants |= dict.fromkeys(extra, together(data, config.gamma, short, cores))
    checks = [
        compare(name, runs[-1], wants[name])
        for name, runs in found.items()
        if name not in (OURS, OURS_TOO)
    ]
    print("\n".join(line for line, _ in checks))
    agree = all(good for _, good in checks)
    print(f"agreement within {TOLERANCE:g}: {'yes' if agree else 'NO'}")
    return 0 if agree else 1


def report(
    methods: Methods, found: dict[str, list[Found]], best: float, cores: int
) -> dict[str, dict[str, float]]:
    """Print the table and return it: name to median seconds, share of the peak, ratio."""
    ours = found[OURS]
    bare, whole = (np.median([x.seconds - a * x.compile for x in ours]) for a in (1.0, 0.0))
    head = ("median", "least", "most", "cores", "of peak", "ratio", "+compile")
    print(f"\n{'seconds for all runs':46}" + "".join(f"{x:>9}" for x in head))
    rows = [(name, methods[name][0], runs, 0.0) for name, runs in found.items()]
    rows += [
        (f"{name}, compilation apart", methods[name][0], found[name], 1.0)
        for name in (OURS, OURS_TOO)
    ]
    table: dict[str, dict[str, float]] = {}
    for name, flop, runs, apart in rows:
        seconds = np.array([x.seconds - apart * x.compile for x in runs])
        middle, busy = np.median(seconds), np.median([x.busy for x in runs])
        share, ratio = flop / middle / best, middle / bare
        table[name] = {"seconds": float(middle), "of peak": share, "ratio": ratio}
        print(
            f"{name:46}{middle:9.2f}{seconds.min():9.2f}{seconds.max():9.2f}"
            + (f"{'':9}" if apart else f"{busy:9.2f}")
            + f"{share:9.1%}{ratio:9.1f}{middle / whole:9.1f}"
        )
    print(
        "cores: CPU time over wall time.\n"
        f"of peak: matrix products, against the {best:.0f} GFLOP/s of a large one on {cores} cores."
        "\nratio: of medians, over jaxrobust with compilation apart; +compile: with it.\n"
        "jaxrobust also draws its data in the time given.\n"
    )
    return table


if __name__ == "__main__":
    raise SystemExit(main(tyro.cli(Config), torch_peers.contestants))
