"""Adversaries: whom to flip, with probability eta(x) <= eta < 1/2; they go with any features.

    constant     everyone: random classification noise
    near, far    |w*.x| <= width, or > width
    groups       whom a function of x names
    favouring    whom to flip so that the weights v look as good as possible beside w*

`with_adversary` puts one on an instance; the Gaussian instances take one as an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.halfspace._guard import flip_rate
from jaxrobust.halfspace.given import finite
from jaxrobust.halfspace.instance import Instance, Points, predict


class Band(NamedTuple):
    """A rate that depends on the margin m = |w*.x| alone: `near` where m <= width, else `far`."""

    width: Any
    near: Any
    far: Any


@dataclass(frozen=True, eq=False)
class Adversary:
    """A bound and the rates under it.

    Attributes
    ----------
    eta
        The bound, eta(x) <= eta < 1/2.
    flips
        flips(x (n, d), w_star (d,)) -> eta(x), (n,). Call `rate`, which checks what it gives.
    band
        The rate as a function of the margin where it is one (then integrals can be exact).
    reads_w_star
        Whether `flips` looks at w*; if so it has no meaning for data without a known w*.
    """

    eta: Array
    flips: Callable[[Array, Array], Array]
    band: Band | None = None
    reads_w_star: bool = True

    def rate(self, x: Float[Array, "n d"], w_star: Float[Array, " d"]) -> Float[Array, " n"]:
        """Return eta(x), checked to lie in [0, eta]; traced rates outside become NaN."""
        found = jnp.asarray(self.flips(x, w_star)).astype(x.dtype)
        _check.shaped("the adversary's rates", found, (x.shape[0],))
        top = self.eta.astype(x.dtype)
        allowed = (found >= 0) & (found <= top)
        known = _check.concrete(allowed)
        if known is not None and not known.all() and not np.isnan(top):
            worst = np.asarray(found)[~known][0]
            raise ValueError(f"the adversary's rates must lie in [0, {top:g}], got {worst:g}")
        return jnp.where(allowed, found, jnp.nan)


def constant(eta: Any) -> Adversary:
    """Flip everyone with probability eta (random classification noise).

    >>> import jax.numpy as jnp
    >>> print(f"{constant(0.2).rate(jnp.eye(2), jnp.array([1.0, 0.0]))[1]:.1f}")
    0.2
    """
    eta = _bound(eta)
    return _where(eta, lambda x, w_star: jnp.ones(x.shape[0], bool), Band(1.0, eta, eta), False)


def near(eta: Any, width: Any) -> Adversary:
    """Flip where |w*.x| <= width: the hard examples. Points exactly at width may round either way.

    >>> import jax.numpy as jnp
    >>> near(0.2, 0.5).rate(jnp.array([[0.1, 0.0], [0.9, 0.0]]), jnp.array([1.0, 0.0])) > 0
    Array([ True, False], dtype=bool)
    """
    eta, width = _banded(eta, width)
    band = Band(width, eta, 0 * eta)
    return _where(eta, lambda x, w_star: _margin(x, w_star) <= width.astype(x.dtype), band)


def far(eta: Any, width: Any) -> Adversary:
    """Flip where |w*.x| > width: the clear examples, which pull hardest on a convex surrogate."""
    eta, width = _banded(eta, width)
    band = Band(width, 0 * eta, eta)
    return _where(eta, lambda x, w_star: _margin(x, w_star) > width.astype(x.dtype), band)


def groups(eta: Any, member: Any) -> Adversary:
    """Flip the members of a group; member(x (n, d)) -> True or False, (n,)."""
    if not callable(member):
        raise ValueError(f"member must be a function of x (n, d), got {member!r:.40}")

    def members(x: Array, w_star: Array) -> Array:
        found = jnp.asarray(member(x))
        if found.shape != x.shape[:1] or found.dtype != bool:
            raise ValueError(
                f"member must give True or False for each of the {x.shape[0]} rows of x, got "
                f"shape {found.shape} of {found.dtype}"
            )
        return found

    return _where(_bound(eta), members, reads_w_star=False)


def favouring(eta: Any, v: Any) -> Adversary:
    """Flip where y* (w* - v).x > 0, y* = sign(w*.x): the best for weights v (d,) against w*.

    Let l be a loss of the margin y w.x whose odd part is linear, l(-z) - l(z) = c z with c > 0:
    logistic, leaky ReLU and the perceptron's max(0, -z) (c = 1), hinge while |z| <= 1 (c = 2). Then
    E[l(y w.x) | x] = l(y* w.x) + eta(x) c y* w.x, so that

        E l(v) - E l(w*) = (the same without noise) + c E[ eta(x) y* (v - w*).x ],

    which is least, over all eta(x) in [0, eta], when eta(x) = eta where y* (v - w*).x < 0 and 0
    elsewhere. So no adversary makes w* look worse beside v to such a surrogate: the worst one for a
    learner that stands at v. Call it with what the learner returned, train again, and so on: the
    best-response loop. v is taken as it is, not normalised: its length matters. For the normalised
    rules, which divide by |v.x|, and for the 0-1 error this adversary is not the worst one.
    """
    v = _check.real("v", v, (None,))

    def better(x: Array, w_star: Array) -> Array:
        _check.shaped("v", v, (x.shape[1],))
        return predict(w_star, x) * (x @ (w_star - v.astype(x.dtype))) > 0

    return _where(_bound(eta), better)


def checked(name: str, adversary: Any) -> Adversary:
    """Return an adversary; refuse what is none, and say how to make one of it."""
    if isinstance(adversary, Adversary):
        return adversary
    cure = "adversary.constant(0.3), or groups for a function of x"
    raise ValueError(f"{name} must be an Adversary such as {cure}, got {adversary!r:.40}")


def with_adversary(instance: Any, adversary: Any) -> Instance:
    """Return the instance with the adversary's rates; points, w*, gamma and their luck are kept.

    Finite instances stay exact. On any other, err and OPT become means over its `grid`: all of a
    data set, which is exact, but only a sample of Gaussian points (to stay exact there, build
    `gaussian_margin` with the adversary).

    >>> from jaxrobust import halfspace
    >>> print(f"{with_adversary(halfspace.lever(), constant(0.1)).opt:.2f}")
    0.10
    """
    if not isinstance(instance, Instance):
        raise ValueError(f"instance must be an Instance, and comes first, got {instance!r:.40}")
    adversary = checked("adversary", adversary)
    w_star = instance.w_star
    eta = adversary.eta.astype(w_star.dtype)
    if instance.atoms is not None:
        x = instance.atoms.x
        rate, mirrored = adversary.rate(x, w_star), adversary.rate(-x, w_star)
        even = (rate == mirrored) | jnp.isnan(rate)
        known = _check.concrete(even)
        if known is not None and not known.all():
            raise ValueError(
                "the adversary must treat x and -x alike on a finite instance, where (x, y) and "
                f"(-x, -y) are equally likely: it does not for atom {int(np.argmin(known))}"
            )
        atoms = instance.atoms._replace(rate=jnp.where(even, rate, jnp.nan))
        return finite(atoms, w_star, instance.gamma, eta)
    direction = _check.concrete(w_star)
    if adversary.reads_w_star and direction is not None and not direction.any():
        raise ValueError(
            "the adversary looks at w*, which is 0 (unknown) for this instance: use constant or "
            "groups, whose member may be any function of x"
        )

    def rated(points: Points) -> Points:
        return points._replace(rate=adversary.rate(points.x, w_star))

    def points(key: PRNGKeyArray, n: int) -> Points:
        return rated(instance.points(key, n))

    def grid() -> tuple[Points, Array]:
        sample, weight = instance.grid()
        return rated(sample), weight

    sample, weight = grid()

    def error(w: Array) -> Array:
        wrong = (predict(w, sample.x) != sample.clean).astype(weight.dtype)
        return weight @ (sample.rate + (1 - 2 * sample.rate) * wrong)

    opt = weight @ sample.rate
    return replace(instance, eta=eta, opt=opt, points=points, error=error, grid=grid)


def _margin(x: Array, w_star: Array) -> Array:
    return jnp.abs(x @ w_star)


def _bound(eta: Any) -> Array:
    return flip_rate("eta", eta, jnp.result_type(float))


def _banded(eta: Any, width: Any) -> tuple[Array, Array]:
    """Return eta and width; a traced width that is not positive makes the rates NaN."""
    eta, width = _bound(eta), _check.number("width", width, dtype=jnp.result_type(float))
    return jnp.where(jnp.isnan(width), jnp.nan, eta), width


def _where(
    eta: Array,
    chosen: Callable[[Array, Array], Any],
    band: Band | None = None,
    reads_w_star: bool = True,
) -> Adversary:
    """Return the adversary that flips with probability eta where chosen(x, w_star), else never."""

    def flips(x: Array, w_star: Array) -> Array:
        mask = jnp.asarray(chosen(x, w_star)).astype(bool)
        return jnp.where(mask, eta, 0 * eta)

    return Adversary(eta, flips, band, reads_w_star)
