"""Time many normalized learners beside numba and NumPy: `python -m benchmarks.halfspace_lanes`.

A lane is one run of T normalized updates in R^d; there are seeds x rates lanes, and the rates of a
seed share its points, uniform on the sphere. Two questions, each in float32 and float64:

- updates only, the points and labels drawn before by NumPy, the same for all: numba with its
  threads over the lanes; numba with its threads over the seeds and the rates inside, so that a
  point is read once for all of them; a NumPy loop; `halfspace.over` under jit and vmap;
- end to end, each with its own random numbers: the NumPy loop beside `lab.sweep` of
  `halfspace.stream`.

Only some seeds are run (`--seeds 256` runs all) and the NumPy loop only some steps of some lanes;
times are scaled to all lanes. Repetitions are interleaved; medians are reported.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from benchmarks import halfspace_peers as peers
from benchmarks.numpy_peers import machine
from jaxrobust import _check, halfspace, lab
from jaxrobust._machine import cores, workers
from jaxrobust.lab import block

TOLERANCE = 1e-9  # on max |w - w'| in float64; float32 is reported
PIECES = 100  # in which the end-to-end lane draws its points


@dataclass(frozen=True)
class Config:
    """Numbers of the benchmark."""

    all_seeds: int = 256
    """Seeds for which times are reported; `seeds` are run."""
    seeds: int = 64
    rates: int = 8
    """Flip rates, 5 %, 10 %, ..."""
    d: int = 64
    steps: int = 100_000
    at_once: int = 64
    """Seeds whose points are in memory together, shared out to the cores."""
    repeats: int = 3
    timed_lanes: int = 4
    """Lanes that the NumPy loop runs in each repetition, and their steps, before scaling."""
    timed_steps: int = 2000
    dtypes: tuple[str, ...] = ("float32", "float64")

    @property
    def eta(self) -> np.ndarray:
        """The flip rates, which every learner knows."""
        return 0.05 * np.arange(1, self.rates + 1)

    @property
    def gamma(self) -> float:
        """What the learners divide by beside |w.x|: the size of a typical w*.x."""
        return 1 / math.sqrt(self.d)

    @property
    def mu(self) -> float:
        """The step of the theory."""
        return self.gamma / math.sqrt(self.steps)

    @property
    def numpy(self) -> tuple:
        """The NumPy loop's arguments."""
        return self.eta, self.gamma, self.mu, self.timed_lanes, self.timed_steps

    def __post_init__(self) -> None:
        """Refuse what cannot be run, and what would scale to fewer lanes than were run."""
        most = {"rates": 9, "seeds": self.all_seeds, "timed_steps": self.steps}  # rates < .5
        for name, value in vars(self).items():
            if isinstance(value, int):
                _check.count(name, value, 1, most.get(name))


def over(config: Config, x: jax.Array, y: jax.Array) -> jax.Array:
    """Learn all lanes of a batch with the library: w (S, R, d)."""

    def lane(x: jax.Array, y: jax.Array, eta: jax.Array) -> jax.Array:
        return halfspace.over(x, y, eta=eta, gamma=config.gamma, mu=config.mu).w[-1]

    return jax.vmap(jax.vmap(lane, (None, 0, 0)), (0, 0, None))(x, y, jnp.asarray(config.eta))


