"""Co-teaching+ and DivideMix: every piece by hand, one whole step by hand, and a run of each."""

import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from jaxrobust.deep import _mixmatch, coteaching_plus, cross_entropy, dividemix, gmm, optimiser
from jaxrobust.deep import train as loop
from jaxrobust.deep.method import Batch, Network, Task, Weights, Whole
from jaxrobust.deep.sets import Data, Labelled


def rng(seed=0):
    return np.random.default_rng(seed)


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def ce(z, y):
    return -np.log(softmax(z)[np.arange(len(y)), y])


def numerical(f, z, h=1e-6):
    """Return the gradient of f by central differences."""
    out = np.zeros_like(z)
    for i in np.ndindex(z.shape):
        up, down = z.copy(), z.copy()
        up[i], down[i] = z[i] + h, z[i] - h
        out[i] = (f(up) - f(down)) / (2 * h)
    return out


def network(*widths, dtype=jnp.float64):
    """Make an MLP that counts its passes in training."""

    def init(key):
        keys = jax.random.split(key, len(widths) - 1)
        sides = zip(keys, widths[:-1], widths[1:], strict=True)
        A = [jax.random.normal(k, (i, o), dtype) * math.sqrt(2 / i) for k, i, o in sides]
        return Weights(A, jnp.zeros((), jnp.int32))

    def apply(weights, x, train):
        for A in weights.params[:-1]:
            x = jax.nn.relu(x @ A)
        return x @ weights.params[-1], weights.stats + int(train)

    return Network(init, apply)


# --- Co-teaching+ ----------------------------------------------------------------------------


@pytest.mark.parametrize(("T_k", "c"), [(10, 1.0), (5, 2.0), (1, 1.0)])
def test_forget_rate(T_k, c):
    table = np.full(20, 0.4)
    table[:T_k] = np.linspace(0, 0.4**c, T_k)
    ours = coteaching_plus.forget(jnp.arange(20), 0.4, T_k, c)
    np.testing.assert_allclose(ours, table, rtol=1e-14)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_selection_is_brute_force(dtype):
    select = jax.jit(jax.vmap(coteaching_plus.select, in_axes=(0, 0, None)))
    R = rng()
    losses = R.normal(size=(40, 10))
    masks = R.uniform(size=(40, 10)) < np.linspace(0, 1, 40)[:, None]
    for tenths in (0, 2, 3, 7, 9):
        ours = np.asarray(select(jnp.asarray(losses), jnp.asarray(masks), dtype(tenths / 10)))
        for loss, D, S in zip(losses, masks, ours, strict=True):
            n = math.floor((1 - Fraction(tenths, 10)) * int(D.sum())) or D.sum()
            best = sorted(np.flatnonzero(D), key=lambda i: loss[i])[: int(n)]
            assert set(np.flatnonzero(S)) == set(best)


def test_a_step_of_coteaching_by_hand():
    task = Task(network(3, 4), optimiser.sgd(0.5, momentum=0.0), 8, 4)
    R = rng(1)
    x, y = R.normal(size=(8, 3)), R.integers(0, 4, 8).astype(np.int32)
    method = coteaching_plus.method(task, 0.5, E=8)
    step = jax.jit(method.step)
    state = method.init(jax.random.key(0))
    batch = Batch(jnp.arange(8, dtype=jnp.int32), jnp.asarray(x), jnp.asarray(y))
    A = [np.asarray(one.weights.params[0]) for one in (state.first, state.second)]
    guesses = [(x @ a).argmax(axis=1) for a in A]
    differ = guesses[0] != guesses[1]
    assert 1 < differ.sum() < 8
    for count in (6, 20):  # epoch 7 of plain Co-teaching: R = 7/9 tau; epoch 21: D, R = tau
        D = np.ones(8, bool) if count == 6 else differ
        n = int((1 - (0.5 * 7 / 9 if count == 6 else 0.5)) * D.sum())
        picks = [sorted(np.flatnonzero(D), key=lambda i, a=a: ce(x @ a, y)[i])[:n] for a in A]
        assert set(picks[0]) != set(picks[1])
        at = method.epoch(state, Whole(batch.x, batch.y), jax.random.key(1), jnp.int32(count))
        after, info = step(at, batch, jax.random.key(2))
        costs = [lambda a, S=S: ce(x @ a, y)[S].mean() for S in picks[::-1]]
        for one, a, cost in zip((after.first, after.second), A, costs, strict=True):
            expected = a - 0.5 * numerical(cost, a)
            np.testing.assert_allclose(one.weights.params[0], expected, atol=1e-8)
            assert int(one.weights.stats) == 1
        np.testing.assert_allclose(info.loss, (costs[0](A[0]) + costs[1](A[1])) / 2, rtol=1e-12)
    same = at._replace(second=at.first)  # no disagreement: nothing moves
    after, info = step(same, batch, jax.random.key(2))
    np.testing.assert_array_equal(after.first.weights.params[0], A[0])
    assert float(info.loss) == 0.0


