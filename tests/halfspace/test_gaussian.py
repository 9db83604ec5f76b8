import dataclasses
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from jaxrobust.halfspace import adversary, lever
from jaxrobust.halfspace.gaussian import chen_mixture, gaussian_margin, lever_in
from jaxrobust.halfspace.sphere import coordinate_beyond, coordinate_cdf, uniform

KEY = jax.random.key(4)


def cdf(t, dim):
    """P(u_1 <= t) by the incomplete beta function."""
    t = np.clip(t, -1, 1)
    return 0.5 + 0.5 * np.sign(t) * special.betainc(0.5, (dim - 1) / 2, t * t)


@pytest.mark.parametrize("dim", [2, 3, 4, 20, 399, 400])
def test_the_law_of_a_coordinate(dim):
    t = np.r_[-2, -1, -1 + 1e-12, np.linspace(-1, 1, 201), 1 - 1e-9, 1, np.inf]
    np.testing.assert_allclose(coordinate_cdf(t, dim), cdf(t, dim), atol=1e-13)
    assert np.isnan(coordinate_cdf(jnp.nan, dim))
    single = coordinate_cdf(t.astype(np.float32), dim)
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, cdf(t, dim), atol=2e-5)


def test_one_dimension_is_a_fair_coin():
    found = coordinate_cdf(jnp.array([-1.1, -1.0, 0.3, 1.0, jnp.nan]), 1)
    np.testing.assert_array_equal(found, [0, 0.5, 0.5, 1, np.nan])
    assert set(np.unique(uniform(KEY, 50, 1))) == {-1, 1}


def test_points_of_the_sphere_are_uniform():
    u = np.asarray(uniform(KEY, 20_000, 4))
    np.testing.assert_allclose(np.linalg.norm(u, axis=1), 1, rtol=1e-12)
    for axis in ([1, 0, 0, 0], [0.5, -0.5, 0.5, 0.5]):
        assert stats.kstest(u @ axis, lambda t: cdf(t, 4)).pvalue > 1e-4


@pytest.mark.parametrize(
    ("dim", "least", "dtype"),
    [
        (2, 0.3, jnp.float64),
        (4, 1e-4, jnp.float64),
        (20, 0.05, jnp.float64),
        (300, 0.3, jnp.float32),  # beyond it lies 1e-7 of the sphere
    ],
)
def test_the_margin_has_its_exact_law(dim, least, dtype):
    t = np.asarray(coordinate_beyond(KEY, 100_000, dim, jnp.asarray(least, dtype)))
    assert t.min() >= np.asarray(least, dtype)
    assert t.max() <= 1
    # P(|u_1| > t), without cancellation.
    tail = special.betainc((dim - 1) / 2, 0.5, 1 - t.astype(float) ** 2)
    tail = tail / special.betainc((dim - 1) / 2, 0.5, 1 - least**2)
    assert stats.kstest(tail, "uniform").pvalue > 1e-4


def by_quadrature(d, gamma, rate, breaks, cosine):
    """OPT and err of a w at this cosine, over phi = arcsin |w*.x| of density cos^(d-2) phi."""
    sine = np.sqrt(1 - cosine**2)

    def wrong(phi):
        # Given t = sin phi, w.x = cosine t + sine cos(phi) u_1, u on the sphere of R^(d-1).
        z = -cosine * np.tan(phi) / sine
        return (1 + np.sign(z) * (abs(z) >= 1)) / 2 if d == 2 else cdf(z, d - 1)

    turn = np.arctan(sine / abs(cosine))
    low = np.arcsin(gamma)
    cuts = [*np.arcsin(breaks), turn, low + 0.1, low + 0.4]
    cuts = [low, *sorted(c for c in cuts if c > low), np.pi / 2]

    def mean(f):
        def g(p):
            return f(p) * np.cos(p) ** (d - 2)

        return sum(integrate.quad(g, *ends, epsabs=1e-13)[0] for ends in pairwise(cuts))

    def err(p):
        return rate(np.sin(p)) + (1 - 2 * rate(np.sin(p))) * wrong(p)

    mass = mean(lambda p: 1.0)
    return mean(lambda p: rate(np.sin(p))) / mass, mean(err) / mass


