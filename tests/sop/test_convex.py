from collections import Counter

import clarabel
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from sklearn.svm import LinearSVR

from benchmarks import l1_lanes
from jaxrobust.sop import L1Solution, Status, certificate, draw, explain, solve_l1


def test_random_lanes_are_certified():
    # Two shapes of the benchmark that takes all of them, wide and tall, a J for every lane.
    config = l1_lanes.Config(
        lanes=1500, batch=70, shapes=(1, 6), kinds=("distinct",), threads=1, progress=False
    )
    tallies = l1_lanes.run(config)
    assert len(tallies) == 2
    for tally in tallies.values():
        assert not tally.false
        assert tally.statuses["CERTIFIED"] == tally.statuses.total() >= 490


@pytest.mark.parametrize("wrong", [0.5, 1.1, np.nan])
def test_the_judge_of_lanes_sees_a_false_certificate(wrong, monkeypatch, capsys):
    batch = l1_lanes.Batch(np.eye(2), np.full((3, 2), 9.0), np.ones(3))
    nu = np.ones((3, 2))  # optimal: theta = (1, 1)
    right = L1Solution(nu, batch.y - nu, nu, np.zeros(3), np.zeros(3, int), np.zeros(3, int))
    tallies = {}
    for factor in (1.0, wrong):
        tally = l1_lanes.Tally(Counter(), Counter(), [], [])
        tallies[l1_lanes.SHAPES[0], str(factor)] = tally
        l1_lanes.judge(tally, batch, right._replace(nu=factor * nu, theta=factor * nu))
        monkeypatch.setattr(l1_lanes, "run", lambda config: tallies)
        assert l1_lanes.main(l1_lanes.Config()) == int(factor != 1)
    assert len(tally.false) == 3
    assert "3 FALSE" in capsys.readouterr().out


