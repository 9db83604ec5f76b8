"""How often verdicts are right: `python -m benchmarks.verdict_rates`.

1,000 synthetic claims that are true and 1,000 that are false, of each kind, for 8, 16 and 32 seeds
and seeds of several laws, all at the edge: a formula or an exponent exactly right, a bound met
exactly; false by a hair, or by just what the design says is found out. Wrong is a true claim
refuted or a false one confirmed; every rate stands beside its exact 95 % interval and its design.
Then claims about many cells, the coverage of the intervals, and how often a deviation is refuted,
over its size: the power of a claim, and what makes a control come out refuted.

No design holds for a few skewed seeds, or for a shape that several equal means decide: there the
rate is what it is, and no design stands beside it.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
import tyro

from benchmarks import verdict_cases as cases
from benchmarks.verdict_cases import LEVEL, Case
from jaxrobust import lab
from jaxrobust.lab.stats import (
    Interval,
    bootstrap_interval,
    deciding_interval,
    mean_interval,
    proportion_interval,
)


@dataclass(frozen=True)
class Config:
    """Numbers of the benchmark."""

    trials: int = 1000
    """Claims in each row."""
    seeds: tuple[int, ...] = (8, 16, 32)
    resamples: int = 400
    """Resamples of a shape and of a bootstrap interval; the bench's own default is 2,000."""
    effects: tuple[float, ...] = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0)
    """Deviations in standard errors, then in standard deviations, of the tables of power."""
    samples: int = 10_000
    """Samples of each row of the table of coverage."""


class Tally(NamedTuple):
    """How many of the claims came out in each way."""

    confirmed: int
    refuted: int
    inconclusive: int
    out_of_regime: int


def tally(case: Case, trials: int) -> Tally:
    """Judge `trials` claims, each on its own draws; a case draws apart from every other."""
    root = zlib.crc32(f"{case.what} {case.true} {case.n}".encode())
    rng = np.random.default_rng(root)
    keys = [np.array([root, i], dtype=np.uint32) for i in range(trials)]  # the bits of a key
    found = [case.make(rng).judge(key).verdict for key in keys]
    return Tally(*(found.count(lab.Outcome(field)) for field in Tally._fields))


def wrong(case: Case, found: Tally) -> int:
    """Return how many verdicts are wrong: true claims refuted, false ones confirmed."""
    return found.refuted if case.true else found.confirmed


def exceeds(case: Case, found: Tally) -> bool:
    """Return whether wrong verdicts are more than designed, for sure (99.9 %, one-sided)."""
    low = proportion_interval(wrong(case, found), sum(found), 0.998).low
    return case.design is not None and bool(low > case.design)


def table(title: str, rows: Iterable[Case], config: Config) -> int:
    """Judge and print one row a case; return how many rows exceed their design."""
    print(f"\n{title}\n{'%':>48}{'n':>4} {'true':>5} {'conf.':>6} {'ref.':>6} {'inc.':>6}", end="")
    print(f" {'out':>6} {'wrong [95 %]':>20} {'design':>7}")
    bad = 0
    for case in rows:
        found = tally(case, config.trials)
        iv = proportion_interval(wrong(case, found), config.trials)
        shares = " ".join(f"{100 * x / config.trials:6.1f}" for x in found)
        design = "none" if case.design is None else f"{100 * case.design:.2g}"
        mark = " EXCEEDED" if exceeds(case, found) else ""
        bad += bool(mark)
        print(
            f"{case.what:48}{case.n:4} {'yes' if case.true else 'no':>5} {shares} "
            f"{100 * iv.estimate:5.1f} [{100 * iv.low:5.1f}, {100 * iv.high:5.1f}] "
            f"{design:>7}{mark}",
            flush=True,
        )
    return bad


def power(title: str, kinds: dict, config: Config, unit: str) -> None:
    """Print how often a Gaussian deviation of each size is refuted, by kind and number of seeds."""
    print(f"\n{title}\n{'':24}{'n':>4}" + "".join(f"{x:8g}" for x in config.effects) + f"  {unit}")
    for name, make in kinds.items():
        for n in config.seeds:
            refuted = []
            for x in config.effects:
                size = x / math.sqrt(n) if unit == "se" else x / 2
                case = Case(name, x == 0, n, lambda rng, n=n, d=size, m=make: m(rng, n, d))
                refuted.append(tally(case, config.trials).refuted / config.trials)
            print(f"{name:24}{n:4}" + "".join(f"{100 * r:8.1f}" for r in refuted), flush=True)


