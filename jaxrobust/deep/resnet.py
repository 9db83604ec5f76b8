"""PreActResNet-18 and ResNet-34 for 32 x 32 images, as SOP, ELR and DivideMix train them.

He et al. (2015, arXiv 1512.03385; 2016, arXiv 1603.05027) with the stem that CIFAR got since: 3 x 3
at stride 1, no maximum. Widths 64, 128, 256, 512, strides 1, 2, 2, 2, the mean over the image.
Weights are drawn as PyTorch draws them by default, uniform in +-1/sqrt(fan-in), as those runs did.

A pre-activated block is conv(relu(norm(conv(h)))) + shortcut with h = relu(norm(x)). Two versions
of the network are in use, and `repositories` chooses:

    False    the usual one: a shortcut without convolution passes x itself; 11,171,146 parameters
             for 10 classes
    True     that of SOP's and DivideMix's code: norm and ReLU after the stem too, and such a
             shortcut passes h, not x, so that nothing runs past a ReLU; 11,171,274 parameters

Deviations: PyTorch's code takes the mean over 4 x 4 squares, which is the whole image at 32 x 32
only; here it is the whole image at any size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from jaxrobust.deep.conv import Conv, along, channels, enter, leave, spread

Images = Float[Array, "a b c d"]
Out = Float[Array, "e f g h"]

uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""Uniform in +-1/sqrt(fan-in): the variance of U(-a, a) is a^2 / 3."""


class Norm(nn.Module):
    """Normalise every channel by the batch, or by running statistics, then scale and shift.

    running <- (1 - rate) running + rate batch, with the unbiased variance, as PyTorch does;
    statistics are of the parameters' dtype also where x is bfloat16.
    """

    arithmetic: str | None = None
    rate: float = 0.1
    eps: float = 1e-5

    @nn.compact
    def __call__(self, x: Images, train: bool) -> Images:
        """Return the normalised images, in x's dtype."""
        axes, f32 = spread(self.arithmetic), jnp.float32
        C = channels(x, self.arithmetic)
        n = x.size // C
        scale = self.param("scale", nn.initializers.ones, (C,), f32)
        shift = self.param("bias", nn.initializers.zeros, (C,), f32)
        mean = self.variable("batch_stats", "mean", jnp.zeros, (C,), f32)
        var = self.variable("batch_stats", "var", jnp.ones, (C,), f32)
        m, v, h = mean.value, var.value, x.astype(scale.dtype)
        if train:
            m = jnp.mean(h, axis=axes)
            v = jnp.mean(jnp.square(h - along(m, self.arithmetic)), axis=axes)
            if not self.is_initializing():
                mean.value = (1 - self.rate) * mean.value + self.rate * m
                var.value = (1 - self.rate) * var.value + self.rate * v * (n / max(n - 1, 1))
        scale = scale * jax.lax.rsqrt(v + self.eps)
        h = h * along(scale, self.arithmetic) + along(shift - m * scale, self.arithmetic)
        return h.astype(x.dtype)


class Block(nn.Module):
    """relu(norm(conv(relu(norm(conv(x))))) + shortcut(x))."""

    features: int
    stride: int
    arithmetic: str | None

    @nn.compact
    def __call__(self, x: Images, train: bool) -> Out:
        """Return the block's output."""
        conv, norm = parts(self.arithmetic)
        h = nn.relu(norm()(conv(self.features, stride=self.stride)(x), train))
        h = norm()(conv(self.features)(h), train)
        if h.shape != x.shape:
            x = norm()(conv(self.features, size=1, stride=self.stride)(x), train)
        return nn.relu(h + x)


class PreActBlock(nn.Module):
    """conv(relu(norm(conv(h)))) + shortcut, h = relu(norm(x))."""

    features: int
    stride: int
    arithmetic: str | None
    repositories: bool = False

    @nn.compact
    def __call__(self, x: Images, train: bool) -> Out:
        """Return the block's output."""
        conv, norm = parts(self.arithmetic)
        h = nn.relu(norm()(x, train))
        past = h if self.repositories else x
        y = conv(self.features, stride=self.stride)(h)
        if y.shape != x.shape:
            past = conv(self.features, size=1, stride=self.stride)(h)
        return conv(self.features)(nn.relu(norm()(y, train))) + past


def parts(arithmetic: str | None) -> tuple[Callable[..., Conv], Callable[[], Norm]]:
    """Return the convolution and the normalisation of a residual network."""
    conv = partial(Conv, bias=False, arithmetic=arithmetic, kernel_init=uniform)
    return conv, partial(Norm, arithmetic)


def _bias(key: Array, shape: tuple[int, ...], dtype: Any, fan_in: int) -> Array:
    return jax.random.uniform(key, shape, dtype, -(fan_in**-0.5), fan_in**-0.5)


class ResNet(nn.Module):
    """Stem, four stages of blocks, the mean over the image, logits.

    `compute` is the dtype of convolutions and activations (jnp.bfloat16 on accelerators); None is
    that of x. Parameters, statistics, mean and logits keep x's dtype.
    """

    out: int
    depths: Sequence[int]
    block: Callable[..., nn.Module]
    widths: Sequence[int] = (64, 128, 256, 512)
    stem: bool = True
    """Normalise and rectify after the stem."""
    arithmetic: str | None = None
    compute: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "N H W C"], train: bool = False) -> Float[Array, "N out"]:
        """Return the logits."""
        conv, norm = parts(self.arithmetic)
        h = conv(self.widths[0])(enter(x.astype(self.compute or x.dtype), self.arithmetic))
        if self.stem:
            h = nn.relu(norm()(h, train))
        for stage, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            for layer in range(depth):
                stride = 2 if stage and not layer else 1
                h = self.block(width, stride, self.arithmetic)(h, train)
        h = leave(h, self.arithmetic).astype(x.dtype).mean(axis=(1, 2))
        bias = partial(_bias, fan_in=self.widths[-1])
        return nn.Dense(self.out, kernel_init=uniform, bias_init=bias)(h)


def preact18(out: int, *, repositories: bool = False, **options: Any) -> ResNet:
    """Return PreActResNet-18, which SOP+, ELR+ and DivideMix train; options as `ResNet`'s."""
    block = partial(PreActBlock, repositories=repositories)
    return ResNet(out, (2, 2, 2, 2), block, stem=repositories, **options)


def resnet34(out: int, **options: Any) -> ResNet:
    """Return ResNet-34, which SOP and ELR train: 21,282,122 parameters for 10 classes."""
    return ResNet(out, (3, 4, 6, 3), Block, **options)