@pytest.mark.parametrize(("N", "p"), [(8, 12), (12, 5)])
@pytest.mark.parametrize("lam", [0.05, 0.5, 5.0])
def test_agrees_with_linear_svr_and_a_conic_solver(N, p, lam):
    J, y, *_ = (np.asarray(x) for x in draw(jax.random.key(3), N, p, k=N // 5, magnitude=3.0))
    found = solve_l1(J, y, lam)
    options = {"epsilon": 0, "fit_intercept": False, "max_iter": 1_000_000, "random_state": 0}
    svr = LinearSVR(C=lam, tol=1e-9, **options)
    np.testing.assert_allclose(found.theta, svr.fit(J, y).coef_, atol=1e-5)
    np.testing.assert_allclose(found.theta, _clarabel(J, y, lam), atol=1e-6)


def _clarabel(J, y, lam):
    """min 1/2|theta|^2 + lam sum(t), -t <= y - J theta <= t, as a general conic program."""
    N, p = J.shape
    quadratic = scipy.sparse.diags_array(np.r_[np.ones(p), np.zeros(N)]).tocsc()
    eye = np.eye(N)
    rows = scipy.sparse.csc_matrix(np.block([[J, -eye], [-J, -eye]]))
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    solver = clarabel.DefaultSolver(
        scipy.sparse.csc_matrix(quadratic),
        np.r_[np.zeros(p), np.full(N, lam)],
        rows,
        np.r_[y, -y],
        [clarabel.NonnegativeConeT(2 * N)],
        settings,
    )
    return np.array(solver.solve().x)[:p]


def test_one_example_has_a_closed_form():
    # N = p = 1, J = a: theta = clip(y/a, -lam a, lam a) for a > 0.
    a = 0.5
    for y in (-3.0, -0.1, 0.0, 0.2, 4.0):
        theta = solve_l1(jnp.array([[a]]), jnp.array([y]), 0.7).theta[0]
        np.testing.assert_allclose(theta, np.clip(y / a, -0.7 * a, 0.7 * a), atol=1e-10)


def test_large_lam_interpolates():
    J, y, *_ = draw(jax.random.key(0), 8, 12, k=2)
    lam = 1.01 * jnp.max(jnp.abs(jnp.linalg.solve(J @ J.T, y)))
    found = solve_l1(J, y, lam)
    np.testing.assert_allclose(found.theta, jnp.linalg.pinv(J) @ y, atol=1e-9)
    np.testing.assert_allclose(found.s, 0, atol=1e-10)


@given(seed=st.integers(0, 2**32 - 1), log_lam=st.floats(-2, 2), shift=st.floats(-3, 3))
def test_no_point_of_the_box_certifies_below_the_optimum(seed, log_lam, shift):
    # Whatever nu: P(theta(nu)) - gap * P is a lower bound on the optimum, so never above it.
    rng = np.random.default_rng(seed)
    J, y, lam = rng.normal(size=(12, 5)), rng.normal(size=12), 10**log_lam
    best, trial = solve_l1(J, y, lam), certificate(J, y, lam, shift * lam * rng.normal(size=12))

    def value(x):
        return 0.5 * x.theta @ x.theta + lam * jnp.sum(jnp.abs(x.s))

    assert trial.gap >= 0
    assert value(trial) * (1 - trial.gap) <= value(best) * (1 + 1e-9)


def test_uncertified_answers_say_so():
    J, y, *_ = draw(jax.random.key(0), 5, 5, k=2, magnitude=5.0)
    beyond = solve_l1(J, y, 1.0, tol=1e-30)
    assert beyond.status == Status.ROUNDING_LIMIT
    assert 1e-30 < beyond.gap < 1e-12
    assert certificate(J, y, 1.0, 0.9 * beyond.nu).status == Status.NOT_CONVERGED
    bad = solve_l1(J, 1e300 * y, 1e-300)
    assert bad.status == Status.NOT_FINITE
    low = solve_l1(J.astype(jnp.float32), y.astype(jnp.float32), jnp.float32(1.0))
    assert low.theta.dtype == jnp.float32
    assert low.status == Status.ROUNDING_LIMIT
    assert "ROUNDING_LIMIT" in explain([0, 1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lam": 0.0}, "lam must lie in"),
        ({"lam": -1.0}, "lam must lie in"),
        ({"lam": jnp.nan}, "lam has 1 non-finite"),
        ({"lam": [[1.0, 2.0]]}, "lam must be a number or have shape"),
        ({"tol": 0.0}, "tol must lie in"),
        ({"y": [1.0, 2.0, 3.0]}, "y must have shape"),
        ({"y": [1.0, jnp.inf]}, "y has 1 non-finite"),
        ({"J": [1.0, 2.0]}, "J must have shape"),
        ({"J": [["a"], ["b"]]}, "J must hold real numbers"),
        ({"J": jnp.zeros((2, 0))}, "J must have shape"),
    ],
)
def test_bad_input_gets_one_clear_line(change, words):
    good = {"J": [[1.0, 0.0], [0.0, 1.0]], "y": [1.0, 2.0], "lam": 1.0}
    with pytest.raises(ValueError, match=words) as error:
        solve_l1(**{**good, **change})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("lam", [-1.0, 0.0, jnp.nan, jnp.inf])
def test_a_traced_lam_out_of_range_is_never_certified(lam):
    J, y = jnp.eye(2), jnp.array([1.0, 2.0])
    assert jax.jit(solve_l1)(J, y, lam).status == Status.NOT_FINITE
    assert jax.jit(certificate)(J, y, lam, jnp.zeros(2)).status == Status.NOT_FINITE


@pytest.mark.parametrize("scale", [1e-250, 1e-30, 1e30, 1e150])
def test_certificates_survive_extreme_scales(scale):
    J, y, *_ = draw(jax.random.key(0), 8, 12, k=2)
    found = solve_l1(J, scale * y, scale)
    assert found.status == Status.CERTIFIED
    np.testing.assert_allclose(found.theta / scale, solve_l1(J, y, 1.0).theta, rtol=1e-9)
    assert certificate(J, scale * y, scale, 0 * y).status == Status.NOT_CONVERGED
