from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust import noise

LOSSES = {
    "0-1": lambda m: (m <= 0).astype(float),
    "hinge": lambda m: np.maximum(0, 1 - m),
    "squared hinge": lambda m: np.maximum(0, 1 - m) ** 2,
    "logistic": lambda m: np.logaddexp(0, -m),
    "exponential": lambda m: np.exp(-m),
    "ramp": lambda m: np.clip(1 - m, 0, 2),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("seed", range(4))
def test_no_other_choice_of_flips_hurts_more(loss, seed):
    rng = np.random.default_rng(seed)
    n, phi = 7, LOSSES[loss]
    X, w = rng.normal(size=(n, 3)), rng.normal(size=3)
    y = rng.choice([-1, 1], n)
    for k in range(n + 1):
        noisy = np.asarray(noise.adversarial(X, y, w, k))
        assert np.sum(noisy != y) <= k
        best = -np.inf
        for size in range(k + 1):
            for chosen in combinations(range(n), size):
                sign = np.ones(n)
                sign[list(chosen)] = -1
                best = max(best, phi(sign * y * (X @ w)).sum())
        assert phi(noisy * (X @ w)).sum() == pytest.approx(best, rel=1e-12)


def test_the_budget_is_spent_while_an_example_is_right():
    X = np.arange(1.0, 11.0)[:, None]
    y = np.ones(10, int)
    for k in range(11):
        noisy = np.asarray(noise.adversarial(X, y, [1.0], k))
        assert np.flatnonzero(noisy != y).tolist() == list(range(10 - k, 10))
    np.testing.assert_array_equal(noise.adversarial(X, y, [-1.0], 10), y)


def test_ties_go_to_the_lower_index():
    X = np.ones((4, 1))
    assert noise.adversarial(X, [1, 1, 1, 1], [1.0], 2).tolist() == [-1, -1, 1, 1]


def test_the_budget_may_be_traced():
    rng = np.random.default_rng(0)
    X, y, w = rng.normal(size=(20, 2)), rng.choice([-1, 1], 20), rng.normal(size=2)
    budgets = jnp.arange(21)
    many = jax.jit(jax.vmap(lambda k: noise.adversarial(X, y, w, k)))(budgets)
    for k in range(21):
        np.testing.assert_array_equal(many[k], noise.adversarial(X, y, w, k))