@pytest.mark.parametrize("d", [2, 3, 20])
def test_error_is_the_integral(d):
    width = 0.25

    @jax.jit
    def found(gamma, w):
        made = adversary.constant(0.2), adversary.near(0.4, width), adversary.far(0.3, width)
        return [(it.opt, it.error(w)) for it in (gaussian_margin(d, gamma, a) for a in made)]

    rates = [lambda t: 0.2, lambda t: 0.4 * (t <= width), lambda t: 0.3 * (t > width)]
    for gamma, cosine in ((0.1, 0.999), (0.06, 0.6), (0.3, -0.3), (0.1, 1e-3)):
        # Any length of w, any direction across.
        w = np.r_[cosine, np.full(d - 1, -np.sqrt((1 - cosine**2) / (d - 1)))] * 7.3
        expected = [by_quadrature(d, gamma, rate, [width], cosine) for rate in rates]
        np.testing.assert_allclose(found(gamma, jnp.asarray(w)), expected, atol=1e-10)


def test_points_have_the_law_of_gaussian_points_with_a_margin():
    w_star = np.array([2.0, -1.0, 2.0, 0.0]) / 3

    @jax.jit
    def draw(key):
        it = gaussian_margin(4, 0.2, adversary.far(0.3, 0.5), w_star=2 * w_star)
        return it.points(key, 20_000)

    points = jax.tree.map(np.asarray, draw(KEY))
    assert np.abs(points.x @ w_star).min() > 0.2 - 1e-15
    np.testing.assert_array_equal(points.clean, np.sign(points.x @ w_star))
    g = np.random.default_rng(0).normal(size=(40_000, 4))
    g = g / np.linalg.norm(g, axis=1, keepdims=True)
    g = g[np.abs(g @ w_star) >= 0.2]
    for axis in (w_star, [1, 0, 0, 0], [0, 0.6, 0, -0.8]):
        assert stats.ks_2samp(points.x @ axis, g @ axis).pvalue > 1e-4
    np.testing.assert_array_equal(points.rate, 0.3 * (np.abs(points.x @ w_star) > 0.5))


def test_turning_w_star_turns_everything():
    rng = np.random.default_rng(5)
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    w = rng.normal(size=5)

    @jax.jit
    def numbers(w_star, w):
        it = gaussian_margin(5, 0.1, adversary.near(0.3, 0.4), w_star=w_star)
        return it.w_star, it.error(w)

    for first in (np.eye(5)[0], -np.eye(5)[0], np.eye(5)[3]):
        plain, turned = numbers(first, w), numbers(turn @ first, turn @ w)
        np.testing.assert_allclose(plain[0], first, atol=1e-15)
        np.testing.assert_allclose(plain[1], turned[1], atol=1e-13)


def test_other_adversaries_are_scored_on_the_sample():
    W = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.1, -1.0, 0.3]])

    @jax.jit
    def numbers():
        near = adversary.near(0.4, 0.3)
        exact = gaussian_margin(3, 0.1, near)
        sampled = gaussian_margin(3, 0.1, dataclasses.replace(near, band=None))
        errors = [jnp.stack([it.opt, *map(it.error, jnp.asarray(W))]) for it in (exact, sampled)]
        return errors, sampled.grid()

    (exact, found), (points, weight) = jax.tree.map(np.asarray, numbers())
    for w, error in zip(W, found[1:], strict=True):
        wrong = np.where(points.x @ w >= 0, 1, -1) != points.clean
        by_hand = weight @ (points.rate + (1 - 2 * points.rate) * wrong)
        assert error == pytest.approx(by_hand, abs=1e-12)
    np.testing.assert_allclose(found, exact, atol=0.025)


def test_numbers_may_be_traced_in_either_precision():
    w = jnp.array([0.3, 1.0, -1.0, 0.2])

    def numbers(gamma, eta):
        it = gaussian_margin(4, gamma, adversary.far(eta, 0.3), dtype=gamma.dtype)
        return it.opt, it.error(w.astype(gamma.dtype)), it.points(KEY, 3).x[0, 0]

    gamma, eta = np.array([0.1, 0.2, 0.0, 1.0]), np.array([0.1, 0.4, 0.1, 0.1])
    opt, err, x = jax.jit(jax.vmap(numbers))(gamma, eta)
    assert np.all(np.isfinite(x[:2]))
    assert np.all(np.isnan([opt[2:], err[2:], x[2:]]))  # gamma outside (0, 1)
    single = jax.jit(numbers)(jnp.float32(0.2), jnp.float32(0.4))
    assert {v.dtype for v in single} == {jnp.dtype(jnp.float32)}
    np.testing.assert_allclose(single[:2], [opt[1], err[1]], atol=2e-6)


