"""What should happen: early learning, memorization, ELR's pull, SOP's activation times.

ELR's Lemma 2 (arXiv 2007.00151). The gradient of CE + lam log(1 - <p, t>) in the logits is

    p - e_y + lam g,   g_c = p_c sum_k (t_k - t_c) p_k / (1 - <p, t>)
                           = p_c (<p, t> - t_c) / (1 - <p, t>)

What holds a wrong label off (derived here). Two classes, P = p of the true class, target t = p:
then g = -(2P - 1) / 2 for the true class, and descent meets there, at a wrong label, the slope
P - lam (2P - 1) / 2. Where it is positive the wrong label wins. For lam > 2 it is negative from
P > lam / (2 (lam - 1)) on; for lam <= 2 never: such an ELR only slows memorization.

One step from zero (`gaussians`; a = 1 - 2 x the REALISED share of wrong labels; its mean is
1 - Delta where a share Delta is replaced, 1 - 2 Delta where a share Delta is flipped). theta_1 is
eta / 2 times

    w = (1/n) sum_i eps_i x_i = a v + (sigma / sqrt(n)) g,   g ~ N(0, I_p) given which are wrong,

so the accuracy on a new example is Phi(w.v / (sigma |w|)), about Phi(z),
z = a / (sigma sqrt(a^2 + sigma^2 p / n)). EL2N falls in the margin eps_i w.x_i. Of a right and a
wrong training example, u_i = eps_i x_i has means v and -v; u_i - u_j is Gaussian and uncorrelated
to u_i + u_j, hence independent of w, though w holds both. So given w such a pair is in order with
probability Phi(sqrt(2) w.v / (sigma |w|)): the AUC has that mean, on the training set itself.
`one_step_mean` integrates over w; Phi(z), which puts mean values in, is nearer to the median.

Memorization (derived here by Gordon's comparison, exact as n and p grow together).
eps_i x_i = b_i v + sigma xi_i with b_i = -1 for a share f, else 1. Some theta has all
eps_i theta.x_i > 0, with probability tending to 1, where

    p / n > min_{c >= 0} E[ min(0, c b / sigma + sqrt(1 + c^2) G)^2 ],   G ~ N(0, 1),

and to 0 where <. The right side is at most 1/2, its value at c = 0 (Cover). ELR's Theorem 6 gives
p / n > 1 - Delta / 2, which is sufficient.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from jaxtyping import Array, Float
from scipy import linalg

from jaxrobust import _check

NODES = 40


def pull(p: Float[Array, "n C"], t: Float[Array, "n C"]) -> Float[Array, "n C"]:
    """Return g of Lemma 2, the gradient of log(1 - <p, t>) in the logits.

    >>> print(pull(jnp.array([[0.5, 0.5]]), jnp.array([[0.75, 0.25]])))
    [[-0.25  0.25]]
    """
    both = jnp.sum(p * t, axis=1, keepdims=True)
    return p * (both - t) / (1 - both)


def hold(lam: Any) -> Array:
    """Return the probability of the true class from which ELR holds a wrong label off; or 1.

    lam / (2 (lam - 1)) for lam > 2. At 1 there is none: confidence alone does not help.

    >>> print(hold(jnp.array([1.0, 2.0, 3.0])))
    [1.   1.   0.75]
    """
    lam = _check.between("lam", lam, 0.0, np.inf)
    return jnp.where(lam > 2, lam / (2 * (jnp.maximum(lam, 2) - 1)), 1.0)


def one_step(a: Any, sigma: Any, p: Any, n: Any, pair: bool = False) -> Array:
    """Return Phi(z) of the accuracy, or (`pair`) Phi(sqrt(2) z) of the AUC of EL2N.

    >>> round(float(one_step(0.6, 0.5, 100, 50)), 4)
    0.9022
    """
    a, sigma = _check.between("a", a, -1.0, 1.0), _check.positive("sigma", sigma)
    z = a / (sigma * jnp.sqrt(a**2 + sigma**2 * p / n))
    return norm.cdf(np.sqrt(2) * z if pair else z)


def _rule(diagonal: np.ndarray, beside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of Gauss' rule for a law, from its recurrence (Golub, Welsch)."""
    nodes, vectors = linalg.eigh_tridiagonal(diagonal, beside)
    return nodes, vectors[0] ** 2


