"""ELR, SOP and their plus versions against formulas written again in NumPy, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.deep import cross_entropy, elr, elr_plus, optimiser, sop, sop_plus, theory
from jaxrobust.deep.method import Batch, Network, Task, Weights

B, C, N = 5, 4, 9
ROWS = np.array([7, 2, 0, 5, 3], np.int32)


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    z = 2 * rng.normal(size=(B, C))
    y = np.array([0, 3, 1, 1, 2], np.int32)
    return z, y, rng.uniform(0.1, 1.2, B), rng.uniform(0.1, 1.2, (B, C)), rng.dirichlet([1] * C, B)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def slope(f, x, h=1e-6):
    """Central differences of a number in every entry of x."""
    x = np.array(x, float)
    out = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        out[place] = (f(up) - f(down)) / (2 * h)
    return out


def sop_ce(z, y, u, v, frozen=None):
    """SOP's cross-entropy; `frozen` is the v whose gradient is cut."""
    one = np.eye(C)[y]
    V = np.minimum((v if frozen is None else frozen) ** 2, 1) * (1 - one)
    q = np.maximum(softmax(z) + np.minimum(u**2, 1)[:, None] * one - V, 1e-4)
    return -np.log((q / q.sum(1, keepdims=True) * one).sum(1)).mean()


def sop_mse(z, y, u, v):
    one, said = np.eye(C)[y], np.eye(C)[z.argmax(1)]
    U, V = np.minimum(u**2, 1)[:, None] * one, np.minimum(v**2, 1) * (1 - one)
    return ((said + U - V - one) ** 2).sum(1).mean()


@pytest.mark.parametrize("routing", ["paper", "repository"])
def test_sop_value_and_gradients_are_those_of_the_routing(batch, routing):
    z, y, u, v, _ = batch

    def ours(z, u, v):
        return sop.objective(z, jnp.asarray(y), u, v, routing)

    value, (dz, du, dv) = jax.value_and_grad(ours, argnums=(0, 1, 2))(*map(jnp.asarray, (z, u, v)))
    np.testing.assert_allclose(value, sop_ce(z, y, u, v) + sop_mse(z, y, u, v), atol=1e-12)
    np.testing.assert_allclose(dz, slope(lambda a: sop_ce(a, y, u, v), z), atol=1e-8)
    mse_too = routing == "repository"
    wanted = slope(lambda a: sop_ce(z, y, a, v) + mse_too * sop_mse(z, y, a, v), u)
    np.testing.assert_allclose(du, wanted, atol=1e-8)
    np.testing.assert_allclose(dv, slope(lambda a: sop_mse(z, y, u, a), v), atol=1e-8)


def test_sop_below_its_floor_sends_no_gradient():
    z = jnp.array([[12.0, 0.0, 0.0, 0.0]])  # p_y = 6e-6 for y = 1

    def ours(z, u):
        return jnp.sum(sop.losses(z, jnp.array([1]), u, jnp.zeros((1, C)))[0])

    dz, du = jax.grad(ours, argnums=(0, 1))(z, jnp.array([1e-8]))
    assert float(du[0]) == 0
    # q_y is the floor; what is left comes through the sum that q is divided by.
    assert float(jnp.abs(dz).max()) < 1e-4


def test_elr_value_gradient_and_target(batch):
    z, y, _, _, t = batch

    def reference(z):
        p = np.clip(softmax(z), 1e-4, 1 - 1e-4)
        ce = -np.log(softmax(z)[np.arange(B), y])
        return (ce + 3.0 * np.log(1 - (p * t).sum(1))).mean()

    def ours(z):
        return jnp.mean(elr.loss(z, jnp.asarray(y), jnp.asarray(t), 3.0))

    value, dz = jax.value_and_grad(ours)(jnp.asarray(z))
    np.testing.assert_allclose(value, reference(z), atol=1e-12)
    np.testing.assert_allclose(dz, slope(reference, z), atol=1e-8)
    p = np.clip(softmax(z), 1e-4, 1 - 1e-4)
    wanted = 0.7 * t + 0.3 * p / p.sum(1, keepdims=True)
    np.testing.assert_allclose(elr.target(jnp.asarray(t), jnp.asarray(z), 0.7), wanted, atol=1e-12)


