"""How near one picture is to another: PSNR and SSIM, pure functions of two arrays in [0, 1]."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from jaxrobust.recovery.image import _picture

# (0.01, 0.03) of the data range, squared: what keeps SSIM's quotients from 0/0.
_C1, _C2 = 0.01**2, 0.03**2
_GAUSSIAN = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
# Weights along an axis, and what makes the (co)variances those of a sample.
_WINDOWS = {"uniform": (np.full(7, 1 / 7), 49 / 48), "gaussian": (_GAUSSIAN / _GAUSSIAN.sum(), 1.0)}


def psnr(a: ArrayLike, b: ArrayLike) -> Float[Array, ""]:
    """Return the peak signal-to-noise ratio in decibel: 10 log10(1 / mean((a - b)^2)).

    The data range is 1; all entries of all channels count alike; equal pictures have infinity.
    `a` and `b` have one shape, (height, width) or (height, width, channels).

    >>> import jax.numpy as jnp
    >>> float(psnr(jnp.zeros((4, 5)), jnp.full((4, 5), 0.1)).round(3))
    20.0
    """
    a, b = _pair(a, b)
    return -10.0 * jnp.log10(jnp.mean((a - b) ** 2))


def ssim(a: ArrayLike, b: ArrayLike, *, window: str = "uniform") -> Float[Array, ""]:
    """Return the mean structural similarity of two pictures.

    SSIM = (2 m_a m_b + C1) (2 s_ab + C2) / ((m_a^2 + m_b^2 + C1) (s_a^2 + s_b^2 + C2)) with means,
    variances and covariance in a window, C1 = .01^2, C2 = .03^2 (data range 1), averaged over all
    windows that lie inside the picture and over the channels.

    `window` (static) is "uniform", 7 x 7 with sample (co)variances, scikit-image's default, or
    "gaussian", 11 x 11 with sigma 1.5 and weighted (co)variances, as in the paper. `a` and `b` as
    in `psnr`, at least a window in height and width.

    Source: Wang, Bovik, Sheikh, Simoncelli, IEEE Transactions on Image Processing 13, 2004.

    >>> import jax.numpy as jnp
    >>> a = jnp.linspace(0, 1, 99).reshape(9, 11)
    >>> float(ssim(a, a)), float(ssim(a, 1 - a)) < 0
    (1.0, True)
    """
    a, b = _pair(a, b)
    if not isinstance(window, str) or window not in _WINDOWS:
        raise ValueError(f'window must be "uniform" or "gaussian", got {window!r:.40}')
    side = len(_WINDOWS[window][0])
    if min(a.shape[:2]) < side:
        raise ValueError(
            f"a must be at least {side} x {side} for this window, got {a.shape[:2]}: use psnr"
        )
    return _ssim(a, b, window)


@partial(jax.jit, static_argnums=2)
def _ssim(a: Array, b: Array, window: str) -> Array:
    weights, unbias = _WINDOWS[window]
    rows, columns = (_averages(weights, n, a.dtype) for n in a.shape[:2])

    def mean(x: Array) -> Array:
        # Variances are small differences of these: no GPU's quick and rough product.
        return jnp.einsum("ij,jk...,lk->il...", rows, x, columns, precision="highest")

    m_a, m_b = mean(a), mean(b)
    s_aa = unbias * (mean(a * a) - m_a * m_a)
    s_bb = unbias * (mean(b * b) - m_b * m_b)
    s_ab = unbias * (mean(a * b) - m_a * m_b)
    above = (2 * m_a * m_b + _C1) * (2 * s_ab + _C2)
    below = (m_a**2 + m_b**2 + _C1) * (s_aa + s_bb + _C2)
    return jnp.mean(above / below)


def _averages(weights: np.ndarray, n: int, dtype: Any) -> Array:
    """Give the matrix that averages n numbers over every window inside."""
    places = np.arange(n)[None, :] - np.arange(n - len(weights) + 1)[:, None]
    inside = (places >= 0) & (places < len(weights))
    return jnp.asarray(np.where(inside, weights[places.clip(0, len(weights) - 1)], 0.0), dtype)


def _pair(a: Any, b: Any) -> tuple[Array, Array]:
    a, b = _picture.unit("a", a), _picture.unit("b", b)
    if a.shape != b.shape:
        raise ValueError(f"b must have the shape of a, {a.shape}, got {b.shape}")
    dtype = max(a.dtype, b.dtype, key=lambda kind: jnp.finfo(kind).bits)
    return a.astype(dtype), b.astype(dtype)
