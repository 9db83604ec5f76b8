"""Wild numbers: a gap that says CERTIFIED is true, and nothing else looks as if it were."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks.l1_lanes import Batch, consistent, gaps
from jaxrobust.sop import Status, certificate, solve_l1

TOL = 1e-10
SHAPES = [(1, 1), (8, 12), (12, 5), (5, 5)]
TINY, HUGE = np.finfo(float).tiny, np.finfo(float).max
plain = st.one_of(st.sampled_from([0.0, 1.0, -1.0, 2.0, 3.0, 1 / 3]), st.floats(-10, 10))
wild = st.one_of(plain, st.sampled_from([5e-324, -1e-310, TINY, 1e-300, 1e-160, 1e160, -1e300]))
exponent = st.one_of(st.just(0.0), st.floats(-10, 10), st.floats(-300, 300))


def times(x, power):
    """Scale by a power of ten within what is finite; denormal numbers count as 0."""
    with np.errstate(over="ignore", under="ignore"):
        x = np.nan_to_num(x * 10.0**power, posinf=HUGE, neginf=-HUGE)
    return np.where(np.abs(x) < TINY, 0.0, x)


def check(J, y, lam, found):
    """Hold an answer to what it says, in longer precision."""
    if found.status == Status.CERTIFIED:
        assert found.gap <= TOL
        assert all(np.all(np.isfinite(x)) for x in found[:4])
        assert gaps(J, y, lam, found.nu, found.theta) <= 1.001 * TOL
        assert consistent(Batch(J, y, lam), found)
    else:
        assert Status(int(found.status)) in Status
        assert not found.gap <= TOL


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=150)
@given(data=st.data())
def test_no_numbers_make_a_false_certificate(shape, data):
    N = shape[0]
    entries = data.draw(st.sampled_from([plain, wild]))
    J = data.draw(arrays(float, shape, elements=entries))
    y = data.draw(arrays(float, N, elements=entries))
    if N > 1 and data.draw(st.booleans()):
        J[1:] = J[0]  # duplicate rows, alike or contradicting
        y = np.where(data.draw(st.booleans()), y[:1], y)
    rows = data.draw(st.one_of(st.just(0.0), arrays(float, (N, 1), elements=exponent)))
    J = times(times(J, rows), data.draw(exponent))
    y = times(y, data.draw(exponent))
    lam = data.draw(st.one_of(exponent, st.floats(-6, 12).map(lambda t: t + natural(J, y))))
    lam = np.clip(times(1.0, lam), TINY, HUGE)
    check(J, y, lam, solve_l1(J, y, lam))
    nu = np.clip(times(lam, data.draw(st.floats(-20, 1))), 0, HUGE) * np.sign(y)
    check(J, y, lam, certificate(J, y, lam, nu))


@pytest.mark.parametrize("lam", [1e8, 1e10])
def test_a_residual_that_rounds_to_zero_is_none(lam):
    found = solve_l1([[3.0]], [1.0], lam)
    assert found.s[0] == 0  # and yet lam |1 - 3 theta| is more than the tolerance allows
    assert found.status == Status.ROUNDING_LIMIT
    check(np.array([[3.0]]), np.array([1.0]), lam, found)


def test_a_gap_below_the_smallest_number_is_not_zero():
    rng = np.random.default_rng(5)
    flagged = 0
    for _ in range(40):
        J, y = 10**-152.7 * rng.normal(size=(8, 12)), 10**-154.2 * rng.normal(size=8)
        found = solve_l1(J, y, 1e150)
        check(J, y, 1e150, found)
        flagged += int(found.status != Status.CERTIFIED)
    assert flagged


def natural(J, y):
    """Return the power of ten of |y| / |J|^2: far below it nu is at the box, far above inside."""
    return np.log10(np.max(np.abs(y)) + TINY) - 2 * np.log10(np.max(np.abs(J)) + TINY)


@pytest.mark.parametrize("seed", range(30))
def test_nor_do_they_in_a_hundred_rows(seed):
    rng = np.random.default_rng(seed)
    J, y = rng.normal(size=(101, 122)), rng.normal(size=101)
    if seed % 3 == 1:
        J, y = np.round(J), np.round(3 * y)
    if seed % 3 == 2:
        J[50:] = J[:51]
    J = times(J, rng.uniform(-3, 3, (101, 1)) * (seed % 5 == 0) + rng.uniform(-100, 100))
    y = times(y, rng.uniform(-100, 100))
    lam = times(1.0, natural(J, y) + rng.uniform(-6, 12))
    check(J, y, lam, solve_l1(J, y, lam))


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_no_scale_is_refused(shape):
    rng = np.random.default_rng(0)
    for _ in range(60):
        a = rng.uniform(-140, 140)
        b = rng.uniform(max(-150, 2 * a - 150), min(150, 2 * a + 150))  # lam within 1e-150..1e150
        J, y = 10**a * rng.normal(size=shape), 10**b * rng.normal(size=shape[0])
        lam = 10 ** (b - 2 * a + rng.uniform(-3, 3))
        found = solve_l1(J, y, lam)
        assert found.status == Status.CERTIFIED, (a, b, float(found.gap))
        check(J, y, lam, found)


GOOD = {"J": [[1.0, 0.0], [0.5, 1.0]], "y": [1.0, -2.0], "lam": 1.0}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda x: np.where(x == 1.0, np.nan, x), "non-finite"),
        (lambda x: np.where(x == 1.0, np.inf, x), "non-finite"),
        (lambda x: x * 1j, "real"),
        (lambda x: x.astype(str), "real numbers"),
        (lambda x: x.astype(object), "real numbers"),
        (lambda x: None, "real numbers"),
        (lambda x: "one", "real numbers"),
        (lambda x: [[1.0], [1.0, 2.0]], "not an array of numbers"),
        (lambda x: np.zeros((0, *x.shape)), "empty|shape|at least"),
        (lambda x: {"a": 1.0}, "real numbers"),
    ],
)
def test_what_is_no_number_is_refused_by_name(name, bad, words):
    arguments = {**GOOD, name: bad(np.array(GOOD[name]))}
    with pytest.raises(ValueError, match=words) as error:
        solve_l1(**arguments)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(name)


@pytest.mark.parametrize("lam", [0.0, -1.0, -0.0, np.array([1.0, 0.0]), np.array([1.0, -1e-300])])
def test_lam_is_positive(lam):
    with pytest.raises(ValueError, match=r"lam must lie in \(0, inf\), got (-|0)"):
        solve_l1(GOOD["J"], GOOD["y"], lam)


@pytest.mark.parametrize(("name", "bad"), [("y", [1.0, 1e-310]), ("lam", 5e-324)])
def test_denormal_numbers_are_refused(name, bad):
    # XLA counts them as 0, and y = 0 is certified at once.
    with pytest.raises(
        ValueError, match=f"{name} holds numbers below 2.2e-308|{name} = 4.9.* leaves"
    ):
        solve_l1(**{**GOOD, name: bad})


def test_lam_that_underflows_is_refused():
    J, y = (np.array(GOOD[name], np.float32) for name in ("J", "y"))
    with pytest.raises(ValueError, match=r"lam = 1e-50 leaves \(0, inf\)"):
        solve_l1(J, y, 1e-50)


def test_traced_bad_numbers_are_never_certified():
    solve = jax.jit(solve_l1)
    for name in GOOD:
        for bad in (np.nan, np.inf, -np.inf):
            arguments = {k: np.array(v) for k, v in GOOD.items()}
            arguments[name].flat[0] = bad
            assert solve(**arguments).status == Status.NOT_FINITE, (name, bad)
    for lam in (0.0, -1.0):
        assert solve(np.array(GOOD["J"]), np.array(GOOD["y"]), lam).status == Status.NOT_FINITE


def test_whole_numbers_are_numbers():
    found = solve_l1([[3, 0], [1, 2]], np.array([1, 5]), 2)
    assert found.status == Status.CERTIFIED
    np.testing.assert_array_equal(found.theta, solve_l1([[3.0, 0], [1, 2]], [1.0, 5], 2.0).theta)