def test_sop_plus_consistency_and_balance(batch):
    z, _, _, _, t = batch
    p, q = softmax(z), softmax(z[::-1])
    wanted = (p * (np.log(p) - np.log(q))).sum(1)
    weak, strong = jnp.asarray(z), jnp.asarray(z[::-1].copy())
    np.testing.assert_allclose(sop_plus.consistency(weak, strong), wanted, atol=1e-12)
    assert not jax.grad(lambda a: jnp.sum(sop_plus.consistency(a, strong)))(weak).any()
    even = np.full((B, C), 1 / C)
    assert float(sop_plus.balance(jnp.asarray(even))) == pytest.approx(np.log(C))
    assert float(sop_plus.balance(jnp.asarray(t))) == pytest.approx(-np.log(t.mean(0)).mean())


def linear(features=3):
    """A linear network without bias."""

    def init(key):
        return Weights({"w": jax.random.normal(key, (features, C))}, {})

    return Network(init, lambda weights, x, train: (x @ weights.params["w"], {}))


@pytest.fixture(scope="module")
def task():
    return Task(linear(), optimiser.sgd(0.1, momentum=0.0), N, C)


@pytest.fixture(scope="module")
def seen():
    rng = np.random.default_rng(1)
    x = jnp.asarray(rng.normal(size=(B, 3)))
    return Batch(jnp.asarray(ROWS), x, jnp.asarray([0, 3, 1, 1, 2], jnp.int32))


def test_a_step_of_sop_moves_the_rows_of_the_batch_by_plain_descent(task, seen):
    method = sop.method(task, lr_u=10.0, lr_v=50.0, dtype=jnp.float64)
    state = method.init(jax.random.key(0))
    assert np.abs(state.u).max() < 1e-7
    assert np.abs(state.v).max() < 1e-7
    rng = np.random.default_rng(2)
    state = state._replace(
        u=jnp.asarray(rng.uniform(0.1, 0.9, N)), v=jnp.asarray(rng.uniform(0.1, 0.9, (N, C)))
    )
    after, info = method.step(state, seen, jax.random.key(1))
    z = np.asarray(seen.x @ state.learner.weights.params["w"])
    y, u, v = np.asarray(seen.y), np.asarray(state.u)[ROWS], np.asarray(state.v)[ROWS]
    assert float(info.loss) == pytest.approx(sop_ce(z, y, u, v) + sop_mse(z, y, u, v))
    wanted_u, wanted_v = np.array(state.u), np.array(state.v)
    wanted_u[ROWS] -= 10 * slope(lambda a: sop_ce(z, y, a, v), u)
    wanted_v[ROWS] -= 50 * slope(lambda a: sop_mse(z, y, u, a), v)
    np.testing.assert_allclose(after.u, wanted_u, atol=1e-6)
    np.testing.assert_allclose(after.v, wanted_v, atol=1e-6)
    moved = slope(
        lambda w: sop_ce(np.asarray(seen.x) @ w, y, u, v), state.learner.weights.params["w"]
    )
    wanted = np.asarray(state.learner.weights.params["w"]) - 0.1 * moved
    np.testing.assert_allclose(after.learner.weights.params["w"], wanted, atol=1e-8)