class Front:
    """`over`, compiled for a share of the seeds; a share is in flight for each core."""

    def __init__(self, config: Config, seeds: int, dtype: str) -> None:
        self.share = -(-seeds // cores())
        shapes = (config.steps, config.d), (config.rates, config.steps)
        empty = [jax.ShapeDtypeStruct((self.share, *s), np.dtype(dtype)) for s in shapes]
        start = time.perf_counter()
        lowered = jax.jit(partial(over, config)).lower(*empty)
        self.run = block.compiled(lowered, jax.default_backend())
        self.compile = time.perf_counter() - start

    def __call__(self, batch: peers.Batch) -> tuple[np.ndarray, float]:
        """Return w (S, R, d) and the seconds; the last share starts early to be a full one."""
        firsts = np.minimum(np.arange(0, len(batch.x), self.share), len(batch.x) - self.share)
        shares = [jax.device_put([v[i : i + self.share] for v in batch]) for i in firsts]
        jax.block_until_ready(shares)
        w = np.empty((*batch.y.shape[:2], batch.x.shape[2]), batch.x.dtype)
        with workers(cores()) as pool:
            start = time.perf_counter()
            found = list(pool.map(lambda share: np.asarray(self.run(*share)), shares))
            seconds = time.perf_counter() - start
        for i, one in zip(firsts, found, strict=True):
            w[i : i + self.share] = one
        return w, seconds


def front_door(config: Config, dtype: str) -> tuple[float, float]:
    """Draw and learn as a user of jaxrobust does; return the seconds in all, and of compilation."""

    def trial(key: jax.Array, rate: jax.Array) -> dict[str, jax.Array]:
        def examples(key: jax.Array, n: int) -> tuple[jax.Array, jax.Array]:
            first, second = jax.random.split(key)
            x = jax.random.normal(first, (n, config.d), np.dtype(dtype))
            x = x / jnp.linalg.norm(x, axis=1, keepdims=True)
            flipped = jax.random.uniform(second, (n,), x.dtype) < rate.astype(x.dtype)
            return x, jnp.where((x[:, 0] >= 0) != flipped, 1.0, -1.0).astype(x.dtype)

        known: dict = {"eta": rate, "gamma": config.gamma, "mu": config.mu, "steps": config.steps}
        pieces = math.gcd(PIECES, config.steps)
        return {"w": halfspace.stream(key, examples, config.d, snapshots=pieces, **known).w[-1]}

    width = config.rates * -(-min(config.seeds, config.at_once) // cores())
    options = {"key": jax.random.key(0), "width": width, "progress": False}
    start = time.perf_counter()
    found = lab.sweep(trial, {"rate": config.eta}, config.seeds, **options)
    seconds = time.perf_counter() - start
    return (math.nan if found.nonfinite_lanes["w"] else seconds), found.attrs["seconds"]["compile"]


class Table:
    """Seconds of every method and repetition for the seeds that were run, and how far apart."""

    def __init__(self, config: Config, title: str) -> None:
        self.title, self.scale = title, config.all_seeds / config.seeds
        self.seconds = defaultdict(lambda: np.zeros(config.repeats))
        self.compile: dict[str, float] = {}
        self.gaps: dict[str, float] = {}

    def compare(self, name: str, theirs: np.ndarray, ours: np.ndarray) -> None:
        """Keep max |w - w'|, or NaN once a weight was not finite."""
        gap = np.abs(theirs - ours)
        self.gaps[name] = float(np.max(gap, initial=self.gaps.get(name, 0.0)))

    def agrees(self, limit: float) -> bool:
        """Say whether no lane was lost and all gaps are within the limit."""
        known = all(np.isfinite(x).all() for x in self.seconds.values())
        return known and all(x <= limit and math.isfinite(x) for x in self.gaps.values())

    def print(self) -> None:
        """Print a row a method, with ratios over the first, jaxrobust's."""
        head = "   median    least     most    ratio  compile max |dw|"
        print(f"\n{self.title:46}{head}")
        ours = np.median(next(iter(self.seconds.values())))
        for name, seconds in self.seconds.items():
            shown = self.scale * np.array([np.median(seconds), seconds.min(), seconds.max()])
            row = "".join(f"{x:9.2f}" for x in (*shown, np.median(seconds) / ours))
            row += f"{self.compile[name]:9.2f}" if name in self.compile else " " * 9
            print(f"{name:46}{row}" + (f"{self.gaps[name]:9.1e}" if name in self.gaps else ""))


def updates(config: Config, dtype: str, loops: dict[str, Callable]) -> Table:
    """Time the updates on points drawn before, and hold every peer's ends to the library's."""
    table, size = Table(config, f"updates only, {dtype}"), min(config.at_once, config.seeds)
    front = Front(config, size, dtype)
    table.compile["jaxrobust, halfspace.over"] = front.compile
    fast = {}
    for kind, loop in loops.items():
        name = f"numba, prange over {kind}"
        fast[name], table.compile[name] = peers.compiled(loop, dtype)
    short, n = jax.jit(partial(over, config)), config.timed_steps
    for first in range(0, config.seeds, size):
        seeds = range(config.seeds)[first : first + size]
        batch = peers.draw(seeds, config.eta, config.steps, config.d, dtype)
        front = front if len(seeds) == size else Front(config, len(seeds), dtype)
        for i in range(config.repeats):
            ours, seconds = front(batch)
            table.seconds["jaxrobust, halfspace.over"][i] += seconds
            for name, learn in fast.items():
                start = time.perf_counter()
                theirs = learn(*batch, config.eta, config.gamma, config.mu)
                table.seconds[name][i] += time.perf_counter() - start
                table.compare(name, theirs, ours)
            places, theirs, seconds = peers.numpy_loop(batch, *config.numpy)
            table.seconds["NumPy loop"][i] += seconds
            for (s, r), one in zip(places, theirs, strict=True):
                few = short(batch.x[s : s + 1, :n], batch.y[s : s + 1, :, :n])
                table.compare("NumPy loop", one, np.asarray(few)[0, r])
    return table


def end_to_end(config: Config, dtype: str) -> Table:
    """Time drawing and updates together."""
    table, ours = Table(config, f"end to end, {dtype}"), "jaxrobust, lab.sweep of halfspace.stream"
    for i in range(config.repeats):
        seconds, table.compile[ours] = front_door(config, dtype)
        table.seconds[ours][i] = seconds - table.compile[ours]
        one = peers.end_to_end_seed(config.d, dtype, *config.numpy)
        table.seconds["NumPy loop"][i] = one * config.seeds * config.steps / config.timed_steps
    return table


def main(config: Config) -> int:
    """Time all methods, print the tables, return 0 if their results agree."""
    jax.config.update("jax_enable_x64", True)
    print(
        f"{machine(cores())}\n"
        f"{config.all_seeds * config.rates} lanes ({config.all_seeds} seeds x {config.rates} rates)"
        f" of {config.steps} normalized updates, d = {config.d}; seconds for all of them:\n"
        f"{config.seeds} seeds are run, and the times scaled; of the NumPy loop only "
        f"{config.timed_steps} steps of {config.timed_lanes} lanes.\n"
        f"{config.repeats} repetitions, interleaved; numba and jaxrobust on {cores()} cores, "
        "NumPy on one."
    )
    loops, agree = peers.numba_loops(), True
    for dtype in config.dtypes:
        for table in (updates(config, dtype, loops), end_to_end(config, dtype)):
            table.print()
            agree &= table.agrees(TOLERANCE if dtype == "float64" else math.inf)
    print(
        "\nratio: of medians, over jaxrobust's in the same block, compilation apart throughout.\n"
        "max |dw|: largest difference from jaxrobust's weights on the same examples (the NumPy\n"
        f"loop's after {config.timed_steps} steps). In float32 the order of a sum may decide a "
        "sign of w.x, and so an update.\n"
        "End to end each draws for itself; the NumPy loop draws a seed's points once, too."
    )
    print(f"agreement within {TOLERANCE:g} in float64: {'yes' if agree else 'NO'}")
    return 0 if agree else 1


if __name__ == "__main__":
    raise SystemExit(main(tyro.cli(Config)))
