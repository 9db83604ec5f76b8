"""Steps by hand, exact laws of the flow, runs that diverge, loops that agree."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrobust.recovery.image import fit, network
from jaxrobust.recovery.image.measure import scored

R = np.random.default_rng(0)
SHAPE = (3, 4, 2)


def free(start=0.0, rule=None):
    """Give a prior whose picture is its weights plus the sum of z."""
    return network.Prior(
        init=lambda key: jnp.full(SHAPE, start),
        apply=lambda weights, z: weights + z.sum(),
        inputs=(2,),
        rule=rule or optax.identity(),
    )


def begin(prior, scale=0.3):
    state = fit.init(jax.random.key(0), prior, SHAPE, jnp.float64)
    g, h = (jnp.asarray(R.normal(scale=scale, size=SHAPE)) for _ in range(2))
    return state._replace(g=g, h=h)


@pytest.mark.parametrize("absolute", [False, True])
def test_a_step_is_the_gradient_of_the_loss(absolute):
    prior, y = free(0.4), jnp.asarray(R.uniform(size=SHAPE))
    state = begin(prior)._replace(step=jnp.int32(3))
    rates = fit.Rates(0.7, 3.0, absolute, jitter=0.5)
    found, info = jax.jit(lambda s: fit.step(s, y, rates, prior))(state)
    jitter = jax.random.normal(jax.random.fold_in(state.key, 3), (2,))
    z = state.z + 0.5 * jitter

    def loss(weights, g, h):
        r = weights + z.sum() + g**2 - h**2 - y
        return jnp.mean(jnp.abs(r) if absolute else r**2)

    value, slopes = jax.value_and_grad(loss, (0, 1, 2))(state.weights, state.g, state.h)
    assert float(info.loss) == pytest.approx(float(value), rel=1e-12)
    np.testing.assert_allclose(info.picture, state.weights + z.sum(), rtol=1e-12)
    pairs = zip((state.weights, state.g, state.h), slopes, (0.7, 3.0, 3.0), strict=True)
    for new, (old, slope, rate) in zip((found.weights, found.g, found.h), pairs, strict=True):
        np.testing.assert_allclose(new, old - rate * slope, atol=1e-13)
    assert int(found.step) == 4


def test_the_flow_keeps_g_times_h_and_moves_s_on_the_network_s_path():
    # dg / g = -dh / h = 2 alpha dtheta, alpha = lr_gh / lr: so g h stays, and from g = h = .1
    # s = .01 exp(4 alpha (theta - theta0)) - .01 exp(-4 alpha (theta - theta0)).
    prior, y = free(), jnp.asarray(R.uniform(-1, 1, size=SHAPE))
    alpha, entries = 1.5, y.size

    def end(fine):
        pace = 0.004 / fine
        state = begin(prior)._replace(g=jnp.full(SHAPE, 0.1), h=jnp.full(SHAPE, 0.1))
        rates = fit.Rates(pace * entries, alpha * pace * entries, jitter=0.0)
        state = state._replace(z=jnp.zeros(2))
        go = lambda s, _: (fit.step(s, y, rates, prior)[0], None)  # noqa: E731
        return jax.jit(lambda s: jax.lax.scan(go, s, length=2_000 * fine)[0])(state)

    off = []
    for fine in (1, 2):
        state = end(fine)
        theta = np.asarray(state.weights)
        products = np.abs(state.g * state.h - 0.01).max()
        flow = 0.02 * np.sinh(4 * alpha * theta)
        off.append((products, np.abs(state.g**2 - state.h**2 - flow).max()))
        residual = theta + state.g**2 - state.h**2 - y
        assert np.abs(residual).max() < 1e-6
    assert max(off[1]) < 1e-2  # of numbers up to 1
    for coarse, finer in zip(*off, strict=True):  # both errors are of the order of the step
        assert 1.6 < coarse / finer < 2.6


def test_asleep_there_is_no_corruption_and_a_constant_residual_wakes_it_in_time():
    still = network.Prior(lambda key: jnp.zeros(()), lambda w, z: jnp.zeros(SHAPE) * w, (1,))
    y = jnp.full(SHAPE, 0.5)
    for rates, wakes in ((fit.dop(y.size, 0.018, 0.0), True), (fit.least_squares(0.0), False)):
        steps = round(fit.activation(0.018, size=0.5**0.5))
        run = jax.jit(
            lambda r=rates, n=steps: fit.fit(
                jax.random.key(1), y, r, fit.Plan(2 * n, n), still, lambda seen: seen.corruption
            )
        )
        measured = run()[2].measured
        before, after = (float(jnp.median(jnp.abs(s))) for s in measured)
        assert (after > 0.4) is wakes
        assert before < 0.4 if wakes else after < 1e-9
    assert fit.activation(0.036) == pytest.approx(fit.activation(0.018) / 2)


def test_a_run_read_in_pieces_is_the_same_run_and_scores_are_those_of_the_truth():
    prior, truth = free(), jnp.asarray(R.uniform(0.2, 0.8, size=SHAPE))
    hit = jnp.asarray(R.uniform(size=SHAPE) < 0.3)
    y = jnp.where(hit, 1.0, truth)
    rates, measure = fit.dop(y.size, 0.05, 2.0), scored(truth, y)

    @jax.jit
    def both(key):
        whole = fit.fit(key, y, rates, fit.Plan(20, 5), prior, measure)
        state = fit.init(key, prior, y.shape, y.dtype)
        state, _, _ = fit.advance(state, y, rates, prior, 15)
        return whole, fit.advance(state, y, rates, prior, 5, measure)

    (state, seen, readings), (again, last, reading) = both(jax.random.key(3))
    for a, b in zip((state.weights, *seen), (again.weights, *last), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    assert readings.loss.shape == (4,)
    assert float(readings.loss[-1]) == pytest.approx(float(reading.loss), rel=1e-12)
    scores = reading.measured
    for found, picture in ((scores.psnr, last.picture), (scores.still, last.still)):
        assert float(found) == pytest.approx(-10 * np.log10(np.mean((picture - truth) ** 2)))
    known = jnp.where(hit, 0.6 * (y - truth), -0.1)
    found = measure(fit.Seen(truth, truth, known))
    assert float(found.explained) == 1
    assert float(found.taken) == pytest.approx(0.1)
    assert float(measure(fit.Seen(truth, truth, 0.4 * (y - truth))).explained) == 0


def test_a_diverged_run_is_counted():
    prior, y = free(), jnp.ones(SHAPE)
    rates = fit.Rates(1e6 * y.size, 0.0, jitter=0.0)
    readings = jax.jit(lambda: fit.fit(jax.random.key(0), y, rates, fit.Plan(200, 40), prior)[2])()
    assert readings.lost[0] == 0
    assert readings.lost[-1] >= y.size


def test_an_optimiser_s_rule_is_used():
    prior, y = free(rule=optax.trace(0.5)), jnp.asarray(R.uniform(size=SHAPE))
    rates, state = fit.Rates(0.01, 0.0, jitter=0.0), begin(prior, 0.0)
    first = fit.step(state, y, rates, prior)[0]
    second = fit.step(first, y, rates, prior)[0]
    slope = [2 * (s.weights + s.z.sum() - y) / y.size for s in (state, first)]
    want = first.weights - 0.01 * (slope[1] + 0.5 * slope[0])
    np.testing.assert_allclose(second.weights, want, atol=1e-14)


def test_refusals():
    with pytest.raises(ValueError, match="every must divide the 10 steps, got 4: take a divisor"):
        fit.Plan(10, 4)
    with pytest.raises(ValueError, match="steps must be a whole number >= 1"):
        fit.Plan(0)
