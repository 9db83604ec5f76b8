"""A list of banded halfspaces: |w_1.x| >= t_1 -> sign(w_1.x), else |w_2.x| >= t_2 -> ..., improper.

After Diakonikolas, Gouleakis, Tzamos (NeurIPS 2019), as we reconstruct it. A round minimises the
leaky ReLU loss l_lam over the unit ball on the points S that are left, with minimiser w, and
removes the band {|w.x| >= t} of them that maximises

    G(t) = P(|w.x| >= t, S) lam - P(|w.x| >= t, S, sign(w.x) != y),

the mistakes saved against a predictor that errs lam. Derived here: |w.x| is the integral of
1{|w.x| >= t} over t in [0, 1], so that the integral of G is -E[l_lam 1_S], and max G is no less.
Under Massart noise with lam > eta the minimal loss is at most w*'s, so that
max G >= gamma (lam - eta) P(S) > 0: there is always a band of error below lam, of share at least
gamma (lam - eta) P(S) / lam, and what is left shrinks geometrically. Taking the largest G is our
choice: any band of error <= lam would do for the error bound, but the band of most points among
them may carry more mistakes than it has to.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxrobust import _check
from jaxrobust.halfspace import _guard
from jaxrobust.halfspace.instance import Instance, sign

INNER = ("best", "average", "last")


class DecisionList(NamedTuple):
    """R rules, of which the first so many are used, and how each did on its own band."""

    w: Float[Array, "R d"]
    threshold: Float[Array, " R"]
    used: Bool[Array, " R"]
    share: Float[Array, " R"]
    """Share of all training examples in the band (0 if unused)."""
    error: Float[Array, " R"]
    """Share of wrong labels in the band: above lam where no band was good enough."""


class Errors(NamedTuple):
    """err of the whole list and of the prefix that does best on held-out examples."""

    last: Float[Array, ""]
    holdout: Float[Array, ""]


def fit(
    x: Any,
    y: Any,
    *,
    lam: Any,
    least: Any = 0.02,
    rounds: int = 10,
    steps: int = 500,
    mu: Any = 1.0,
    inner: str = "best",
) -> DecisionList:
    """Learn a list of at most `rounds` rules.

    Parameters
    ----------
    x, y
        Points (n, d) in the unit ball, labels -1 and +1 (n,).
    lam
        Leakage in [0, 1/2], meant to be a little above eta. May be traced, as `least` and `mu`; a
        traced one out of range gives NaN weights and no rule, as does a traced x with NaN.
    least
        Smallest share of the sample in a band; rounds end when less than that is left.
    rounds, steps
        Length of the list, and of the minimisation in each round.
    mu
        Steps have length mu / sqrt(t), in the direction of the subgradient over what is left.
    inner
        Which iterate of the minimisation is used: that of the smallest loss ("best"), their mean
        ("average") or the "last".

    >>> import jax
    >>> from jaxrobust import halfspace
    >>> it = halfspace.lever()
    >>> x, y = it.draw(jax.random.key(0), 2000)
    >>> rules = fit(x, y, lam=0.35)
    >>> bool(it.error_of(lambda x: predict(rules, x)) < 0.1)
    True
    """
    x = _check.real("x", x, (None, None))
    y = _check.signs("y", y).astype(x.dtype)
    _check.shaped("y", y, (x.shape[0],))
    _guard.in_ball("x", x)
    _guard.both_classes("y", y)
    lam = _check.between("lam", lam, 0.0, 0.5).astype(x.dtype)
    least = _check.between("least", least, 0.0, 1.0, open_low=True).astype(x.dtype)
    mu = _check.number("mu", mu, dtype=x.dtype)
    rounds, steps = _check.count("rounds", rounds), _check.count("steps", steps)
    if inner not in INNER:
        raise ValueError(f"inner must be one of {', '.join(INNER)}, got {inner!r}")
    valid = (lam >= 0) & (lam <= 0.5) & (least > 0) & (least <= 1) & (mu > 0)
    valid = valid & jnp.all(jnp.isfinite(x))

    def one(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], DecisionList]:
        left, previous = carry
        go = valid & (jnp.sum(left.astype(x.dtype)) >= _fewest(least, y.size))
        w = _minimise(previous, x, y, left, lam, steps, mu, inner)
        z = x @ w
        threshold, share, error = band(z, y, left, lam=lam, least=least)
        left = left & ~(go & (jnp.abs(z) >= threshold))
        kept = jnp.where(go, w, jnp.where(valid, jnp.zeros_like(w), jnp.nan))
        never = jnp.where(go, threshold, jnp.inf)
        numbers = (jnp.where(go, v, jnp.zeros_like(v)) for v in (share, error))
        return (left, jnp.where(go, w, previous)), DecisionList(kept, never, go, *numbers)

    start = (jnp.ones(y.shape, bool), jnp.zeros(x.shape[1], x.dtype))
    return jax.lax.scan(one, start, length=rounds)[1]


def band(
    z: Float[Array, " n"], y: Float[Array, " n"], left: Bool[Array, " n"], *, lam: Any, least: Any
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """Choose the band {|z| >= t} of what is left: its t, its share of all n, its error.

    Of the bands that hold a share of at least `least` of all n and err at most lam, the one of
    largest G; if there is none, the one of smallest error; of equals the largest. t lies halfway
    between two distinct |z| (8 roundings apart, so that tied points stay together and a band can be
    found again), or is 0 for everything left.
    """
    n, dtype = z.size, z.dtype
    wrong = left & (sign(z) != y)
    size = jnp.where(left, jnp.abs(z), -1.0)
    order = jnp.argsort(-size)
    size = size[order]
    held = 1 + jnp.arange(n, dtype=dtype)
    mistakes = jnp.cumsum(wrong[order].astype(dtype))
    following = jnp.concatenate([size[1:], -jnp.ones(1, dtype)])
    apart = (following < 0) | (size - following > 8 * jnp.finfo(dtype).eps)
    allowed = (size >= 0) & apart & (held >= _fewest(least, n))
    gain, error = lam * held - mistakes, mistakes / held
    good = allowed & (gain >= 0)
    score = jnp.where(good, gain, -jnp.inf)
    fallback = jnp.where(allowed, -error, -jnp.inf)
    score = jnp.where(jnp.any(good), score, fallback)
    k = n - 1 - jnp.argmax(score[::-1])
    t = jnp.where(following[k] < 0, jnp.zeros((), dtype), 0.5 * (size[k] + following[k]))
    return t, held[k] / n, error[k]


def prefixes(rules: DecisionList, x: Float[Array, "n d"]) -> Float[Array, "R n"]:
    """Return the predictions of the first 1, 2, ..., R rules, -1 or +1.

    The first rule whose band holds x speaks; where none does, the last used one. A list that could
    not be learned says NaN.
    """
    R = rules.used.size
    z = rules.w @ x.T
    says = jnp.where(jnp.isnan(z), jnp.nan, sign(z))
    fires = rules.used[:, None] & (jnp.abs(z) >= rules.threshold[:, None])
    first = jnp.where(jnp.any(fires, axis=0), jnp.argmax(fires, axis=0), R)
    k = jnp.arange(R)
    final = jnp.clip(jnp.minimum(k, jnp.sum(rules.used) - 1), 0, R - 1)
    which = jnp.where(first[None, :] <= k[:, None], first[None, :], final[:, None])
    return jnp.take_along_axis(says, which, axis=0)


def predict(rules: DecisionList, x: Float[Array, "n d"]) -> Float[Array, " n"]:
    """Return the predictions of the whole list, -1 or +1."""
    return prefixes(rules, x)[-1]


def errors(rules: DecisionList, instance: Instance, x: Any, y: Any) -> Errors:
    """Return err of the whole list, and of the prefix with the fewest mistakes on held-out (x, y).

    Of equally good prefixes the shortest. The held-out examples must not be those of `fit`. NaN for
    a list that could not be learned.
    """
    x = _check.real("x", x, (None, rules.w.shape[1]))
    y = _check.signs("y", y).astype(x.dtype)
    _check.shaped("y", y, (x.shape[0],))
    mistakes = jnp.sum(prefixes(rules, x) != y[None, :], axis=1)
    best = jnp.argmin(mistakes)
    last = instance.error_of(lambda points: predict(rules, points))
    holdout = instance.error_of(lambda points: prefixes(rules, points)[best])
    return Errors(*(jnp.where(rules.used[0], error, jnp.nan) for error in (last, holdout)))


def _fewest(least: Any, n: int) -> Array:
    """Return the smallest count that is a share `least` of n, forgiving the rounding of least n."""
    least = jnp.asarray(least)
    return jnp.ceil(least * n * (1 - 4 * float(jnp.finfo(least.dtype).eps)))


def _minimise(
    start: Array, x: Array, y: Array, left: Array, lam: Any, steps: int, mu: Any, inner: str
) -> Array:
    """Minimise mean_left l_lam(w.x, y) over the unit ball by projected subgradient steps."""
    share = left.astype(x.dtype) / jnp.maximum(jnp.sum(left), 1).astype(x.dtype)

    def look(w: Array) -> tuple[Array, Array]:
        z = x @ w
        slope = share * 0.5 * ((1 - 2 * lam) * sign(z) - y)
        loss = slope @ z  # homogeneous of degree 1: the loss is <subgradient, w>
        # w = 0 predicts nothing: it is never the answer.
        return jnp.where(jnp.any(w != 0), loss, jnp.inf), slope @ x

    def one(carry: tuple[Array, ...], t: Array) -> tuple[tuple[Array, ...], None]:
        w, best, least, total = carry
        loss, g = look(w)
        best, least = jnp.where(loss < least, w, best), jnp.minimum(loss, least)
        square = g @ g
        length = jnp.where(square > 0, mu / jnp.sqrt(jnp.where(square > 0, square, 1.0) * t), 0.0)
        w = w - length * g
        w = w / jnp.maximum(1.0, jnp.linalg.norm(w)).astype(w.dtype)
        return (w, best, least, total + w), None

    # The previous w only if it is better than none.
    start = jnp.where(look(start)[0] < 0, start, jnp.zeros_like(start))
    first = (start, start, jnp.full((), jnp.inf, x.dtype), jnp.zeros_like(start))
    times = 1 + jnp.arange(steps, dtype=x.dtype)
    (w, best, least, total), _ = jax.lax.scan(one, first, times)
    if inner == "best":
        return jnp.where(look(w)[0] < least, w, best)
    return w if inner == "last" else total / steps
