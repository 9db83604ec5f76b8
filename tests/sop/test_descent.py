import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust import lab
from jaxrobust.sop import (
    Status,
    descent,
    draw,
    flow_limit,
    network_init,
    network_step,
    run,
    theory,
    trajectory,
)
from jaxrobust.sop.dual import exp_difference

KEY = jax.random.key(5)
RULES = ("additive", "multiplicative")


def loss(theta, u, v, J, y):
    return 0.5 * jnp.sum((J @ theta + u**2 - v**2 - y) ** 2)


def test_step_is_gradient_descent_with_discrepant_rates():
    J, y, *_ = draw(KEY, 6, 9, k=2)
    state = descent.State(*(0.3 * jax.random.normal(KEY, (n,)) for n in (9, 6, 6)))
    gradient = jax.grad(loss, argnums=(0, 1, 2))(*state, J, y)
    new, info = descent.step(state, J, y, alpha=7.0, tau=0.01)
    np.testing.assert_allclose(new.theta, state.theta - 0.01 * gradient[0], atol=1e-14)
    np.testing.assert_allclose(new.u, state.u - 0.07 * gradient[1], atol=1e-14)
    np.testing.assert_allclose(new.v, state.v - 0.07 * gradient[2], atol=1e-14)
    np.testing.assert_allclose(info.residual, J @ state.theta + state.u**2 - state.v**2 - y)


def test_multiplicative_step_agrees_to_first_order_and_keeps_the_product():
    J, y, *_ = draw(KEY, 6, 9, k=2)
    state = descent.init(J, 0.2)
    gaps = []
    for tau in (1e-3, 1e-4):
        plain, _ = descent.step(state, J, y, alpha=2.0, tau=tau)
        scaled, _ = descent.multiplicative_step(state, J, y, alpha=2.0, tau=tau)
        np.testing.assert_allclose(scaled.u * scaled.v, 0.04, rtol=1e-14)
        gaps.append(float(jnp.max(jnp.abs(plain.u - scaled.u))))
    assert gaps[1] < 0.011 * gaps[0]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("shape", [(10, 30), (30, 10), (12, 12)])