def test_v_grows_by_the_factor_of_the_theory_at_each_visit(task, seen):
    method = sop.method(task, lr_v=10.0, dtype=jnp.float64)
    state = method.init(jax.random.key(0))
    after, _ = method.step(state, seen, jax.random.key(1))
    z = seen.x @ state.learner.weights.params["w"]
    wrong = np.flatnonzero(np.asarray(z).argmax(axis=1) != np.asarray(seen.y))
    assert wrong.size
    i, c = ROWS[wrong[0]], int(z[wrong[0]].argmax())
    grown = float(after.v[i, c] / state.v[i, c])
    assert grown == pytest.approx(1 + 4 * 10.0 / B, rel=1e-6)
    # 68, 13 and 599 epochs at batch 128: the sheet's values of the same law.
    for lr, visits in ((10.0, 68), (100.0, 13), (1.0, 599)):
        assert abs(float(theory.visits(jnp.asarray(theory.growth_v(lr, 128.0)))) - visits) < 8


def test_elr_plus_looks_at_the_other_networks_average_and_moves_its_own(task, seen):
    method = elr_plus.method(task, ramp=10, gamma=0.9, beta=0.7, dtype=jnp.float64)
    state = method.init(jax.random.key(0))
    after, _ = method.step(state, seen, jax.random.key(1))
    told = elr.clipped(seen.x @ state.second.average["w"])
    wanted = 0.3 * told / told.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(after.first.t[ROWS], wanted, atol=1e-12)
    keep = 0.9 * np.exp(-5)
    first = state.first.average["w"], after.first.learner.weights.params["w"]
    np.testing.assert_allclose(
        after.first.average["w"], keep * first[0] + (1 - keep) * first[1], atol=1e-12
    )
    logits = [seen.x @ s.learner.weights.params["w"] for s in (after.first, after.second)]
    mean = jax.nn.softmax((logits[0] + logits[1]) / 2, axis=1)
    np.testing.assert_allclose(method.predict(after, seen.x), mean, atol=1e-12)


def test_refined_labels_change_the_loss_of_elr_plus(task, seen):
    losses = []
    for refine in (False, True):
        method = elr_plus.method(task, ramp=10, refine=refine, dtype=jnp.float64)
        state, _ = method.step(method.init(jax.random.key(0)), seen, jax.random.key(1))
        losses.append(float(method.step(state, seen, jax.random.key(2))[1].loss))
    assert abs(losses[0] - losses[1]) > 1e-3


def test_methods_start_from_the_same_weights(task):
    first = cross_entropy.method(task).init(jax.random.key(3)).weights.params["w"]
    for make in (sop.method, sop_plus.method, elr.method):
        np.testing.assert_array_equal(
            make(task).init(jax.random.key(3)).learner.weights.params["w"], first
        )
    pair = elr_plus.method(task).init(jax.random.key(3))
    np.testing.assert_array_equal(pair.first.learner.weights.params["w"], first)
    assert np.abs(pair.second.learner.weights.params["w"] - first).max() > 0.1


def test_numbers_out_of_range_are_refused(task):
    for make, options, words in (
        (elr.method, {"lam": -3}, r"lam must lie in \[0, inf\), got -3"),
        (elr.method, {"beta": 1.5}, "beta must lie in"),
        (sop.method, {"lr_u": -1}, "lr_u must lie in"),
        (sop.method, {"lr_v": "10"}, "lr_v must hold real numbers"),
        (sop.method, {"dtype": jnp.bfloat16}, "dtype must be float32 or float64"),
        (elr_plus.method, {"ramp": 0}, "ramp must lie in"),
        (lambda task, rate: optimiser.sgd(rate), {"rate": -0.1}, "rate must lie in"),
    ):
        with pytest.raises(ValueError, match=words):
            make(task, **options)


def test_bad_routing_is_refused(task):
    with pytest.raises(ValueError, match="routing must be 'paper' or 'repository', got 'mine'"):
        sop.method(task, routing="mine")


def test_cross_entropy_is_minus_log_p(batch):
    z, y, *_ = batch
    wanted = -np.log(softmax(z)[np.arange(B), y])
    np.testing.assert_allclose(
        cross_entropy.loss(jnp.asarray(z), jnp.asarray(y)), wanted, atol=1e-12
    )
