"""Convolutions by either arithmetic beside loops in NumPy, their slopes too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.deep import conv

R = np.random.default_rng(0)


def by_loops(x, w, stride=1, slope=None):
    """Give the convolution; or, for a slope of it, the slopes of x and w."""
    k, (N, H, W, _), D = w.shape[0], x.shape, w.shape[3]
    pad = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)))
    h, b = (H + 2 * (k // 2) - k) // stride + 1, (W + 2 * (k // 2) - k) // stride + 1
    out, dx, dw = np.zeros((N, h, b, D)), np.zeros(pad.shape), np.zeros(w.shape)
    for i in range(h):
        for j in range(b):
            here = np.s_[:, i * stride : i * stride + k, j * stride : j * stride + k]
            out[:, i, j] = np.einsum("npqc,pqcd->nd", pad[here], w)
            if slope is not None:
                dx[here] += np.einsum("nd,pqcd->npqc", slope[:, i, j], w)
                dw += np.einsum("nd,npqc->pqcd", slope[:, i, j], pad[here])
    m = k // 2
    return out if slope is None else (dx[:, m : m + H, m : m + W], dw)


CASES = ((3, 1, 6, 4), (3, 2, 7, 6), (3, 2, 8, 5), (1, 2, 7, 4), (5, 3, 10, 6))  # k, stride, H, W


@pytest.mark.parametrize(
    ("arithmetic", "dtype", "rows"),
    [
        ("lax", "float32", None),
        ("lax", "float64", None),
        ("patches", "float32", None),
        ("patches", "float64", None),
        ("patches", "float64", 2),  # rows of the output at a time
    ],
)
def test_convolutions_and_their_slopes(arithmetic, dtype, rows, monkeypatch):
    tol = {"float32": 1e-5, "float64": 1e-12}[dtype]
    for k, stride, H, W in CASES[: 2 if dtype == "float32" else None]:
        x, w = R.normal(size=(2, H, W, 3)), R.normal(size=(k, k, 3, 4))
        want = by_loops(x, w, stride)
        if rows:
            monkeypatch.setattr(conv, "BLOCK", rows * 2 * want.shape[2] * w[..., 0].size)
            assert conv._rows((3, H, W, 2), k, stride) == (*want.shape[1:3], 2)
        slope = R.normal(size=want.shape)

        @jax.jit
        def ours(x, w, slope, stride=stride):
            def whole(x, w):
                out = conv.convolve(conv.enter(x, arithmetic), w, stride, arithmetic)
                return conv.leave(out, arithmetic)

            out, pull = jax.vjp(whole, x, w)
            return out, *pull(slope)

        found = ours(*(jnp.asarray(a, dtype) for a in (x, w, slope)))
        for a, b in zip(found, (want, *by_loops(x, w, stride, slope)), strict=True):
            assert a.dtype == dtype
            np.testing.assert_allclose(a, b, rtol=tol, atol=10 * tol)


def test_pool_takes_the_largest_and_shares_ties():
    x = R.normal(size=(2, 5, 4, 3))
    want = x[:, :4].reshape(2, 2, 2, 2, 2, 3).max(axis=(2, 4))
    np.testing.assert_array_equal(conv.pool(jnp.asarray(x)), want)
    slope = jax.grad(lambda x: conv.pool(x).sum())(jnp.ones((1, 3, 2, 1)))
    np.testing.assert_array_equal(slope[0, :, :, 0], [[0.25, 0.25], [0.25, 0.25], [0, 0]])


def test_refusals():
    with pytest.raises(ValueError, match='must be "lax", "patches" or None, got \'fft\''):
        conv.chosen("fft")
    with pytest.raises(ValueError, match="size must be odd, got 2"):
        conv.Conv(3, size=2).init(jax.random.key(0), jnp.zeros((1, 4, 4, 1)))
    assert conv.chosen(None) == "patches"  # the tests run on the CPU
