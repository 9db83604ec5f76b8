import clarabel
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from sklearn.svm import LinearSVR

from jaxrobust.sop import Status, certificate, draw, explain, solve_l1

_solve = jax.jit(solve_l1)


def random_problems(count, seed=0, shapes=10):
    """Any shape and rank, gross errors, duplicate and contradicting rows, y = 0."""
    rng = np.random.default_rng(seed)
    sizes = [
        (int(200 ** rng.uniform() + 0.5), int(500 ** rng.uniform() + 0.5)) for _ in range(shapes)
    ]
    sizes[:4] = (200, 500), (200, 100), (1, 1), (100, 100)
    for _ in range(count):
        N, p = sizes[rng.integers(shapes)]
        r = int(rng.integers(1, min(N, p) + 1)) if rng.random() < 0.6 else min(N, p)
        J = rng.normal(size=(N, r)) @ rng.normal(size=(r, p)) / np.sqrt(r * p)
        lam = 10 ** rng.uniform(-2, 2)
        kind = rng.random()
        if kind < 0.1:
            J[N // 2 :] = J[: N - N // 2]
        y = J @ rng.normal(size=p)
        y = y + (rng.random(N) < rng.uniform(0, 0.6)) * 5 * rng.normal(size=N)
        if kind > 0.97:
            y = 0 * y
        yield J, y, lam


def relative_gap(J, y, lam, nu):
    """The certificate again, in NumPy, from nu alone."""
    nu = np.clip(np.asarray(nu), -lam, lam)
    theta = J.T @ nu
    s = y - J @ theta
    gap = np.sum(lam * np.abs(s) - nu * s)
    primal = 0.5 * theta @ theta + lam * np.abs(s).sum()
    return gap / primal if primal > 0 else gap


def test_a_thousand_random_problems_are_certified():
    for J, y, lam in random_problems(1000):
        found = _solve(J, y, lam)
        assert all(np.all(np.isfinite(x)) for x in found[:4])
        assert found.status == Status.CERTIFIED, (J.shape, lam, float(found.gap))
        assert relative_gap(J, y, lam, found.nu) <= 1e-10
        np.testing.assert_allclose(found.theta, J.T @ found.nu, atol=1e-12 * lam)


@pytest.mark.parametrize(("N", "p"), [(20, 40), (60, 25)])
@pytest.mark.parametrize("lam", [0.05, 0.5, 5.0])
def test_agrees_with_linear_svr_and_a_conic_solver(N, p, lam):
    J, y, *_ = (np.asarray(x) for x in draw(jax.random.key(3), N, p, k=N // 5, magnitude=3.0))
    found = _solve(J, y, lam)
    svr = LinearSVR(epsilon=0, C=lam, fit_intercept=False, tol=1e-12, max_iter=1_000_000)
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
        theta = _solve(jnp.array([[a]]), jnp.array([y]), 0.7).theta[0]
        np.testing.assert_allclose(theta, np.clip(y / a, -0.7 * a, 0.7 * a), atol=1e-10)


def test_large_lam_interpolates():
    J, y, *_ = draw(jax.random.key(0), 10, 30, k=2)
    lam = 1.01 * jnp.max(jnp.abs(jnp.linalg.solve(J @ J.T, y)))
    found = _solve(J, y, lam)
    np.testing.assert_allclose(found.theta, jnp.linalg.pinv(J) @ y, atol=1e-9)
    np.testing.assert_allclose(found.s, 0, atol=1e-10)


@given(seed=st.integers(0, 2**32 - 1), log_lam=st.floats(-2, 2), shift=st.floats(-3, 3))
def test_no_point_of_the_box_certifies_below_the_optimum(seed, log_lam, shift):
    # Whatever nu: P(theta(nu)) - gap * P is a lower bound on the optimum, so never above it.
    rng = np.random.default_rng(seed)
    J, y, lam = rng.normal(size=(6, 4)), rng.normal(size=6), 10**log_lam
    best, trial = _solve(J, y, lam), certificate(J, y, lam, shift * lam * rng.normal(size=6))

    def value(x):
        return 0.5 * x.theta @ x.theta + lam * jnp.sum(jnp.abs(x.s))

    assert trial.gap >= 0
    assert value(trial) * (1 - trial.gap) <= value(best) * (1 + 1e-9)


def test_batched_lanes_equal_single_ones():
    problems = jax.vmap(lambda key: draw(key, 15, 30, rank=4, k=3))(
        jax.random.split(jax.random.key(1), 6)
    )
    batch = jax.jit(jax.vmap(solve_l1, in_axes=(0, 0, None)))(problems.J, problems.y, 1.0)
    for i in range(6):
        single = _solve(problems.J[i], problems.y[i], 1.0)
        np.testing.assert_allclose(batch.theta[i], single.theta, atol=1e-9)
        assert batch.status[i] == single.status == Status.CERTIFIED


def test_uncertified_answers_say_so():
    J, y, *_ = draw(jax.random.key(0), 30, 20, k=10, magnitude=5.0)
    early = solve_l1(J, y, 1.0, max_iterations=2)
    assert early.status == Status.NOT_CONVERGED
    assert early.gap > 1e-10
    bad = jax.jit(solve_l1)(J.at[0, 0].set(jnp.nan), y, 1.0)
    assert bad.status == Status.NOT_FINITE
    low = solve_l1(J.astype(jnp.float32), y.astype(jnp.float32), jnp.float32(1.0))
    assert low.theta.dtype == jnp.float32
    assert low.status in (Status.ROUNDING_LIMIT, Status.NOT_CONVERGED)
    assert "ROUNDING_LIMIT" in explain([0, 1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lam": 0.0}, "lam must lie in"),
        ({"lam": -1.0}, "lam must lie in"),
        ({"lam": jnp.nan}, "lam has 1 non-finite"),
        ({"lam": [1.0, 2.0]}, "lam must be one number"),
        ({"y": [1.0, 2.0, 3.0]}, "y must have shape"),
        ({"y": [1.0, jnp.inf]}, "y has 1 non-finite"),
        ({"J": [1.0, 2.0]}, "J must have shape"),
        ({"J": [["a"], ["b"]]}, "J must hold real numbers"),
        ({"J": jnp.zeros((2, 0))}, "J must have shape"),
        ({"max_iterations": 0}, "max_iterations must be a whole number"),
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
    found = _solve(J, scale * y, scale)
    assert found.status == Status.CERTIFIED
    np.testing.assert_allclose(found.theta / scale, _solve(J, y, 1.0).theta, rtol=1e-9)
    assert certificate(J, scale * y, scale, 0 * y).status == Status.NOT_CONVERGED
