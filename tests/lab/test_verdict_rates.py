"""How often true claims are refuted and false ones confirmed, at the edge, for every kind.

The full run, with its tables, is `python -m benchmarks.verdict_rates`. Every count is held against
the exact binomial law at the designed rate: a test fails wrongly less than once in a thousand.
"""

from itertools import chain

import numpy as np
import pytest
from scipy import stats as sps

from benchmarks import verdict_cases as cases
from benchmarks.verdict_rates import Config, Tally, deviating, exceeds, main, tally, wrong
from jaxrobust import lab

TRIALS = 200
LAWS = ("Gaussian", "paired", "t3")


def judged(rows, trials=TRIALS):
    return [(case, tally(case, trials)) for case in rows]


def within_design(rows):
    found = judged(rows)
    assert found
    assert not [(case.what, case.true, out) for case, out in found if exceeds(case, out)]
    return found


def test_exact_kinds_are_never_wrong():
    for case, found in within_design(cases.exact_kinds()):
        assert wrong(case, found) == 0
        assert found.refuted == (0 if case.true else TRIALS)


@pytest.mark.parametrize("law", [*LAWS, *cases.RATES])
def test_means_at_the_edge(law):
    sizes = (8, 32) if law == "Gaussian" else (8,)
    within_design(chain.from_iterable(cases.mean_kinds(law, n) for n in sizes))


@pytest.mark.parametrize("law", LAWS)
def test_trends_at_the_edge(law):
    within_design(cases.trend_kinds(law, 8, resamples=200))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("cells", [10, 85])
def test_claims_over_many_cells(cells, shared):
    within_design(cases.many_cells("Gaussian", cells, shared))


def test_masked_cells_do_not_count():
    found = {case.what: out for case, out in within_design(cases.masked(8))}
    assert found["expectation, all cells masked"].out_of_regime == TRIALS
    assert found["expectation, false cell masked"].confirmed >= 0.85 * TRIALS


def test_the_stated_limits_of_shapes():
    found = {case.what: wrong(case, out) / TRIALS for case, out in judged(cases.many_ties(16, 200))}
    stated = {
        "shape, 3 equal means in order": 0.19,
        "shape, 5 equal means in order": 0.92,
        "shape, one of 3 means above its equal": 0.30,
        "shape, one of 5 means above its equal": 0.69,
    }
    assert found == pytest.approx(stated, abs=0.1)
    skewed = [c for c in cases.trend_kinds("log-normal", 8, 200) if c.what.endswith("a >= 0")]
    [(case, out)] = judged(skewed)
    assert wrong(case, out) / TRIALS == pytest.approx(0.15, abs=0.08)


def test_a_weak_ordering_is_safe_as_a_bound_on_differences():
    def ordered(rng):
        return lab.Bound(np.diff(rng.normal(size=(16, 5)), axis=1), 0.0, "lower")

    case = cases.Case("5 equal means in order", True, 16, ordered)
    assert not exceeds(case, tally(case, TRIALS))


@pytest.mark.parametrize("name", deviating(Config()))
def test_large_deviations_are_refuted(name):
    """A control 4 standard deviations off, 16 seeds: none of 100 escapes one in ten times."""
    make = deviating(Config(resamples=200))[name]
    case = cases.Case(name, False, 16, lambda rng: make(rng, 16, 4.0))
    found = tally(case, 100)
    assert found.confirmed == 0
    assert found.refuted >= 95


def test_true_claims_with_room_are_confirmed():
    def kinds(rng):
        x = rng.normal(size=(16, 4))
        yield lab.Bound(x, 2.0)
        yield lab.Bound(x, -2.0, "lower")
        yield lab.Expectation(x, 0.0, 1.5)
        yield lab.Rate(cases.SIZES, cases.SIZES ** (0.1 * x[:, :1] - 0.5), -0.5, 0.2)
        yield lab.Shape(x[:, :2] + [0.0, 3.0], cases.rises, resamples=200)

    for i in range(5):
        case = cases.Case("room", True, 16, lambda rng, i=i: list(kinds(rng))[i])
        assert tally(case, 100).confirmed >= 90, i


@pytest.mark.parametrize("n", [3, 5, 10])
def test_a_formula_off_by_twice_the_resolution_is_not_confirmed(n):
    case = cases.Case(
        "twice",
        False,
        n,
        lambda rng: lab.Expectation(rng.normal(size=n), 1.2, resolution=0.5, tolerance=0.2),
        0.025,
    )
    assert not exceeds(case, tally(case, 500))


def test_a_broken_engine_would_be_seen(monkeypatch):
    monkeypatch.setattr("jaxrobust.lab.means.cell_alpha", lambda alpha, cells: alpha)
    rows = [case for case in cases.many_cells("Gaussian", 10, shared=False) if case.true]
    assert all(exceeds(case, tally(case, 100)) for case in rows)


def test_exceeding_is_told_by_the_exact_law():
    case = cases.Case("any", True, 8, lambda rng: None, 0.05)
    limit = int(sps.binom.ppf(0.999, 1000, 0.05))
    told = [exceeds(case, Tally(0, k, 1000 - k, 0)) for k in (limit - 1, limit + 2)]
    assert told == [False, True]


def test_the_benchmark_prints_its_tables(capsys):
    tiny = Config(trials=3, seeds=(8,), resamples=100, effects=(0.0, 4.0), samples=200)
    assert main(tiny) == 0
    printed = capsys.readouterr().out
    for word in ("Exact kinds", "Means over seeds", "Trends", "Many cells", "Coverage", "Refuted"):
        assert word in printed
    assert "rates above their design: 0" in printed
