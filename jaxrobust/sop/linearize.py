"""The first-order model of a network: f(x; theta) ~ f(x; theta_0) + grad f . (theta - theta_0)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float


class Linearization(NamedTuple):
    """Outputs and gradients at theta_0: rows of J are grad f(x_i; theta_0)."""

    J: Float[Array, "N p"]
    f0: Float[Array, " N"]

    def predict(self, theta: Float[Array, " p"]) -> Float[Array, " N"]:
        """Give f0 + J theta, theta being the distance from theta_0."""
        return self.f0 + self.J @ theta


def linearize(
    apply: Callable[[Any, Any], Any], params: Any, inputs: Float[Array, "N ..."]
) -> Linearization:
    """Linearize a scalar-output network in its parameters at `params`.

    Parameters
    ----------
    apply
        `apply(params, x) -> scalar` for one input x; any pytree of parameters (flax's too).
    params
        theta_0, where the gradients are taken.
    inputs
        N inputs along the first axis.

    Notes
    -----
    Targets for the linear model y = J theta + s are labels minus f0: the theory needs
    f(x; theta_0) = 0, so subtract it. J takes N p numbers of memory.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> lin = linearize(lambda w, x: jnp.tanh(w @ x), jnp.zeros(2), jnp.array([[1.0, 2.0]]))
    >>> lin.J.tolist(), lin.f0.tolist()
    ([[1.0, 2.0]], [0.0])
    """
    if jnp.ndim(inputs) < 1 or jnp.shape(inputs)[0] == 0:
        raise ValueError(f"inputs must hold N >= 1 inputs, got shape {jnp.shape(inputs)}")
    shape = jax.eval_shape(apply, params, inputs[0]).shape
    if shape != ():
        raise ValueError(f"apply must return a scalar for one input, got shape {shape}: pick one")
    values, gradients = jax.vmap(jax.value_and_grad(apply), in_axes=(None, 0))(params, inputs)
    return Linearization(jax.vmap(lambda tree: ravel_pytree(tree)[0])(gradients), values)
