"""Hold the certificates of 100,000 l1 programs to the truth: `python -m benchmarks.l1_lanes`.

Batches with one J, with a J each and along a path of lam, of a shape for every method: any rank,
duplicate and contradicting rows, y = 0, lam from .01 to 100, 0 to 60 % of y corrupted. The gap of
every lane is recomputed from its theta and nu in NumPy's longest precision. A lane may say that it
is not certified; one that says CERTIFIED and is not makes the run fail.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from jaxrobust import sop
from jaxrobust.lab.progress import reporter
from jaxrobust.sop.convex import program, single

TOLERANCE = 1e-10
KINDS = ("shared", "distinct", "path")
_MARK = 1_000_000  # added to the iterations of a lane that fell back


class Shape(NamedTuple):
    """A size, the method that it is for, and its share of the lanes."""

    N: int
    p: int
    method: str
    share: float


SHAPES = (
    Shape(1, 1, "interior, double", 0.08),
    Shape(4, 7, "Cholesky", 0.1),
    Shape(20, 40, "Cholesky", 0.25),
    Shape(110, 150, "conjugate gradients", 0.12),
    Shape(30, 33, "interior, double", 0.1),
    Shape(25, 25, "interior, double", 0.05),
    Shape(60, 20, "detect, mixed", 0.2),
    Shape(150, 80, "detect, mixed", 0.097),
    Shape(560, 510, "mixed", 0.003),
)


@dataclass(frozen=True)
class Config:
    """Numbers of the run."""

    lanes: int = 100_000
    batch: int = 100
    """Lanes of a call; from 65 on those with one J are cut into columns and filled up."""
    shapes: tuple[int, ...] = tuple(range(len(SHAPES)))
    """Which of the shapes; all by default."""
    kinds: tuple[str, ...] = KINDS
    threads: int | None = None
    seed: int = 0
    progress: bool = True

    def __post_init__(self) -> None:
        """Refuse sizes that hold no lane."""
        for name in ("lanes", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not set(self.kinds) <= set(KINDS) or not self.kinds:
            raise ValueError(f"kinds must be of {', '.join(KINDS)}, got {self.kinds}")
        if not set(self.shapes) <= set(range(len(SHAPES))) or not self.shapes:
            raise ValueError(f"shapes must be of 0..{len(SHAPES) - 1}, got {self.shapes}")


class Batch(NamedTuple):
    """Programs as they go into `solve_l1`."""

    J: np.ndarray
    y: np.ndarray
    lam: np.ndarray


def matrix(rng: np.random.Generator, N: int, p: int) -> np.ndarray:
    """Draw a Gaussian J with E|J_i|^2 = 1: of full rank, of any lower one, or with rows doubled."""
    if rng.random() < 0.4:
        r = int(rng.integers(1, min(N, p) + 1))
        J = rng.normal(size=(N, r)) @ rng.normal(size=(r, p)) / np.sqrt(r * p)
    else:
        J = rng.normal(size=(N, p)) / np.sqrt(p)
    if rng.random() < 0.1:
        J[N - N // 2 :] = J[: N // 2]
    return J


def targets(rng: np.random.Generator, J: np.ndarray) -> np.ndarray:
    """Draw y = J theta + 5 N(0, 1) on 0 to 60 % of the entries; one in fifty is 0."""
    y = J @ rng.normal(size=J.shape[1])
    y += (rng.random(len(y)) < rng.uniform(0, 0.6)) * 5 * rng.normal(size=len(y))
    return y * (rng.random() > 0.02)


def draw(rng: np.random.Generator, shape: Shape, kind: str, lanes: int) -> Batch:
    """Draw a batch."""
    N, p = shape[:2]
    lam = 10 ** rng.uniform(-2, 2, lanes)
    if kind == "distinct":
        J = np.stack([matrix(rng, N, p) for _ in range(lanes)])
        return Batch(J, np.stack([targets(rng, one) for one in J]), lam)
    J = matrix(rng, N, p)
    if kind == "path":
        return Batch(J, targets(rng, J), lam)
    return Batch(J, np.stack([targets(rng, J) for _ in range(lanes)]), lam)


def gaps(J: Any, y: Any, lam: Any, nu: Any, theta: Any = None) -> np.ndarray:
    """Recompute the relative gap of an answer or of a batch; infinite where nu is not in the box.

    P(theta) - D(nu) = 1/2 |theta - J'nu|^2 + sum_i (lam |s_i| - nu_i s_i), s = y - J theta, over
    P(theta); without theta at J'nu; 0/0 at y = 0 is 0.
    """
    J, y, lam, nu = (np.asarray(np.asarray(x), np.longdouble) for x in (J, y, lam, nu))
    lam = lam[..., None]
    with np.errstate(all="ignore"):
        image = (nu[..., None, :] @ J)[..., 0, :]
        theta = image if theta is None else np.asarray(np.asarray(theta), np.longdouble)
        s = y - (J @ theta[..., None])[..., 0]
        gap = np.sum((theta - image) ** 2, -1) / 2 + np.sum(lam * np.abs(s) - nu * s, -1)
        primal = np.sum(theta**2, -1) / 2 + np.sum(lam * np.abs(s), -1)
        relative = np.where((primal == 0) & np.all(y == 0, -1), 0, gap / primal)
        sound = np.all(np.abs(nu) <= lam, -1) & np.isfinite(relative)
    return np.where(sound, relative, np.inf)


def consistent(batch: Batch, found: sop.L1Solution) -> np.ndarray:
    """Return whether theta = J'nu and s = y - J theta up to rounding and underflow, a lane each."""
    J, (theta, s, nu) = batch.J, (np.asarray(x) for x in found[:3])
    size, eps = np.abs(J), 1e3 * np.finfo(J.dtype).eps
    with np.errstate(all="ignore"):
        lost = np.finfo(J.dtype).tiny * (1 + np.max(size)) * J.shape[-2] * J.shape[-1]
        lost = lost * (1 + np.asarray(batch.lam))[..., None]
        reach = (np.abs(nu)[..., None, :] @ size)[..., 0, :]
        off = np.abs(theta - (nu[..., None, :] @ J)[..., 0, :])
        wrong = np.abs(s - batch.y + (J @ theta[..., None])[..., 0])
        scale = np.abs(batch.y) + (size @ reach[..., None])[..., 0]
        near = wrong <= eps * scale + lost
    return np.all(off <= eps * reach + lost, -1) & np.all(near, -1)


