"""Why the normalized step works: one inequality at each point, and the error bound it gives.

A step along -E g moves w towards w* at least as fast as its error exceeds eta:

    E_y[g . (w - w*) | x]  >=  err(w, x) - eta     wherever |w*.x| >= gamma and eta(x) <= eta,

with g = c(w.x, y) x, the normalized step of `online`, and err(w, x) = P(sign(w.x) != y | x).

Proof. Let s = sign(w.x), m = |w.x|, s* = sign(w*.x), m* = |w*.x|, e = eta(x), and D = m + gamma or
max(m, gamma). The labels have mean (1 - 2 e) s*, so E_y c = ((1 - 2 eta) s - (1 - 2 e) s*) / (2 D).

  s = s*:  the left side is (eta - e)(m* - m) / D, the right side e - eta. Left minus right is
           (eta - e)(m* - m + D) / D, and m <= D.
  s != s*: the left side is (1 - eta - e)(m* + m) / D, the right side 1 - e - eta. Left minus right
           is (1 - eta - e)(m* + m - D) / D, and D <= m + gamma <= m + m*.

Neither |w| <= 1 nor |x| <= 1 was used. w.x = 0 needs no case of its own: s = +1, m = 0. Any lam in
[eta, 1/2) in eta's place gives the same with lam on both sides: it is safe to over-estimate eta.
With lam < e the first bracket is negative: under-estimates are not safe. The step is that of
arXiv 2501.09851 (Perspectron); this proof and its constants are ours.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxrobust import _check
from jaxrobust.halfspace import _guard, online
from jaxrobust.halfspace.instance import sign

FORMS = {"sum": "normalized", "max": "normalized_max", "none": "leaky"}
"""Denominators |w.x| + gamma, max(|w.x|, gamma) and 1, and the rules of `online` that have them."""


def advantage(
    w: Float[Array, " d"],
    w_star: Float[Array, " d"],
    x: Float[Array, " d"],
    rate: Any,
    *,
    eta: Any,
    gamma: Any,
    form: str = "sum",
) -> Float[Array, ""]:
    """Return E_y[g . (w - w*) | x], the label flipped with probability rate; no label is drawn.

    The step is the learner's own code, `online.RULES[FORMS[form]]`, met with both labels.
    rate in [0, 1], eta in [0, 1/2), gamma > 0.

    >>> import jax.numpy as jnp
    >>> w, w_star, x = jnp.array([[-1.0, 0.0], [0.8, 0.6], [0.5, 0.0]])
    >>> print(f"{advantage(w, w_star, x, 0.1, eta=0.3, gamma=0.4):.3f}")
    0.600
    >>> print(f"{excess(w, w_star, x, 0.1, 0.3):.3f}")
    0.600
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}, got {form!r}")
    rate = _check.rate("rate", rate).astype(x.dtype)
    eta = _guard.flip_rates("eta", eta, x.dtype)
    gamma = _check.number("gamma", gamma, dtype=x.dtype)
    slope = online.RULES[FORMS[form]].slope
    z, z_star = x @ w, x @ w_star
    clean = sign(z_star)
    mean = (1 - rate) * slope(z, clean, eta, gamma) + rate * slope(z, -clean, eta, gamma)
    return mean * (z - z_star)


def excess(
    w: Float[Array, " d"],
    w_star: Float[Array, " d"],
    x: Float[Array, " d"],
    rate: Any,
    eta: Any,
) -> Float[Array, ""]:
    """Return err(w, x) - eta, where err(w, x) = rate if sign(w.x) = sign(w*.x), else 1 - rate."""
    rate = _check.rate("rate", rate).astype(x.dtype)
    eta = _guard.flip_rates("eta", eta, x.dtype)
    return jnp.where(sign(x @ w) == sign(x @ w_star), rate, 1 - rate) - eta


