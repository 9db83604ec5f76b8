"""The deep image prior's network: an hourglass with narrow skip connections, for one picture.

Ulyanov, Vedaldi, Lempitsky (2018, arXiv 1711.10925), with the sizes that double
over-parameterization took (You, Zhu, Qu, Ma 2020, arXiv 2006.08857).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.recovery.image.layers import convolve, double, normalise


class Prior(NamedTuple):
    """A family of pictures phi(weights, z), and how its weights move."""

    init: Callable[[PRNGKeyArray], Any]
    """key -> weights."""
    apply: Callable[[Any, Array], Array]
    """(weights, z) -> picture (height, width, channels)."""
    inputs: tuple[int, ...]
    """The shape of z."""
    rule: optax.GradientTransformation = optax.identity()
    """What a gradient becomes before it is multiplied by the step size; as it is: plain descent."""


class _Conv(nn.Module):
    """Convolve; weights and biases start uniform on +-1 / sqrt(fan-in), as in PyTorch."""

    features: int
    size: int = 3
    stride: int = 1
    biased: bool = True
    arithmetic: str | None = None

    @nn.compact
    def __call__(self, x: Float[Array, "C H W"]) -> Float[Array, "D h b"]:
        most = 1 / math.sqrt(self.size**2 * x.shape[0])

        def start(key: PRNGKeyArray, shape: tuple[int, ...]) -> Array:
            return jax.random.uniform(key, shape, x.dtype, -most, most)

        w = self.param("kernel", start, (self.size, self.size, x.shape[0], self.features))
        b = self.param("bias", start, (self.features,))
        x = convolve(x, w, self.stride, self.arithmetic)
        # Where normalisation follows, a bias cancels and has slope 0: it is kept, and not added.
        return x + b[:, None, None] if self.biased else x


class _Norm(nn.Module):
    """Normalise, and leave or bend."""

    slope: float = 0.2

    @nn.compact
    def __call__(self, x: Float[Array, "C H W"]) -> Float[Array, "C H W"]:
        scale = self.param("scale", nn.initializers.ones, (x.shape[0],), x.dtype)
        shift = self.param("bias", nn.initializers.zeros, (x.shape[0],), x.dtype)
        return normalise(x, scale, shift, self.slope)


class Hourglass(nn.Module):
    """Map z (inputs, height, width) to a picture (channels, height, width) in (0, 1).

    At each of the `scales` a 1 x 1 convolution to `skip` channels goes past, and two 3 x 3 ones,
    the first of stride 2, go down; what comes back from below is doubled in size, put beside the
    skip, normalised, and meets a 3 x 3 and a 1 x 1 convolution. Every convolution is followed by
    batch normalisation over the pixels and a leaky ReLU (.2), the last one by a sigmoid.

    Parameters: 2,217,831 as it stands with 3 channels, 4,936,359 at width 192, 121,779 at
    width 32 and 4 scales, 26,575 at width 16 and 3 scales. The dtype is z's.
    """

    channels: int = 3
    width: int = 128
    scales: int = 5
    skip: int = 4
    arithmetic: str | None = None

    @nn.compact
    def __call__(self, z: Float[Array, "inputs H W"]) -> Float[Array, "channels H W"]:
        """Return the picture."""
        x = self._level(z, self.scales)
        return nn.sigmoid(_Conv(self.channels, 1, arithmetic=self.arithmetic)(x))

    def _level(self, x: Array, left: int) -> Array:
        def conv(x: Array, features: int, size: int, stride: int = 1) -> Array:
            made = _Conv(features, size, stride, biased=False, arithmetic=self.arithmetic)
            return _Norm()(made(x))

        past = conv(x, self.skip, 1)
        x = conv(conv(x, self.width, 3, 2), self.width, 3)
        x = double(self._level(x, left - 1) if left > 1 else x)
        H, W = (min(a, b) for a, b in zip(past.shape[1:], x.shape[1:], strict=True))
        x = _Norm(slope=1.0)(jnp.concatenate([_crop(past, H, W), _crop(x, H, W)]))
        return conv(conv(x, self.width, 3), self.width, 1)


def _crop(x: Array, H: int, W: int) -> Array:
    """Return the middle; the code's rounding of halves."""
    top, left = (x.shape[1] - H) // 2, (x.shape[2] - W) // 2
    return x[:, top : top + H, left : left + W]


def prior(
    shape: tuple[int, ...],
    *,
    width: int = 128,
    scales: int = 5,
    skip: int = 4,
    inputs: int = 32,
    arithmetic: str | None = None,
    rule: optax.GradientTransformation | None = None,
    dtype: Any = jnp.float32,
) -> Prior:
    """Make the prior of pictures of a shape (height, width, channels).

    Height and width are multiples of 2^scales (`pictures` pads others), and at least twice that:
    reflection at the smallest scale needs two pixels. z has `inputs` channels. `rule` is an optax
    transformation of the gradient, plain descent without; `optax.scale_by_adam()` is Adam.

    >>> it = prior((32, 48, 3), width=16, scales=3)
    >>> weights = jax.eval_shape(it.init, jax.random.key(0))
    >>> sum(leaf.size for leaf in jax.tree.leaves(weights)), it.inputs
    (26575, (32, 32, 48))
    """
    for name, value in (("width", width), ("scales", scales), ("skip", skip), ("inputs", inputs)):
        _check.count(name, value)
    if len(shape) != 3:
        raise ValueError(f"shape must be (height, width, channels), got {shape}")
    unit = 2**scales
    for name, side in zip(("height", "width"), shape[:2], strict=True):
        if side % unit or side < 2 * unit:
            raise ValueError(
                f"shape has {name} {side}, and {scales} scales need a multiple of {unit}, at least "
                f"{2 * unit}: pad the picture, or take fewer scales"
            )
    net = Hourglass(_check.count("channels", shape[2]), width, scales, skip, arithmetic)
    z = (inputs, *shape[:2])

    def init(key: PRNGKeyArray) -> Any:
        shapes = jax.eval_shape(net.init, key, jax.ShapeDtypeStruct(z, dtype))["params"]
        return _drawn(key, shapes)

    def apply(weights: Any, z: Array) -> Array:
        return jnp.moveaxis(jnp.asarray(net.apply({"params": weights}, z)), 0, 2)

    return Prior(init, apply, z, rule or optax.identity())


def _drawn(key: PRNGKeyArray, shapes: Any) -> Any:
    """Draw all weights at once, by the law of `_Conv`: a draw a layer takes seconds to compile."""
    flat: Any = flatten_dict(shapes)
    sizes = [leaf.size for leaf in flat.values()]
    dtype = next(iter(flat.values())).dtype
    numbers = jax.random.uniform(key, (sum(sizes),), dtype, -1, 1)
    found, start = {}, 0
    for (*path, name), leaf in flat.items():
        kernel = flat.get((*path, "kernel"))
        if kernel is None:  # of a normalisation
            found[(*path, name)] = jnp.full(leaf.shape, 1.0 if name == "scale" else 0.0, dtype)
            continue
        part = numbers[start : start + leaf.size].reshape(leaf.shape)
        found[(*path, name)] = part / math.sqrt(math.prod(kernel.shape[:3]))
        start += leaf.size
    return unflatten_dict(found)
