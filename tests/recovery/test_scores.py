"""PSNR and SSIM are those of scikit-image, in grey and in colour."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage import metrics

from jaxrobust.recovery.image import psnr, ssim

RNG = np.random.default_rng(3)
CASES = {"grey": (13, 17), "colour": (16, 12, 3), "smallest": (11, 11)}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def pair(request):
    a = RNG.random(request.param)
    return a, np.clip(a + 0.2 * RNG.standard_normal(a.shape), 0, 1)


def channels(a):
    return {"data_range": 1.0, "channel_axis": 2 if a.ndim == 3 else None}


def test_against_scikit_image(pair):
    a, b = pair
    assert float(psnr(a, b)) == pytest.approx(
        metrics.peak_signal_noise_ratio(a, b, data_range=1.0), abs=1e-10
    )
    plain = metrics.structural_similarity(a, b, **channels(a))
    assert float(ssim(a, b)) == pytest.approx(plain, abs=1e-8)
    paper = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    wang = metrics.structural_similarity(a, b, **channels(a), **paper)
    assert float(ssim(a, b, window="gaussian")) == pytest.approx(wang, abs=1e-8)
    assert abs(plain - wang) > 1e-3  # the two are told apart


def test_one_program_for_many_and_equal_pictures():
    a = jnp.asarray(RNG.random((4, 12, 12)))
    many = jax.jit(jax.vmap(lambda x: (psnr(x, a[0]), ssim(x, a[0]))))(a)
    for k in range(4):
        np.testing.assert_allclose([m[k] for m in many], [psnr(a[k], a[0]), ssim(a[k], a[0])])
    assert many[0][0] == jnp.inf
    assert float(many[1][0]) == pytest.approx(1.0)
    assert np.isnan(jax.jit(psnr)(a[0], a[0].at[2, 2].set(jnp.nan)))
    low = ssim(a[0].astype(jnp.float32), a[1])
    assert low.dtype == jnp.float64


def test_refusals():
    a = np.zeros((6, 20))
    for bad, words in (
        (lambda: psnr(a, a.T), r"b must have the shape of a, \(6, 20\), got \(20, 6\)"),
        (lambda: psnr(a[0], a[0]), "a must have shape"),
        (lambda: psnr(a, np.full_like(a, np.nan)), "b has 120 non-finite"),
        (lambda: psnr(a, a + 200), "b must lie in .*, got 200: divide by its white, 255"),
        (lambda: ssim(a.astype(np.uint8), a), "a must be floats in .*, got uint8: divide"),
        (lambda: ssim(a, a), "a must be at least 7 x 7"),
        (lambda: ssim(a, a, window="box"), "window must be"),
    ):
        with pytest.raises(ValueError, match=words):
            bad()
