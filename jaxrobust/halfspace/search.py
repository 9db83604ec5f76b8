"""Search for an instance that a given learner gets wrong: points, weights and flip rates.

An adversary may put finitely many points anywhere in the unit disc at margin gamma, weigh them, and
flip each with its own rate <= eta. `run` looks for the choice that maximises

    harm(key, instance),    for example  err(what the learner returns) - eta,

of which a harm > 0 breaks the guarantee eta + eps. The plane is enough for what is known to go
wrong (`constructions.lever`, `constructions.drag` came from such a search); `mixtures` builds more
dimensions from planes. `targets` has learners to point it at, and any function that JAX can trace
will do.

The method is an evolution strategy. harm is a step function of the points (it changes where a point
changes sides), often noisy, with several optima, so that gradients and one Gaussian are of little
use. Each generation all candidates meet the same fresh key, a candidate's score is the mean over
the keys that it has met, the best eighth stays, and the others are made of it by changes of
random size. Luck is not kept, and the harm that is reported is measured with keys of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.halfspace._guard import flip_rate
from jaxrobust.halfspace.candidate import FLOOR, Candidate, instance_of, packed, unpacked
from jaxrobust.halfspace.instance import Atoms, Instance

Harm = Callable[[PRNGKeyArray, Instance], Any]


class State(NamedTuple):
    """A population of P candidates; the first is the incumbent, the best by the keys so far."""

    population: Candidate
    score: Float[Array, " P"]
    """Mean harm over the keys met; 0 where there was none."""
    met: Int[Array, " P"]
    """How many keys a candidate has met."""


class Info(NamedTuple):
    """What the analyst wants of a generation."""

    incumbent: Float[Array, ""]
    """Harm of the incumbent on the generation's key, on which it was not chosen."""
    mean: Float[Array, ""]
    """Mean harm of the candidates whose harm is finite."""
    luckiest: Float[Array, ""]
    """Largest harm on this key: too high by the luck of the one that has it."""
    lost: Int[Array, ""]
    """How many candidates' harm was not finite: those are never kept."""


class Found(NamedTuple):
    """What a search found."""

    candidate: Candidate
    atoms: Atoms
    harm: Float[Array, ""]
    """Mean over `replicates` keys that took no part in the search or in the choice."""
    spread: Float[Array, ""]
    """Standard error of that mean."""
    info: Info
    """By generation, each (G,)."""


def init(key: PRNGKeyArray, population: int, points: int, dtype: Any = None) -> State:
    """Start from random candidates: standard normal numbers, a third of which act as an end."""
    dtype = dtype or jnp.result_type(float)
    numbers = jax.random.normal(key, (population, points, 4), dtype)
    return State(unpacked(numbers), jnp.zeros(population, dtype), jnp.zeros(population, jnp.int32))


def step(
    key: PRNGKeyArray,
    state: State,
    harm: Harm,
    *,
    eta: Any,
    gamma: Any,
    floor: Any = FLOOR,
    breed: Any = True,
) -> tuple[State, Info]:
    """Meet one more key, rank by the mean harm so far, and replace all but the best eighth.

    Most newcomers are one of that eighth with about half of its numbers moved by s N(0, 1), s
    log-uniform in [.03, 1], and each point drawn afresh with probability .15; an eighth of the
    population is drawn afresh as a whole. breed=False only measures and ranks; it may be traced.
    """
    meet, luck = jax.random.split(key)
    population, score, met = state
    dtype = score.dtype

    def one(candidate: Candidate) -> Array:
        return jnp.asarray(harm(meet, instance_of(candidate, eta, gamma, floor))).astype(dtype)

    # One key for all: they share what a learner draws, and differ by what they are.
    found = jax.vmap(one)(population)
    known = jnp.isfinite(found)
    info = Info(
        incumbent=found[0],
        mean=jnp.sum(jnp.where(known, found, 0.0)) / jnp.sum(known).astype(dtype),
        luckiest=jnp.max(jnp.where(known, found, -jnp.inf)),
        lost=jnp.sum(~known).astype(jnp.int32),
    )
    met = met + 1
    worth = jnp.where(known, found, -jnp.inf)
    score = score + (worth - score) / met.astype(dtype)
    score = jnp.where(jnp.isnan(score), -jnp.inf, score)  # -inf met twice
    order = jnp.argsort(-score)
    ranked = jax.tree.map(lambda v: v[order], State(population, score, met))
    bred = _breed(luck, ranked)
    return jax.tree.map(lambda new, old: jnp.where(breed, new, old), bred, ranked), info


