"""Learners that look at one example at a time: w <- proj(w - mu c(w.x, y) x).

They differ in the slope c alone, one line each, and in whether they stay in the unit ball:

    normalized      c = [(1 - 2 eta) sign z - y] / (2 (|z| + gamma))         in the ball
    normalized_max  c = [(1 - 2 eta) sign z - y] / (2 max(|z|, gamma))       in the ball
    leaky           c = [(1 - 2 eta) sign z - y] / 2                         in the ball
    perceptron      c = -y where y z <= 0, else 0
    logistic        c = -y / (1 + e^(y z))
    hinge           c = -y where y z < 1, else 0

with z = w.x, sign 0 = +1. The first is the gradient of the leaky ReLU
l(z, y) = -y z / 2 + (1/2 - eta) |z| over stop_gradient(|z| + gamma): the method of the Perspectron
paper (Chandrasekaran, Kontonis, Stavropoulos, Tian, NeurIPS 2024, arXiv 2501.09851) as its
talk states it; the second a published variant, as arXiv 2606.11149 spells it out, with our factor
1/2 (theirs is twice ours, their mu half). leaky is Bylander's (1994, COLT) for random noise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxrobust import _check
from jaxrobust.halfspace.instance import sign


class Rule(NamedTuple):
    """A learner: its slope c(z, y, eta, gamma), and whether w is projected on the unit ball.

    One of your own goes wherever the name of a rule does. Here is the squared hinge loss,
    max(0, 1 - y z)^2 / 2; no convex surrogate is safe on LEVER:

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from jaxrobust import halfspace
    >>> def slope(z, y, eta, gamma):
    ...     return -y * jnp.maximum(0.0, 1 - y * z)
    >>> squared_hinge = halfspace.Rule(slope, projected=False)
    >>> it = halfspace.lever()
    >>> options = {"eta": 0.3, "gamma": 0.05, "mu": 0.1, "steps": 10_000}
    >>> path = halfspace.stream(jax.random.key(0), it.draw, it.d, rule=squared_hinge, **options)
    >>> print(f"{it.error(path.average[-1]):.2f}, OPT {it.opt:.2f}")
    0.66, OPT 0.06
    """

    slope: Callable[[Any, Any, Any, Any], Array]
    """z = w.x, y, eta and gamma are numbers of one dtype, and c is another; JAX traces it."""
    projected: Any
    """True or False, or a traced one."""


class State(NamedTuple):
    """What the next step needs, and the running sum that the average weight needs."""

    w: Float[Array, " d"]
    total: Float[Array, " d"]
    """w_1 + ... + w_t, the weights that met the t examples so far."""
    mistakes: Int[Array, ""]
    """How many of them w got wrong before it learned from them."""


class Info(NamedTuple):
    """What the analyst wants of a step."""

    margin: Float[Array, ""]
    """y w.x, before the step."""
    mistake: Bool[Array, ""]


def _leaning(z: Array, y: Array, eta: Any) -> Array:
    return 0.5 * ((1 - 2 * eta) * sign(z) - y)


def _normalized(z: Array, y: Array, eta: Any, gamma: Any) -> Array:
    return _leaning(z, y, eta) / (jnp.abs(z) + gamma)


def _normalized_max(z: Array, y: Array, eta: Any, gamma: Any) -> Array:
    return _leaning(z, y, eta) / jnp.maximum(jnp.abs(z), gamma)


def _leaky(z: Array, y: Array, eta: Any, gamma: Any) -> Array:
    return _leaning(z, y, eta)


def _perceptron(z: Array, y: Array, eta: Any, gamma: Any) -> Array:
    return jnp.where(y * z <= 0, -y, jnp.zeros_like(y))


def _logistic(z: Array, y: Array, eta: Any, gamma: Any) -> Array:
    return -y * jax.nn.sigmoid(-y * z)


def _hinge(z: Array, y: Array, eta: Any, gamma: Any) -> Array:
    return jnp.where(y * z < 1, -y, jnp.zeros_like(y))


RULES = {
    "normalized": Rule(_normalized, True),
    "normalized_max": Rule(_normalized_max, True),
    "leaky": Rule(_leaky, True),
    "perceptron": Rule(_perceptron, False),
    "logistic": Rule(_logistic, False),
    "hinge": Rule(_hinge, False),
}


def rule_named(rule: Any) -> Rule:
    """Return a rule by its name, or a `Rule` as it came."""
    if isinstance(rule, Rule):
        return rule
    if not isinstance(rule, str) or rule not in RULES:
        raise ValueError(f"rule must be one of {', '.join(RULES)}, or a Rule, got {rule!r:.40}")
    return RULES[rule]


def tried(rule: Any, dtype: Any) -> Rule:
    """Return a rule by its name, or a `Rule` whose slope makes one number of four; it is traced."""
    rule = rule_named(rule)
    wanted = "rule.slope must be a function of the numbers z, y, eta, gamma that JAX can trace"
    z = jax.ShapeDtypeStruct((), dtype)
    try:
        c = jax.eval_shape(rule.slope, z, z, z, z)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{wanted}: {next(iter(str(error).splitlines()), '')}") from None
    if not isinstance(c, jax.ShapeDtypeStruct) or c.shape:
        raise ValueError(f"{wanted} and give one number, got {getattr(c, 'shape', c)!r:.40}")
    if c.dtype != z.dtype and not c.weak_type:
        raise ValueError(f"rule.slope must give c in the dtype of z, {z.dtype}, got {c.dtype}")
    return rule


def chosen(rules: Any, index: Any) -> Rule:
    """Return the rule at a traced position of a list, so that learners can be an axis of a sweep.

    All slopes are computed and one is kept: they are scalars, and a step costs O(d). A traced
    position past the end acts as the last one.
    """
    if isinstance(rules, str | Rule):
        raise ValueError(f"rules must be a list, got {rules!r:.40} alone: put it in brackets")
    given = [rule_named(r) for r in rules]
    if not given:
        raise ValueError("rules must name at least one rule, got none")
    if _check.concrete(index) is not None:
        _check.count("index", index, 0, len(given) - 1)

    def slope(z: Array, y: Array, eta: Any, gamma: Any) -> Array:
        return jnp.stack([r.slope(z, y, eta, gamma) for r in given])[index]

    return Rule(slope, jnp.array([r.projected for r in given])[index])


def init(d: int, dtype: Any = None) -> State:
    """Start from w = 0."""
    zero = jnp.zeros(d, dtype or jnp.result_type(float))
    return State(zero, zero, jnp.zeros((), jnp.int32))


def step(
    state: State,
    x: Float[Array, " d"],
    y: Float[Array, ""],
    *,
    rule: Any = "normalized",
    eta: Any,
    gamma: Any,
    mu: Any,
) -> tuple[State, Info]:
    """Learn from one example: w <- w - mu c(w.x, y) x, divided by max(1, |w|) for a projected rule.

    x (d,) in the unit ball, y -1 or +1; eta in [0, 1/2), gamma > 0 and mu > 0 may be traced. This
    is the inner loop: nothing is checked here, `stream` and `over` do.
    """
    w, shrink, z = advance(state.w, 1.0, x, y, rule_named(rule), eta, gamma, mu)
    mistake = wrong(z, y)
    count = state.mistakes + mistake.astype(jnp.int32)
    return State(shrink * w, state.total + state.w, count), Info(y * z, mistake)


def advance(
    v: Array, shrink: Any, x: Array, y: Array, rule: Rule, eta: Any, gamma: Any, mu: Any
) -> tuple[Array, Array, Array]:
    """Take one step from w = shrink v; give the new v and shrink, and w.x before the step.

    The projection is left as a factor to the next step, which multiplies w anyway: a long run does
    without a pass over w in each step.
    """
    z = shrink * (x @ v)
    v = shrink * v - (mu * rule.slope(z, y, eta, gamma)) * x
    if rule.projected is False:
        return v, jnp.ones_like(z), z
    square = v @ v
    shrink = jnp.where(rule.projected & (square > 1), jax.lax.rsqrt(square), 1.0)
    shrink = jnp.where(square < jnp.inf, shrink, jnp.nan)  # an overflow is not 0
    return v, shrink.astype(v.dtype), z


def wrong(z: Array, y: Array) -> Array:
    """Return whether sign z is not y, sign 0 = +1."""
    return sign(z).astype(y.dtype) != y
