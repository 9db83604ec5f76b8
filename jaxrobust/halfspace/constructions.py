"""Instances on few points, on which one learner or another provably goes wrong.

Each lies in the plane of (1, 0) = w* and its normal, or in copies of it; all clean labels are +1
before the random mirror (x, y) -> (-x, -y). LONG-SERVEDIO is from Long & Servedio (2008, ICML,
"Random classification noise defeats all convex potential boosters"); BASIS is the hard-margin
example behind the perceptron's 1/gamma^2; DRAG and LEVER were found by search (see
`halfspace.search`) and are explained by `halfspace.population`. `mixtures` puts them together.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxrobust import _check
from jaxrobust.halfspace._guard import flip_rate
from jaxrobust.halfspace.given import finite
from jaxrobust.halfspace.instance import Atoms, Instance


def long_servedio(g: Any, eta: Any, *, where: str = "all", dtype: Any = None) -> Instance:
    """Return (1, 0) of weight 1/4, (g, -g) of weight 1/2, (g, 5g) of weight 1/4; margin g <= .19.

    where="all": every label is flipped with probability eta (random classification noise);
    "far": only those of (1, 0), so that OPT = eta / 4.
    """
    dtype = dtype or jnp.result_type(float)
    if where not in ("all", "far"):
        raise ValueError(f'where must be "all" or "far", got {where!r}')
    g, eta = _number("g", g, 1 / math.sqrt(26), dtype), flip_rate("eta", eta, dtype)
    x = [[1.0, 0.0], [g, -g], [g, 5 * g]]
    flips = [eta, eta, eta] if where == "all" else [eta, 0.0, 0.0]
    return _plane(x, flips, [0.25, 0.5, 0.25], g, eta, dtype)


def drag(g: Any, eta: Any, *, dtype: Any = None) -> Instance:
    """Return DRAG: (g, sqrt(1 - g^2)) of weight .3, clean; (g, -2g) of weight .7, flipped by eta.

    The far clean point drags a plain leaky ReLU, which pays by the distance, to its own side, and
    keeps the average of the normalised iterates wrong.
    """
    dtype = dtype or jnp.result_type(float)
    g, eta = _number("g", g, 1 / math.sqrt(5), dtype), flip_rate("eta", eta, dtype)
    x = [[g, jnp.sqrt(1 - g * g)], [g, -2 * g]]
    return _plane(x, [0.0, eta], [0.3, 0.7], g, eta, dtype)


def lever(
    g: Any = 0.05,
    eta: Any = 0.3,
    *,
    a: Any = 0.07,
    p_noisy: Any = 0.2,
    p_arm: Any = 0.2,
    dtype: Any = None,
) -> Instance:
    """Return LEVER: B = (1, 0), noisy; C = (g, -sqrt(1 - g^2)) and A = (g, a), clean.

    Weights p_noisy, p_arm and the rest; OPT = p_noisy eta. Noise on B alone caps w.(1, 0), so g w_1
    cannot hold A and C; C's arm of length 1 beats the small a, and the bulk A is lost:
    a convex surrogate's optimum errs 1 - p_noisy - p_arm + p_noisy eta. The default is lost by
    logistic, hinge, plain leaky ReLU and the averaged perceptron alike.
    """
    dtype = dtype or jnp.result_type(float)
    g, eta = _number("g", g, 1.0, dtype), flip_rate("eta", eta, dtype)
    a = _number("a", a, 1.0, dtype)
    p_noisy, p_arm = _number("p_noisy", p_noisy, 1.0, dtype), _number("p_arm", p_arm, 1.0, dtype)
    length = _check.concrete(a * a + g * g)
    if length is not None and length > 1:
        most = (1 - float(g) ** 2) ** 0.5
        raise ValueError(f"a must be at most {most:.3g} for |(g, a)| <= 1, got {float(a):g}")
    rest = 1 - p_noisy - p_arm
    known = _check.concrete(rest)
    if known is not None and known <= 0:
        raise ValueError(f"p_noisy + p_arm must be below 1, the bulk A has the rest: {1 - known:g}")
    x = [[1.0, 0.0], [g, -jnp.sqrt(1 - g * g)], [g, a]]
    return _plane(x, [eta, 0.0, 0.0], [p_noisy, p_arm, rest], g, eta, dtype)


def basis(d: int, eta: Any, *, size: Any = None, dtype: Any = None) -> Instance:
    """Return BASIS: x = +-e_j, j uniform in 1..d, clean label = sign x_j, all flipped by eta.

    w* = (1, ..., 1) / sqrt(d) and gamma = 1 / sqrt(d): each coordinate has to be learned by itself,
    the worst case for the margin. `size` <= d, which may be traced, uses the first coordinates
    only: margins 1 / sqrt(size) at one shape.
    """
    dtype = dtype or jnp.result_type(float)
    d, eta = _check.count("d", d), flip_rate("eta", eta, dtype)
    used = jnp.ones(d, dtype)
    if size is not None:
        size = _check.between("size", size, 1.0, float(d)).astype(dtype)
        used = (jnp.arange(d, dtype=dtype) < size).astype(dtype)
    number = jnp.sum(used)
    ones = jnp.ones(d, dtype)
    atoms = Atoms(jnp.eye(d, dtype=dtype), ones, eta * ones, used / number)
    return finite(atoms, used / jnp.sqrt(number), 1 / jnp.sqrt(number), eta)


def _plane(x: Any, flips: Any, weight: Any, g: Any, eta: Any, dtype: Any) -> Instance:
    points = jnp.stack([jnp.stack([jnp.asarray(v, dtype) for v in row]) for row in x])
    flips, weight = (jnp.stack([jnp.asarray(v, dtype) for v in row]) for row in (flips, weight))
    atoms = Atoms(points, jnp.ones(len(x), dtype), flips, weight)
    return finite(atoms, jnp.array([1.0, 0.0], dtype), g, eta)


def _number(name: str, x: Any, high: float, dtype: Any) -> jax.Array:
    return _check.number(name, x, float(high), dtype)
