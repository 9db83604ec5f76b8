"""The hourglass: its layers beside loops in NumPy, its sizes, its first weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.recovery.image import layers, network

R = np.random.default_rng(0)


def by_loops(x, w, stride):
    """Give the convolution of a picture whose edges NumPy reflects."""
    k, _, _, D = w.shape
    pad = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2)), mode="reflect")
    h, b = (-(-n // stride) for n in x.shape[1:])
    out = np.zeros((D, h, b))
    for i in range(h):
        for j in range(b):
            near = pad[:, i * stride : i * stride + k, j * stride : j * stride + k]
            out[:, i, j] = np.einsum("cpq,pqcd->d", near, w)
    return out


@pytest.mark.parametrize(("k", "stride", "H", "W"), [(3, 1, 6, 5), (3, 2, 6, 7), (1, 2, 4, 5)])
def test_both_arithmetics_are_the_loops_and_agree_in_slopes(k, stride, H, W):
    x, w = R.normal(size=(3, H, W)), R.normal(size=(k, k, 3, 4))
    want = by_loops(x, w, stride)
    d = R.normal(size=want.shape)

    @jax.jit
    def both(x, w, d):
        found = []
        for arithmetic in layers.ARITHMETICS:
            out, pull = jax.vjp(lambda x, w, a=arithmetic: layers.convolve(x, w, stride, a), x, w)
            found.append((out, *pull(d)))
        return found

    lax, rows = both(*map(jnp.asarray, (x, w, d)))
    for a, b in zip(lax, rows, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
    np.testing.assert_allclose(rows[0], want, atol=1e-12)


def test_the_smallest_picture_that_can_be_reflected():
    x, w = R.normal(size=(2, 2, 2)), R.normal(size=(3, 3, 2, 1))
    one = [
        jax.vjp(lambda x, a=a: layers.convolve(x, jnp.asarray(w), 1, a), jnp.asarray(x))
        for a in layers.ARITHMETICS
    ]
    np.testing.assert_allclose(one[0][0], by_loops(x, w, 1), atol=1e-12)
    slopes = [pull(jnp.ones((1, 2, 2)))[0] for _, pull in one]
    np.testing.assert_allclose(*slopes, atol=1e-12)


def test_doubling_is_bilinear_with_half_pixel_centres():
    x = jnp.asarray(R.normal(size=(2, 3, 4)))
    np.testing.assert_allclose(
        layers.double(x), jax.image.resize(x, (2, 6, 8), "bilinear"), atol=1e-12
    )


@pytest.mark.parametrize("slope", [0.2, 1.0])
def test_normalising_and_its_slopes_are_those_of_the_formula(slope):
    x, scale, shift = (jnp.asarray(R.normal(size=s)) for s in ((3, 4, 5), (3,), (3,)))
    d = jnp.asarray(R.normal(size=x.shape))

    def plain(x, scale, shift):
        mean, var = (f(x, axis=(1, 2), keepdims=True) for f in (jnp.mean, jnp.var))
        y = scale[:, None, None] * (x - mean) / jnp.sqrt(var + 1e-5) + shift[:, None, None]
        return jnp.maximum(y, slope * y)

    @jax.jit
    def both(x, scale, shift, d):
        found = []
        for f in (plain, lambda *a: layers.normalise(*a, slope)):
            out, pull = jax.vjp(f, x, scale, shift)
            found.append((out, *pull(d)))
        return found

    for a, b in zip(*both(x, scale, shift, d), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


SIZES = (
    ((128, 5), 2_217_831),
    ((192, 5), 4_936_359),
    ((32, 4), 121_779),
    ((16, 3), 26_575),
)


@pytest.mark.parametrize(("sizes", "count"), SIZES)
def test_parameters_are_as_many_as_in_the_code(sizes, count):
    it = network.prior((64, 64, 3), width=sizes[0], scales=sizes[1])
    weights = jax.eval_shape(it.init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(weights)) == count


def test_first_weights_and_pictures():
    rows, lax = (
        network.prior((8, 4, 2), width=24, scales=1, arithmetic=a, dtype=jnp.float64)
        for a in ("rows", "lax")
    )
    z = jnp.asarray(R.uniform(size=rows.inputs))

    @jax.jit
    def both(key, z):
        weights = rows.init(key)
        return weights, rows.apply(weights, z), lax.apply(weights, z)

    weights, found, plain = both(jax.random.key(0), z)
    assert found.shape == (8, 4, 2)
    assert found.dtype == jnp.float64
    assert 0 < float(found.min()) < float(found.max()) < 1
    np.testing.assert_allclose(found, plain, atol=1e-10)
    kernels = {
        jax.tree_util.keystr(path): leaf
        for path, leaf in jax.tree_util.tree_flatten_with_path(weights)[0]
        if "Conv" in jax.tree_util.keystr(path)
    }
    for name, leaf in kernels.items():
        if leaf.ndim == 4 and leaf.size > 3_000:
            most = 1 / np.sqrt(np.prod(leaf.shape[:3]))
            for size in (leaf.max(), -leaf.min(), leaf.std() * 3**0.5):  # uniform
                assert size == pytest.approx(most, rel=0.05), name
            assert float(jnp.abs(leaf).max()) <= most
    drawn = [
        leaf.ravel() * np.sqrt(np.prod(leaf.shape[:3]))
        for leaf in kernels.values()
        if leaf.ndim == 4
    ]
    assert np.unique(jnp.concatenate(drawn)).size == sum(leaf.size for leaf in drawn)
    biases = jnp.concatenate([leaf for leaf in kernels.values() if leaf.ndim == 1])
    assert float(jnp.abs(biases).min()) > 0


def test_refusals():
    with pytest.raises(ValueError, match="height 24, and 4 scales need a multiple of 16, at least"):
        network.prior((24, 32, 3), width=8, scales=4)
    with pytest.raises(
        ValueError, match=r"width 16, and 4 scales .* pad the picture, or take fewer"
    ):
        network.prior((32, 16, 3), width=8, scales=4)
    with pytest.raises(
        ValueError, match=r"shape must be \(height, width, channels\), got \(32, 32\)"
    ):
        network.prior((32, 32), width=8)
    with pytest.raises(ValueError, match="width must be a whole number"):
        network.prior((32, 32, 1), width=0)
    with pytest.raises(ValueError, match='must be "lax", "rows" or None, got \'fft\''):
        layers.chosen("fft")
