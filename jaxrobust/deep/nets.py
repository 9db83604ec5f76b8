"""Small networks, and `network`, which makes the two pure functions of any flax module.

He-normal weights, zero biases, ReLU. Inputs are images (N, H, W, C) or vectors (N, d).
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from jaxrobust import _check
from jaxrobust.deep.conv import Conv, enter, he_normal, leave, pool
from jaxrobust.deep.method import Network, Weights


class Linear(nn.Module):
    """A linear probe. It starts at zero: its training is convex, or nearly so."""

    out: int

    @nn.compact
    def __call__(self, x: Float[Array, "n ..."]) -> Float[Array, "n C"]:
        """Return the logits."""
        return nn.Dense(self.out, kernel_init=nn.initializers.zeros)(x.reshape(x.shape[0], -1))


class MLP(nn.Module):
    """Dense layers of the given widths, ReLU between them; images are laid out flat."""

    out: int
    widths: Sequence[int] = (512, 512)

    @nn.compact
    def __call__(self, x: Float[Array, "n ..."]) -> Float[Array, "n C"]:
        """Return the logits."""
        x = x.reshape(x.shape[0], -1)
        for width in self.widths:
            x = nn.relu(nn.Dense(width, kernel_init=he_normal)(x))
        return nn.Dense(self.out, kernel_init=he_normal)(x)


class CNN(nn.Module):
    """Convolutions 3 x 3 of the given channels, a maximum over 2 x 2, dense layers, logits.

    ReLU after each; the last one after the maximum, which is the same in a quarter of the time.
    """

    out: int
    channels: Sequence[int] = (8, 16)
    widths: Sequence[int] = (256,)
    arithmetic: str | None = None

    @nn.compact
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N out"]:
        """Return the logits."""
        x = enter(x, self.arithmetic)
        for layer, features in enumerate(self.channels):
            x = Conv(features, arithmetic=self.arithmetic)(nn.relu(x) if layer else x)
        x = leave(nn.relu(pool(x)), self.arithmetic)
        return MLP(self.out, self.widths)(x)


def network(module: nn.Module, shape: Sequence[int], *, dtype: Any = jnp.float32) -> Network:
    """Wrap a flax module as a `method.Network`; `shape` is that of one example.

    Parameters, running statistics, inputs and logits are of `dtype`, whatever the default is. A
    module with a `train` argument is told it; its `batch_stats` are the network's statistics. A
    module that wants random numbers when applied (dropout) or keeps other variables is refused.

    >>> import jax, jax.numpy as jnp
    >>> net = network(MLP(10, (32,)), (8, 8))
    >>> weights = net.init(jax.random.key(0))
    >>> logits, stats = net.apply(weights, jnp.zeros((5, 8, 8)), False)
    >>> logits.shape, size(weights)  # 65 x 32 + 33 x 10
    ((5, 10), 2410)
    """
    shape = tuple(_check.count("shape", n) for n in shape)
    told = "train" in inspect.signature(type(module).__call__).parameters

    def mode(train: bool) -> dict[str, Any]:
        return {"train": train} if told else {}

    def call(variables: Any, x: Array, train: bool, **options: Any) -> Any:
        return module.apply(variables, x, **mode(train), **options)

    def init(key: Array) -> Weights:
        first = jnp.zeros((1, *shape), jnp.float32)
        variables = dict(module.init(key, first, **mode(False)))
        params, stats = variables.pop("params", {}), variables.pop("batch_stats", {})
        if variables:
            raise ValueError(
                f"module keeps variables of kind {', '.join(variables)}: a network may have params "
                "and batch_stats only"
            )
        return jax.tree.map(lambda a: a.astype(dtype), Weights(params, stats))

    def apply(weights: Weights, x: Array, train: bool) -> tuple[Array, Any]:
        if x.shape[1:] != shape:
            want = ", ".join(map(str, shape))
            raise ValueError(
                f"x must have shape (any, {want}), got {x.shape}: give `network` the shape of one "
                "example, or reshape x"
            )
        if not jnp.issubdtype(x.dtype, jnp.floating):
            raise ValueError(
                f"x must be floating, got {x.dtype}: scale it, or give the Task views that do "
                "(augment.views)"
            )
        variables = {"params": weights.params, "batch_stats": weights.stats}
        x = x.astype(dtype)
        if not (train and told):
            return call(variables, x, train).astype(dtype), weights.stats
        logits, moved = call(variables, x, train, mutable=["batch_stats"])
        return logits.astype(dtype), moved.get("batch_stats", weights.stats)

    return Network(init, apply)


def size(weights: Weights) -> int:
    """Count the parameters (running statistics are none)."""
    return sum(a.size for a in jax.tree.leaves(weights.params))
