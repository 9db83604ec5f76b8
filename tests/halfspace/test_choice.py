"""Which iterate is returned: what each choice is, and what `select` takes."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.halfspace import choice, constructions, trajectory

KEY = jax.random.key(3)


def test_errors_are_what_their_names_say():
    it = constructions.lever(0.2, 0.3)
    x = it.draw(KEY, 300)[0]
    rng = np.random.default_rng(7)
    y = rng.choice([1.0, 1.0, 1.0, -1.0], 300)  # the start, all +1, would win if it took part
    w, average = rng.normal(size=(2, 5, 2))
    w[0] = average[0] = 0.0
    path = trajectory.Path(
        *map(jnp.asarray, (w, average)), jnp.zeros(5, jnp.int32), jnp.array(True)
    )
    found = jax.jit(lambda path, x, y: choice.errors(path, it.error, x, y))(path, x, y)

    def err(v):  # over the six points +-x of LEVER
        a = it.atoms
        wrong = [np.mean([(s * p @ v >= 0) != (s * c > 0) for s in (1, -1)])
                 for p, c in zip(np.asarray(a.x), np.asarray(a.clean), strict=True)]  # fmt: skip
        return float(np.sum(a.weight * (a.rate + (1 - 2 * a.rate) * np.array(wrong))))

    def pocket(v):
        seen = [np.mean(np.where(np.asarray(x) @ u >= 0, 1, -1) != np.asarray(y)) for u in v]
        return err(v[int(np.argmin(seen))])

    along = [err(v) for v in w]
    assert len({round(e, 9) for e in along}) > 2
    expected = {
        "last": along[-1],
        "average": err(average[-1]),
        "mean_iterate": np.trapezoid(along) / 4,
        "holdout": pocket(w[1:]),
        "holdout_average": pocket(average[1:]),
    }
    assert tuple(expected) == choice.CHOICES == found._fields
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(found, name), value, atol=1e-12, err_msg=name)


def test_select_takes_the_fewest_mistakes_and_the_first_of_equals():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(50, 2))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y = np.where(x @ [1.0, 0.5] + 0.3 * rng.normal(size=50) >= 0, 1.0, -1.0)
    w = np.array([[1.0, 0.0], [0.0, 1.0], [-0.3, 0.2], [0.0, 2.0], [0.5, 0.0]])
    for flip in (1, -1):
        best, place = choice.select(jnp.asarray(flip * w), x, y)
        seen = [np.mean(np.where(x @ v >= 0, 1, -1) != y) for v in flip * w]
        assert seen[1] == seen[3]
        assert seen[0] == seen[4]
        assert place == int(np.argmin(seen)) <= 2
        np.testing.assert_array_equal(best, flip * w[int(place)])


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (np.eye(2), [0, 1], "y must hold -1"),
        (np.eye(2), [1, -1, 1], "y must have shape (2)"),
        (2 * np.eye(2), [1, -1], "x has a row of norm 2: points must lie in the unit ball"),
        (np.nan * np.eye(2), [1, -1], "non-finite"),
    ],
)
def test_what_is_held_out_is_checked(x, y, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        choice.select(jnp.eye(2), x, y)


def test_errors_refuses_points_outside_of_the_unit_ball():
    it = constructions.lever()
    path = trajectory.Path(*jnp.ones((2, 2, 2)), jnp.zeros(2, jnp.int32), jnp.array(True))
    with pytest.raises(ValueError, match="norm 3: points must lie in the unit ball, divide all"):
        choice.errors(path, it.error, 3 * np.eye(2), [1.0, -1.0])
