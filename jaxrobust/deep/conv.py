"""Convolutions whose arithmetic is chosen: XLA's own, or patches and one matrix product.

XLA's convolution is 10 to 90 times slower on the CPU inside a scan than outside; a matrix product
is not. `Conv(arithmetic=None)` takes "patches" on the CPU and "lax" elsewhere, when it is traced.
The two agree to rounding, gradients too, and share one parameter tree.

Each has its own order of axes, and a network keeps it from `enter` to `leave`:

    lax        N H W C     what accelerators like
    patches    C H W N     a patch is then k k copies of whole rows of N numbers, and the product
                           (C', k k C) x (k k C, H' W' N) is long where the patches matrix is long

H and W are axes 1 and 2 of both. Patches are made for a few rows of the image at a time, and again
in the backward pass, so that they stay in the cache and no memory is held. They have a reverse-mode
rule of their own: for `jax.jvp` choose "lax".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

ARITHMETICS = ("lax", "patches")
BLOCK = 2**19
"""Numbers of a patches matrix that are made at a time: more leave the processor's cache."""

he_normal = nn.initializers.variance_scaling(2.0, "fan_in", "normal")
"""N(0, 2 / fan-in) (He et al. 2015, arXiv 1502.01852)."""


def chosen(arithmetic: str | None) -> str:
    """Return the arithmetic, None being what suits the platform that JAX runs on."""
    if arithmetic is None:
        return "patches" if jax.default_backend() == "cpu" else "lax"
    if arithmetic not in ARITHMETICS:
        raise ValueError(f'arithmetic must be "lax", "patches" or None, got {arithmetic!r:.40}')
    return arithmetic


def enter(x: Float[Array, "N H W C"], arithmetic: str | None) -> Float[Array, "a b c d"]:
    """Put images into the arithmetic's order of axes."""
    return x.transpose(3, 1, 2, 0) if chosen(arithmetic) == "patches" else x


def leave(x: Float[Array, "a b c d"], arithmetic: str | None) -> Float[Array, "N H W C"]:
    """Put images back into the order N H W C."""
    return enter(x, arithmetic)  # a swap is its own inverse


def along(v: Float[Array, " C"], arithmetic: str | None) -> Float[Array, "a b c d"]:
    """Lay one number a channel along the channels of images."""
    return v.reshape((-1, 1, 1, 1) if chosen(arithmetic) == "patches" else (1, 1, 1, -1))


def spread(arithmetic: str | None) -> tuple[int, int, int]:
    """Return the axes of images that are not the channels."""
    return (1, 2, 3) if chosen(arithmetic) == "patches" else (0, 1, 2)


def channels(x: Float[Array, "a b c d"], arithmetic: str | None) -> int:
    """Return the number of channels of images."""
    return x.shape[0 if chosen(arithmetic) == "patches" else 3]


