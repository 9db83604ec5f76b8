"""Intervals beside SciPy's, their coverage, and the degenerate samples that must not lie."""

import doctest
import importlib

import jax
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as sps

from jaxrobust.lab.judgement import by_seed, nonfinite, numbers
from jaxrobust.lab.stats import (
    bootstrap_interval,
    cell_alpha,
    generator,
    mean_interval,
)
from jaxrobust.lab.trends import slope_interval

KEY = jax.random.key(7)


def at_most(rate: float, trials: int = 1000) -> int:
    """Return the count that a binomial of this rate exceeds once in a thousand."""
    return int(sps.binom.ppf(0.999, trials, rate))


def coverage(interval, truth):
    return np.mean((interval.low <= truth) & (truth <= interval.high))


@pytest.mark.parametrize(
    "name", ["stats", "judgement", "exact", "means", "trends", "claim", "crew"], ids=str
)
def test_docstring_examples_run(name):
    result = doctest.testmod(importlib.import_module(f"jaxrobust.lab.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


# Student's t


@pytest.mark.parametrize("level", [0.5, 0.95, 0.9999])
@pytest.mark.parametrize("n", [2, 3, 30])
def test_mean_interval_is_scipys(n, level):
    x = np.random.default_rng(n).normal(3.0, 2.0, (n, 4, 2))
    iv = mean_interval(x, level)
    low, high = sps.t.interval(level, n - 1, loc=x.mean(0), scale=sps.sem(x, axis=0))
    assert iv.low.shape == (4, 2)
    np.testing.assert_allclose(iv.low, low, rtol=1e-9)
    np.testing.assert_allclose(iv.high, high, rtol=1e-9)
    np.testing.assert_allclose(iv.half, (high - low) / 2, rtol=1e-9)


@given(st.integers(2, 9), st.floats(-1e6, 1e6), st.floats(1e-3, 1e3))
def test_mean_interval_moves_and_scales_with_the_samples(n, shift, scale):
    x = np.random.default_rng(n).normal(size=n)
    base, moved = mean_interval(x), mean_interval(shift + scale * x)
    np.testing.assert_allclose(moved.half, scale * base.half, rtol=1e-5)
    np.testing.assert_allclose(moved.estimate, shift + scale * base.estimate, rtol=1e-7, atol=1e-6)


def test_mean_interval_along_another_axis():
    x = np.random.default_rng(0).normal(size=(4, 6))
    np.testing.assert_array_equal(mean_interval(x, axis=1).low, mean_interval(x.T).low)


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e300, -7.7])
def test_equal_samples_have_exactly_zero_width(value):
    iv = mean_interval(np.full((3, 2), value))
    assert np.all(iv.low == value)
    assert np.all(iv.high == value)
    assert np.all(iv.estimate == value)


def test_one_seed_cannot_tell():
    iv = mean_interval([[1.0, 2.0]])
    assert np.all(np.isneginf(iv.low))
    assert np.all(np.isposinf(iv.high))
    assert iv.estimate.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_nonfinite_sample_opens_its_own_cell_only(bad):
    x = np.array([[1.0, bad], [2.0, 1.0], [3.0, 2.0]])
    iv = mean_interval(x)
    assert np.isnan(iv.estimate[1])
    assert (iv.low[1], iv.high[1]) == (-np.inf, np.inf)
    assert iv.low[0] == mean_interval(x[:, 0]).low
    assert nonfinite(x) == (1, 6)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_mean_interval_covers_at_its_level(level):
    x = np.random.default_rng(1).normal(5.0, 3.0, (6, 20_000))
    error = 4 * np.sqrt(level * (1 - level) / 20_000)
    assert coverage(mean_interval(x, level), 5.0) == pytest.approx(level, abs=error)


def test_the_stated_weakness_for_skewed_samples():
    x = np.random.default_rng(2).lognormal(size=(10, 20_000))
    assert coverage(mean_interval(x), np.exp(0.5)) == pytest.approx(0.84, abs=0.012)


# The bootstrap


