"""Learners to point `search.run` at: what an instance does to them, as a number.

A learner is any function (key, instance) -> its weights w (d,), or its error. Here are the rules of
`online`, run on examples with any choice of iterate, and the same rules without sampling, moved by
the expected step: the drift, fast and free of noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.halfspace import online, theory
from jaxrobust.halfspace.choice import CHOICES, errors
from jaxrobust.halfspace.instance import Instance
from jaxrobust.halfspace.trajectory import segment_of, stream

Learner = Callable[[PRNGKeyArray, Instance], Any]


def harm_of(
    learner: Any, above: str = "eta", *, slack: float = 0.0
) -> Callable[[PRNGKeyArray, Instance], Array]:
    """Return harm(key, instance) = err - level; `above` names it: eta, opt, middle, or zero.

    learner(key, instance) gives w (d,), scored exactly, or err itself. err - eta alone deceives:
    flips of rate eta everywhere have harm 0 with a learner that is right, and a search that has
    come there hardly leaves; "middle", err - (eta + OPT)/2, also pays for what is above OPT.
    Weights that are not finite have harm NaN: a run that diverged shows nothing about the method.

    slack > 0, for learners that give w, counts a point as wrong only where y w.x < -slack |w|. A
    piecewise linear loss has its minimum where some w.x = 0, and a search without slack finds such
    ties: the error there is decided by rounding, not by the loss.

    >>> import jax
    >>> from jaxrobust import halfspace
    >>> it = halfspace.lever()
    >>> print(f"{harm_of(lambda key, it: -it.w_star)(jax.random.key(0), it):.2f}")
    0.64
    """
    if not callable(learner):
        raise ValueError(
            f"learner must be a function (key, instance) -> w or err, got {learner!r:.40}: "
            "online_learner or drift_learner makes one of a rule"
        )
    if above not in ("eta", "opt", "middle", "zero"):
        raise ValueError(f'above must be "eta", "opt", "middle" or "zero", got {above!r}')
    _check.between("slack", slack, 0.0, 1.0)

    def harm(key: PRNGKeyArray, it: Instance) -> Array:
        answer = jnp.asarray(learner(key, it))
        if slack and (it.atoms is None or not answer.ndim):
            raise ValueError("slack wants a learner that gives w, and a finite instance")
        if answer.ndim:
            err = _error(it, answer, slack) if slack else it.error(answer)
            answer = jnp.where(jnp.all(jnp.isfinite(answer)), err, jnp.nan)
        eta, opt = it.eta, it.opt
        levels = {"eta": eta, "opt": opt, "middle": (eta + opt) / 2, "zero": jnp.zeros_like(eta)}
        return answer.astype(eta.dtype) - levels[above]

    return harm


def _error(it: Instance, w: Array, slack: float) -> Array:
    assert it.atoms is not None
    x, clean, rate, weight = it.atoms
    wrong = (x @ w) * clean < -slack * jnp.linalg.norm(w)
    return weight @ (rate + (1 - 2 * rate) * wrong.astype(x.dtype))


def online_learner(
    rule: Any = "normalized",
    choice: Any = "holdout",
    *,
    among: Sequence[str] = CHOICES,
    steps: Any,
    mu: Any = None,
    snapshots: Any = 20,
    held: Any = 1000,
) -> Learner:
    """Return the learner that runs a rule over `steps` fresh examples; it gives err.

    `choice` is one of `choice.CHOICES` or, for an axis of a sweep, a traced position in `among`
    (what is not among them is not computed); `held` noisy examples choose among the snapshots.
    mu may be traced; None is gamma / ((1 - eta) sqrt T), which the theorem on the normalized rules
    wants, and for them alone.
    """
    rule = online.rule_named(rule)
    segment_of(steps, snapshots)  # refused here, not in the middle of a search
    steps, held = _check.count("steps", steps), _check.count("held", held)
    snapshots = _check.count("snapshots", snapshots)
    names = (choice,) if isinstance(choice, str) else tuple(among)
    position = 0 if isinstance(choice, str) else choice
    if not names or not set(names) <= set(CHOICES):
        raise ValueError(f"choice must be one of {', '.join(CHOICES)}, got {', '.join(names)!r}")
    if mu is None and rule not in (online.RULES["normalized"], online.RULES["normalized_max"]):
        raise ValueError("mu must be given: only the normalized rules have a step size of theory")

    def learner(key: PRNGKeyArray, it: Instance) -> Array:
        run, apart = jax.random.split(key)
        size = theory.step_size(steps, it.gamma, it.eta) if mu is None else mu
        settings = {"eta": it.eta, "gamma": it.gamma, "mu": size}
        path = stream(run, it.draw, it.d, rule=rule, steps=steps, snapshots=snapshots, **settings)
        x, y = it.draw(apart, held)
        found = errors(path, it.error, x, y)
        err = jnp.stack([getattr(found, name) for name in names])[position]
        return jnp.where(path.finite, err, jnp.nan)

    return learner


def drift_learner(
    rule: Any = "leaky", choice: str = "average", *, steps: Any = 2000, mu: Any
) -> Learner:
    """Return the learner that follows a rule's expected step on a finite instance; it gives w.

    w <- proj(w - mu sum_i p_i E_y[c(w.x_i, y)] x_i) from w = 0: (projected, sub)gradient descent
    on the expected loss where the rule has one. `choice` is "last" or "average". It draws nothing.

    A rule of one's own, which learns from near points only, is right on LEVER: err - eta < 0.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from jaxrobust import halfspace
    >>> def slope(z, y, eta, gamma):
    ...     return jnp.where(jnp.abs(z) < gamma, -y, 0.0)
    >>> harm = harm_of(drift_learner(halfspace.Rule(slope, projected=True), "last", mu=0.1))
    >>> print(f"{harm(jax.random.key(0), halfspace.lever()):.2f}")
    -0.24
    """
    rule = online.rule_named(rule)
    steps, mu = _check.count("steps", steps), _check.number("mu", mu)
    if choice not in ("last", "average"):
        raise ValueError(f'choice must be "last" or "average", got {choice!r}')

    def learner(key: PRNGKeyArray, it: Instance) -> Array:
        if it.atoms is None:
            raise ValueError("instance must be a finite one (with atoms) to have an expected step")
        x, clean, rate, weight = it.atoms
        online.tried(rule, x.dtype)
        size = mu.astype(x.dtype)

        def one(state: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
            w, total = state
            # (x, y) and (-x, -y) move w alike, but for the tie w.x = 0.
            # Sums, not products of matrices: they fuse into one loop.
            z = jnp.sum(x * w[None, :], axis=1)
            c = (1 - rate) * rule.slope(z, clean, it.eta, it.gamma)
            c = c + rate * rule.slope(z, -clean, it.eta, it.gamma)
            new = w - size * jnp.sum((weight * c)[:, None] * x, axis=0)
            norm = jnp.sqrt(jnp.sum(new * new))
            outside = jnp.asarray(rule.projected) & (norm > 1)
            return (new / jnp.where(outside, norm, 1.0).astype(x.dtype), total + w), None

        zero = jnp.zeros(it.d, x.dtype)
        (last, total), _ = jax.lax.scan(one, (zero, zero), None, length=steps)
        return last if choice == "last" else total / steps

    return learner
