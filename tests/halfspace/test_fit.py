"""What the estimators are made of: the run over rows in any order, its numbers, splits, passes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust import halfspace
from jaxrobust.halfspace import _base, _fit, _table
from jaxrobust.halfspace.estimators import HalfspaceClassifier


def _run(rows, mu=0.1, dtype=jnp.float64):
    x = jnp.array([[0.6, 0.2], [-0.3, 0.4], [0.1, -0.9], [-0.5, -0.5]], dtype)
    y = jnp.array([1.0, -1.0, 1.0, -1.0], dtype)
    numbers = {"eta": 0.3, "gamma": 0.1, "mu": mu}
    order, segment = _fit.lines(np.asarray(rows), 5)
    path = _fit.learn(x, y, order, segment, rule="hinge", **numbers)
    return path, halfspace.over(x[jnp.asarray(rows)], y[jnp.asarray(rows)], rule="hinge",
                                snapshots=5, **numbers)  # fmt: skip


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_a_run_over_rows_is_over_of_the_rows_in_that_order(dtype):
    rows = np.random.default_rng(0).integers(0, 4, 35)  # lines of 7, padded to 8
    for mine, theirs in zip(*map(jax.tree.leaves, _run(rows, dtype=dtype)), strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_allclose(mine, theirs, atol=1e-6 if dtype == jnp.float32 else 1e-14)


def test_a_run_that_overflowed_on_its_way_is_not_finite():
    # With mu = 1e308 the first step moves w to 1e308 x and no other does: the sum overflows alone.
    path, _ = _run([0] * 34 + [1], mu=1e308)
    assert jnp.isfinite(path.w[-1]).all()
    assert not jnp.isfinite(path.average[-1]).all()
    assert not path.finite


def test_only_a_classifier_that_can_learn_can_be_made():
    with pytest.raises(TypeError, match=r"abstract method '?_learn"):
        _base.Halfspace()


def test_the_iterate_kept_is_the_best_on_the_rows_held_out():
    rng = np.random.default_rng(0)
    w, average = rng.normal(size=(2, 9, 4))
    x, y = rng.normal(size=(37, 4)), rng.choice([-1.0, 1.0], 37)
    for choice, kept in (("holdout", w), ("holdout_average", average)):
        mistakes = [(np.where(x @ v >= 0, 1, -1) != y).sum() for v in kept[1:]]
        found = _fit.returned(*map(jnp.asarray, (w, average)), *_fit.padded(x, y), choice=choice)
        np.testing.assert_array_equal(found, kept[1 + np.argmin(mistakes)])


def test_default_steps_and_step():
    rng = np.random.default_rng(1)
    X, side = rng.normal(size=(120, 3)), np.where(np.arange(120) % 3 == 0, 1, -1)
    model = HalfspaceClassifier(eta=0.3, gamma=0.5, random_state=0).fit(X, side)
    assert model.n_iter_ == 2000  # 20 passes over 96 rows (1,920) are more than 28^2 = 784
    assert HalfspaceClassifier(steps=250).fit(X, side).n_iter_ == 300
    assert _fit.default_steps(100, 0.3, 0.05) == 78_400
    assert _fit.default_steps(100, 0.3, 1e-300) == _fit.MOST
    z, eta, gamma, T = jnp.linspace(-1, 1, 201), 0.2, 0.1, 400
    for rule, (slope, projected) in halfspace.RULES.items():
        size = max(
            float(jnp.max(jnp.abs(slope(z, jnp.full(201, y), eta, gamma)))) for y in (-1.0, 1.0)
        )
        norm = 1.0 if projected else 1 / gamma

        def regret(mu, norm=norm, size=size):
            return norm**2 / (2 * mu) + mu * size**2 * T / 2

        mu = _fit.theory_step(rule, eta, gamma, T)
        if rule == "perceptron":
            assert mu == 1
        elif rule != "logistic":  # its slope comes up to 1 only far outside |z| <= 1
            assert regret(mu) < min(regret(1.02 * mu), regret(0.98 * mu))
        else:
            assert mu == pytest.approx(norm / np.sqrt(T))


def test_rows_held_out_and_passes():
    rng = np.random.default_rng(0)
    y = np.repeat([-1.0, 1.0], [40, 10])
    kept, held = _table.split(rng, y, 0.2)
    assert sorted([*kept, *held]) == list(range(50))
    assert [np.sum(y[held] == side) for side in (-1, 1)] == [8, 2]
    kept, held = _table.split(rng, y[:42], 1e-9)
    assert [np.sum(y[held] == side) for side in (-1, 1)] == [1, 1]
    for part in _table.split(rng, y[:41], 0.2):  # one row in a class
        np.testing.assert_array_equal(part, np.arange(41))
    order = _table.passes(rng, 7, 19)
    assert order.shape == (19,)
    for a in (0, 7):
        assert sorted(order[a : a + 7]) == list(range(7))
    assert list(order[:7]) != list(order[7:14])
