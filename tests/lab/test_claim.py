"""Every kind and every verdict by hand; then how often true claims fall and false ones stand."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr
from scipy import stats as sps

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
SIZES = np.array([10.0, 20.0, 40.0, 80.0])
NAN, INF = float("nan"), float("inf")


def rises(mean):
    return bool((mean[1:] > mean[:-1]).all())


def power(exponent, spread, n=6, seed=0):
    noise = np.random.default_rng(seed).lognormal(sigma=spread, size=(n, 4))
    return SIZES**exponent * noise


def around(mean, spread=0.1, n=10, seed=0):
    """Samples whose seed mean is exactly `mean` and whose standard deviation is `spread`."""
    x = np.random.default_rng(seed).normal(size=(n, *np.shape(mean)))
    x = (x - x.mean(0)) / x.std(0, ddof=1)
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


# Keys


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


def test_shape_of_an_exact_t_case():
    # One cell: the share of resamples above zero is Student's t probability of the mean.
    x = around(np.array([0.025]), spread=0.1, n=30, seed=3)
    p = sps.t.sf(-0.025 / (0.1 / np.sqrt(30)), 29)
    share = Shape(x, lambda m: bool(m[0] > 0), resamples=20_000).share(KEY)
    assert share == pytest.approx(p, abs=0.01)


def shape_claim(name="order", mean=0.03, regime=None):
    test = Shape(around(np.array([0.0, mean])), rises)
    control = Shape(around(np.array([0.0, -1.0])), rises)
    return Claim(name, "a < b", "Th. 1", "derived", test, control, "swapped", regime)


def test_judging_draws_by_the_name_of_the_claim():
    first = judge(shape_claim(), KEY)
    assert judge(shape_claim(), KEY).as_dict() == first.as_dict()
    assert judge(shape_claim("other"), KEY).main.measured != first.main.measured
    assert judge(shape_claim(), jax.random.key(1)).main.measured != first.main.measured
    # crc32 of the name, written out: the same in every process and on every machine.
    own = jax.random.fold_in(jax.random.fold_in(KEY, np.uint32(0xF5299398)), 0)
    assert shape_claim().test.judge(own).measured == first.main.measured


def test_test_and_control_draw_apart():
    test = Shape(around(np.array([0.0, 0.03])), rises)
    claim = Claim("a", "b", "c", "assumed", test, replace(test), "the same")
    verdict = judge(claim, KEY)
    assert verdict.main.measured != verdict.control.measured


# Claims


def claim(test=None, control=None, **changes):
    fields = {
        "name": "early learning",
        "statement": "the mean is 1",
        "source": "Theorem 2",
        "basis": "quoted",
        "test": test or Expectation(around(1.0), 1.0, 0.2),
        "control": control or Expectation(around(1.0), 2.0, 0.2),
        "control_name": "twice the formula",
    }
    return Claim(**(fields | changes))


def test_as_dict_has_exactly_the_agreed_fields():
    record = judge(claim(), KEY).as_dict()
    agreed = "name kind statement source basis predicted measured interval n verdict detail control"
    assert list(record) == agreed.split()
    control = "name verdict predicted measured interval detail"
    assert list(record["control"]) == control.split()
    assert record["kind"] == "expectation"
    assert (record["verdict"], record["control"]["verdict"]) == ("confirmed", "refuted")
    assert json.loads(json.dumps(record, allow_nan=False)) == record


@pytest.mark.parametrize("name", HANDMADE)
def test_every_verdict_writes_to_json(name):
    test, _ = HANDMADE[name]
    record = judge(claim(test, replace(test)), KEY).as_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record


RIGHT, WRONG, WIDE = (Expectation(around(1.0), f, r) for f, r in ((1, 1), (2, 1), (1, 0.001)))
NOWHERE = Expectation(around(1.0), 1.0, 1.0, in_regime=False)


@pytest.mark.parametrize(
    ("test", "control", "ok"),
    [
        (RIGHT, WRONG, True),
        (WIDE, WRONG, True),
        (WRONG, replace(WRONG), False),
        (RIGHT, replace(RIGHT), False),
        (RIGHT, WIDE, False),
        (RIGHT, NOWHERE, False),
        (NOWHERE, RIGHT, False),  # a mask that leaves nothing judged nothing
    ],
)
def test_ok_wants_the_control_refuted(test, control, ok):
    assert judge(claim(test, control), KEY).ok is ok


def test_out_of_regime_keeps_its_numbers():
    verdict = judge(claim(WRONG, RIGHT, regime="the noise exceeds 1/2"), KEY)
    assert verdict.main.verdict == "out_of_regime"
    assert verdict.ok
    assert "the noise exceeds 1/2" in verdict.main.detail
    assert verdict.main.measured == pytest.approx(1.0)
    assert verdict.control.verdict == "confirmed"


# Bad input

BAD = {
    "no control": (
        lambda: Claim("a", "b", "c", "quoted", RIGHT),
        "control is missing in claim 'a'",
    ),
    "no statement": (lambda: claim(statement=" "), "statement is empty"),
    "no source": (lambda: claim(source=""), "source is empty"),
    "no name": (lambda: claim(name=""), "name is empty"),
    "no control name": (lambda: claim(control_name=""), "control_name is empty"),
    "no reason": (lambda: claim(regime=""), "regime is empty"),
    "basis": (lambda: claim(basis="guessed"), "basis must be one of quoted, derived, assumed"),
    "kind": (lambda: claim(control=Identity(1.0, 0.1)), "control must be another test of kind"),
    "same": (lambda: claim(RIGHT, RIGHT), "the very same test"),
    "no test": (lambda: claim(test=3), "test must be a test such as Identity"),
    "tolerance": (lambda: Identity(0.0, -1.0), "tolerance must be finite and >= 0, got -1"),
    "nan tolerance": (lambda: Identity(0.0, NAN), "tolerance must be finite"),
    "empty": (lambda: Identity([], 1.0), "error is empty"),
    "gap shape": (lambda: Solver([1.0, 2.0], 1.0, [1.0] * 3, 1.0), "gap must broadcast"),
    "gap tolerance": (lambda: Solver([1.0], 1.0, 1.0, -1.0), "gap_tolerance must be"),
    "no seeds": (lambda: Expectation(1.0, 1.0, 1.0), "samples must have shape"),
    "cells": (lambda: Expectation(around([1.0, 2.0]), [1.0] * 3, 1.0), "predicted must broadcast"),
    "predicted": (lambda: Expectation(around(1.0), NAN, 1.0), "predicted is non-finite"),
    "resolution": (lambda: Expectation(around(1.0), 1.0, 0.0), "resolution must be > 0, got 0"),
    "mask": (lambda: Expectation(around(1.0), 1.0, 1.0, 0.0, 0.5), "in_regime must hold True"),
    "bound": (lambda: Bound(around(1.0), INF), "bound is non-finite"),
    "sizes": (lambda: Rate([1, 2, 3], np.ones((2, 3)), 1.0, 0.1), "at least 4 different sizes"),
    "twice": (lambda: Rate([1, 2, 3, 3], np.ones((2, 4)), 1.0, 0.1), "at least 4 different sizes"),
    "values": (lambda: Rate(SIZES, np.zeros((2, 4)), 1.0, 0.1), "values must be positive"),
    "values shape": (lambda: Rate(SIZES, np.ones(4), 1.0, 0.1), "values must have shape"),
    "band": (lambda: Rate(SIZES, np.ones((2, 4)), 1.0, 0.0), "tolerance must be finite and > 0"),
    "exponent": (lambda: Rate(SIZES, np.ones((2, 4)), NAN, 0.1), "exponent must be finite"),
    "resamples": (lambda: Shape(around(1.0), rises, resamples=5), "resamples must be a whole"),
    "array answer": (
        lambda: Shape(around([1.0, 2.0]), lambda m: m > 0).judge(KEY),
        "predicate must return one True or False",
    ),
    "side": (
        lambda: Bound(around(1.0), 1.0, "both"),
        "side must be 'upper' or 'lower', got 'both'",
    ),
    "level": (lambda: judge(claim(), KEY, 0.95), "level must lie strictly between 0 and 0.5"),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_in_one_line(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


# How often true claims are refuted, and how often false ones are found out: 1,000 of each.

TRIALS, CELLS = 1000, 4
AT_MOST = int(sps.binom.ppf(0.999, TRIALS, 0.05))  # of a rate of 5 %


def gaussian(rng, n, shift=0.0):
    """Samples of mean (0, 1, 2, 3), the last cell shifted; cells correlated through the seed."""
    x = np.arange(CELLS) + 0.6 * rng.normal(size=(n, 1)) + 0.8 * rng.normal(size=(n, CELLS))
    x[:, -1] += shift
    return x


def lines(rng, n, exponent):
    return SIZES**exponent * np.exp(rng.normal(size=(n, 1)) + 0.1 * rng.normal(size=(n, 4)))


MEANS = np.arange(float(CELLS))
# name: (a claim at the edge of truth, one that is false by a sizeable deviation)
STATISTICAL = {
    "expectation": (
        lambda rng, n: Expectation(gaussian(rng, n), MEANS, 9.0),
        lambda rng, n: Expectation(gaussian(rng, n, 2.5), MEANS, 9.0),
    ),
    "upper bound": (
        lambda rng, n: Bound(gaussian(rng, n), MEANS),
        lambda rng, n: Bound(gaussian(rng, n, 2.5), MEANS),
    ),
    "lower bound": (
        lambda rng, n: Bound(gaussian(rng, n), MEANS, "lower"),
        lambda rng, n: Bound(gaussian(rng, n, -2.5), MEANS, "lower"),
    ),
    "rate": (
        lambda rng, n: Rate(SIZES, lines(rng, n, -0.5), -0.5, 1e-9),
        lambda rng, n: Rate(SIZES, lines(rng, n, -0.5), -1.0, 0.1),
    ),
    "shape": (
        lambda rng, n: Shape(gaussian(rng, n)[:, :2] - [0.0, 1.0], rises, resamples=200),
        lambda rng, n: Shape(gaussian(rng, n)[:, 2::-1], rises, resamples=200),
    ),
}


def outcomes(make, n, seed):
    rng = np.random.default_rng(seed)
    found = [make(rng, n).judge(jax.random.PRNGKey(0)).verdict.value for _ in range(TRIALS)]
    return {verdict: found.count(verdict) for verdict in (o.value for o in Outcome)}


@pytest.mark.parametrize("n", [5, 10])
@pytest.mark.parametrize("name", STATISTICAL)
def test_true_claims_are_seldom_refuted(name, n):
    found = outcomes(STATISTICAL[name][0], n, seed=11)
    assert found["refuted"] <= AT_MOST, found


@pytest.mark.parametrize("name", STATISTICAL)
def test_false_claims_are_found_out(name):
    found = outcomes(STATISTICAL[name][1], 10, seed=12)
    assert found["refuted"] >= 900, found
    assert found["confirmed"] == 0, found


@pytest.mark.parametrize("n", [3, 5, 10])
def test_a_formula_off_by_twice_the_resolution_is_not_confirmed(n):
    def make(rng, n):
        return Expectation(rng.normal(size=n), 1.2, resolution=0.5, tolerance=0.2)

    found = outcomes(make, n, seed=14)
    assert found["confirmed"] <= int(sps.binom.ppf(0.999, TRIALS, 0.025)), found


def test_without_the_correction_true_claims_would_fall(monkeypatch):
    monkeypatch.setattr("jaxrobust.lab.means.cell_alpha", lambda alpha, cells: alpha)
    assert outcomes(STATISTICAL["expectation"][0], 10, seed=11)["refuted"] > 2 * AT_MOST


def test_true_claims_with_room_are_confirmed():
    def roomy(rng, n):
        return Bound(gaussian(rng, n), MEANS + 2.5)

    def flat(rng, n):
        return Rate(SIZES, lines(rng, n, -0.5), -0.5, 0.2)

    def ordered(rng, n):
        return Shape(gaussian(rng, n), rises, resamples=100)

    assert outcomes(roomy, 10, seed=13)["confirmed"] >= 900
    assert outcomes(flat, 10, seed=13)["confirmed"] >= 900
    assert outcomes(ordered, 20, seed=13)["confirmed"] >= 700


def test_lost_lanes_are_never_ok():
    broken = around(1.0)
    broken[3] = np.nan
    verdict = judge(claim(Expectation(broken, 1.0, 0.2), WRONG), KEY)
    assert verdict.lost == 1
    assert not verdict.ok
    two = np.stack([around(1.0), broken], axis=1)
    kept = judge(claim(Expectation(two, 1.0, 0.5, in_regime=[True, False]), WRONG), KEY)
    assert kept.lost == 0
    assert kept.ok