# --- DivideMix -------------------------------------------------------------------------------

# B, C: two views of 5 examples, 3 classes
OWN, OTHER = rng().dirichlet(np.ones(3), (2, 2, 5))
Y, W = rng().integers(0, 3, 5), np.array([0.9, 0.2, 0.7, 0.4, 1.0])


def reference_targets(own, other, y, w, tau, T):
    out = np.zeros((len(y), own.shape[2]))
    for i in range(len(y)):
        mean = own[:, i].mean(axis=0)
        if w[i] > tau:
            p = (1 - w[i]) * mean
            p[y[i]] += w[i]
        else:
            p = (own[0, i] + own[1, i] + other[0, i] + other[1, i]) / 4
        out[i] = p ** (1 / T) / (p ** (1 / T)).sum()
    return out


def reference_objective(z, t, labelled, lam_u):
    p = softmax(z)
    prior = 1 / z.shape[1]
    lx = -(t * np.log(p))[labelled].sum() / max(labelled.sum(), 1)
    lu = prior * ((p - t)[~labelled] ** 2).sum() / max((~labelled).sum(), 1)
    return lx + lam_u * lu + (prior * np.log(prior / p.mean(axis=0))).sum()


def test_targets():
    for T in (0.5, 1.0, 0.25):
        y = jnp.asarray(np.eye(3)[Y])
        ours = _mixmatch.targets(
            jnp.asarray(OWN), jnp.asarray(OTHER), y, jnp.asarray(W), jnp.asarray(W > 0.5), T
        )
        np.testing.assert_allclose(ours, reference_targets(OWN, OTHER, Y, W, 0.5, T), rtol=1e-12)
    sure = _mixmatch.sharpen(jnp.array([[1.0, 0.0], [1e-300, 1.0]]), 0.5)
    np.testing.assert_array_equal(sure, [[1.0, 0.0], [0.0, 1.0]])


def test_objective():
    z, t, labelled = rng().normal(size=(5, 3)) * 2, OWN[0], W > 0.5
    slope = jax.jit(jax.value_and_grad(_mixmatch.objective))
    value, grad = slope(jnp.asarray(z), jnp.asarray(t), jnp.asarray(labelled), 25.0)
    np.testing.assert_allclose(value, reference_objective(z, t, labelled, 25.0), rtol=1e-12)
    there = numerical(lambda z: reference_objective(z, t, labelled, 25.0), z)
    np.testing.assert_allclose(grad, there, atol=1e-6)
    extreme = jnp.array([[1e4, 0.0, 0.0], [1e4, 0.0, 0.0]])  # two classes of mean probability 0
    for part in (True, False):
        value, grad = slope(extreme, jnp.eye(3)[:2], jnp.full(2, part), 1.0)
        assert np.isfinite(float(value))
        assert np.isfinite(np.asarray(grad)).all()
    np.testing.assert_allclose(
        dividemix.confidence(jnp.asarray(z)), (softmax(z) * np.log(softmax(z))).sum(axis=1)
    )