def least_slack(ratio: Any, form: str = "sum") -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Return the least of advantage - excess at |w.x| = ratio gamma: where w is right, and wrong.

    The first in units of eta - rate, the second of 1 - eta - rate. Both are met where
    |w*.x| = gamma; with r = ratio they are

        sum:  2 / (1 + r)                        and  0
        max:  2 - r (r <= 1), 1 / r (r >= 1)     and  r (r <= 1), 1 / r (r >= 1)

    from the proof above with m* = gamma. The inequality is thus tight: for "sum" at every wrong
    point on the margin, for "max" at those with w.x = 0, and for both at right points of rate eta.
    """
    if form not in ("sum", "max"):
        raise ValueError(f"form must be sum or max, got {form!r}")
    r = _check.between("ratio", ratio, 0.0, jnp.inf)
    if form == "sum":
        return 2 / (1 + r), jnp.zeros_like(r)
    far = 1 / jnp.maximum(r, 1.0)
    return jnp.where(r <= 1, 2 - r, far), jnp.where(r <= 1, r, far)


def step_size(T: Any, gamma: Any, eta: Any) -> Float[Array, "..."]:
    """Return mu = gamma / ((1 - eta) sqrt T), which makes `mean_iterate_bound` smallest."""
    T, gamma, eta = _together(T=T, gamma=gamma, eta=eta)
    return gamma / ((1 - eta) * jnp.sqrt(T))


def mean_iterate_bound(T: Any, gamma: Any, eta: Any, mu: Any = None) -> Float[Array, "..."]:
    """Return eta + 1 / (2 mu T) + mu (1 - eta)^2 / (2 gamma^2) >= (1/T) sum_t E err(w_t).

    For T normalized steps of size mu (None: `step_size`, where it is
    eta + (1 - eta) / (gamma sqrt T)) on fresh examples from w_1 = 0, |x| <= 1. Projection on the
    unit ball does not move w away from w*, so

        |w_(t+1) - w*|^2 <= |w_t - w*|^2 - 2 mu g_t . (w_t - w*) + mu^2 |g_t|^2,

    and |g_t| <= (1 - eta) / gamma. Sum over t, use |w_1 - w*| = 1, take expectations (w_t does not
    depend on example t) and apply the inequality. For the learner run with lam >= eta, put lam.

    >>> print(f"{mean_iterate_bound(40_000, 0.05, 0.3):.3f}")
    0.370
    """
    given = {"T": T, "gamma": gamma, "eta": eta} | ({} if mu is None else {"mu": mu})
    T, gamma, eta, *rest = _together(**given)
    if not rest:
        return eta + (1 - eta) / (gamma * jnp.sqrt(T))
    return eta + 1 / (2 * rest[0] * T) + rest[0] * ((1 - eta) / gamma) ** 2 / 2


def samples_needed(eps: Any, gamma: Any, eta: Any) -> Float[Array, "..."]:
    """Return T = ((1 - eta) / (gamma eps))^2, at which `mean_iterate_bound` is eta + eps."""
    eps, gamma, eta = _together(eps=eps, gamma=gamma, eta=eta)
    return ((1 - eta) / (gamma * eps)) ** 2


def mistake_bound(gamma: Any) -> Float[Array, "..."]:
    """Return 1 / gamma^2, the most mistakes of the perceptron on clean examples, |x| <= 1.

    From w = 0 each mistake adds at least gamma to w.w* and at most 1 to |w|^2, so after M of them
    M gamma <= w.w* <= |w| <= sqrt M. Source: Novikoff (1962).
    """
    return 1 / _together(gamma=gamma)[0] ** 2


def holdout_penalty(n: Any, K: Any, delta: Any) -> Float[Array, "..."]:
    """Return 2 sqrt(log(2 K / delta) / (2 n)): what choosing on n held-out examples may cost.

    By Hoeffding and a union bound all K shares of mistakes are within half of it of their err, with
    probability 1 - delta; the one that looks best then errs at most this much more than the best.
    The n examples are independent of each other and of the K candidates.
    """
    n, K, delta = _together(n=n, K=K, delta=delta)
    return 2 * jnp.sqrt(jnp.log(2 * K / delta) / (2 * n))


def _together(**given: Any) -> list[Array]:
    """Return checked numbers in one dtype: that of the floating arrays among them."""
    kinds = [jnp.asarray(v).dtype for v in given.values() if hasattr(v, "dtype")]
    kinds = [kind for kind in kinds if jnp.issubdtype(kind, jnp.floating)]
    dtype = max(kinds, key=lambda kind: kind.itemsize) if kinds else jnp.result_type(float)
    high = {"eps": 1.0, "delta": 1.0}
    found = [
        _guard.flip_rates("eta", v)
        if name == "eta"
        else _check.numbers(name, v, high.get(name, jnp.inf))
        for name, v in given.items()
    ]
    return [v.astype(dtype) for v in found]
