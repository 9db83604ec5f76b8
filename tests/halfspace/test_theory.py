"""The inequality beside the proof's own algebra in NumPy; the bounds where they are tight."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust import halfspace
from jaxrobust.halfspace import theory

RNG = np.random.default_rng(3)
N = 4000


def cases():
    """Draws of (w, w*, x, rate, eta, gamma) with |w*.x| >= gamma, corners among them."""
    x = RNG.normal(size=(N, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True) * RNG.uniform(1, 5, (N, 1))
    w_star = RNG.normal(size=(N, 3))
    w_star /= np.linalg.norm(w_star, axis=1, keepdims=True)
    w = RNG.normal(size=(N, 3)) * RNG.choice([0.0, 0.01, 1.0, 10.0], (N, 1))
    eta = RNG.uniform(0, 0.5, N)
    rate = eta * RNG.choice([0.0, 0.5, 1.0], N)
    gamma = np.abs(np.sum(w_star * x, axis=1)) * RNG.choice([0.1, 1.0], N)
    return w, w_star, x, rate, eta, gamma


def measured(form, w, w_star, x, rate, lam, gamma):
    def one(w, w_star, x, rate, lam, gamma):
        left = theory.advantage(w, w_star, x, rate, eta=lam, gamma=gamma, form=form)
        return left, theory.excess(w, w_star, x, rate, lam)

    left, right = jax.jit(jax.vmap(one))(w, w_star, x, rate, lam, gamma)
    return np.asarray(left), np.asarray(right)


def by_hand(form, w, w_star, x, rate, lam, gamma):
    """The two sides as the proof has them, case by case."""
    z, z_star = np.sum(w * x, axis=1), np.sum(w_star * x, axis=1)
    m, m_star = np.abs(z), np.abs(z_star)
    D = {"sum": m + gamma, "max": np.maximum(m, gamma), "none": 1.0}[form]
    right = np.where(z >= 0, 1, -1) == np.sign(z_star)
    left = np.where(right, (lam - rate) * (m_star - m), (1 - lam - rate) * (m_star + m)) / D
    return left, np.where(right, rate, 1 - rate) - lam, right, m / gamma


@pytest.mark.parametrize("form", theory.FORMS)
def test_advantage_and_excess_are_those_of_the_proof(form):
    w, w_star, x, rate, _, gamma = cases()
    lam = RNG.uniform(0, 0.5, N)  # on either side of the rates
    left, excess = measured(form, w, w_star, x, rate, lam, gamma)
    want_left, want_excess, right, _ = by_hand(form, w, w_star, x, rate, lam, gamma)
    assert 0.2 < right.mean() < 0.8
    np.testing.assert_allclose(left, want_left, rtol=1e-12, atol=1e-12 / gamma.min())
    np.testing.assert_allclose(excess, want_excess, atol=1e-15)


@pytest.mark.parametrize("form", ["sum", "max"])
def test_the_inequality_holds_tightly_and_for_over_estimates_only(form):
    w, w_star, x, rate, eta, gamma = cases()
    left, excess = measured(form, w, w_star, x, rate, eta, gamma)
    assert np.max(excess - left) < 1e-12
    over = eta + 0.9 * (0.5 - eta)
    left, excess = measured(form, w, w_star, x, rate, over, gamma)
    assert np.max(excess - left) < 1e-12
    under = np.where(rate > 0, rate / 2, eta)
    left, excess = measured(form, w, w_star, x, rate, under, gamma)
    assert np.max(excess - left) > 0.1
    left, excess = measured("none", w, w_star, x, rate, eta, gamma)
    assert np.max(excess - left) > 0.1


@pytest.mark.parametrize("form", ["sum", "max"])
def test_least_slack_is_met_on_the_margin_and_nowhere_beaten(form):
    w, w_star, x, rate, eta, gamma = cases()
    left, excess = measured(form, w, w_star, x, rate, eta, gamma)
    _, _, right, ratio = by_hand(form, w, w_star, x, rate, eta, gamma)
    inside, outside = theory.least_slack(ratio, form)
    least = np.where(right, (eta - rate) * inside, (1 - eta - rate) * outside)
    margin = np.abs(np.sum(w_star * x, axis=1)) <= gamma * (1 + 1e-12)
    assert 0.3 < margin.mean() < 0.7
    np.testing.assert_allclose((left - excess)[margin], least[margin], atol=1e-9)
    assert np.min((left - excess - least)[~margin]) > -1e-12


def test_the_zero_weight_counts_as_a_positive_prediction():
    w_star, x = jnp.array([1.0, 0.0]), jnp.array([0.5, 0.0])
    for sign, want in ((1.0, 0.2 - 0.3), (-1.0, 0.8 - 0.3)):
        args = (jnp.zeros(2), w_star, sign * x, 0.2)
        assert float(theory.excess(*args, 0.3)) == pytest.approx(want)
        # (eta - e) m* / gamma where right, (1 - eta - e) m* / gamma where wrong, m* = gamma.
        advantage = theory.advantage(*args, eta=0.3, gamma=0.5)
        assert float(advantage) == pytest.approx(0.1 if sign > 0 else 0.5)


def test_the_bound_is_least_at_its_step_and_meets_the_samples_needed():
    T, gamma, eta = np.array([100, 10_000]), 0.05, 0.3
    at = theory.step_size(T, gamma, eta)
    best = theory.mean_iterate_bound(T, gamma, eta)
    np.testing.assert_allclose(theory.mean_iterate_bound(T, gamma, eta, at), best, rtol=1e-12)
    for c in (0.9, 1.1):
        assert np.all(theory.mean_iterate_bound(T, gamma, eta, c * at) > best)
    # By hand: .3 + .7 / (.05 * 100) = .44, and (.7 / (.05 * .14))^2 = 10,000.
    assert float(best[1]) == pytest.approx(0.44)
    assert float(theory.samples_needed(0.14, gamma, eta)) == pytest.approx(10_000)


def test_the_mistake_bound_is_met_with_equality_on_basis():
    it = halfspace.basis(16, 0.0)
    x = jnp.tile(jnp.eye(16), (3, 1)).at[-1].multiply(-1.0)
    y = -jnp.ones(48).at[-1].set(-1.0)  # w = 0 predicts +1: each coordinate is a mistake once
    path = halfspace.over(x, y, rule="perceptron", eta=0.0, gamma=it.gamma, mu=1.0)
    assert int(path.mistakes[-1]) == 16 == round(float(theory.mistake_bound(it.gamma)))


def test_what_hold_out_costs_is_rarely_more_than_the_penalty():
    n, K, delta = 50, 8, 0.2
    err = RNG.uniform(0.2, 0.5, (4000, K))
    seen = RNG.binomial(n, err) / n
    cost = np.take_along_axis(err, seen.argmin(1)[:, None], 1)[:, 0] - err.min(1)
    penalty = float(theory.holdout_penalty(n, K, delta))
    assert np.mean(cost > penalty) < delta
    assert penalty == pytest.approx(2 * np.sqrt(np.log(80) / 100))
    # A single candidate, half-width only: the two-sided tail is really there.
    off = np.abs(RNG.binomial(n, 0.5, 20_000) / n - 0.5)
    assert 0.01 < np.mean(off > float(theory.holdout_penalty(n, 1, delta)) / 2) < delta


def test_single_precision_stays_and_traced_nonsense_is_nan():
    half = jnp.float32
    mu = jax.jit(lambda gamma, eta: theory.step_size(100, gamma, eta))
    assert mu(half(0.1), half(0.3)).dtype == half
    assert theory.step_size(100, half(0.1), 0.3).dtype == half
    assert jnp.isnan(mu(half(0.1), half(0.7)))
    assert jnp.isnan(mu(half(-0.1), half(0.3)))
    one = jnp.ones(2, half)
    assert theory.advantage(one, one, one, 0.1, eta=0.2, gamma=0.1).dtype == half
    assert theory.excess(one, one, one, 0.1, 0.2).dtype == half


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: theory.step_size(0, 0.1, 0.3), "T must lie in"),
        (lambda: theory.step_size(10, -0.1, 0.3), "gamma must lie in"),
        (lambda: theory.mean_iterate_bound(10, 0.1, 0.5), "eta must lie in"),
        (lambda: theory.samples_needed(1.5, 0.1, 0.3), "eps must lie in"),
        (lambda: theory.holdout_penalty(10, 2, 1.0), "delta must lie in"),
        (lambda: theory.least_slack(-1.0), "ratio must lie in"),
        (lambda: theory.least_slack(1.0, "none"), "form must be sum or max"),
    ],
)
def test_bad_numbers_are_refused_in_one_line(call, told):
    with pytest.raises(ValueError, match=told) as caught:
        call()
    assert "\n" not in str(caught.value)
