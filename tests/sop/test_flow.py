import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from jaxrobust.sop import Status, draw, flow_limit, solve_l1, theory
from jaxrobust.sop.flow import potential_slope, sparse_part

_flow = jax.jit(flow_limit)
GAMMAS = (1e-1, 1e-2, 1e-4, 1e-8, 1e-16, 1e-32, 1e-64)


def _problem(N, p, rank, k, seed=3):
    return draw(jax.random.key(seed), N, p, rank=rank, k=k)


@pytest.mark.parametrize("rank", [None, 10, 5])
@pytest.mark.parametrize("lam", [0.03, 0.3, 3.0, 30.0])
def test_reaches_the_limit_at_every_gamma_and_rank(rank, lam):
    J, y, *_ = _problem(50, 100, rank, 5)
    for gamma in GAMMAS:
        alpha = theory.alpha_for(lam, gamma)
        flow = _flow(J, y, alpha, gamma)
        assert flow.status == Status.CERTIFIED, (gamma, float(flow.residual))
        # Stationarity of theta and of (u, v), checked apart from the solver's own residual.
        np.testing.assert_allclose(flow.theta, J.T @ flow.nu, atol=1e-12)
        np.testing.assert_allclose(J @ flow.theta + flow.s, y, atol=1e-8)


def test_equals_a_general_optimiser_on_the_primal():
    J, y, *_ = _problem(8, 12, None, 2)
    alpha, gamma = 2.0, 0.05
    flow = _flow(J, y, alpha, gamma)

    def primal(theta):  # 1/2|theta|^2 + sum phi(y - J theta), phi written out
        s = np.asarray(y) - np.asarray(J) @ theta
        phi = s * np.arcsinh(s / (2 * gamma**2)) - np.sqrt(s**2 + 4 * gamma**4)
        return 0.5 * theta @ theta + phi.sum() / (4 * alpha)

    found = minimize(primal, np.zeros(12), method="BFGS", options={"gtol": 1e-7})
    np.testing.assert_allclose(flow.theta, found.x, atol=1e-5)


def test_error_against_the_program_halves_when_gamma_is_squared():
    for N, p, rank in [(20, 40, None), (50, 100, None), (50, 100, 10)]:
        J, y, *_ = _problem(N, p, rank, 5)
        theta = solve_l1(J, y, 0.3).theta
        errors = [
            float(jnp.linalg.norm(_flow(J, y, theory.alpha_for(0.3, g), g).theta - theta))
            for g in GAMMAS[2:]
        ]
        ratios = np.array(errors[1:]) / np.array(errors[:-1])
        assert np.all((ratios > 0.4) & (ratios < 0.62)), ratios


def test_error_is_polynomial_in_gamma_where_recovery_is_exact():
    J, y, theta, _ = _problem(100, 10, 5, 3)
    errors = [
        float(jnp.linalg.norm(_flow(J, y, theory.alpha_for(30.0, g), g).theta - theta))
        for g in (1e-2, 1e-4, 1e-8)
    ]
    assert errors[1] < 0.1 * errors[0]
    assert errors[2] < 1e-2 * errors[1]


def test_curve_and_its_inverse_agree_at_every_scale():
    for gamma in (0.5, 1e-3, 1e-64, 1e-150):
        log_gamma = jnp.log(gamma)
        s = jnp.concatenate([jnp.array([0.0]), jnp.logspace(-12, 3, 40)])
        s = jnp.concatenate([-s[::-1], s])
        nu = potential_slope(s, 2.0, log_gamma)
        np.testing.assert_allclose(sparse_part(nu, 2.0, log_gamma), s, rtol=1e-11, atol=1e-300)


def test_lanes_and_edges():
    J, y, *_ = _problem(12, 20, 6, 2)
    gammas = jnp.array([0.5, 1e-3, 1e-30])
    lanes = jax.vmap(lambda g: flow_limit(J, y, 3.0, g))(gammas)
    for i, gamma in enumerate(gammas):
        np.testing.assert_allclose(lanes.theta[i], _flow(J, y, 3.0, gamma).theta, atol=1e-9)
    zero = _flow(J, 0 * y, 3.0, 1e-3)
    assert zero.status == Status.CERTIFIED
    assert not np.any(zero.theta)
    assert _flow(J.at[0, 0].set(jnp.nan), y, 3.0, 1e-3).status == Status.NOT_FINITE


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, -1e-3, jnp.nan])
def test_gamma_outside_its_range_is_refused(gamma):
    with pytest.raises(ValueError, match="gamma"):
        flow_limit([[1.0]], [1.0], 1.0, gamma)
    with pytest.raises(ValueError, match="gamma"):
        theory.lam(1.0, gamma)


@pytest.mark.parametrize("shape", [(60, 8), (30, 30)])
def test_reaches_the_limit_where_lam_is_large_for_the_data(shape):
    for seed in range(5):
        J, y, *_ = draw(jax.random.key(seed), *shape, k=4)
        for gamma in (0.1, 1e-4, 1e-32):
            flow = _flow(J, y, theory.alpha_for(300.0, gamma), gamma)
            assert flow.residual <= 1e-7, (seed, gamma, float(flow.residual))


def test_traced_parameters_out_of_range_are_never_certified():
    J, y, *_ = _problem(5, 8, None, 1)
    for alpha, gamma in ((1.0, 2.0), (1.0, 0.0), (-1.0, 0.1), (jnp.nan, 0.1)):
        assert _flow(J, y, alpha, gamma).status == Status.NOT_FINITE
    assert jnp.isnan(jax.jit(theory.lam)(1.0, 2.0))


def test_a_gamma_that_underflows_is_refused():
    J, y = jnp.eye(2, dtype=jnp.float32), jnp.ones(2, jnp.float32)
    with pytest.raises(
        ValueError,
        match=r"gamma = 1e-50 leaves \(0, 1\) .* to float32: switch float64 on",
    ):
        flow_limit(J, y, 1.0, 1e-50)
    with pytest.raises(ValueError, match=r"gamma = 0.99999999999 leaves \(0, 1\) when rounded"):
        flow_limit(J, y, 1.0, 1 - 1e-11)
