import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxrobust import noise

KEY = jax.random.key(3)
N, D, C = 40_000, 6, 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, D)) / np.sqrt(D)
Y = RNG.integers(0, C, N)


def truncated(rate, spread=0.1):
    return stats.truncnorm(-rate / spread, (1 - rate) / spread, loc=rate, scale=spread)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.4, 1.0])
def test_rates_are_truncated_normal_in_all_and_in_each_class(rate):
    rows = np.asarray(noise.instance_rows(KEY, X, Y, C, rate))
    q = 1.0 - rows[np.arange(N), Y]
    law = truncated(rate)
    assert stats.kstest(q, law.cdf).pvalue > 1e-4
    for c in range(C):
        assert stats.kstest(q[Y == c], law.cdf).pvalue > 1e-4
    low, high = -rate / 0.1, (1 - rate) / 0.1
    shift = stats.norm.pdf(low) - stats.norm.pdf(high)
    mean = rate + 0.1 * shift / (stats.norm.cdf(high) - stats.norm.cdf(low))
    assert law.mean() == pytest.approx(mean)
    assert q.mean() == pytest.approx(mean, abs=5 * law.std() / np.sqrt(N))


def test_the_published_real_rates():
    assert truncated(0.1).mean() == pytest.approx(0.129, abs=5e-4)
    assert truncated(0.2).mean() == pytest.approx(0.206, abs=5e-4)


def test_scores_are_gaussian_projections_of_the_features():
    # log rows[a] - log rows[b] = x.(W_a - W_b) ~ N(0, 2 |x|^2), whatever the rate.
    x = jnp.array([[0.3, -1.0, 2.0], [0.3, -1.0, 2.0], [0.3, -1.0, 2.0]])
    y = jnp.array([0, 0, 1])
    draw = jax.vmap(lambda k: noise.instance_rows(k, x, y, 4, 0.4))
    rows = np.asarray(draw(jax.random.split(KEY, 5000)))
    ratio = np.log(rows[:, :, 2]) - np.log(rows[:, :, 3])
    sd = np.sqrt(2 * (0.09 + 1 + 4))
    for i in (0, 2):
        assert stats.kstest(ratio[:, i], stats.norm(scale=sd).cdf).pvalue > 1e-4
    # One W a class: the same x flips alike within a class and independently across classes.
    np.testing.assert_allclose(ratio[:, 0], ratio[:, 1], atol=1e-8)
    assert stats.pearsonr(ratio[:, 0], ratio[:, 2]).pvalue > 1e-4


def test_labels_follow_their_rows_given_class_and_given_rate():
    noisy, rows = noise.instance_dependent(KEY, X, Y, C, 0.4)
    noisy, rows = np.asarray(noisy), np.asarray(rows)
    np.testing.assert_allclose(rows.sum(axis=1), 1.0, rtol=1e-12)
    q = 1.0 - rows[np.arange(N), Y]
    groups = [np.ones(N, bool)] + [c == Y for c in range(C)]
    groups += [(q >= a) & (q < a + 0.1) for a in (0.2, 0.3, 0.4, 0.5)]
    # The likeliest wrong class: here the dependence on x shows.
    top = np.argmax(np.where(np.eye(C)[Y] > 0, -1, rows), axis=1)
    for group in groups:
        for j in range(C):
            p = rows[group, j]
            z = ((noisy[group] == j).sum() - p.sum()) / np.sqrt((p * (1 - p)).sum())
            assert abs(z) < 4.5
        p = rows[np.arange(N), top][group]
        z = ((noisy == top)[group].sum() - p.sum()) / np.sqrt((p * (1 - p)).sum())
        assert abs(z) < 4.5
        # The same test would see noise that ignores x.
        assert (noisy == top)[group].mean() > 1.2 * q[group].mean() / (C - 1)


def test_rows_returned_are_those_of_instance_rows_up_to_the_key():
    noisy, rows = noise.instance_dependent(KEY, X[:7], Y[:7], C, 0.4)
    again = noise.instance_rows(jax.random.split(KEY)[0], X[:7], Y[:7], C, 0.4)
    np.testing.assert_array_equal(rows, again)
    assert noisy.dtype == Y.dtype


def test_images_are_flattened_and_raw_pixels_give_one_wrong_class():
    images = 255 * RNG.random((50, 8, 8, 3))
    rows = noise.instance_rows(KEY, images, Y[:50], C, 0.4)
    flat = noise.instance_rows(KEY, images.reshape(50, -1), Y[:50], C, 0.4)
    np.testing.assert_array_equal(rows, flat)
    wrong = np.where(np.eye(C)[Y[:50]] > 0, 0.0, rows)
    assert np.median(wrong.max(axis=1) / wrong.sum(axis=1)) > 1 - 1e-6
