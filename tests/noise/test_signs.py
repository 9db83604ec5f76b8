import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxrobust import noise

KEY = jax.random.key(1)
N = 200_000
RNG = np.random.default_rng(1)
Y = RNG.choice([-1, 1], N)


def flips_at(rate, flipped):
    """The p-value of a number of flips against one rate."""
    return stats.binomtest(int(np.sum(flipped)), np.size(flipped), rate).pvalue


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.9, 1.0])
def test_flip_law_in_all_and_given_the_label(rate):
    flipped = np.asarray(noise.flip(KEY, Y, rate) != Y)
    for group in (Y != 0, Y == 1, Y == -1):
        assert flips_at(rate, flipped[group]) > 1e-4


def test_flips_are_independent(p_value):
    draw = jax.vmap(lambda k: noise.flip(k, [1, -1], [0.3, 0.6]) != jnp.array([1, -1]))
    flipped = np.asarray(draw(jax.random.split(KEY, 50_000)))
    cells = np.bincount(flipped @ np.array([2, 1]), minlength=4)
    assert p_value(cells, np.outer([0.7, 0.3], [0.4, 0.6]).ravel()) > 1e-4


@pytest.mark.parametrize("sampler", [noise.flip, noise.massart])
def test_a_rate_for_each_example(sampler):
    eta = RNG.choice([0.0, 0.1, 0.25, 0.45], N)
    flipped = np.asarray(sampler(KEY, Y, eta) != Y)
    for value in np.unique(eta):
        for label in (-1, 1):
            assert flips_at(value, flipped[(eta == value) & (label == Y)]) > 1e-4


def test_tsybakov_rate_meets_the_condition_with_equality():
    # Margins uniform on [0, 1]: c = 1, P(1/2 - eta <= t) = (t / B)^(alpha / (1 - alpha)).
    margin = (np.arange(N) + 0.5) / N
    for alpha, scale in ((0.3, 1.0), (0.5, 0.4), (0.8, 2.0)):
        eta = np.asarray(noise.tsybakov_rate(margin, alpha, scale))
        assert eta.min() >= 0
        assert eta.max() <= 0.5
        for t in (0.02, 0.1, 0.3, 0.49):
            share = np.mean(0.5 - eta <= t)
            want = min(1.0, (t / scale) ** (alpha / (1 - alpha)))
            assert share == pytest.approx(want, abs=2 / N)


def test_tsybakov_limits():
    np.testing.assert_allclose(noise.tsybakov_rate([0.0, 0.1, 5.0], 1.0, 0.2), 0.3)
    assert float(noise.tsybakov_rate([0.0], 0.5)[0]) == 0.5
    np.testing.assert_array_equal(
        noise.tsybakov_rate([-0.3, 0.2], 0.4), noise.tsybakov_rate([0.3, 0.2], 0.4)
    )


def test_tsybakov_law_given_the_margin():
    margin = RNG.uniform(-1, 1, N)
    y = np.where(margin >= 0, 1, -1)
    flipped = np.asarray(noise.tsybakov(KEY, y, margin, 0.6, 0.7) != y)
    eta = 0.5 - np.minimum(0.5, 0.7 * np.abs(margin) ** (0.4 / 0.6))
    for low in np.linspace(-1, 0.9, 20):
        bin_ = (margin >= low) & (margin < low + 0.1)
        p = eta[bin_]
        # In a bin the rates differ a little: exact mean and variance, normal law.
        spread = np.sqrt((p * (1 - p)).sum())
        assert abs(flipped[bin_].sum() - p.sum()) <= 4.5 * spread + 1e-9
    total = np.sqrt((eta * (1 - eta)).sum())
    assert abs(flipped.sum() - eta.sum()) < 4.5 * total
    assert not flipped[eta == 0].any()


def test_positive_unlabelled_is_one_sided():
    noisy = np.asarray(noise.positive_unlabelled(KEY, Y, 0.35))
    assert np.all(noisy[Y == -1] == -1)
    assert flips_at(0.35, noisy[Y == 1] == -1) > 1e-4
    rate = np.where(np.arange(N) % 2, 0.1, 0.8)
    hidden = np.asarray(noise.positive_unlabelled(KEY, Y, rate)) != Y
    for value in (0.1, 0.8):
        assert flips_at(value, hidden[(Y == 1) & (rate == value)]) > 1e-4
    assert not hidden[Y == -1].any()


def test_the_dtype_of_the_labels_is_kept():
    for dtype in (np.int8, np.int32, np.float32, np.float64):
        y = Y[:10].astype(dtype)
        assert jax.eval_shape(lambda rate, y=y: noise.flip(KEY, y, rate), 0.5).dtype == dtype