def test_extreme_weights():
    it = gaussian_margin(3, 0.1, adversary.near(0.3, 0.5))
    up, down = np.array([1.0, 0.0, 0.0]), np.array([0.3, 1.0, 0.0])
    error = jax.jit(it.error)
    opt = float(it.opt)
    assert error(0 * up) == 0.5
    assert (error(up), error(-up)) == pytest.approx((opt, 1 - opt), abs=1e-13)
    # Within the margin's reach nothing changes: tan(angle) < gamma / sqrt(1 - gamma^2).
    assert error(np.array([1.0, 0.1, 0.0])) == pytest.approx(opt, abs=1e-13)
    for scale in (1e-200, 1e200):
        assert error(scale * down) == pytest.approx(float(error(down)), abs=1e-13)
    assert np.isnan(error(np.array([np.nan, 0, 0])))


def test_lever_in_three_dimensions_is_six_points():
    r, plane = 0.4, lever()
    it = lever_in(3, r)
    flat, clean, rate, weight = (np.asarray(v) for v in plane.atoms)

    def brute(w):
        total = 0.0
        for side in (-r, r):
            z = clean * (flat @ w[:2] + side * w[2])
            wrong = np.where(z > 0, 0, np.where(z < 0, 1, 0.5))
            total += 0.5 * weight @ (rate + (1 - 2 * rate) * wrong)
        return total

    error = jax.jit(it.error)
    rng = np.random.default_rng(2)
    ties = [[0.4, 0, 1], [0, 0, 1], [0, 0, 0], [0, 1, 0], [1, 0, 0]]
    for w in [*rng.normal(size=(10, 3)), *np.array(ties, float)]:
        assert error(w) == pytest.approx(brute(w), abs=1e-12), w
    # A small r leaves LEVER as it was.
    w = jnp.array([0.03, -0.1, 0.4, 0.1, -0.2])
    assert lever_in(5, 1e-9).error(w) == pytest.approx(float(plane.error(w[:2])), abs=1e-12)


def test_chen_mixture_by_the_normal_law():
    eta = 0.3
    covariances = np.array([np.eye(2), [[8.0, 0.1], [0.1, 0.0024]]])

    def brute(w, where):
        """P(wrong) and P(wrong, x_2 > .3), over x_2; given x_2, x_1 is normal."""
        total = 0.0
        for c in covariances:
            slope, deviation = c[0, 1] / c[1, 1], np.sqrt(c[0, 0] - c[0, 1] ** 2 / c[1, 1])
            scale = np.sqrt(c[1, 1])

            def err(z, scale=scale, slope=slope, deviation=deviation):
                x = scale * z
                clean = 1 if x > 0 else -1
                value = clean * (w[0] * slope + w[1]) * x / (abs(w[0]) * deviation)
                wrong = stats.norm.cdf(-value)
                rate = eta if where == "all" or x > 0.3 else 0.0
                return (rate + (1 - 2 * rate) * wrong) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)

            cuts = pairwise([-9, -1, -0.1, 0, 0.1, 0.3 / scale, 9])
            total += 0.5 * sum(integrate.quad(err, *ends, epsabs=1e-12)[0] for ends in cuts)
        return total

    tail = (stats.norm.sf(0.3) + stats.norm.sf(0.3 / np.sqrt(0.0024))) / 2
    for where, opt in (("far", eta * tail), ("all", eta)):
        it = chen_mixture(eta, where=where)
        error = jax.jit(it.error)
        assert it.opt == pytest.approx(opt, abs=1e-14)
        assert error(np.array([0.0, 3.0])) == pytest.approx(opt, abs=1e-12)
        for w in ([1.0, 2.0], [-1.0, 20.0], [-1.0, -0.5], [0.3, 0.0]):
            assert error(np.array(w)) == pytest.approx(brute(w, where), abs=1e-9), w
        # w = 0 says +1: every label -1 is a mistake.
        negative = 0.5 + (eta * tail if where == "far" else 0)
        assert error(np.zeros(2)) == pytest.approx(negative, abs=1e-12)