def test_both_forms_of_the_run_follow_the_public_steps(rule, shape):
    J, y, *_ = draw(KEY, *shape, k=3, magnitude=2.0)
    tau = theory.stable_step(J, y, 3.0)
    path = trajectory(J, y, alpha=3.0, gamma=1e-2, tau=tau, steps=40, snapshots=3, rule=rule)
    step = descent.step if rule == "additive" else descent.multiplicative_step
    state, total = descent.init(J, 1e-2), 0.0
    for t in range(120):
        state, info = step(state, J, y, alpha=3.0, tau=tau)
        total = total + info.residual**2
        if (t + 1) % 40 == 0:
            np.testing.assert_allclose(path.theta[t // 40], state.theta, atol=1e-11)
            np.testing.assert_allclose(path.s[t // 40], descent.sparse_part(state), atol=1e-11)
    np.testing.assert_allclose(path.squared_residuals[-1], total, rtol=1e-9)


@pytest.mark.parametrize(("N", "p", "lam"), [(20, 40, 0.3), (20, 40, 3.0), (50, 100, 3.0)])
def test_multiplicative_descent_meets_the_flow_limit(N, p, lam):
    J, y, *_ = draw(KEY, N, p, k=N // 5)
    alpha = theory.alpha_for(lam, 1e-4)
    tau = theory.stable_step(J, y, alpha)
    end = run(J, y, alpha=alpha, gamma=1e-4, tau=tau, steps=60_000, rule="multiplicative")
    assert end.status == Status.CERTIFIED
    np.testing.assert_allclose(end.theta, flow_limit(J, y, alpha, 1e-4).theta, atol=1e-8)
    np.testing.assert_allclose(end.s, flow_limit(J, y, alpha, 1e-4).s, atol=1e-8)


@pytest.mark.parametrize("log_scale", [0.0, -3.0, -600.0])
def test_difference_of_exponentials_is_exact_to_rounding(log_scale):
    wide = np.linspace(-3.0, 3.0, 2001)
    x = np.concatenate([wide, wide - log_scale, wide + log_scale, [0.0, 1e-9]])
    c, x = np.longdouble(log_scale), x.astype(np.longdouble)
    want = np.exp(c + x) - np.exp(c - x)
    found = jax.jit(exp_difference(jnp.asarray(log_scale)))(jnp.asarray(x.astype(float)))
    error = np.abs(np.asarray(found).astype(np.longdouble) - want)
    assert np.max(error / (np.abs(want) + np.exp(c))) < 1e-15


def test_difference_of_exponentials_at_the_ends():
    f = jax.jit(exp_difference(jnp.asarray(-20.0)))
    far = f(jnp.asarray([1e3, 1e300, jnp.inf]))
    assert bool(jnp.all(far > 1e300) & jnp.all(jnp.isfinite(far)))
    np.testing.assert_array_equal(f(jnp.asarray([-1e3, -1e300, -jnp.inf])), -far)
    assert bool(jnp.isnan(f(jnp.asarray(jnp.nan))))
    single = exp_difference(jnp.asarray(-2.0, jnp.float32))(jnp.asarray([0.5, 1e3], jnp.float32))
    assert single.dtype == jnp.float32
    assert bool(jnp.isfinite(single[1]))
    np.testing.assert_allclose(single[0], np.exp(-1.5) - np.exp(-2.5), rtol=1e-6)


def test_multiplicative_run_from_a_tiny_scale():
    gamma = 1e-30
    J, y, *_ = draw(KEY, 10, 20, k=2)
    alpha = theory.alpha_for(1.0, gamma)
    end = run(J, y, alpha=alpha, gamma=gamma, steps=40_000, rule="multiplicative")
    flow = flow_limit(J, y, alpha, gamma)
    assert end.status == Status.CERTIFIED
    np.testing.assert_allclose(end.theta, flow.theta, atol=1e-7)
    np.testing.assert_allclose(end.s, flow.s, atol=1e-7)


def test_finite_step_formula_explains_the_bias_of_plain_descent():
    # Solving the flow with the per-example weights of the formula explains most of the gap.
    J, y, *_ = draw(KEY, 20, 40, k=4)
    gamma, lam = 1e-8, 0.3
    alpha = theory.alpha_for(lam, gamma)
    tau = 0.02 / alpha
    end = run(J, y, alpha=alpha, gamma=gamma, tau=tau, steps=120_000)
    flow = flow_limit(J, y, alpha, gamma)
    weights = theory.finite_step_lam(lam, alpha, tau, end.squared_residuals)
    # nu_i = lam_i sign(s_i) at corrupted examples: compare the dual variables that J'nu implies.
    nu = jnp.linalg.lstsq(J.T, end.theta)[0]
    big = jnp.abs(flow.s) > 0.1
    measured = jnp.abs(nu)[big] - jnp.abs(flow.nu)[big]
    predicted = (weights - lam)[big]
    assert jnp.max(jnp.abs(measured)) > 0.005 * lam
    np.testing.assert_allclose(measured, predicted, rtol=0.2, atol=1e-3 * lam)


def test_divergence_and_early_stop_are_reported():
    J, y, *_ = draw(KEY, 10, 20, k=2)
    tau = theory.stable_step(J, y, 2.0)
    options = {"alpha": 2.0, "gamma": 1e-3}
    assert run(J, y, tau=tau, steps=3, **options).status == Status.NOT_CONVERGED
    assert run(J, y, tau=50.0, steps=2000, **options).status == Status.NOT_FINITE
    assert run(J, 0 * y, tau=tau, steps=3, **options).status == Status.CERTIFIED


def test_bits_of_a_sweep_do_not_depend_on_company():
    def trial(key, alpha):
        J, y, *_ = draw(key, 13, 20, k=2)
        options = {"alpha": alpha, "gamma": 1e-4, "tau": 0.01, "steps": 30}
        return {rule: run(J, y, rule=rule, **options).theta for rule in RULES}

    def go(seeds, **how):
        return lab.sweep(trial, {"alpha": [1.0, 5.0, 9.0]}, seeds, key=KEY, progress=False, **how)

    whole, part = go(5, threads=1), go([4, 1], threads=2, chunk=1)
    for rule in RULES:
        np.testing.assert_array_equal(whole[rule].sel(seed=[4, 1]), part[rule])


def test_one_trace_serves_every_number():
    traces = []

    @jax.jit
    def go(J, y, alpha, gamma, tau):
        traces.append(1)
        return run(J, y, alpha=alpha, gamma=gamma, tau=tau, steps=10)

    J, y, *_ = draw(KEY, 5, 8, k=1)
    for alpha in (1.0, 2.0, 5.0):
        go(J, y, alpha, 1e-3, 0.01)
    assert len(traces) == 1


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_dtype_is_kept(dtype):
    J, y, *_ = draw(KEY, 5, 8, k=1)
    end = run(J.astype(dtype), y.astype(dtype), alpha=1.0, gamma=1e-3, tau=0.01, steps=10)
    assert {end.theta.dtype, end.s.dtype, end.residual.dtype} == {jnp.dtype(dtype)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tau": 0.0}, "tau"),
        ({"alpha": -1.0}, "alpha"),
        ({"gamma": 1.5}, "gamma"),
        ({"snapshots": 0}, "snapshots"),
        ({"rule": "exponential"}, "rule"),
        ({"steps": 2.5}, "steps must be a whole number"),
        ({"steps": -1}, "steps must be a whole number"),
        ({"alpha": [1.0, 2.0]}, "alpha must be one number"),
        ({"y": [1.0]}, "y must have shape"),
    ],
)
def test_bad_input_gets_one_clear_line(change, words):
    good = {"J": [[1.0], [2.0]], "y": [1.0, 2.0], "alpha": 1.0, "gamma": 0.1, "tau": 0.1}
    with pytest.raises(ValueError, match=words):
        trajectory(**{**good, "steps": 2, **change})


def test_the_default_step_is_stable_at_a_large_gamma():
    J, y, *_ = draw(KEY, 10, 20, k=2)
    for rule in RULES:
        end = run(J, 0.01 * y, alpha=100.0, gamma=0.3, steps=3000, rule=rule)
        assert end.status in (Status.CERTIFIED, Status.NOT_CONVERGED)
        assert end.residual < 0.5


def test_network_step_on_a_linear_network_is_the_linear_step():
    J, y, *_ = draw(KEY, 6, 9, k=2)
    linear, network = descent.init(J, 0.1), network_init(jnp.zeros(9), 6, 0.1)
    for _ in range(5):
        linear, _ = descent.multiplicative_step(linear, J, y, alpha=3.0, tau=0.05)
        network, _ = network_step(network, lambda w: J @ w, y, alpha=3.0, tau=0.05)
    np.testing.assert_allclose(network.params, linear.theta, atol=1e-14)
    np.testing.assert_allclose(network.u, linear.u, atol=1e-14)
    with pytest.raises(ValueError, match="squeeze the network's output"):
        network_step(network, lambda w: (J @ w)[:, None], y, alpha=3.0, tau=0.05)
