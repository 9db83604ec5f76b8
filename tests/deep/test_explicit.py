"""Explicit penalties: minimised over s by SciPy they are the losses that the docstring derives."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import minimize, minimize_scalar

from jaxrobust.deep import explicit, sop
from jaxrobust.deep.method import Batch, Network, Task, Weights

RNG = np.random.default_rng(5)
Z, Y = 2 * RNG.normal(size=(4, 3)), np.array([0, 2, 1, 1], np.int32)
ONE = np.eye(3)[Y]
P = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)


def apply(weights, x, train):
    return x @ weights.params, {}


LINEAR = Network(lambda key: Weights(jnp.zeros((2, 3), jnp.float32), {}), apply)
TASK = Task(LINEAR, optax.sgd(0.5), 5, 3)


def least_in_logits(z, y, w1):
    """Minimise CE(z + a - b, y) + w1 sum(a + b) over a, b >= 0."""

    def value(ab):
        q = z + ab[:3] - ab[3:]
        top = q.max()
        slope = np.exp(q - top) / np.exp(q - top).sum() - np.eye(3)[y]
        value = np.log(np.exp(q - top).sum()) + top - q[y] + w1 * ab.sum()
        return value, np.concatenate([slope, -slope]) + w1

    options = {"ftol": 1e-15, "gtol": 1e-10}
    return minimize(value, np.ones(6), jac=True, bounds=[(0, None)] * 6, options=options)


@pytest.mark.parametrize("w2", [0.0, 0.4])
def test_without_s_the_square_loss_is_huber(w2):
    for r in (-1.3, -0.2, 0.0, 0.31, 0.9):
        found = minimize_scalar(
            lambda s, r=r: (r + s) ** 2 / 2 + 0.3 * abs(s) + w2 * s**2,
            bracket=(-2, 2),
            options={"xtol": 1e-12},
        )
        assert np.isclose(explicit.huber(jnp.asarray(r), 0.3, w2), found.fun, atol=1e-12)
        # From anywhere, one step of size 1.
        s, slope = jnp.full((1, 1), 0.7), jnp.full((1, 1), r + 0.7)
        assert np.isclose(explicit.move(s, slope, 1.0, 0.3, w2)[0, 0], found.x, atol=1e-6)


def test_without_s_cross_entropy_is_clipped_in_the_margin():
    @jax.jit
    def both(w1):
        def each(z):
            return explicit.clipped(z, jnp.asarray(Y), w1)

        return each(jnp.asarray(Z)), jax.grad(lambda z: jnp.sum(each(z)))(jnp.asarray(Z))

    for w1 in (0.05, 0.4, 0.9):
        value, slope = both(w1)
        found = [least_in_logits(z, y, w1) for z, y in zip(Z, Y, strict=True)]
        np.testing.assert_allclose(value, [f.fun for f in found], atol=1e-9)
        factor = np.minimum(1, w1 / (1 - P[np.arange(4), Y]))
        np.testing.assert_allclose(slope, factor[:, None] * (P - ONE), atol=1e-12)
    np.testing.assert_allclose(both(1.0)[0], -np.log(P[np.arange(4), Y]), rtol=1e-13)


def test_an_explained_wrong_label_still_pulls_unless_the_noise_is_free():
    z, y = jnp.array([[9.0, 0.0, 0.0]]), jnp.array([1], jnp.int32)  # sure of 0, labelled 1

    def pull(loss):
        return float(jnp.abs(jax.grad(lambda z: loss(z).sum())(z)).max())

    r = jax.nn.one_hot(y, 3) - jax.nn.softmax(z)
    s = explicit.move(jnp.zeros((1, 3)), -r, 1.0, 0.1)
    p = np.asarray(jax.nn.softmax(z))[0]
    by_hand = p * (0.1 * np.array([1, -1, 0]) - 0.1 * (p[0] - p[1]))
    by_hand += p * (np.array([0, 0, p[2]]) - p[2] ** 2)  # the third class is within the threshold
    assert np.isclose(pull(lambda z: explicit.loss(z, s, y, "probabilities")), abs(by_hand).max())
    assert np.isclose(pull(lambda z: explicit.clipped(z, y, 0.1)), 0.1, rtol=1e-3)
    u, v = jnp.ones(1), jnp.array([[1.0, 0.0, 0.0]])
    assert pull(lambda z: sop.losses(z, y, u, v)[0]) < 1e-3


def test_a_step_smaller_than_one_shrinks_by_less():
    s = jnp.full((1, 1), 0.7)
    assert np.isclose(explicit.move(s, 0.2 * s, 0.5, 0.1, 0.2)[0, 0], (0.63 - 0.05) / 1.2)


def test_the_naive_step_has_no_zeros_and_oscillates():
    s = jnp.full((1, 1), 0.01)
    assert explicit.move(s, jnp.zeros((1, 1)), 1.0, 0.1)[0, 0] == 0
    assert np.isclose(
        explicit.move(s, jnp.zeros((1, 1)), 1.0, 0.1, rule="subgradient")[0, 0], -0.09
    )
    assert np.isclose(
        explicit.move(s, jnp.ones((1, 1)), 0.5, 0.1, 0.2, "subgradient")[0, 0],
        0.01 - 0.5 * (1 + 0.1 + 2 * 0.2 * 0.01),
    )


def test_the_method_takes_the_steps_that_it_says():
    method = explicit.method(TASK, 0.2, 0.1)
    x, rows = jnp.asarray(RNG.normal(size=(2, 2)), jnp.float32), jnp.array([3, 1], jnp.int32)
    y = jnp.array([2, 0], jnp.int32)
    state, info = method.step(method.init(jax.random.key(0)), Batch(rows, x, y), jax.random.key(1))
    one = np.eye(3)[[2, 0]]
    r = one - 1 / 3
    s = np.sign(r) * np.maximum(abs(r) - 0.2, 0) / 1.2
    np.testing.assert_allclose(state.s[rows], s, rtol=1e-5)
    assert not np.any(state.s[jnp.array([0, 2, 4])])
    assert state.s.dtype == jnp.float32
    left = 1 / 3 + s - one
    cost = (left**2).sum(axis=1) / 2 + 0.2 * abs(s).sum(axis=1) + 0.1 * (s**2).sum(axis=1)
    assert np.isclose(info.loss, cost.mean(), rtol=1e-5)
    slope = (left - left.mean(axis=1, keepdims=True)) / 3  # of the softmax at equal logits
    np.testing.assert_allclose(
        state.learner.weights.params, -0.5 * np.asarray(x).T @ slope / 2, rtol=1e-4
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"place": "labels"}, "place"),
        ({"rule": "lasso"}, "rule"),
        ({"rate": 0.0}, "rate"),
        ({"w1": -1.0}, "w1"),
    ],
)
def test_refuses_what_is_not_there(changed, message):
    with pytest.raises(ValueError, match=message):
        explicit.method(TASK, **{"w1": 0.1} | changed)
