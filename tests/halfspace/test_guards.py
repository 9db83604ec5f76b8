"""What must not pass in silence: weights and labels that make no sense, inside jit and outside."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust import halfspace

X = np.array([[0.6, 0.2], [-0.3, 0.4], [0.1, -0.9], [-0.5, -0.5]] * 2)
Y = np.array([1.0, -1.0, 1.0, -1.0] * 2)
SETTINGS = {"eta": 0.3, "gamma": 0.1, "mu": 0.01}


def test_a_counted_hold_out_is_the_same_sample():
    it = halfspace.mix(d_basis=5)
    key = jax.random.key(3)
    x, y = it.draw(key, 3000)
    few, counts = it.hold_out(key, 3000)
    assert few.shape == (2 * it.atoms.weight.size, it.d)
    w = jax.random.normal(jax.random.key(1), (20, it.d))
    by_hand = np.mean(
        np.where(np.asarray(w) @ np.asarray(x).T >= 0, 1.0, -1.0) != np.asarray(y), axis=1
    )
    np.testing.assert_allclose(halfspace.choice.noisy_error(w, x, y), by_hand, atol=1e-12)
    np.testing.assert_allclose(halfspace.choice.noisy_error(w, few, counts), by_hand, atol=1e-12)


@pytest.mark.parametrize(("x", "y"), [(X, (Y + 1) / 2), (X, 3 * Y), (4 * X, Y)])
def test_bad_examples_under_a_trace_give_nan(x, y):
    path = jax.jit(lambda x, y: halfspace.over(x, y, **SETTINGS))(x, y)
    assert not path.finite
    assert jnp.isnan(path.w[-1]).all()


@pytest.mark.parametrize("wrong", [{"eta": 0.7}, {"gamma": -0.1}, {"mu": -1.0}])
def test_bad_numbers_under_a_trace_give_nan_for_every_rule(wrong):
    for rule in ("hinge", "normalized"):
        run = jax.jit(lambda s, rule=rule: halfspace.over(X, Y, rule=rule, **s))
        assert not run({**SETTINGS, **wrong}).finite


def test_weights_that_are_not_finite_have_no_error():
    nan = jnp.array([jnp.nan, 0.0])
    for it in (halfspace.lever(), halfspace.from_data(X, Y, 0.1)):
        assert jnp.isnan(it.error(nan))
    it = halfspace.lever()
    path = halfspace.over(X, Y, **SETTINGS)
    broken = path._replace(finite=jnp.array(False))
    assert jnp.isnan(jnp.stack(halfspace.errors(broken, it.error, X, Y))).all()
    w, place = halfspace.select(jnp.stack([nan, jnp.array([-1.0, -1.0])]), X, Y)
    assert place == 1
    assert jnp.isfinite(w).all()


def test_a_projected_run_that_overflows_is_not_zero():
    state = halfspace.online.init(2)
    for _ in range(2):
        state, _ = halfspace.online.step(
            state, jnp.array([1.0, 0.0]), jnp.array(1.0), rule="leaky", eta=0.3, gamma=0.1, mu=1e200
        )
    assert not jnp.isfinite(state.w).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: halfspace.lever(0.9, 0.3, a=0.69), "a must be at most"),
        (lambda: halfspace.basis(4, 0.2, size=9), "size must lie in"),
        (lambda: halfspace.basis(4, 0.2, size=0), "size must lie in"),
        (lambda: _finite(rate=0.7), "rate must lie in"),
        (lambda: _finite(x=2.0), "unit ball"),
        (lambda: _finite(weight=3.0), "weight must lie in"),
        (lambda: _finite(weight=0.5), "weight must sum to 1"),
        (lambda: _finite(rate=0.4), "above eta"),
        (lambda: _finite(x=-1.0), "not a margin"),
        (lambda: _finite(w_star=(2.0, 0.0)), "length 1"),
        (lambda: _finite(w_star=(1.0, 0.0, 0.0)), "w_star must have shape"),
    ],
)
def test_instances_outside_of_the_model_are_refused(make, words):
    with pytest.raises(ValueError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)


def _finite(x=1.0, rate=0.1, weight=1.0, w_star=(1.0, 0.0)):
    numbers = jnp.array([[x, 0.0]]), jnp.ones(1), jnp.array([rate]), jnp.array([weight])
    return halfspace.finite(halfspace.Atoms(*numbers), w_star, 0.1, 0.3)


def test_a_hold_out_of_zeros_and_ones_is_refused():
    it = halfspace.lever()
    path = halfspace.over(X, Y, **SETTINGS)
    with pytest.raises(ValueError, match="map 0/1 by"):
        halfspace.errors(path, it.error, X, (Y + 1) / 2)


def test_atoms_of_numpy_can_be_run():
    atoms = halfspace.Atoms(np.eye(2), np.ones(2), np.zeros(2), np.full(2, 0.5))
    it = halfspace.finite(atoms, np.full(2, 0.5**0.5), 0.7, 0.0)
    path = halfspace.stream(jax.random.key(0), it.draw, 2, **SETTINGS, steps=100)
    assert it.error(path.w[-1]) == 0
