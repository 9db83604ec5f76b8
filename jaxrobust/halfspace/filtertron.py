"""FilterTron: descend on the slab around w's own boundary where the leaky ReLU loss is largest.

    l_lam(z, y) = -y z / 2 + (1/2 - lam) |z|,   z = w.x

On average over the labels l_lam is (err(w, x) - lam) |w.x|, so a small loss over all x does not
rule out a slab {|w.x| <= r} in which w is wrong too often. FilterTron looks for that slab and takes
the subgradient step there. Source: Chen, Koehler, Moitra, Yau (NeurIPS 2020,
arXiv 2006.04787), who give the first proper learner under Massart noise, with lam = eta + eps.

From the authors' published code: the random unit start, quantiles of |w.x| as radii, the slab of
largest mean loss, steps of .05 on a fixed sample, the projection on the unit ball, 2,000 steps.
Ours: the whole sample counts as a slab too (their list ends at the quantile .9); points tied with
the radius all belong to the slab; w.x = 0 is predicted +1 (there it drops out of the step); x lies
in the unit ball. Their runs on Adult use standardised x: after dividing such x by s, take
mu = .05 s.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.halfspace import _guard, online, trajectory
from jaxrobust.halfspace.instance import sign


class State(NamedTuple):
    """What the next step needs."""

    w: Float[Array, " d"]


class Info(NamedTuple):
    """What the analyst wants of a step: the slab it was taken on."""

    radius: Float[Array, ""]
    """r of the slab {|w.x| <= r}."""
    loss: Float[Array, ""]
    """Mean loss there; w has no bad slab left once it is negative."""


def init(key: PRNGKeyArray, d: int, dtype: Any = None) -> State:
    """Start from a random unit vector."""
    w = jax.random.normal(key, (d,), dtype or jnp.result_type(float))
    return State(w / jnp.linalg.norm(w))


def step(
    state: State,
    x: Float[Array, "n d"],
    y: Float[Array, " n"],
    *,
    lam: Any,
    least: Any,
    mu: Any = 0.05,
    slabs: int = 10,
) -> tuple[State, Info]:
    """Take one step on the worst slab: w <- proj(w + mu mean_slab [c y x]).

    c = lam where sign(w.x) = y, else 1 - lam. The slabs hold at least the shares
    max(j / slabs, least), j = 1 ... slabs, of the sample; of equal losses the smallest slab.
    lam, least and mu may be traced, `slabs` sets a shape.
    """
    n, dtype = y.size, x.dtype
    lam, least, mu = (jnp.asarray(v).astype(dtype) for v in (lam, least, mu))
    z = x @ state.w
    correct = sign(z) == y
    size = jnp.abs(z)
    loss = jnp.where(correct, -lam, 1 - lam) * size
    # The smallest count of at least a share `least`; the factor forgives the rounding of least * n.
    fewest = jnp.ceil(least * n * (1 - 4 * float(jnp.finfo(dtype).eps))).astype(jnp.int32)
    count = jnp.array([-(-j * n // slabs) for j in range(1, slabs + 1)], jnp.int32)
    radius = _ascending(size)[jnp.clip(jnp.maximum(count, fewest), 1, n) - 1]
    inside = (size[None, :] <= radius[:, None]).astype(dtype)
    mean = (inside @ loss) / jnp.sum(inside, axis=1)
    worst = jnp.argmax(mean)
    slab = inside[worst]
    w = state.w + mu * ((jnp.where(correct, lam, 1 - lam) * y * slab) @ x) / jnp.sum(slab)
    w = w / jnp.maximum(1.0, jnp.linalg.norm(w)).astype(dtype)
    return State(w), Info(radius[worst], mean[worst])


def _ascending(size: Float[Array, " n"]) -> Float[Array, " n"]:
    """Sort numbers >= 0 by their bits, read as integers: the same order, 3 to 5 times faster.

    XLA's CPU sort of floats pays for signs and NaN in every comparison (jax 0.10.2).
    """
    whole = jnp.dtype(f"int{8 * size.dtype.itemsize}")
    bits = jax.lax.bitcast_convert_type(size, whole)
    return jax.lax.bitcast_convert_type(jnp.sort(bits), size.dtype)


def run(
    key: PRNGKeyArray,
    x: Any,
    y: Any,
    *,
    lam: Any,
    least: Any = 0.05,
    steps: int = 2000,
    mu: Any = 0.05,
    slabs: int = 10,
    snapshots: int = 1,
) -> trajectory.Path:
    """Take `steps` steps on one fixed sample and keep snapshots, as the online learners do.

    Parameters
    ----------
    key
        Of the random unit vector to start from, which is `path.w[0]`.
    x, y
        Points (n, d) in the unit ball, labels -1 and +1 (n,). A step is O(n (d + slabs + log n)).
    lam
        Leakage in [0, 1), meant to be eta + eps (above 1/2 the loss is no longer convex). May be
        traced, as `least` and `mu`; a traced one out of range gives NaN weights.
    least
        Smallest share of the sample in a slab, in (0, 1]; at 1 the one slab is the whole sample,
        and the method is plain descent on the leaky ReLU loss.
    steps, snapshots
        `snapshots` must divide `steps`.

    Returns
    -------
    Path
        `average` is the mean of the weights that steps were taken from. `mistakes` is zero:
        a step sees the whole sample, so there is no next example to be wrong on.

    >>> import jax
    >>> from jaxrobust import halfspace
    >>> it = halfspace.lever()
    >>> x, y = it.draw(jax.random.key(0), 2000)
    >>> path = run(jax.random.key(1), x, y, lam=0.35, snapshots=4)
    >>> path.w.shape, bool(it.error(path.w[-1]) < 0.1)
    ((5, 2), True)
    """
    x = _check.real("x", x, (None, None))
    y = _check.signs("y", y).astype(x.dtype)
    _check.shaped("y", y, (x.shape[0],))
    _guard.in_ball("x", x)
    _guard.both_classes("y", y)
    lam = _check.between("lam", lam, 0.0, 1.0, open_high=True).astype(x.dtype)
    least = _check.between("least", least, 0.0, 1.0, open_low=True).astype(x.dtype)
    mu = _check.number("mu", mu, dtype=x.dtype)
    valid = (lam >= 0) & (lam < 1) & (least > 0) & (least <= 1)
    mu = jnp.where(valid, mu, jnp.nan)
    segment, slabs = trajectory.segment_of(steps, snapshots), _check.count("slabs", slabs)

    def one(state: online.State, _: None) -> tuple[online.State, None]:
        w = step(State(state.w), x, y, lam=lam, least=least, mu=mu, slabs=slabs)[0].w
        return state._replace(w=w, total=state.total + state.w), None

    def piece(state: online.State, _: Array) -> online.State:
        return jax.lax.scan(one, state, length=segment)[0]

    start = online.init(x.shape[1], x.dtype)._replace(w=init(key, x.shape[1], x.dtype).w)
    return trajectory.in_segments(piece, start, segment, jnp.arange(snapshots))
