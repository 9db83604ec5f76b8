"""Every kind and every verdict by hand: the numbers reported, the cell that decides, named dims."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr
from scipy import stats as sps

from benchmarks.verdict_cases import SIZES, rises
from jaxrobust.lab.claim import (
    Bound,
    Claim,
    Expectation,
    Identity,
    Judgement,
    Outcome,
    Rate,
    Shape,
    Solver,
    judge,
)

KEY = jax.random.key(0)
NAN, INF = float("nan"), float("inf")


def power(exponent, spread, n=6, seed=0):
    noise = np.random.default_rng(seed).lognormal(sigma=spread, size=(n, 4))
    return SIZES**exponent * noise


def around(mean, spread=0.1, n=10, seed=0):
    """Symmetric samples (n even) of mean `mean` and of standard deviation `spread`, exactly."""
    x = np.random.default_rng(seed).normal(size=(n // 2, *np.shape(mean)))
    x = np.concatenate([x, -x])
    x = x / x.std(0, ddof=1)
    return mean + spread * x


HANDMADE = {
    "identity holds": (Identity([0.0, -1e-13], 1e-12), "confirmed"),
    "identity at its tolerance": (Identity(0.5, 0.5), "confirmed"),
    "identity broken": (Identity([0.0, -1e-3], 1e-12), "refuted"),
    "identity nan": (Identity([0.0, NAN], 1.0), "refuted"),
    "identity inf": (Identity([0.0, -INF], 1.0), "refuted"),
    "identity masked": (Identity([0.0, NAN], 1.0, in_regime=[True, False]), "confirmed"),
    "identity all masked": (Identity([0.0, NAN], 1.0, in_regime=False), "out_of_regime"),
    "solver reaches": (Solver([1e-9], 1e-6, [1e-10], 1e-8), "confirmed"),
    "solver misses": (Solver([1e-9, -1e-3], 1e-6, 1e-10, 1e-8), "refuted"),
    "solver uncertified": (Solver([1e-9, 1.0], 1e-6, [1e-10, 1e-3], 1e-8), "inconclusive"),
    "solver gap below zero": (Solver([1e-9], 1e-6, [-1e-3], 1e-8), "inconclusive"),
    "solver nan": (Solver([NAN], 1e-6, [1e-10], 1e-8), "refuted"),
    "solver nan gap": (Solver([0.0], 1e-6, [NAN], 1e-8), "refuted"),
    "solver all masked": (Solver([NAN], 1.0, 0.0, 1.0, in_regime=[False]), "out_of_regime"),
    "expectation holds": (Expectation(around([1.0, 2.0]), [1.02, 1.98], 0.2), "confirmed"),
    "expectation off": (Expectation(around([1.0, 2.0]), [1.0, 1.5], 0.2), "refuted"),
    "expectation within tolerance": (Expectation(around(1.0), 1.5, 0.2, 0.5), "confirmed"),
    "expectation too wide": (Expectation(around([1.0, 2.0]), [1.0, 2.0], 0.01), "inconclusive"),
    "expectation one seed": (Expectation([1.0], 7.0, 1.0), "inconclusive"),
    "expectation exact": (Expectation([0.1 + 0.2] * 3, 0.3, 1e-6), "confirmed"),
    "expectation exact zero": (Expectation([0.0] * 3, 0.0, 1e-6), "confirmed"),
    "expectation no spread, wrong": (Expectation([0.3] * 3, 0.31, 1.0), "refuted"),
    "expectation nan": (Expectation([1.0, NAN, 1.0], 1.0, 1.0), "inconclusive"),
    "expectation all masked": (Expectation(around(1.0), 1.0, 1.0, 0.0, False), "out_of_regime"),
    "upper bound respected": (Bound(around([1.0, 2.0]), [1.5, 2.5]), "confirmed"),
    "upper bound violated": (Bound(around([1.0, 2.0]), [1.5, 1.5]), "refuted"),
    "upper bound met": (Bound(around([1.0, 2.0]), [1.5, 2.0]), "inconclusive"),
    "upper bound met, tolerance": (Bound(around(2.0), 2.0, tolerance=0.5), "confirmed"),
    "upper bound no spread": (Bound([0.1 + 0.2] * 3, 0.3), "confirmed"),
    "lower bound respected": (Bound(around(1.0), 0.5, "lower"), "confirmed"),
    "lower bound violated": (Bound(around(1.0), 1.5, "lower"), "refuted"),
    "lower bound met": (Bound(around(1.0), 1.0, "lower"), "inconclusive"),
    "bound one seed": (Bound([[1.0, 9.0]], [3.0, 3.0]), "inconclusive"),
    "bound nan": (Bound([1.0, NAN, 1.0], 3.0), "inconclusive"),
    "bound all masked": (Bound(around(1.0), NAN, in_regime=False), "out_of_regime"),
    "event unseen, likely enough": (Expectation([0.0] * 16, 0.02, 0.2), "confirmed"),
    "event unseen, too few seeds": (Expectation([0.0] * 16, 0.02, 0.1), "inconclusive"),
    "event unseen, too unlikely": (Expectation([0.0] * 16, 0.3, 0.2), "refuted"),
    "event never seen is not never": (Expectation([False] * 16, 0.0, 0.1), "inconclusive"),
    "no event, said": (Expectation([0.0] * 16, 0.02, 0.2, events=False), "refuted"),
    "events, said": (Expectation([0.0] * 16, 0.0, 0.1, events=True), "inconclusive"),
    "event unseen, upper bound": (Bound([0.0] * 16, 0.05), "inconclusive"),
    "event unseen, upper bound, more seeds": (Bound([0.0] * 59, 0.05), "confirmed"),
    "event unseen, lower bound": (Bound([0.0] * 16, 0.05, "lower"), "inconclusive"),
    "event always seen, lower bound": (Bound([1.0] * 59, 0.95, "lower"), "confirmed"),
    "zero without chance, bound": (Bound([0.0] * 3, 0.0), "confirmed"),
    "rate right": (Rate(SIZES, power(-0.5, 0.01), -0.5, 0.1), "confirmed"),
    "rate wrong": (Rate(SIZES, power(-0.5, 0.01), -1.0, 0.1), "refuted"),
    "rate too wide": (Rate(SIZES, power(-0.5, 1.0), -0.5, 0.1), "inconclusive"),
    "rate one seed": (Rate(SIZES, power(-0.5, 0.01, n=1), -0.5, 0.1), "inconclusive"),
    "rate nan": (Rate(SIZES, [[1.0, NAN, 1.0, 1.0]] * 3, -0.5, 0.1), "inconclusive"),
    "shape holds": (Shape(around(np.arange(3.0)), rises), "confirmed"),
    "shape fails": (Shape(around(-np.arange(3.0)), rises), "refuted"),
    "shape unclear": (Shape(around(np.zeros(2)), rises), "inconclusive"),
    "shape two seeds": (Shape(around(np.arange(3.0), n=2), rises), "inconclusive"),
    "shape nan": (Shape([[0.0, 1.0], [0.0, NAN], [0.0, 1.0]], rises), "inconclusive"),
    "shape no spread": (Shape([[0.0, 1.0]] * 4, rises), "confirmed"),
    "shape median": (Shape(around(np.arange(3.0)), rises, np.median), "confirmed"),
}


@pytest.mark.parametrize(("test", "verdict"), HANDMADE.values(), ids=HANDMADE.keys())
def test_verdicts_by_hand(test, verdict):
    judgement = test.judge(KEY)
    assert judgement.verdict == verdict
    assert judgement.detail.strip()
    assert "\n" not in judgement.detail
    json.dumps(
        [judgement.verdict, judgement.predicted, judgement.measured, judgement.interval],
        allow_nan=False,
    )


def test_nan_is_counted_never_silent():
    for name, (test, _) in HANDMADE.items():
        if name.endswith(("nan", "nan gap")):
            assert "non-finite" in test.judge(KEY).detail, name
    assert "2 of 3 entries non-finite" in Identity([NAN, 0.0, INF], 1.0).judge(KEY).detail
    assert Identity([NAN, 0.0], 1.0).judge(KEY).measured is None


@pytest.mark.parametrize("make", [lambda x: Expectation(x, 0.0, 9.0), lambda x: Bound(x, 0.0)])
def test_a_clean_cell_refutes_beside_a_broken_one(make):
    x = around([5.0, 0.0])
    x[0, 1] = NAN
    judgement = make(x).judge(KEY)
    assert judgement.verdict == "refuted"
    assert judgement.measured == pytest.approx(5.0)
    assert "1 of 20 lanes non-finite" in judgement.detail


def test_the_deciding_cell_is_reported():
    x = around([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    judgement = Expectation(x, [[1.0, 2.0, 3.0], [4.0, 5.5, 6.2]], 0.3).judge(KEY)
    assert (judgement.predicted, judgement.measured) == pytest.approx((5.5, 5.0))
    assert (judgement.n, judgement.cells) == (10, 6)
    assert "in cell (1, 1)" in judgement.detail
    assert "2 of 6 cells" in judgement.detail
    half = sps.t.isf(0.025 / 6, 9) * 0.1 / np.sqrt(10)
    assert judgement.interval == pytest.approx((5.0 - half, 5.0 + half))


def test_inconclusive_says_what_could_have_been_seen():
    judgement = Expectation(around(1.0), 1.0, resolution=0.01, tolerance=0.001).judge(KEY)
    half = sps.t.isf(0.025, 9) * 0.1 / np.sqrt(10)
    assert f"could have been seen is {half + 0.001:.3g}, wanted 0.01" in judgement.detail
    assert "could have been seen" in Bound(around(1.0), 1.0).judge(KEY).detail
    assert "could have been seen" in Rate(SIZES, power(-0.5, 1.0), -0.5, 0.1).judge(KEY).detail


def test_bound_limits_are_one_sided_and_slack_is_reported():
    judgement = Bound(around([1.0, 2.0]), [1.5, 4.0]).judge(KEY)
    half = sps.t.isf(0.05 / 2, 9) * 0.1 / np.sqrt(10)
    assert judgement.interval == pytest.approx((1.0 - half, 1.0 + half))
    assert "least slack is 0.5 (0.33 of the bound) in cell (0,)" in judgement.detail
    alone = Bound(around(1.0), 1.5).judge(KEY)
    p = sps.ttest_1samp(around(1.0), 1.0 + 0.1 / np.sqrt(10) * sps.t.isf(0.05, 9)).pvalue / 2
    assert p == pytest.approx(0.05)
    assert alone.interval[1] == pytest.approx(1.0 + 0.1 / np.sqrt(10) * sps.t.isf(0.05, 9))


@pytest.mark.parametrize("make", [Expectation, lambda x, f, r, **k: Bound(x, f, **k)])
def test_cells_out_of_regime_are_left_out_and_counted(make):
    x = around([1.0, 2.0, 3.0])
    x[0, 2] = NAN
    formula = np.array([1.02, 99.0, NAN])
    judgement = make(x[:, :], formula, 0.2, in_regime=[True, False, False], tolerance=0.1).judge(
        KEY
    )
    assert judgement.cells == 1
    assert judgement.verdict == "confirmed"
    assert "2 of 3 cells out of regime" in judgement.detail
    assert "non-finite" not in judgement.detail


def test_masking_cells_spends_the_whole_level_on_the_rest():
    x = around([1.0, 2.0])
    masked = Expectation(x, [1.0, 2.0], 1.0, in_regime=[True, False]).judge(KEY)
    alone = Expectation(x[:, 0], 1.0, 1.0).judge(KEY)
    assert masked.interval == pytest.approx(alone.interval)


def test_named_dims_are_lined_up():
    x = xr.DataArray(around(np.array([[1.0, 2.0], [3.0, 4.0]])), dims=("seed", "rate", "step"))
    by_step = xr.DataArray([2.0, 3.0], dims="step")
    by_rate = xr.DataArray([-1.0, 1.0], dims="rate")
    formula = (by_step + by_rate).transpose("step", "rate")
    turned = x.transpose("step", "seed", "rate")
    assert Expectation(turned, formula, 0.2).judge(KEY).verdict == "confirmed"
    bound = Bound(turned, xr.DataArray([2.5, 4.5], dims="rate"))
    np.testing.assert_array_equal(bound.bound, [[2.5, 4.5], [2.5, 4.5]])  # (step, rate)
    keep = xr.DataArray([True, False], dims="step")
    assert Bound(turned, 3.5, in_regime=keep).judge(KEY).cells == 2
    with pytest.raises(ValueError, match="predicted has dims"):
        Expectation(turned, xr.DataArray([1.0, 2.0], dims="width"), 0.1)


def test_rounding_of_the_samples_own_precision_is_forgiven():
    x = np.full(5, 0.3, dtype=np.float32)
    assert Expectation(x, 0.3, 1e-3).judge(KEY).verdict == "confirmed"
    assert Expectation(x.astype(float), 0.3, 1e-3).judge(KEY).verdict == "refuted"


def test_judgement_holds_plain_numbers():
    j = Judgement.of(Outcome.REFUTED, np.float32(0.5), NAN, (-INF, np.float64(2.0)), 3, 1, "")
    assert (j.predicted, j.measured, j.interval) == (0.5, None, (None, 2.0))
    assert type(j.predicted) is float


@pytest.mark.parametrize("name", HANDMADE)
def test_every_verdict_writes_to_json(name):
    test, _ = HANDMADE[name]
    claim = Claim("a", "b", "c", "quoted", test, replace(test), "the same")
    record = judge(claim, KEY).as_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record


# Shapes


def test_shape_follows_its_key():
    test = Shape(around(np.array([0.0, 0.03])), rises)
    first = test.judge(KEY)
    assert test.judge(KEY) == first
    assert test.judge(jax.random.PRNGKey(0)) == first
    assert test.judge(jax.random.key(1)).measured != first.measured


def test_shape_does_not_depend_on_its_chunks(monkeypatch):
    test = Shape(around(np.array([0.0, 0.03])), rises)
    first = test.judge(KEY)
    monkeypatch.setattr("jaxrobust.lab.trends._CHUNK", 100)
    assert test.judge(KEY) == first


def test_a_shape_is_never_judged_against_what_all_seeds_show():
    steps = around(0.002 * np.arange(7.0))  # in order, by far less than the spread
    assert Shape(steps, rises).judge(KEY).measured < 0.025
    assert Shape(steps, rises).judge(KEY).verdict == "inconclusive"
    assert Shape(steps, lambda m: not rises(m)).judge(KEY).verdict == "inconclusive"


def test_shape_of_an_exact_t_case():
    # One cell: the share of resamples above zero is Student's t probability of the mean.
    x = around(np.array([0.025]), spread=0.1, n=30, seed=3)
    p = sps.t.sf(-0.025 / (0.1 / np.sqrt(30)), 29)
    share = Shape(x, lambda m: bool(m[0] > 0), resamples=20_000).share(KEY)
    assert share == pytest.approx(p, abs=0.01)
