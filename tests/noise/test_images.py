import jax
import numpy as np
import pytest
from scipy import stats

from jaxrobust import noise

KEY = jax.random.key(5)
RNG = np.random.default_rng(5)
IMAGE = RNG.uniform(0.05, 0.95, (200, 150, 3))


def test_salt_and_pepper_law(p_value):
    noisy = np.asarray(noise.salt_and_pepper(KEY, IMAGE, 0.3, salt=0.2))
    # In all, in a channel, and given whether the pixel was bright.
    for group in (IMAGE >= 0, (IMAGE >= 0) & ([True, False, False]), IMAGE > 0.5, IMAGE <= 0.5):
        cells = [np.sum(noisy[group] == 1), np.sum(noisy[group] == 0)]
        kept = np.sum(noisy[group] == IMAGE[group])
        assert sum(cells) + kept == group.sum()
        assert p_value([*cells, kept], [0.06, 0.24, 0.7]) > 1e-4


def test_channels_are_independent_unless_per_pixel():
    hit = np.asarray(noise.salt_and_pepper(KEY, IMAGE, 0.3)) != IMAGE
    assert stats.binomtest(int(hit.all(axis=2).sum()), 30_000, 0.3**3).pvalue > 1e-4
    noisy = np.asarray(noise.salt_and_pepper(KEY, IMAGE, 0.3, per_pixel=True))
    hit = noisy != IMAGE
    assert np.all(hit.all(axis=2) == hit.any(axis=2))
    assert stats.binomtest(int(hit[..., 0].sum()), 30_000, 0.3).pvalue > 1e-4
    dots = noisy[hit[..., 0]]
    assert np.all(dots == dots[:, :1])
    assert stats.binomtest(int(dots[:, 0].sum()), len(dots), 0.5).pvalue > 1e-4


@pytest.mark.parametrize("per_pixel", [False, True])
def test_random_impulses_law(per_pixel):
    noisy = np.asarray(noise.random_impulses(KEY, IMAGE, 0.3, per_pixel=per_pixel))
    hit = noisy != IMAGE
    assert stats.binomtest(int(hit[..., 1].sum()), 30_000, 0.3).pvalue > 1e-4
    assert stats.kstest(noisy[hit], stats.uniform.cdf).pvalue > 1e-4
    assert stats.kstest(noisy[hit & (IMAGE > 0.5)], stats.uniform.cdf).pvalue > 1e-4
    together = bool(np.all(hit.all(axis=2) == hit.any(axis=2)))
    assert together == per_pixel
    if per_pixel:
        values = noisy[hit.all(axis=2)]
        assert stats.pearsonr(values[:, 0], values[:, 1]).pvalue > 1e-4


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_extreme_rates(rate):
    for sampler in (noise.salt_and_pepper, noise.random_impulses):
        changed = np.asarray(sampler(KEY, IMAGE, rate) != IMAGE)
        assert changed.mean() == rate


def test_grey_images_and_dtypes():
    grey = np.full((4, 5), 0.5, np.float32)
    for sampler in (noise.salt_and_pepper, noise.random_impulses):
        for per_pixel in (False, True):
            noisy = sampler(KEY, grey, 0.5, per_pixel=per_pixel)
            assert noisy.shape == (4, 5)
            assert noisy.dtype == np.float32
