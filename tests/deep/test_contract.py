"""What holds for every method: state kept in its form, jit, vmap, one trace, predictions."""

import functools
from contextlib import nullcontext

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrobust.deep import anchors, bootstrapping, correction, cross_entropy, gce, ldr, mixup
from jaxrobust.deep.method import Batch, Network, Task, Weights, Whole, start
from jaxrobust.deep.table import METHODS

N, B, D, C = 12, 4, 3, 3
RNG = np.random.default_rng(3)
X = jnp.asarray(RNG.normal(size=(N, D)), jnp.float32)
Y = jnp.asarray(RNG.permutation(np.arange(N) % C), jnp.int32)
WHOLE = Whole(X, Y)
T = np.full((C, C), 0.15) + 0.55 * np.eye(C)
# Numbers of epochs, so that what waits for one is met: warm-ups of 20, refreshing at 39.
COUNTS = (0, 20, 39)

# Those of the table, and those that need to be told more.
TABLE = METHODS | {
    "forward": lambda task: correction.method(task, T),
    "backward": lambda task: correction.method(task, T, correction.backward),
    "forward_estimated, going on": lambda task: anchors.forward_estimated(task, restart=False),
}
EAGER = ("gce", "elr", "sop")
"""Those that are also run one operation after another; for the others that takes too long."""
every = pytest.mark.parametrize("name", TABLE)


A, M = (jnp.asarray(RNG.normal(size=shape), jnp.float32) for shape in ((D, 5), (5, C)))


def number(key):
    """Make a number in [0, 1) of a key: compiles quicker than drawing one."""
    return (jax.random.key_data(key)[-1] % 64).astype(jnp.float32) / 64


def init(key):
    """Give two matrices; the running mean of x is the statistic."""
    return Weights({"A": A * (1 + number(key)), "M": M}, {"mean": jnp.zeros(D, jnp.float32)})


def apply(weights, x, train):
    mean = weights.stats["mean"]
    used = x.mean(axis=0) if train else mean
    logits = jax.nn.relu((x - used[None, :]) @ weights.params["A"]) @ weights.params["M"]
    return logits, {"mean": 0.9 * mean + 0.1 * used} if train else weights.stats


TASK = Task(
    Network(init, apply),
    optax.sgd(0.05, momentum=0.9),
    N,
    C,
    weak=lambda key, x: x * (1 + 0.02 * number(key)),
    strong=lambda key, x: x * (1 + 0.2 * number(key)),
)
ROWS = jnp.asarray(RNG.permutation(N).reshape(-1, B), jnp.int32)
METHOD = {name: make(TASK) for name, make in TABLE.items()}


def run(method, key, keys):
    """Train an epoch of one step at each count; return the state, losses and predictions."""

    def step(state, piece):
        count, rows, keys = piece
        state = method.epoch(state, WHOLE, keys[0], count)
        state, info = method.step(state, Batch(rows, X[rows], Y[rows]), keys[1])
        return state, info.loss

    pieces = jnp.array(COUNTS, jnp.int32), ROWS, keys
    state, losses = jax.lax.scan(step, method.init(key), pieces)
    return state, losses, method.predict(state, X)


KEYS = jax.random.split(jax.random.key(0), 2)
STEPS = jax.random.split(jax.random.key(1), (2, len(COUNTS), 2))


def close(a, b, tolerance=2e-4):
    def same(x, y):
        assert x.dtype == y.dtype
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)

    jax.tree.map(same, a, b)


@every
def test_two_lanes_of_one_trace_are_two_runs(name):
    traces = []

    @jax.jit
    @jax.vmap
    def lanes(key, keys):
        traces.append(name)
        return run(METHOD[name], key, keys)

    lanes(KEYS[::-1], STEPS)
    _, losses, p = both = lanes(KEYS, STEPS)
    assert len(traces) == 1
    assert np.all(np.isfinite(losses))
    assert np.all(p >= 0)
    np.testing.assert_allclose(p.sum(axis=2), 1.0, rtol=1e-5)
    assert np.abs(p[0] - p[1]).max() > 1e-3
    assert not any(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(both))
    alone = jax.disable_jit() if name in EAGER else nullcontext()
    once = functools.partial(run, METHOD[name])
    once = once if name in EAGER else jax.jit(once)
    with alone:
        close(once(KEYS[0], STEPS[0]), jax.tree.map(lambda leaf: leaf[0], both))