def one_step_mean(a: Any, sigma: Any, p: int, n: int, pair: bool = False) -> Array:
    """Return the mean over samples of the accuracy, or (`pair`) of EL2N's AUC, given a: exact.

    E Phi(m w.v / (sigma |w|)), m = 1 or sqrt(2): w.v is N(a, sigma^2 / n), the square of the rest
    of w is sigma^2 / n times chi^2 with p - 1 degrees, p >= 2. By Gauss' rules for both: errors
    below 1e-7 from p = 10 on, up to 1e-3 at p = 2. `a` and `sigma` broadcast.

    >>> round(float(one_step_mean(0.6, 0.5, 100, 50)), 4)
    0.901
    """
    p, n = _check.count("p", p, 2), _check.count("n", n)
    a, sigma = _check.between("a", a, -1.0, 1.0), _check.positive("sigma", sigma)
    k, shape = np.arange(NODES), (p - 3) / 2
    along, share = _rule(np.zeros(NODES), np.sqrt(k[1:]))  # Hermite
    half, part = _rule(2 * k + 1 + shape, np.sqrt(k[1:] * (k[1:] + shape)))  # Laguerre
    weight = share[:, None] * part[None, :]
    m = np.sqrt(2) if pair else 1.0
    return jnp.vectorize(partial(_mean, along, 2 * half, weight, m))(a, sigma, 1 / np.sqrt(n))


@jax.jit
def _mean(along, square, weight, m, a, sigma, root):
    along = a + sigma * root * along[:, None]
    z = along / (sigma * jnp.sqrt(along**2 + (sigma * root) ** 2 * square[None, :]))
    return jnp.sum(weight * norm.cdf(m * z))


def separable_from(wrong: Any, sigma: Any) -> Array:
    """Return the p / n above which labels with a share `wrong` of wrong ones are separable.

    The function of c is convex; its slope is bisected between 0 and sigma / sqrt(wrong), where its
    value is past that at 0. `wrong` in (0, 1/2], any shape.

    >>> print(separable_from(0.5, 0.2).round(4))  # random labels: Cover's 1/2
    0.5
    """
    wrong = _check.between("wrong", wrong, 0.0, 0.5, open_low=True)
    return _separable(wrong, _check.positive("sigma", sigma))


@jax.jit
def _separable(wrong: Array, sigma: Array) -> Array:
    def short(c, b):  # E min(0, c b / sigma + r G)^2
        r = jnp.sqrt(1 + c**2)
        m = c * b / (sigma * r)
        return r**2 * ((1 + m**2) * norm.cdf(-m) - m * norm.pdf(m))

    def value(c):
        return (1 - wrong) * short(c, 1.0) + wrong * short(c, -1.0)

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        rises = jax.grad(lambda c: value(c).sum())(middle) > 0
        return jnp.where(rises, low, middle), jnp.where(rises, middle, high)

    high = sigma / jnp.sqrt(wrong)
    return value(jax.lax.fori_loop(0, 60, halve, (jnp.zeros_like(high), high))[0])


def growth_v(lr_v: Any, batch: Any) -> Any:
    """Return the factor by which SOP's small v_j, j = argmax != y, grows a visit: 1 + 4 lr_v / B.

    Its loss is (1/B)(1 - v_j^2)^2, so v_j <- v_j (1 + (4 lr_v / B)(1 - v_j^2)).

    >>> growth_v(50, 100)
    3.0
    """
    return 1 + 4 * lr_v / batch


def growth_u(lr_u: Any, batch: Any, p_y: Any) -> Any:
    """Return the factor by which SOP's small u grows a visit: 1 + (2 lr_u / B)(1 / p_y - 1).

    Its loss is -(1/B) log((p_y + u^2) / (1 + u^2)), p_y above the floor eps of q.

    >>> growth_u(10, 100, 0.1)
    2.8
    """
    return 1 + 2 * lr_u / batch * (1 / p_y - 1)


def visits(growth: Any, start: Any = 1e-8) -> Any:
    """Return the visits (one an epoch) after which SOP's v has grown from `start` to v^2 = 1/2.

    log(1 / start) / log(growth): log(sqrt(1/2) / start) at the first rate, and log(2) / 2 as
    1 - v^2 falls, exact for small steps (int dv / (v (1 - v^2)) = log v - log(1 - v^2) / 2).

    >>> [round(float(visits(growth_v(lr, 128)))) for lr in (1, 10, 50, 100)]
    [599, 68, 20, 13]
    """
    return np.log(1 / start) / np.log(growth)