def pool(x: Float[Array, "a H W d"]) -> Float[Array, "a h w d"]:
    """Return the largest of every 2 x 2 square, in either order; an odd last row is left out.

    Where several are largest they share the gradient evenly (PyTorch's goes to the first).
    """
    a, H, W, d = x.shape
    x = x[:, : H // 2 * 2, : W // 2 * 2]
    return x.reshape(a, H // 2, 2, W // 2, 2, d).max(axis=(2, 4))


def convolve(
    x: Float[Array, "a b c d"], w: Float[Array, "k k C D"], stride: int, arithmetic: str | None
) -> Float[Array, "e f g h"]:
    """Cross-correlate images with odd k x k kernels, with k // 2 zeros on every side.

    out[i, j] = sum_{p, q, c} w[p, q, c] x[stride i + p - k // 2, stride j + q - k // 2, c], as
    PyTorch's `padding=k // 2`. (XLA's "SAME" puts the zeros elsewhere at stride 2.)
    """
    if chosen(arithmetic) == "patches":
        return _by_patches(stride, x, w)
    pad = w.shape[0] // 2
    return lax.conv_general_dilated(
        x,
        w,
        (stride, stride),
        ((pad, pad), (pad, pad)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _size(n: int, k: int, stride: int) -> int:
    return (n + 2 * (k // 2) - k) // stride + 1


def _rows(shape: tuple[int, ...], k: int, stride: int) -> tuple[int, int, int]:
    """Return the height and width of the output, and how many of its rows are done together."""
    C, H, W, N = shape
    h, w = _size(H, k, stride), _size(W, k, stride)
    most = max(BLOCK // (k * k * C * w * N), 1)
    return h, w, max(r for r in range(1, min(h, most) + 1) if h % r == 0)


def _unfold(x: Array, k: int, stride: int, r: int, w: int) -> Array:
    """Return the patches of r rows: one row for each (p, q, c), one column for each (i, j, n)."""
    near = [
        x[:, p : p + stride * (r - 1) + 1 : stride, q : q + stride * (w - 1) + 1 : stride]
        for p in range(k)
        for q in range(k)
    ]
    return jnp.stack(near).reshape(k * k * x.shape[0], -1)


def _fold(patches: Array, shape: tuple[int, ...], k: int, stride: int, r: int, w: int) -> Array:
    """Add the patches up where they came from: the transpose of `_unfold`."""
    C, H, W, N = shape
    parts, zero = patches.reshape(k * k, C, r, w, N), jnp.zeros((), patches.dtype)

    def edge(start: int, n: int, size: int) -> tuple[int, int, int]:
        return start, n - start - stride * (size - 1) - 1, stride - 1

    placed = [
        lax.pad(parts[p * k + q], zero, ((0, 0, 0), edge(p, H, r), edge(q, W, w), (0, 0, 0)))
        for p in range(k)
        for q in range(k)
    ]
    return reduce(jnp.add, placed)


def _dot(a: Array, b: Array, i: int, j: int) -> Array:
    """Contract axis i of a with axis j of b; XLA's product is fastest in the orders used here."""
    return lax.dot_general(a, b, (((i,), (j,)), ((), ())))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _by_patches(stride: int, x: Array, w: Array) -> Array:
    return _forward(stride, x, w)[0]


def _forward(stride: int, x: Array, w: Array) -> tuple[Array, Any]:
    k, D, N = w.shape[0], w.shape[3], x.shape[3]
    h, b, r = _rows(x.shape, k, stride)
    flat, padded, take = w.reshape(-1, D), _pad(x, k), stride * (r - 1) + k

    def some(start: Array | int) -> Array:
        near = lax.dynamic_slice_in_dim(padded, start, take, axis=1)
        return _dot(flat, _unfold(near, k, stride, r, b), 0, 0)

    if r == h:
        return some(0).reshape(D, h, b, N), (x, w)
    out = lax.map(some, stride * r * jnp.arange(h // r, dtype=jnp.int32))
    return out.transpose(1, 0, 2).reshape(D, h, b, N), (x, w)


def _backward(stride: int, kept: Any, slope: Array) -> tuple[Array, Array]:
    x, w = kept
    k, D, pad = w.shape[0], w.shape[3], w.shape[0] // 2
    h, b, r = _rows(x.shape, k, stride)
    flat, padded, take = w.reshape(-1, D), _pad(x, k), stride * (r - 1) + k

    def some(start: Array | int, part: Array) -> tuple[Array, Array]:
        near = lax.dynamic_slice_in_dim(padded, start, take, axis=1)
        patches = _unfold(near, k, stride, r, b)  # made again: not kept since the forward pass
        back = _fold(_dot(flat, part, 1, 0), near.shape, k, stride, r, b)
        return back, _dot(patches, part, 1, 1)

    def step(carry: tuple[Array, Array], here: tuple[Array, Array]) -> tuple[Any, None]:
        dx, dw = carry
        start, part = here
        back, more = some(start, part)
        back = back + lax.dynamic_slice_in_dim(dx, start, take, axis=1)
        return (lax.dynamic_update_slice_in_dim(dx, back, start, axis=1), dw + more), None

    if r == h:
        dx, dw = some(0, slope.reshape(D, -1))
        dx = jnp.pad(dx, ((0, 0), (0, padded.shape[1] - take), (0, 0), (0, 0)))
    else:
        starts = stride * r * jnp.arange(h // r, dtype=jnp.int32)
        parts = slope.reshape(D, h // r, -1).transpose(1, 0, 2)
        zeros = jnp.zeros(padded.shape, x.dtype), jnp.zeros(flat.shape, w.dtype)
        (dx, dw), _ = lax.scan(step, zeros, (starts, parts))
    inside = dx[:, pad : pad + x.shape[1], pad : pad + x.shape[2]]
    return inside, dw.reshape(w.shape)


def _pad(x: Array, k: int) -> Array:
    pad = k // 2
    return jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))


_by_patches.defvjp(_forward, _backward)


class Conv(nn.Module):
    """Convolve images in the arithmetic's order; `convolve` has the formula."""

    features: int
    size: int = 3
    stride: int = 1
    bias: bool = True
    arithmetic: str | None = None
    kernel_init: Callable[..., Any] = he_normal

    @nn.compact
    def __call__(self, x: Float[Array, "a b c d"]) -> Float[Array, "e f g h"]:
        """Return the convolved images, in x's dtype."""
        if self.size % 2 == 0:
            raise ValueError(f"size must be odd, got {self.size}: an even kernel has no centre")
        shape = (self.size, self.size, channels(x, self.arithmetic), self.features)
        w = self.param("kernel", self.kernel_init, shape, jnp.float32).astype(x.dtype)
        x = convolve(x, w, self.stride, self.arithmetic)
        if not self.bias:
            return x
        b = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return x + along(b.astype(x.dtype), self.arithmetic)