@every
def test_step_and_epoch_keep_the_form_of_the_state(name):
    def form(tree):
        return jax.tree.map(lambda a: (a.shape, a.dtype, a.weak_type), tree)

    key, rows = jax.random.key(0), jnp.arange(B, dtype=jnp.int32)
    state = jax.eval_shape(METHOD[name].init, key)
    after, info = jax.eval_shape(METHOD[name].step, state, Batch(rows, X[:B], Y[:B]), key)
    between = jax.eval_shape(METHOD[name].epoch, state, WHOLE, key, jnp.array(0, jnp.int32))
    assert form(state) == form(after) == form(between)
    assert info.loss.shape == ()


def count(i):
    return jnp.array(i, jnp.int32)


def test_truncated_gce_leaves_out_what_it_does_not_believe():
    made = gce.truncated_method(TASK, first=3, every=2)
    state, key, epoch = made.init(KEYS[0]), KEYS[1], jax.jit(made.epoch)
    p_y = np.asarray(made.predict(state, X))[np.arange(N), Y]
    for i in range(6):
        kept = epoch(state, WHOLE, key, count(i)).kept
        np.testing.assert_array_equal(kept, p_y > 0.5 if i in (3, 5) else np.ones(N, bool))
    rows = jnp.asarray(np.flatnonzero(p_y <= 0.5)[:B], jnp.int32)
    assert len(rows) == B < N - (p_y > 0.5).sum() < N
    known = epoch(state, WHOLE, key, count(3))
    after, info = jax.jit(made.step)(known, Batch(rows, X[rows], Y[rows]), key)
    close(after.learner.weights.params, known.learner.weights.params, 0.0)
    assert info.loss == 0


def test_estimated_correction_is_cross_entropy_until_its_matrix_is_there():
    made, plain = anchors.forward_estimated(TASK, 2, 80.0), cross_entropy.method(TASK)
    state, learner, key = made.init(KEYS[0]), plain.init(KEYS[0]), KEYS[1]
    batch = Batch(ROWS[0], X[ROWS[0]], Y[ROWS[0]])
    epoch, step, other = map(jax.jit, (made.epoch, made.step, plain.step))
    for i in range(2):
        state = step(epoch(state, WHOLE, key, count(i)), batch, key)[0]
        learner = other(learner, batch, key)[0]
    close(state.learner, learner, 1e-6)
    turned = epoch(state, WHOLE, key, count(2))
    close(turned.T, anchors.estimate(plain.predict(learner, X), 80.0), 1e-6)
    close(turned.learner, start(TASK, key), 0.0)
    assert np.abs(np.asarray(turned.T) - np.eye(C)).max() > 0.1


def test_aldr_moves_the_lam_of_the_batch_alone():
    made = ldr.adaptive_method(TASK, 3.0, 1.5)
    state, rows = made.init(KEYS[0]), jnp.array([1, 5, 6, 11], jnp.int32)
    after, _ = jax.jit(made.step)(state, Batch(rows, X[rows], Y[rows]), KEYS[1])
    moved = np.isin(np.arange(N), rows)
    np.testing.assert_array_equal(np.asarray(after.lam) == 3.0, ~moved)
    logits = apply(state.learner.weights, TASK.weak(KEYS[1], X[rows]), True)[0]
    close(after.lam[rows], ldr.refreshed(logits, state.lam[rows], 3.0, 1.5), 1e-6)


def test_numbers_may_be_traced_and_batched():
    batch = Batch(ROWS[0], X[ROWS[0]], Y[ROWS[0]])

    def one(share):
        made = (
            gce.method(TASK, share),
            bootstrapping.method(TASK, share),
            mixup.method(TASK, share),
            ldr.adaptive_method(TASK, share, 1 + share),
        )
        return [m.step(m.init(KEYS[0]), batch, KEYS[1])[1].loss for m in made]

    lanes = jax.jit(jax.vmap(one))(jnp.array([0.5, 0.9]))
    close([loss[1] for loss in lanes], jax.jit(lambda: one(0.9))(), 1e-5)
    assert all(loss[0] != loss[1] for loss in lanes)
