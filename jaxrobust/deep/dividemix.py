"""DivideMix: labels of high loss are thrown away, and the examples kept, for two networks.

Warm-up, `warmup` epochs: cross-entropy, plus `penalty` mean_i sum_c p log p. Then, each epoch:

    w_k(i)  = posterior of the lower of two Gaussians at network k's loss of i   (`gmm`)
    labelled for network k: w_j(i) > tau by the OTHER network j; the rest keep no label

and at each step, for network k, with two weak views of each example:

    labelled    t = sharpen(w_j y + (1 - w_j) mean of k's 2 softmaxes)           co-refinement
    unlabelled  t = sharpen(mean of the 4 softmaxes of k and j)                  co-guessing
    mix all views with a permutation of themselves, l ~ Beta(a, a), l or 1 - l, the larger
    L = mean over labelled of -sum_c t log p  +  lam_u(e) mean over unlabelled and c of (p - t)^2
        + sum_c (1/C) log((1/C) / mean p_c),      lam_u(e) = lam_u clip((e - warmup) / 16, 0, 1)

sharpen(p)_c = p_c^(1/T) / sum. Prediction by the mean of both networks' logits.

Li, Socher, Hoi (ICLR 2020), as their code has it: the mean over c makes the second term 1/C of the
paper's squared norm. T .5, a 4, tau .5 (.6 at 90 % noise). lam_u: CIFAR-10 symmetric 20 % 0,
50 % 25, 80 % 25, 90 % 50, asymmetric 40 % 0; CIFAR-100 25 at 20 %, else 150. warmup 10, CIFAR-100
30; penalty 1 for asymmetric noise; at 90 % losses are means over 5 epochs (`memory`).

Deviations. The loop gives every batch, to both networks: an epoch goes once through all examples
(there: once through the labelled ones, the unlabelled restarting), and a batch of B holds labelled
and unlabelled examples as the split has them (there: B/2 and B/2), each loss a mean over its own;
a part that is missing in a batch costs 0. Network 2 steps after network 1 in each step (there:
after its whole epoch, in an order of its own), with views of its own. Both views of the whole batch
go through the guessing network in one pass that moves its statistics (there: four passes). The
mixture starts at the best 2-means (`gmm`).

Warm-up and splitting are branches of a `lax.cond` on the epoch: run under vmap with a batched
state or `warmup`, both are computed and one is taken; inside a vmapped run neither is batched.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.deep import cross_entropy, gmm, mixup
from jaxrobust.deep._mixmatch import objective, targets
from jaxrobust.deep.method import (
    Batch,
    Info,
    Learner,
    Method,
    Probabilities,
    Task,
    Weights,
    Whole,
    descend,
    mean_prediction,
    start,
    two_keys,
)


class State(NamedTuple):
    """Two networks, and what each makes of every label."""

    pair: Learner
    """Both, one on the other: every leaf starts with an axis of 2."""
    w: Float[Array, "2 n"]
    """Probability that a label is right, by each network; 1 through warm-up."""
    past: Float[Array, "memory 2 n"]
    """Normalised losses of the last epochs, newest first."""
    e: Int[Array, ""]
    """Epochs before this one."""
    t: Int[Array, ""]
    """Steps of this epoch so far."""


def confidence(logits: Float[Array, "B C"]) -> Float[Array, " B"]:
    """Return sum_c p log p, what warm-up adds under asymmetric noise: least when unsure.

    >>> print(confidence(jnp.zeros((1, 2))).round(4))  # -log 2
    [-0.6931]
    """
    logp = jax.nn.log_softmax(logits, axis=1)
    return jnp.sum(jnp.exp(logp) * logp, axis=1)


def take(pair: Learner, k: Any) -> Learner:
    """Return network k of the two."""
    return jax.tree.map(lambda z: z[k], pair)


def losses(task: Task, weights: Weights, whole: Whole, block: int) -> Float[Array, " n"]:
    """Return the cross-entropy of every example in evaluation mode, `block` of them at a time."""
    n = whole.y.shape[0]
    rows = jnp.minimum(jnp.arange(-(-n // block) * block), n - 1).reshape(-1, block)

    def some(rows):
        x = task.plain(whole.x[rows])
        return cross_entropy.loss(task.network.apply(weights, x, False)[0], whole.y[rows])

    return jax.lax.map(some, rows).reshape(-1)[:n]


def method(
    task: Task,
    *,
    lam_u: Any = 25.0,
    tau: Any = 0.5,
    T: Any = 0.5,
    a: Any = 4.0,
    warmup: Any = 10,
    penalty: Any = 0.0,
    ramp: Any = 16.0,
    memory: int = 1,
    block: int = 1_000,
) -> Method:
    """Train two networks by DivideMix.

    Parameters
    ----------
    lam_u, tau, T, a, penalty
        As above; may be traced, as may warmup and ramp.
    warmup, ramp
        Epochs of plain cross-entropy, and epochs from there to the full lam_u.
    memory
        Epochs over which losses are averaged; static.
    block
        Examples that are scored together; static.
    """
    tau, T = _check.rate("tau", tau), _check.positive("T", T)
    a, ramp = _check.positive("a", a), _check.positive("ramp", ramp)
    lam_u = _check.between("lam_u", lam_u, 0.0, jnp.inf, open_high=True)
    penalty = _check.between("penalty", penalty, 0.0, jnp.inf, open_high=True)
    warmup = _check.between("warmup", warmup, 0.0, jnp.inf)
    memory, block = _check.count("memory", memory), min(_check.count("block", block), task.n)

    def warming(state):
        return state.e.astype(warmup.dtype) < warmup

    def init(key: PRNGKeyArray) -> State:
        pair = jax.vmap(lambda key: start(task, key))(jnp.stack(two_keys(key)))
        dtype = jnp.result_type(*jax.tree.leaves(pair.weights.params))
        past = jnp.zeros((memory, 2, task.n), dtype)
        zero = jnp.zeros((), jnp.int32)
        return State(pair, jnp.ones((2, task.n), dtype), past, zero, zero)

    def divide(state: State, whole: Whole) -> State:
        l = jax.lax.map(lambda one: losses(task, one, whole, block), state.pair.weights)
        l = jax.vmap(gmm.normalise)(l.astype(state.w.dtype))
        past = jnp.concatenate([l[None], state.past[:-1]])
        seen = jnp.clip(state.e.astype(warmup.dtype) - warmup + 1, 1, memory)
        l = jnp.sum(past, axis=0) / seen.astype(past.dtype)
        return state._replace(w=jax.vmap(lambda l: gmm.low(l, gmm.fit(l)))(l), past=past)

    def epoch(state: State, whole: Whole, key: PRNGKeyArray, count: Int[Array, ""]) -> State:
        state = state._replace(e=count.astype(jnp.int32), t=jnp.zeros((), jnp.int32))
        return jax.lax.cond(warming(state), lambda s, _: s, divide, state, whole)

    def warm(one: Learner, batch: Batch, key: PRNGKeyArray):
        def cost(logits):
            each = cross_entropy.loss(logits, batch.y)
            return jnp.mean(each + penalty.astype(each.dtype) * confidence(logits)), None

        return descend(task, one, cost, task.weak(key, batch.x))[:2]

    def semi(one: Learner, other: Learner, w: Array, lam: Array, batch: Batch, key: PRNGKeyArray):
        views, mixing = jax.random.split(key)
        x = jnp.concatenate([task.weak(view, batch.x) for view in jax.random.split(views)])
        z, stats = task.network.apply(one.weights, x, True)
        z = jnp.stack([z, task.network.apply(other.weights, x, False)[0]])
        p, q = jax.nn.softmax(z, axis=2).reshape(2, 2, -1, task.classes)
        labelled = w > tau.astype(w.dtype)
        y = jax.nn.one_hot(batch.y, task.classes, dtype=p.dtype)
        t = targets(p, q, y, w.astype(p.dtype), labelled, T)
        x, t = mixup.mix(mixing, a, x, jnp.concatenate([t, t]), floor=True)
        both = jnp.concatenate([labelled, labelled])
        one = one._replace(weights=one.weights._replace(stats=stats))
        return descend(task, one, lambda logits: (objective(logits, t, both, lam), None), x)[:2]

    def step(state: State, batch: Batch, key: PRNGKeyArray) -> tuple[State, Info]:
        part = state.t.astype(ramp.dtype) / max(task.n // batch.y.shape[0], 1)
        now = state.e.astype(ramp.dtype) + part - warmup.astype(ramp.dtype)
        lam = lam_u.astype(ramp.dtype) * jnp.clip(now / ramp, 0, 1)

        def turn(pair, piece):  # one body for both networks: half the program to compile
            k, key = piece
            one, other = take(pair, k), take(pair, 1 - k)
            w = state.w[1 - k, batch.rows]
            one, value = jax.lax.cond(
                warming(state),
                lambda: warm(one, batch, key),
                lambda: semi(one, other, w, lam, batch, key),
            )
            return jax.tree.map(lambda z, new: z.at[k].set(new), pair, one), value

        pieces = (jnp.arange(2), jax.random.split(key))
        pair, value = jax.lax.scan(turn, state.pair, pieces)
        return state._replace(pair=pair, t=state.t + 1), Info(jnp.mean(value))

    def estimate(state: State, x: Array) -> Probabilities:
        return mean_prediction(task, [take(state.pair, k) for k in (0, 1)], x)

    return Method(init, step, estimate, epoch)