@pytest.mark.parametrize("statistic", [np.mean, np.std, lambda x, axis: np.max(x, axis=axis)])
def test_bootstrap_is_scipys(statistic):
    x = np.random.default_rng(3).gamma(2.0, size=(12, 3))
    iv = bootstrap_interval(KEY, x, statistic, level=0.9, resamples=500)
    want = sps.bootstrap(
        (x,),
        statistic,
        axis=0,
        vectorized=True,
        n_resamples=500,
        confidence_level=0.9,
        method="BCa",
        rng=generator(KEY),
    ).confidence_interval
    good = np.isfinite(want.low) & np.isfinite(want.high)
    np.testing.assert_allclose(iv.low[good], want.low[good], rtol=1e-12)
    np.testing.assert_allclose(iv.high[good], want.high[good], rtol=1e-12)
    assert np.all(np.isfinite(iv.low) & np.isfinite(iv.high))


def test_bootstrap_follows_its_key():
    x = np.random.default_rng(4).normal(size=(9, 2))
    a, b = (bootstrap_interval(KEY, x, resamples=300) for _ in range(2))
    c = bootstrap_interval(jax.random.key(8), x, resamples=300)
    np.testing.assert_array_equal(a.low, b.low)
    assert np.any(a.low != c.low)


def test_bootstrap_of_a_cell_does_not_depend_on_its_neighbours(monkeypatch):
    x = np.random.default_rng(5).normal(size=(8, 5))
    x[:, 3] = 1.0
    x[0, 4] = np.nan
    together = bootstrap_interval(KEY, x, resamples=400)
    alone = bootstrap_interval(KEY, x[:, 1], resamples=400)
    np.testing.assert_allclose(together.low[1], alone.low, rtol=1e-13)
    monkeypatch.setattr(importlib.import_module("jaxrobust.lab.stats"), "_BATCH", 64)
    chunked = bootstrap_interval(KEY, x, resamples=400)
    np.testing.assert_allclose(together.high, chunked.high, rtol=1e-13)


def test_bootstrap_of_degenerate_cells_is_told_apart():
    x = np.stack([np.full(6, 0.1), np.arange(6.0), np.r_[np.nan, np.arange(5.0)]], axis=1)
    iv = bootstrap_interval(KEY, x, resamples=200)
    assert iv.low[0] == iv.high[0] == iv.estimate[0] == pytest.approx(0.1)
    assert iv.low[1] < 2.5 < iv.high[1]
    assert (iv.low[2], iv.high[2]) == (-np.inf, np.inf)
    assert np.isnan(iv.estimate[2])
    assert bootstrap_interval(KEY, [1.0]).high == np.inf


def test_bootstrap_falls_back_where_bca_is_undefined():
    iv = bootstrap_interval(KEY, [1.0] * 7 + [5.0], np.median, resamples=200)
    assert (iv.low, iv.high) == (1.0, 1.0)
    one_d = bootstrap_interval(KEY, np.arange(5.0), lambda x: x.max(), resamples=200)
    assert one_d.high == 4.0


def test_bootstrap_covers_nearly_at_its_level():
    x = np.random.default_rng(6).normal(size=(20, 1000))
    assert coverage(bootstrap_interval(KEY, x, resamples=500), 0.0) > 0.90


def test_old_and_typed_keys_give_the_same_generator():
    old, new = jax.random.PRNGKey(3), jax.random.key(3)
    assert generator(old).random() == generator(new).random()
    assert generator(new).random() != generator(jax.random.fold_in(new, 1)).random()


@pytest.mark.parametrize("key", [0, "key", np.zeros(2), None])
def test_what_is_not_a_key_is_refused(key):
    with pytest.raises(ValueError, match=r"key must be a key such as jax.random.key\(0\)"):
        generator(key)


def test_a_batch_of_keys_is_refused():
    with pytest.raises(ValueError, match="one key, got a batch of shape"):
        generator(jax.random.split(KEY, 3))


# Slopes


def test_slope_is_the_least_squares_one_of_each_seed():
    rng = np.random.default_rng(8)
    sizes = np.array([8, 16, 32, 64, 100])
    values = sizes**-0.7 * rng.lognormal(sigma=0.2, size=(6, 5))
    slopes = [np.polyfit(np.log(sizes), np.log(v), 1)[0] for v in values]
    iv, want = slope_interval(sizes, values), mean_interval(slopes)
    np.testing.assert_allclose(list(iv), list(want), rtol=1e-10)
    plain = slope_interval(sizes, values, log=False)
    np.testing.assert_allclose(
        plain.estimate, np.mean([np.polyfit(sizes, v, 1)[0] for v in values]), rtol=1e-10
    )


