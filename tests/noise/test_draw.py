import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.noise import _draw


def at(u, row):
    u, row = jnp.asarray(u), jnp.asarray(row)
    return np.asarray(_draw.invert(u, row[None], jnp.zeros(u.shape, jnp.int32)))


def test_inversion_at_its_steps():
    # A uniform number may be exactly 0, and a category owns its left end.
    assert at([0.0, 0.24, 0.25, 0.74, 0.75, 0.99], [0.25, 0.5, 0.25]).tolist() == [0, 0, 1, 1, 2, 2]
    assert at([0.0, 0.49, 0.5], [0.0, 0.5, 0.0, 0.5]).tolist() == [1, 1, 3]
    assert at([0.0, 0.99], [0.0, 0.0, 1.0, 0.0]).tolist() == [2, 2]


@pytest.mark.parametrize("classes", [2, 3, 4, 7, 8, 9, 100])
def test_inversion_is_the_search_in_the_cumulated_row(classes):
    rng = np.random.default_rng(classes)
    row = rng.dirichlet(np.ones(classes))
    u = rng.random(500)
    np.testing.assert_array_equal(at(u, row), np.searchsorted(np.cumsum(row), u, side="right"))


@pytest.mark.parametrize("seed", range(3))
def test_rounding_draws_no_category_of_probability_zero(seed):
    rng = np.random.default_rng(seed)
    row = rng.dirichlet(np.ones(200)).astype(np.float32) * (rng.random(200) < 0.2)
    row = (row / row.sum()).astype(np.float32)
    steps = np.asarray(jnp.cumsum(jnp.asarray(row))) / row.sum()
    top = np.float32(1 - 2.0**-23)
    u = np.concatenate([np.nextafter(steps, -1.0), steps, np.nextafter(steps, 2.0), [0.0, top]])
    u = np.clip(u, 0.0, top).astype(np.float32)
    assert np.all(row[at(u, row)] > 0)
