"""What the network is made of, for one picture (channels, height, width) with reflected edges.

XLA's convolution is slow on the CPU inside a scan. Here its work is one matrix product: three
copies of the picture, shifted sideways, stand above each other, all three rows of the kernel meet
them at once, and the three results are added one row apart. That moves 3 C + 3 D rows of numbers
where patches move 9 C; the reverse-mode rule does the same backwards (for `jax.jvp` choose "lax").
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

ARITHMETICS = ("lax", "rows")


def chosen(arithmetic: str | None) -> str:
    """Return the arithmetic, None being what suits the platform that JAX runs on."""
    if arithmetic is None:
        return "rows" if jax.default_backend() == "cpu" else "lax"
    if arithmetic not in ARITHMETICS:
        raise ValueError(f'arithmetic must be "lax", "rows" or None, got {arithmetic!r:.40}')
    return arithmetic


def convolve(
    x: Float[Array, "C H W"],
    w: Float[Array, "k k C D"],
    stride: int = 1,
    arithmetic: str | None = None,
) -> Float[Array, "D h b"]:
    """Cross-correlate a picture with 1 x 1 or 3 x 3 kernels, k // 2 reflected pixels all around.

    out[d, i, j] = sum_{p, q, c} w[p, q, c, d] x[c, stride i + p - k // 2, stride j + q - k // 2],
    where -1 means 1 and H means H - 2 (edges not repeated), as PyTorch's `ReflectionPad2d(k // 2)`
    and a convolution. H and W are at least 2.

    >>> x = jnp.arange(6.0).reshape(1, 2, 3)
    >>> print(convolve(x, jnp.zeros((3, 3, 1, 1)).at[1, 0].set(1.0)))  # the left neighbour
    [[[1. 0. 1.]
      [4. 3. 4.]]]
    """
    k, _, C, D = w.shape
    if k == 1:
        x = x[:, ::stride, ::stride]
        return _dot(w[0, 0], x.reshape(C, -1), 0, 0).reshape(D, *x.shape[1:])
    if chosen(arithmetic) == "lax":
        spec = ("NCHW", "HWIO", "NCHW")
        pairs = (stride, stride)
        return lax.conv_general_dilated(
            reflect(x)[None], w, pairs, "VALID", dimension_numbers=spec
        )[0]
    if stride == 1:
        return _rows(x, w)
    h, b = (-(-n // stride) for n in x.shape[1:])
    wide = reflect(x)
    near = [
        wide[:, p : p + stride * (h - 1) + 1 : stride, q : q + stride * (b - 1) + 1 : stride]
        for p in range(k)
        for q in range(k)
    ]
    patches = jnp.stack(near).reshape(k * k * C, h * b)
    return _dot(w.reshape(k * k * C, D), patches, 0, 0).reshape(D, h, b)


def reflect(x: Float[Array, "C H W"]) -> Float[Array, "C h w"]:
    """Return the picture with one reflected pixel on every side, edges not repeated."""
    x = jnp.concatenate([x[:, 1:2], x, x[:, -2:-1]], axis=1)
    return jnp.concatenate([x[:, :, 1:2], x, x[:, :, -2:-1]], axis=2)


def double(x: Float[Array, "C H W"]) -> Float[Array, "C h w"]:
    """Return the picture at twice its size, bilinear with half-pixel centres, edges clamped.

    Each new pixel is 3/4 of the nearest old one and 1/4 of the next, along both axes: PyTorch's
    `Upsample(scale_factor=2, mode="bilinear")`, `jax.image.resize(..., "bilinear")`.

    >>> print(double(jnp.array([[[0.0, 4.0]]]))[0, 0])
    [0. 1. 3. 4.]
    """
    C, H, W = x.shape
    up = jnp.concatenate([x[:, :1], x[:, :-1]], axis=1)
    down = jnp.concatenate([x[:, 1:], x[:, -1:]], axis=1)
    x = jnp.stack([0.75 * x + 0.25 * up, 0.75 * x + 0.25 * down], axis=2).reshape(C, 2 * H, W)
    left = jnp.concatenate([x[:, :, :1], x[:, :, :-1]], axis=2)
    right = jnp.concatenate([x[:, :, 1:], x[:, :, -1:]], axis=2)
    both = [0.75 * x + 0.25 * left, 0.75 * x + 0.25 * right]
    return jnp.stack(both, axis=3).reshape(C, 2 * H, 2 * W)


def _dot(a: Array, b: Array, i: int, j: int) -> Array:
    """Contract axis i of a with axis j of b."""
    return lax.dot_general(a, b, (((i,), (j,)), ((), ())))


def _shifted(x: Array) -> Array:
    """Return the picture moved right, not at all, left: rows (q, c), columns (i, j)."""
    C, H, W = x.shape
    wide = reflect(x)
    return jnp.stack([wide[:, :, q : q + W] for q in range(3)]).reshape(3 * C, (H + 2) * W)


def _flat(w: Array) -> Array:
    """Return the kernels as a matrix of rows (q, c) and columns (p, d)."""
    _, _, C, D = w.shape
    return w.transpose(1, 2, 0, 3).reshape(3 * C, 3 * D)


@jax.custom_vjp
def _rows(x: Array, w: Array) -> Array:
    return _forward(x, w)[0]


def _forward(x: Array, w: Array) -> tuple[Array, Any]:
    x = lax.optimization_barrier(x)  # or what made x would be made again for each copy
    H, W, D = x.shape[1], x.shape[2], w.shape[3]
    out = _dot(_flat(w), _shifted(x), 0, 0).reshape(3, D, H + 2, W)
    return out[0, :, :H] + out[1, :, 1 : H + 1] + out[2, :, 2:], (x, w)


def _backward(kept: Any, slope: Array) -> tuple[Array, Array]:
    x, w = kept
    slope = lax.optimization_barrier(slope)
    C, H, W = x.shape
    D = w.shape[3]
    apart = [jnp.pad(slope, ((0, 0), (p, 2 - p), (0, 0))) for p in range(3)]
    rows = jnp.stack(apart).reshape(3 * D, (H + 2) * W)
    back = _dot(_flat(w), rows, 1, 0).reshape(3, C, H + 2, W)
    wide = [jnp.pad(back[q], ((0, 0), (0, 0), (q, 2 - q))) for q in range(3)]
    dw = _dot(_shifted(x), rows, 1, 1).reshape(3, C, 3, D).transpose(2, 0, 1, 3)
    return jax.linear_transpose(reflect, x)(sum(wide[1:], wide[0]))[0], dw


_rows.defvjp(_forward, _backward)


def total(x: Float[Array, "C H W"]) -> Float[Array, " C"]:
    """Sum over a picture, axis by axis: XLA's sum over both on the CPU is four times slower."""
    return lax.optimization_barrier(x.sum(axis=1)).sum(axis=1)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def normalise(
    x: Float[Array, "C H W"], scale: Float[Array, " C"], shift: Float[Array, " C"], slope: float
) -> Float[Array, "C H W"]:
    """Give every channel mean 0 and variance 1, scale and shift it; then the leaky ReLU.

    y = scale (x - mean) / sqrt(var + 1e-5) + shift, then max(y, slope y); slope 1 leaves y as it
    is. Mean and (biased) variance are over the pixels of this one picture: batch normalisation with
    a batch of one. The gradient is that of the whole, at y = 0 the one from below.
    """
    return _normalised(x, scale, shift, slope)[0]


def _normalised(x: Array, scale: Array, shift: Array, slope: float) -> tuple[Array, Any]:
    n = x.shape[1] * x.shape[2]
    mean = total(x) / n
    centred = x - _along(mean)
    inverse = lax.rsqrt(total(centred * centred) / n + 1e-5)
    y = centred * _along(scale * inverse) + _along(shift)
    out = y if slope == 1 else jnp.where(y > 0, y, slope * y)
    return out, (x, mean, inverse, scale, shift)


def _unnormalised(slope: float, kept: Any, d: Array) -> tuple[Array, Array, Array]:
    x, mean, inverse, scale, shift = kept
    n = x.shape[1] * x.shape[2]
    unit = (x - _along(mean)) * _along(inverse)
    if slope != 1:
        d = jnp.where(unit * _along(scale) + _along(shift) > 0, d, slope * d)
    dshift, dscale = total(d), total(d * unit)
    dx = d - _along(dshift / n) - unit * _along(dscale / n)
    return dx * _along(scale * inverse), dscale, dshift


def _along(v: Array) -> Array:
    return v[:, None, None]


normalise.defvjp(_normalised, _unnormalised)