def test_an_epoch_and_a_step_of_dividemix_by_hand():
    """With l = 1 (Beta(a, a), a -> 0) and no augmentation nothing of a step is left to chance."""
    n, lam_u, rate = 10, 30.0, 0.5
    task = Task(network(3, 3), optimiser.sgd(rate, momentum=0.0), n, 3)
    x, y = rng().normal(size=(n, 3)) * 2, rng().integers(0, 3, n).astype(np.int32)
    whole = Whole(jnp.asarray(x), jnp.asarray(y))
    method = dividemix.method(
        task, lam_u=lam_u, a=1e-4, warmup=1, ramp=2.0, penalty=1.0, memory=2, block=4
    )
    epoch, step = jax.jit(method.epoch), jax.jit(method.step)
    divide = jax.jit(jax.vmap(lambda l: gmm.low(l, gmm.fit(l))))
    rows = np.array([7, 1, 4, 2, 9], np.int32)
    batch = Batch(jnp.asarray(rows), jnp.asarray(x[rows]), jnp.asarray(y[rows]))
    key = jax.random.key(3)

    state = epoch(method.init(jax.random.key(0)), whole, key, jnp.int32(0))
    np.testing.assert_array_equal(state.w, 1.0)
    before = np.asarray(state.pair.weights.params[0])
    state, info = step(state, batch, key)  # warm-up: cross-entropy and the penalty

    def warm(a):
        p = softmax(x[rows] @ a)
        return ce(x[rows] @ a, y[rows]).mean() + (p * np.log(p)).sum(axis=1).mean()

    expected = np.stack([a - rate * numerical(warm, a) for a in before])
    np.testing.assert_allclose(state.pair.weights.params[0], expected, atol=1e-8)
    np.testing.assert_allclose(info.loss, np.mean([warm(a) for a in before]), rtol=1e-12)

    means, A = [], np.array(state.pair.weights.params[0])
    for count in (1, 2):  # the second epoch averages over two
        state = epoch(state, whole, key, jnp.int32(count))
        l = np.stack([ce(x @ a, y) for a in A])
        low, high = l.min(axis=1, keepdims=True), l.max(axis=1, keepdims=True)
        means.append((l - low) / (high - low))
        l = jnp.asarray(np.mean(means, axis=0))
        w = np.asarray(divide(l))
        np.testing.assert_allclose(state.w, w, atol=1e-9)
        chosen = w[:, rows] > 0.5
        assert chosen.any()
        assert not chosen.all()
        for t in range(2):
            lam = lam_u * min((count + t / 2 - 1) / 2, 1)
            state, info = step(state, batch, key)
            costs = []
            for k in (0, 1):  # the second network sees the first one after its step
                own, other = (np.stack([softmax(x[rows] @ A[j])] * 2) for j in (k, 1 - k))
                told, labelled = w[1 - k, rows], chosen[1 - k]
                aim = reference_targets(own, other, y[rows], told, 0.5, 0.5)
                twice = np.concatenate([x[rows]] * 2), np.concatenate([aim] * 2)

                def cost(a, twice=twice, mask=np.concatenate([labelled] * 2), lam=lam):
                    return reference_objective(twice[0] @ a, twice[1], mask, lam)

                costs.append(cost(A[k]))
                A[k] = A[k] - rate * numerical(cost, A[k])
            np.testing.assert_allclose(state.pair.weights.params[0], A, atol=1e-7)
            np.testing.assert_allclose(info.loss, np.mean(costs), rtol=1e-7)
    np.testing.assert_array_equal(state.pair.weights.stats, 1 + 2 * 4)  # guesses and mixtures
    logits = x @ A[0] + x @ A[1]
    np.testing.assert_allclose(method.predict(state, whole.x), softmax(logits / 2), atol=1e-7)


# --- both ------------------------------------------------------------------------------------


