"""Instances in coordinates of their own put together: many LEVER planes, with BASIS, at two scales.

A learner that is lucky in one plane is not lucky in all, and a step size that suits one part does
not suit the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrobust import _check
from jaxrobust.halfspace.constructions import basis, lever
from jaxrobust.halfspace.given import finite
from jaxrobust.halfspace.instance import Atoms, Instance


def mixture(instances: Sequence[Instance], weights: Any) -> Instance:
    """Mix instances of finitely many points, each in coordinates of its own.

    w* is made of theirs, one behind the other, in the shares that give the largest margin,
    gamma = (sum of 1 / gamma_i^2)^(-1/2); OPT is the weighted mean.
    """
    if not instances or any(it.atoms is None for it in instances):
        raise ValueError("instances must be finite ones (with atoms), at least one")
    dtype, k = instances[0].w_star.dtype, len(instances)
    weights = _check.positive("weights", weights).astype(dtype)
    _check.shaped("weights", weights, (k,))
    weights = weights / jnp.sum(weights)
    found = [it.atoms for it in instances if it.atoms is not None]
    atoms = Atoms(
        jax.scipy.linalg.block_diag(*(a.x for a in found)),
        jnp.concatenate([a.clean for a in found]),
        jnp.concatenate([a.rate for a in found]),
        jnp.concatenate([p * a.weight for p, a in zip(weights, found, strict=True)]),
    )
    # Shares a_i, sum a_i^2 = 1: the margin is min a_i gamma_i, largest where all are equal.
    gamma = 1 / jnp.sqrt(sum(1 / it.gamma**2 for it in instances))
    w_star = jnp.concatenate([gamma / it.gamma * it.w_star for it in instances])
    return finite(atoms, w_star, gamma, jnp.max(jnp.stack([it.eta for it in instances])))


def levers(K: int, g: Any = 0.05, eta: Any = 0.3, **options: Any) -> Instance:
    """Return K orthogonal copies of the LEVER plane, chosen uniformly: d = 2K, gamma = g / sqrt(K).

    A convex surrogate that fluctuates may have one plane right by luck and a hold-out keep that
    iterate; it is not lucky in all K planes at once. `options` are those of `lever`.
    """
    K = _check.count("K", K)
    return mixture([lever(g, eta, **options)] * K, np.ones(K))


def mix(p_lever: Any = 0.2, d_basis: int = 300, eta: Any = 0.3, **options: Any) -> Instance:
    """Return MIX: with probability p_lever a LEVER point, else a BASIS point, in d_basis more axes.

    The BASIS points, under random classification noise, keep every learner that does not shrink its
    steps above eta; LEVER keeps the convex ones there. `options` are those of `lever`.
    """
    dtype = options.get("dtype")
    parts = [lever(eta=eta, **options), basis(d_basis, eta, dtype=dtype)]
    p = _check.between("p_lever", p_lever, 0.0, 1.0, open_low=True, open_high=True)
    return mixture(parts, jnp.stack([p, 1 - p]))


def scales(
    K: int = 24,
    p_lever: Any = 0.36,
    d_basis: int = 300,
    eta: Any = 0.3,
    *,
    scale: Any = 0.1,
    **options: Any,
) -> Instance:
    """Return SCALES: K LEVER planes, K more shrunk by `scale`, and BASIS; d = 4K + d_basis.

    With probability p_lever a LEVER point, of either size equally. On one plane a surrogate whose
    steps are so large that it never converges may be right on average, since its fluctuation
    smooths the loss; what is large for one plane is small (by scale^2) for the other, so there is
    no such step for both, and BASIS keeps every single iterate of such a run above eta.
    `options` are those of `lever`.
    """
    K = _check.count("K", K)
    scale = _check.between("scale", scale, 0.0, 1.0, open_low=True)
    p = _check.between("p_lever", p_lever, 0.0, 1.0, open_low=True, open_high=True)
    large = lever(eta=eta, **options)
    small = shrunk(large, scale)
    parts = [large] * K + [small] * K + [basis(d_basis, eta, dtype=options.get("dtype"))]
    return mixture(parts, jnp.concatenate([jnp.full(2 * K, p / (2 * K)), (1 - p)[None]]))


def shrunk(instance: Instance, scale: Any) -> Instance:
    """Return a finite instance with all points, and the margin, multiplied by scale in (0, 1]."""
    if instance.atoms is None:
        raise ValueError("instance must be a finite one (with atoms)")
    scale = _check.between("scale", scale, 0.0, 1.0, open_low=True).astype(instance.w_star.dtype)
    atoms = instance.atoms._replace(x=scale * instance.atoms.x)
    return finite(atoms, instance.w_star, scale * instance.gamma, instance.eta)