def deviating(config: Config) -> dict:
    """Return the makers of claims that are false by d standard deviations."""

    def expectation(rng, n, d, m=1):
        x = rng.normal(size=(n, m))
        x[:, 0] += d
        return lab.Expectation(x, 0.0, 9.0)

    def rate(rng, n, d):
        slope = rng.normal(size=(n, 1)) * 0.1 + 0.1 * d + 0.1
        return lab.Rate(cases.SIZES, cases.SIZES**slope, 0.0, 0.1)

    def shape(rng, n, d):
        x = rng.normal(size=(n, 2)) / math.sqrt(2) - [0.0, d]
        return lab.Shape(x, cases.rises, resamples=config.resamples)

    return {
        "expectation, 1 cell": expectation,
        "expectation, 1 of 10": lambda rng, n, d: expectation(rng, n, d, 10),
        "expectation, 1 of 85": lambda rng, n, d: expectation(rng, n, d, 85),
        "upper bound, 1 cell": lambda rng, n, d: lab.Bound(rng.normal(size=n) + d, 0.0),
        "rate": rate,
        "shape, 2 means": shape,
    }


def coverage(law: str, n: int, config: Config) -> list[float]:
    """Return how often intervals hold the mean: t, the deciding one, BCa (a tenth of samples)."""
    draw, mean, _ = cases.draws(law, config.samples)
    x, few = draw(np.random.default_rng(1), n), max(1, config.samples // 10)

    def held(iv: Interval) -> float:
        return float(np.mean((iv.low <= mean) & (mean <= iv.high)))

    bca = bootstrap_interval(jax.random.key(1), x[:, :few], resamples=config.resamples)
    decides = deciding_interval(x, np.full(x.shape[1], mean), 1 - LEVEL, None)[0]
    return [held(mean_interval(x)), held(decides), held(bca)]


def main(config: Config) -> int:
    """Print the tables; return 0 if no rate exceeds its design."""
    laws, skewed = [law for law in cases.LAWS if law not in cases.SKEWED], cases.SKEWED
    bad = table("Exact kinds", cases.exact_kinds(), config)
    by_n = [(law, n) for law in (*laws, *cases.RATES, *skewed) for n in config.seeds]
    rows = [case for law, n in by_n for case in cases.mean_kinds(law, n)]
    bad += table("Means over seeds", rows, config)
    by_n = [(law, n) for law in (*laws, *skewed) for n in config.seeds]
    rows = [case for law, n in by_n for case in cases.trend_kinds(law, n, config.resamples)]
    rows += [case for n in config.seeds for case in cases.many_ties(n, config.resamples)]
    bad += table("Trends", rows, config)
    grid = [(law, m, one) for law in ("Gaussian", *skewed) for m in (1, 10, 85) for one in (0, 1)]
    rows = [c for law, m, one in grid if m > one for c in cases.many_cells(law, m, bool(one))]
    bad += table("Many cells together", [*rows, *cases.masked(16)], config)
    print(f"\nCoverage of 95 % intervals of a mean\n{'%':>28}{'t':>7}{'decides':>9}{'BCa':>7}")
    alone = [law for law in laws if law != "paired"]  # its samples would share their seeds
    for law in (*alone, *cases.RATES, *skewed):
        for n in (8, 12, 24, 32):
            t, decides, bca = (100 * c for c in coverage(law, n, config))
            print(f"{law:24}{n:4}{t:7.1f}{decides:9.1f}{bca:7.1f}", flush=True)
    kinds = deviating(config)
    power("Refuted, % (0: a control that is really true)", kinds, config, "se")
    controls = {name: make for name, make in kinds.items() if "1" in name}
    power("Refuted, % (a control is missed by the rest)", controls, config, "sd / 2")
    print(f"\nrates above their design: {bad}")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main(tyro.cli(Config)))
