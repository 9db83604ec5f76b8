"""Intervals beside SciPy's and written out again, and how often they hold the truth."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as sps

from benchmarks.verdict_cases import draws
from jaxrobust.lab.judgement import Outcome
from jaxrobust.lab.means import Bound, Expectation
from jaxrobust.lab.stats import (
    bootstrap_interval,
    cell_alpha,
    deciding_interval,
    generator,
    mean_interval,
    proportion_interval,
    skew_interval,
    skewness,
)
from jaxrobust.lab.trends import slope_interval

KEY = jax.random.key(7)
MANY = 20_000


def misses(interval, mean):
    """How often an interval lies wholly above and wholly below the mean."""
    return np.mean(interval.low > mean), np.mean(interval.high < mean)


# Beside SciPy


@pytest.mark.parametrize("level", [0.5, 0.95, 0.9994])
@pytest.mark.parametrize("n", [1, 2, 8, 33])
def test_proportion_interval_is_scipys(n, level):
    iv = proportion_interval(np.arange(n + 1), n, level)
    for k in range(n + 1):
        want = sps.binomtest(k, n).proportion_ci(level, method="exact")
        assert (iv.low[k], iv.high[k]) == pytest.approx((want.low, want.high), rel=1e-9)
        assert iv.estimate[k] == k / n


@pytest.mark.parametrize("hits", [-1, 9, 0.5, np.nan])
def test_hits_are_whole_numbers(hits):
    with pytest.raises(ValueError, match=r"hits must be whole numbers in 0..8"):
        proportion_interval([hits, 1], 8)


@pytest.mark.parametrize("n", [2, 8, 30])
def test_skewness_is_scipys(n):
    x = np.random.default_rng(n).gamma(0.5, size=(n, 40))
    np.testing.assert_allclose(skewness(x), sps.skew(x), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(skewness(1e-200 * x), sps.skew(x), rtol=1e-9, atol=1e-12)
    assert skewness(np.ones((n, 2))).tolist() == [0.0, 0.0]
    assert skewness([1.0, np.nan, 2.0]) == 0.0


def test_skew_interval_is_the_formula():
    x = np.random.default_rng(0).gamma(0.5, size=(12, 50))
    x[:, 25:] *= -1
    iv, plain = skew_interval(x, 0.99), mean_interval(x, 0.99)
    t, error = sps.t.isf(0.005, 11), sps.sem(x)
    shift = sps.skew(x) * (2 * t**2 + 1) / (6 * np.sqrt(12)) * error
    np.testing.assert_allclose(
        iv.low, np.minimum(x.mean(0) - t * error, x.mean(0) - t * error + shift)
    )
    np.testing.assert_allclose(
        iv.high, np.maximum(x.mean(0) + t * error, x.mean(0) + t * error + shift)
    )
    assert np.all((iv.low < plain.low) != (iv.high > plain.high))
    mirrored = skew_interval(-x, 0.99)
    np.testing.assert_allclose(mirrored.low, -iv.high)


def test_skew_interval_keeps_open_and_equal_cells():
    x = np.stack([np.ones(5), np.r_[np.nan, np.arange(4.0)], [-2.0, -1.0, 0.0, 1.0, 2.0]], axis=1)
    iv, plain = skew_interval(x), mean_interval(x)
    np.testing.assert_allclose(iv.low, plain.low)
    np.testing.assert_allclose(iv.high, plain.high)
    assert (skew_interval([3.0]).low, skew_interval([3.0]).high) == (-np.inf, np.inf)


def test_bca_is_written_out_again_on_the_same_resamples():
    x, n, level = np.random.default_rng(3).gamma(1.0, size=(40, 12)), 12, 0.9
    iv = bootstrap_interval(KEY, x.T, level=level, resamples=700)
    drawn = sps.bootstrap(
        (x,), np.mean, axis=-1, vectorized=True, n_resamples=700, rng=generator(KEY)
    ).bootstrap_distribution
    for cell, sample, ours in zip(x, drawn, np.stack([iv.low, iv.high], axis=1), strict=True):
        below = (np.sum(sample < cell.mean()) + np.sum(sample <= cell.mean())) / 2 / len(sample)
        bias = sps.norm.ppf(below)
        left_out = np.array([np.delete(cell, i).mean() for i in range(n)])
        pull = left_out.mean() - left_out
        acceleration = np.sum(pull**3) / (6 * np.sum(pull**2) ** 1.5)
        z = bias + sps.norm.ppf([(1 - level) / 2, (1 + level) / 2])
        at = sps.norm.cdf(bias + z / (1 - acceleration * z))
        np.testing.assert_allclose(ours, np.percentile(sample, 100 * at), rtol=1e-9)


def test_bootstrap_agrees_with_scipys_own_draws_on_many_samples():
    x = np.random.default_rng(4).gamma(1.0, size=(12, 60))
    ours = bootstrap_interval(KEY, x, resamples=2000)
    theirs = sps.bootstrap((x,), np.mean, axis=0, n_resamples=2000, rng=np.random.default_rng(5))
    for mine, other in (
        (ours.low, theirs.confidence_interval.low),
        (ours.high, theirs.confidence_interval.high),
    ):
        apart = (mine - other) / ours.half
        assert np.sqrt(np.mean(apart**2)) < 0.15  # Monte Carlo error: 0.05, the far tail 0.15
        assert np.abs(apart).max() < 0.5
        assert abs(apart.mean()) < 0.02


def test_slopes_are_scipys():
    rng, sizes = np.random.default_rng(8), np.array([8, 16, 32, 64, 100])
    for _ in range(10):
        values = sizes ** rng.normal() * rng.lognormal(sigma=0.4, size=(7, 5))
        slopes = [sps.linregress(np.log(sizes), np.log(v)).slope for v in values]
        want = sps.t.interval(0.95, 6, np.mean(slopes), sps.sem(slopes))
        iv = slope_interval(sizes, values)
        assert (iv.low, iv.high) == pytest.approx(want, rel=1e-9)


# In judgements


def test_seeds_of_0_and_1_get_exact_limits_and_keep_that_they_are_events():
    x = np.array([True] * 3 + [False] * 13)
    for test in (Expectation(x, 0.2, 0.3), replace(Expectation(x, 0.2, 0.3)), Bound(x, 0.5)):
        judgement = test.judge(KEY)
        tail = 0.05 if isinstance(test, Bound) else 0.025
        exact = [sps.beta.ppf(tail, 3, 14), sps.beta.isf(tail, 4, 13)]
        assert judgement.interval == pytest.approx(exact)
        assert "(exact, seeds are 0 or 1)" in judgement.detail
        assert test.events is True
    with pytest.raises(ValueError, match=r"samples must be 0 or 1 where events=True, got 0\.5"):
        Expectation([0.0, 0.5], 0.2, 0.3, events=True)


def test_skewed_seeds_are_told_and_widen_one_limit_only():
    judgement = Expectation([0.0, 0.1, 0.2, 0.1, 3.0], 1.0, 9.0).judge(KEY)
    assert "(skewness 1.5, the error level is approximate)" in judgement.detail
    low, high = sps.t.interval(0.95, 4, 0.68, sps.sem([0.0, 0.1, 0.2, 0.1, 3.0]))
    assert judgement.interval[0] == pytest.approx(low)
    assert judgement.interval[1] > high + 0.5


# How often they hold the truth


@pytest.mark.parametrize("n", [8, 12, 24, 32])
def test_deciding_interval_covers_at_its_level(n):
    for law in ("Gaussian", "t3", "0-1, p = .02", "0-1, p = .2"):
        draw, mean, _ = draws(law, MANY)
        iv, exact = deciding_interval(
            draw(np.random.default_rng(n), n), np.full(MANY, mean), 0.95, None
        )
        assert sum(misses(iv, mean)) <= 0.05 + 4 * np.sqrt(0.0475 / MANY), law
        assert np.all(exact) == law.startswith("0-1")
    if n >= 24:
        assert sum(misses(iv, mean)) > 0.01  # not for being far too wide


@given(st.integers(2, 40), st.floats(0.001, 0.999))
def test_proportions_miss_no_more_than_their_level_for_any_n_and_p(n, p):
    iv, law = proportion_interval(np.arange(n + 1), n), sps.binom(n, p)
    mass = law.pmf(np.arange(n + 1))
    assert mass[iv.low > p].sum() <= 0.025 + 1e-12
    assert mass[iv.high < p].sum() <= 0.025 + 1e-12


# law, seeds: (one cell: t, deciding), (10 cells: t, deciding), upper limit below the mean
STATED = {
    ("exponential", 8): (0.105, 0.077, 0.30, 0.19, 0.11),
    ("exponential", 32): (0.069, 0.046, 0.17, 0.07, 0.07),
    ("log-normal", 8): (0.168, 0.128, 0.52, 0.35, 0.17),
    ("log-normal", 32): (0.115, 0.079, 0.39, 0.20, 0.11),
}


@pytest.mark.parametrize(("law", "n"), STATED)
def test_the_stated_weakness_for_skewed_seeds(law, n):
    x = draws(law, MANY)[0](np.random.default_rng(n), n)
    found = []
    for cells in (1, 10):
        level = 1 - cell_alpha(0.05, cells)
        for iv in (
            mean_interval(x, level),
            deciding_interval(x, np.full(MANY, 9.0), level, None)[0],
        ):
            found.append(1 - (1 - sum(misses(iv, 0.0))) ** cells)
    found.append(misses(skew_interval(x, 0.9), 0.0)[1])
    np.testing.assert_allclose(found, STATED[law, n], atol=0.03, rtol=0)


def test_the_price_for_gaussian_seeds_is_what_is_stated():
    for n, one, ten in ((8, 1.07, 1.11), (16, 1.04, 1.06)):
        x = np.random.default_rng(n).normal(size=(n, MANY))
        for cells, price in ((1, one), (10, ten)):
            level = 1 - cell_alpha(0.05, cells)
            ratio = np.median(skew_interval(x, level).half) / np.median(
                mean_interval(x, level).half
            )
            assert ratio == pytest.approx(price, abs=0.01)


def test_bca_covers_as_little_as_stated():
    x = np.random.default_rng(6).normal(size=(10, 4000))
    held = 1 - sum(misses(bootstrap_interval(KEY, x, resamples=400), 0.0))
    assert held == pytest.approx(0.90, abs=0.02)


# Many cells together


@pytest.mark.parametrize("method", ["bonferroni", "sidak"])
@pytest.mark.parametrize("cells", [1, 10, 85])
def test_family_wise_error_is_the_exact_formula(cells, method):
    alpha, families = cell_alpha(0.05, cells, method), 4000
    rng = np.random.default_rng(cells)
    missed = np.empty((2, families), dtype=bool)
    for start in range(0, families, 500):
        x = rng.normal(size=(8, 500, cells))
        iv = mean_interval(x, 1 - alpha)
        outside = (iv.low > 0) | (iv.high < 0)
        missed[0, start : start + 500] = outside.any(axis=1)
        missed[1, start : start + 500] = outside[:, 0]  # all cells the same
    independent, same = 1 - (1 - alpha) ** cells, alpha
    for found, exact in zip(missed, (independent, same), strict=True):
        low, high = proportion_interval(found.sum(), families, 0.9999)[1:]
        assert low <= exact <= high
    assert independent <= 0.05 + 1e-12


def test_one_wrong_cell_of_many_refutes_and_all_must_respect_to_confirm():
    x = np.random.default_rng(0).normal(size=(16, 85))
    assert Bound(x, 2.0).judge(KEY).verdict == Outcome.CONFIRMED
    x[:, 40] += 4.5
    assert Bound(x, 2.0).judge(KEY).verdict == Outcome.REFUTED
    x[:, 40] -= 2.5  # on the bound: neither
    assert Bound(x, 2.0).judge(KEY).verdict == Outcome.INCONCLUSIVE
