"""Median and fill against SciPy and against sums written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxrobust import noise
from jaxrobust.recovery.image import fill, median, pictures, psnr

RNG = np.random.default_rng(11)


@pytest.mark.parametrize("size", [1, 3, 7])
@pytest.mark.parametrize("shape", [(5, 9), (8, 6, 3), (2, 3)])
def test_median_is_scipys(size, shape):
    picture = RNG.random(shape)
    window = (size, size, 1)[: picture.ndim]
    assert np.array_equal(
        median(picture, size), ndimage.median_filter(picture, window, mode="reflect")
    )


def hurt(shape, rate, seed=0):
    picture = RNG.uniform(0.05, 0.95, shape)
    return np.asarray(noise.salt_and_pepper(jax.random.key(seed), picture, rate))


@pytest.mark.parametrize("sigma", [0.7, 2.0])
@pytest.mark.parametrize("shape", [(12, 15), (10, 9, 3)])
def test_fill_is_the_normalised_filter_of_scipy(sigma, shape):
    picture = hurt(shape, 0.4)
    seen = (picture > 0) & (picture < 1)

    def smooth(x):
        widths = (sigma, sigma, 0)[: x.ndim]
        return ndimage.gaussian_filter(x, widths, mode="constant", truncate=4)

    want = smooth(np.where(seen, picture, 0)) / smooth(seen.astype(float))
    got = jax.jit(fill)(picture, sigma)
    np.testing.assert_allclose(got, np.where(seen, picture, want), rtol=1e-12)
    # With `seen` in hand, what stands at the other places does not matter.
    junk = np.where(seen, picture, 0.5)
    np.testing.assert_allclose(fill(junk, sigma, seen=seen), got, rtol=1e-12)


def test_fill_widens_until_something_is_seen():
    picture = np.zeros((20, 30))
    picture[0, 0], picture[19, 29] = 0.25, 0.75
    got = np.asarray(fill(picture))
    assert got[0, 0] == 0.25
    assert got[3, 2] == pytest.approx(0.25, abs=1e-12)  # 4 sigma reach 3 pixels
    assert got[16, 27] == pytest.approx(0.75, abs=1e-12)
    assert np.all((got >= 0.25 - 1e-12) & (got <= 0.75 + 1e-12))
    # Written out for a place from which sigma = .7, 1.4, 2.8 see nothing and 5.6 both.
    i, j, sigma = 9, 15, 5.6
    near = [np.exp(-((i - a) ** 2 + (j - b) ** 2) / (2 * sigma**2)) for a, b in ((0, 0), (19, 29))]
    assert got[i, j] == pytest.approx((0.25 * near[0] + 0.75 * near[1]) / sum(near), rel=1e-12)


def test_they_mend_what_they_should():
    truth = pictures.sample("astronaut", 48)
    few = noise.salt_and_pepper(jax.random.key(1), truth, 0.1)
    half = noise.salt_and_pepper(jax.random.key(1), truth, 0.5)
    assert psnr(median(few, 3), truth) > psnr(few, truth) + 8
    assert psnr(fill(half), truth) > psnr(median(half, 5), truth) + 4
    dim = noise.random_impulses(jax.random.key(1), truth, 0.5)
    assert np.allclose(fill(dim), dim, atol=0.0)  # nothing tells its places


def test_refusals_and_bad_traced_input():
    picture = hurt((6, 6, 3), 0.3)
    blank = picture.copy()
    blank[..., 1] = 1.0
    for bad, words in (
        (lambda: median(picture, 4), "size must be odd"),
        (lambda: median(picture[None], 3), "picture must have shape"),
        (lambda: fill(picture, 0.0), "sigma must lie in"),
        (lambda: fill(picture, picture > 0), "sigma must be one number.* give a mask as seen="),
        (lambda: fill(255 * picture), "picture must lie in .* divide by its white, 255"),
        (lambda: fill(picture.astype(np.uint8)), "picture must be floats in .* got uint8: divide"),
        (lambda: fill(blank), "picture has a channel with nothing seen"),
        (lambda: fill(picture, seen=picture), "seen must hold booleans"),
        (lambda: fill(picture, seen=picture[0] > 0), "seen must hold booleans"),
        (lambda: fill(picture, seen=picture > 2), "mark some True"),
    ):
        with pytest.raises(ValueError, match=words):
            bad()
    got = np.asarray(jax.jit(fill)(blank))
    assert np.isnan(got[..., 1]).all()
    np.testing.assert_allclose(got[..., ::2], fill(picture)[..., ::2], rtol=1e-12)
    seen = (picture > 0) & (picture < 1)
    assert np.array_equal(np.isnan(jax.jit(fill)(picture, -1.0)), ~seen)
    many = jax.vmap(fill, (None, 0))(picture, jnp.array([0.7, 5.0]))  # each widens as it must
    for k, sigma in enumerate((0.7, 5.0)):
        np.testing.assert_allclose(many[k], fill(picture, sigma), rtol=1e-12)