@contextmanager
def fallbacks_marked() -> Iterator[None]:
    """Mark, in the iterations, the lanes that the interior point in double precision had to do."""

    def marked(*args: Any) -> sop.L1Solution:
        result = again(*args)
        return result._replace(iterations=result.iterations + _MARK)

    again = single.again
    with ExitStack() as stack:
        for module in (single, program):
            stack.enter_context(mock.patch.object(module, "again", marked))
        for name in ("_solver", "_compiled", "_compiled_part"):  # nothing compiled before
            fresh = lru_cache(getattr(program, name).__wrapped__)
            stack.enter_context(mock.patch.object(program, name, fresh))
        yield


class Tally(NamedTuple):
    """What became of the lanes of one shape and kind."""

    statuses: Counter
    fallbacks: Counter
    worst: list[float]
    """Largest recomputed gap of the certified lanes of each batch."""
    false: list[str]
    """Lanes that say CERTIFIED and are not."""


def judge(tally: Tally, batch: Batch, found: sop.L1Solution) -> None:
    """Hold every lane to what it says."""
    true = gaps(*batch, found.nu, found.theta)
    status, steps = np.asarray(found.status), np.asarray(found.iterations)
    certified = status == sop.Status.CERTIFIED
    tally.statuses.update(sop.Status(int(code)).name for code in status)
    tally.fallbacks["lanes"] += int(np.sum(steps >= _MARK))
    tally.worst.append(float(np.max(true, initial=0, where=certified)))
    finite = np.all([np.isfinite(x).reshape(len(status), -1).all(1) for x in found[:4]], 0)
    good = (true <= TOLERANCE) & consistent(batch, found) & finite
    tally.false.extend(
        f"{float(found.gap[i]):.1e} said, {true[i]:.1e} true"
        for i in np.flatnonzero(certified & ~good)
    )


def run(config: Config) -> dict[tuple[Shape, str], Tally]:
    """Solve all batches; kinds take turns."""
    tallies = {}
    chosen = [SHAPES[i] for i in config.shapes]
    whole = sum(shape.share for shape in chosen)
    plan = [
        (shape, config.kinds[i % len(config.kinds)], i)
        for shape in chosen
        for i in range(max(3, round(config.lanes * shape.share / whole / config.batch)))
    ]
    with fallbacks_marked(), reporter(config.progress, len(plan) * config.batch) as report:
        for done, (shape, kind, i) in enumerate(plan, 1):
            rng = np.random.default_rng([config.seed, SHAPES.index(shape), i])
            batch = draw(rng, shape, kind, config.batch)
            found = sop.solve_l1(*map(jnp.asarray, batch), tol=TOLERANCE, threads=config.threads)
            tally = tallies.setdefault((shape, kind), Tally(Counter(), Counter(), [], []))
            judge(tally, batch, found)
            report.tick(done * config.batch)
    return tallies


def main(config: Config) -> int:
    """Print a row a shape and kind; return 1 if a lane says CERTIFIED and is not."""
    jax.config.update("jax_enable_x64", True)
    start = time.perf_counter()
    tallies = run(config)
    others = [status.name for status in sop.Status if status != sop.Status.CERTIFIED]
    head = "".join(f"{name.lower():>16}" for name in others)
    print(f"{'N x p':>9} {'kind':9}{'method':20}{'lanes':>8}{'certified':>10}{head}", end="")
    print(f"{'fallback':>9}{'worst gap':>11}{'false':>6}")
    for (shape, kind), tally in tallies.items():
        lanes = sum(tally.statuses.values())
        size = f"{shape.N}x{shape.p}"
        print(f"{size:>9} {kind:9}{shape.method:20}{lanes:8}", end="")
        print(f"{tally.statuses['CERTIFIED']:10}", end="")
        print("".join(f"{tally.statuses[name]:16}" for name in others), end="")
        print(f"{tally.fallbacks['lanes']:9}{max(tally.worst):11.1e}{len(tally.false):6}")
    statuses = sum((tally.statuses for tally in tallies.values()), Counter())
    lanes, false = statuses.total(), [line for t in tallies.values() for line in t.false]
    print(f"{lanes} lanes in {time.perf_counter() - start:.0f} s: {dict(statuses)},", end=" ")
    print(f"{sum(t.fallbacks['lanes'] for t in tallies.values())} by the fallback,", end=" ")
    print(f"worst certified gap {max(max(t.worst) for t in tallies.values()):.1e},", end=" ")
    print(f"{len(false)} FALSE: {false[:5]}" if false else "no false certificate")
    return 1 if false else 0


if __name__ == "__main__":
    raise SystemExit(main(tyro.cli(Config)))