def toy(key, n, d, C, rate):
    """Draw separable classes with a share of labels moved to another class."""
    centres, *keys = jax.random.split(key, 5)
    centres = 1.2 * jax.random.normal(centres, (C, d))

    def draw(key, n):
        first, second = jax.random.split(key)
        y = jax.random.randint(first, (n,), 0, C, jnp.int32)
        return centres[y] + jax.random.normal(second, (n, d)), y

    (x, truth), (x_test, y_test) = draw(keys[0], n), draw(keys[1], n)
    move = jax.random.randint(keys[2], (n,), 1, C, jnp.int32)
    wrong = jax.random.uniform(keys[3], (n,)) < rate
    y = jnp.where(wrong, (truth + move) % C, truth)
    return Data(Labelled(x, y, truth), None, Labelled(x_test, y_test, y_test))


def test_both_withstand_wrong_labels_where_cross_entropy_does_not():
    data = toy(jax.random.key(0), 400, 20, 4, 0.4)
    task = Task(network(20, 128, 4), optimiser.sgd(0.05), 400, 4)
    plan = loop.Plan(epochs=32, batch=50, every=32)
    keys = loop.Keys(*jax.random.split(jax.random.key(1)))
    methods = {
        "cross-entropy": cross_entropy.method(task),
        "co-teaching+": coteaching_plus.method(task, 0.4),
        "dividemix": dividemix.method(task, warmup=5),
    }
    last, states = {}, {}
    for name, method in methods.items():
        run = jax.jit(lambda k, data, m=method: loop.fit(k, m, data, plan))
        states[name], read = run(keys, data)
        last[name] = float(read.test[-1])
    assert last["cross-entropy"] < 0.75
    assert last["co-teaching+"] > last["cross-entropy"] + 0.1
    assert last["dividemix"] > 0.95
    right = np.asarray(data.train.y == data.train.truth)
    for w in np.asarray(states["dividemix"].w):
        assert roc_auc_score(right, w) > 0.95


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("module", [coteaching_plus, dividemix])
def test_a_state_keeps_its_shapes_and_dtypes(module, dtype):
    task = Task(network(3, 4, 2, dtype=dtype), optimiser.sgd(jnp.asarray(0.1, dtype)), 7, 2)
    rows = jnp.arange(4, dtype=jnp.int32)
    whole = Whole(jnp.ones((7, 3), dtype), jnp.zeros(7, jnp.int32))
    key = jax.random.key(0)

    def shapes(tau):
        method = module.method(task, tau=tau)
        batch = Batch(rows, whole.x[rows], whole.y[rows])
        state = method.init(key)
        moved = method.epoch(state, whole, key, jnp.int32(3))
        return state, moved, *method.step(moved, batch, key), method.predict(state, whole.x)

    for tau in (jnp.float32(0.4), jnp.float64(0.4)):  # traced
        first, second, third, info, p = jax.eval_shape(shapes, tau)
        assert first == second == third
        assert info.loss.dtype == p.dtype == dtype
        floats = [z for z in jax.tree.leaves(first) if jnp.issubdtype(z.dtype, jnp.floating)]
        assert {z.dtype for z in floats} == {jnp.dtype(dtype)}


@pytest.mark.parametrize(
    ("module", "wrong", "says"),
    [
        (coteaching_plus, {"tau": 1.0}, "tau must lie in"),
        (coteaching_plus, {"tau": 0.2, "T_k": 0}, "T_k must lie in"),
        (dividemix, {"tau": 1.5}, "tau must lie in"),
        (dividemix, {"T": 0.0}, "T must lie in"),
        (dividemix, {"lam_u": -1.0}, "lam_u must lie in"),
        (dividemix, {"memory": 0}, "memory must be a whole number"),
    ],
)
def test_refusals(module, wrong, says):
    with pytest.raises(ValueError, match=says):
        module.method(Task(network(2, 2), optimiser.sgd(0.1), 4, 2), **wrong)
