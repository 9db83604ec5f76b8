"""Claims with their controls: keys, records, what is ok, and input that is refused."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

from benchmarks.verdict_cases import SIZES, rises
from jaxrobust.lab.claim import Bound, Claim, Expectation, Identity, Rate, Shape, Solver, judge

KEY = jax.random.key(0)
NAN, INF = float("nan"), float("inf")


def around(mean, spread=0.1, n=10, seed=0):
    """Symmetric samples (n even) of mean `mean` and of standard deviation `spread`, exactly."""
    x = np.random.default_rng(seed).normal(size=(n // 2, *np.shape(mean)))
    x = np.concatenate([x, -x])
    x = x / x.std(0, ddof=1)
    return mean + spread * x


# Keys


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
