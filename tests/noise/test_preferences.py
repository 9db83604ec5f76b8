import jax
import numpy as np
import pytest
from scipy import stats

from jaxrobust import noise

KEY = jax.random.key(6)
N = 100_000
A, B = np.arange(N), np.arange(N) + N
GAP = np.random.default_rng(6).choice([-2.0, 0.0, 0.5, 3.0], N)
SIGMOID = {g: 1 / (1 + np.exp(-g)) for g in np.unique(GAP)}


def test_pairs_stay_pairs_and_flip_at_the_rate():
    winners, losers = noise.flip_preferences(KEY, A, B, 0.3)
    flipped = np.asarray(winners) == B
    np.testing.assert_array_equal(winners, np.where(flipped, B, A))
    np.testing.assert_array_equal(losers, np.where(flipped, A, B))
    assert stats.binomtest(int(flipped.sum()), N, 0.3).pvalue > 1e-4


def test_a_rate_for_each_pair():
    rate = np.where(np.arange(N) % 2, 0.1, 0.7)
    flipped = np.asarray(noise.flip_preferences(KEY, A, B, rate)[0]) == B
    for value in (0.1, 0.7):
        count = int(flipped[rate == value].sum())
        assert stats.binomtest(count, N // 2, value).pvalue > 1e-4


@pytest.mark.parametrize("rate", [0.0, 0.2])
def test_bradley_terry_and_its_flips_given_the_gap(rate):
    key_order, key_flip = jax.random.split(KEY)
    winners, losers = noise.bradley_terry(key_order, A, B, GAP)
    first = np.asarray(noise.flip_preferences(key_flip, winners, losers, rate)[0]) == A
    for gap, p in SIGMOID.items():
        group = gap == GAP
        want = rate + (1 - 2 * rate) * p
        assert stats.binomtest(int(first[group].sum()), int(group.sum()), want).pvalue > 1e-4


def test_rows_of_any_shape_move_as_one():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 40, 3, 2))
    winners, losers = noise.flip_preferences(KEY, a, b, 0.5)
    same = np.all(np.asarray(winners) == a, axis=(1, 2))
    swapped = np.all(np.asarray(winners) == b, axis=(1, 2))
    assert np.all(same ^ swapped)
    assert 0 < swapped.sum() < 40
    np.testing.assert_array_equal(np.asarray(winners) + np.asarray(losers), a + b)
    assert noise.flip_preferences(KEY, [1], [2], 0.5)[0].dtype == np.int64