def test_slope_interval_covers_although_sizes_share_a_seed():
    rng, hits = np.random.default_rng(9), 0
    sizes = np.array([10.0, 20, 40, 80])
    for _ in range(1000):
        noise = rng.normal(size=(5, 1)) + 0.3 * rng.normal(size=(5, 4))
        hits += coverage(slope_interval(sizes, sizes**-0.5 * np.exp(noise)), -0.5)
    assert 1000 - hits <= at_most(0.05)
    assert hits <= 975


def test_slope_of_nonfinite_values_is_open():
    iv = slope_interval([1, 2, 4], [[1.0, np.nan, 2.0], [1.0, np.inf, 2.0], [1.0, 2.0, 3.0]])
    assert (iv.low, iv.high) == (-np.inf, np.inf)


@pytest.mark.parametrize(
    ("sizes", "values", "message"),
    [
        ([1, 2], [[1.0, 0.0]], "values must be positive to take logs, got 0"),
        ([-1, 2], [[1.0, 1.0]], "sizes must be positive to take logs, got -1"),
        ([1, 2, 3], [[1.0, 1.0]], r"values must have shape \(seed, size\)"),
        ([1, 2], [1.0, 1.0], r"values must have shape \(seed, size\)"),
        ([2, 2], [[1.0, 1.0]], "sizes must be finite and hold two different ones"),
        ([2, np.nan], [[1.0, 1.0]], "sizes must be finite"),
    ],
)
def test_bad_slopes_are_refused_in_one_line(sizes, values, message):
    with pytest.raises(ValueError, match=message) as error:
        slope_interval(sizes, values)
    assert "\n" not in str(error.value)


# Many cells


def test_sidak_is_the_law_of_the_least_p_value():
    for m in (1, 2, 7, 1000):
        assert cell_alpha(0.05, m, "sidak") == pytest.approx(sps.beta.ppf(0.05, 1, m), rel=1e-9)
        assert cell_alpha(0.05, m) == pytest.approx(0.05 / m)
        assert cell_alpha(0.05, m) <= cell_alpha(0.05, m, "sidak") * (1 + 1e-12)
        assert cell_alpha(0.05, m, "sidak") < 1.03 * cell_alpha(0.05, m)


@pytest.mark.parametrize("shared", [0.0, 0.9])
@pytest.mark.parametrize("method", ["bonferroni", "sidak"])
def test_simultaneous_intervals_hold_together(method, shared):
    rng = np.random.default_rng(10)
    common = rng.normal(size=(8, 4000, 1))
    x = np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.normal(size=(8, 4000, 20))
    iv = mean_interval(x, 1 - cell_alpha(0.05, 20, method))
    missed = np.mean(np.any((iv.low > 0) | (iv.high < 0), axis=1))
    assert missed <= at_most(0.05, 4000) / 4000
    uncorrected = mean_interval(x)
    many = np.mean(np.any((uncorrected.low > 0) | (uncorrected.high < 0), axis=1))
    assert many > 0.1


# The boundary


@pytest.mark.parametrize("x", ["text", [1j], None, [], [[1.0], [1.0, 2.0]], np.zeros((0, 3))])
def test_what_is_not_numbers_is_refused_in_one_line(x):
    with pytest.raises(ValueError, match="samples") as error:
        numbers("samples", x)
    assert "\n" not in str(error.value)


def test_named_dims_are_turned_seed_first():
    x = xr.DataArray(np.arange(6.0).reshape(2, 3), dims=("rate", "seed"))
    np.testing.assert_array_equal(by_seed("samples", x), x.values.T)
    with pytest.raises(ValueError, match="name the axis of replicates 'seed'"):
        by_seed("samples", x.rename(seed="run"))
    with pytest.raises(ValueError, match="got one number"):
        by_seed("samples", 1.0)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, float("nan")])
def test_levels_are_fractions(level):
    with pytest.raises(ValueError, match="level must lie strictly between 0 and 1"):
        mean_interval([1.0, 2.0], level)
    with pytest.raises(ValueError, match="level must lie strictly between 0 and 1"):
        bootstrap_interval(KEY, [1.0, 2.0], level=level)
    with pytest.raises(ValueError, match="alpha must lie strictly between 0 and 1"):
        cell_alpha(level, 3)


def test_jax_and_low_precision_samples_are_taken():
    x = jax.numpy.asarray([1.0, 2.0, 4.0], dtype=jax.numpy.bfloat16)
    assert mean_interval(x).estimate == pytest.approx(7 / 3)
    assert mean_interval([True, False]).estimate == 0.5