def run(
    key: PRNGKeyArray,
    harm: Harm,
    *,
    eta: Any,
    gamma: Any,
    points: Any = 3,
    population: Any = 64,
    generations: Any = 40,
    settle: Any = 4,
    replicates: Any = 16,
    floor: Any = FLOOR,
    dtype: Any = None,
) -> Found:
    """Look for the instance in the plane that does a learner the most harm.

    Pure, for jit and vmap; the memory is that of `population` runs of the learner at once.

    Parameters
    ----------
    harm
        `harm(key, instance) -> number`, to be maximised; `targets.harm_of` makes one of a learner.
        The key is all the randomness there is. A harm that is not finite is never kept.
    eta, gamma
        Bounds on the flip rates, in [0, 1/2), and on the margin, in (0, 1); may be traced.
    points
        How many points m.
    population, generations
        Candidates at once, at least 16, and how often they are renewed: harm is evaluated
        population (generations + settle) + replicates times.
    settle
        Generations at the end that only measure, lest a lucky newcomer is returned.
    replicates
        Fresh keys for the harm reported, at least 2.
    floor
        Least weight of a point, in [0, 1/m).

    Returns
    -------
    Found
        The instance (`instance_of(found.candidate, eta, gamma)`) and its harm on fresh keys. It is
        a lower bound on what an adversary can do: that none was found proves nothing.

    Examples
    --------
    >>> import jax
    >>> def harm(key, it):  # wants OPT near .12
    ...     return -abs(it.opt - 0.12)
    >>> found = run(jax.random.key(0), harm, eta=0.3, gamma=0.1, population=16, generations=10)
    >>> print(f"{found.harm:.2f} {found.atoms.weight @ found.atoms.rate:.2f}")
    -0.00 0.12
    """
    points, population = _check.count("points", points), _check.count("population", population, 16)
    generations = _check.count("generations", generations)
    settle, replicates = (
        _check.count("settle", settle, 0),
        _check.count("replicates", replicates, 2),
    )
    dtype = dtype or jnp.result_type(float)
    eta = flip_rate("eta", eta, dtype)
    gamma = _check.number("gamma", gamma, 1.0, dtype)
    floor = _check.between("floor", floor, 0.0, 1 / points, open_high=True).astype(dtype)
    options = {"eta": eta, "gamma": gamma, "floor": floor}
    start, walk, last = jax.random.split(key, 3)

    def round_(state: State, number: Array) -> tuple[State, Info]:
        own = jax.random.fold_in(walk, number)
        return step(own, state, harm, **options, breed=number < generations)

    begun = init(start, population, points, dtype)
    state, info = jax.lax.scan(round_, begun, jnp.arange(generations + settle))
    best = jax.tree.map(lambda v: v[0], state.population)
    it = instance_of(best, **options)
    keys = jax.random.split(last, replicates)
    measured = jax.vmap(lambda k: jnp.asarray(harm(k, it)).astype(dtype))(keys)
    assert it.atoms is not None
    spread = jnp.std(measured, ddof=1) / replicates**0.5
    return Found(best, it.atoms, jnp.mean(measured), spread, info)


def _breed(key: PRNGKeyArray, ranked: State) -> State:
    """Keep the first eighth of a ranked population and fill up with their changed copies."""
    now = packed(ranked.population)  # (n, m, 4)
    n, m, width = now.shape
    kept, strangers = n // 8, n // 8
    children = n - kept - strangers
    pick, change, luck = jax.random.split(key, 3)
    parent = jax.random.randint(pick, (children,), 0, kept)
    normal = jax.random.normal(change, (2, n - kept, m, width), now.dtype)
    chance = jax.random.uniform(luck, (children, m, width + 2), now.dtype)

    scale = 10 ** (-1.5 * chance[:, :1, :1])
    move = jnp.where(chance[:, :, 1:-1] < 0.5, scale * normal[0, :children], 0.0)
    redrawn = chance[:, :, -1:] < 0.15
    child = jnp.where(redrawn, normal[1, :children], now[parent] + move)
    # Held in the box: a number far outside of it would take long to come back.
    child = jnp.clip(child, -1.0, 1.0)
    grew = unpacked(jnp.concatenate([now[:kept], child, normal[1, children:]]))
    young = jnp.arange(n) >= kept
    return State(grew, jnp.where(young, 0.0, ranked.score), jnp.where(young, 0, ranked.met))
