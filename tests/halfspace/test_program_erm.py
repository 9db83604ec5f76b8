import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.halfspace import constructions
from jaxrobust.halfspace.erm import erm_2d
from jaxrobust.halfspace.program import separate

N = 8


def problems(count, seed=0):
    """Points of a small grid: many at 0, equal, opposite or in line with each other."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, (count, N, 2)).astype(float)
    y = rng.choice([-1.0, 1.0], (count, N))
    weight = rng.integers(0, 4, (count, N)).astype(float)
    weight[:, 0] += 1
    weight[::2] = 1.0
    return x, y, weight


def brute(x, y, weight):
    """Least error over the middles of all arcs, and the widest arc that has it."""
    keep = (weight > 0) & x.any(axis=1)
    turned = x[keep] @ np.array([[0.0, 1.0], [-1.0, 0.0]])  # w orthogonal to the point, both ways
    angles = np.concatenate([np.arctan2(*(s * turned).T[::-1]) for s in (1, -1)]) % (2 * np.pi)
    angles = np.unique(np.round(angles, 9) % round(2 * np.pi, 9))
    if not len(angles):
        return weight @ (y < 0) / weight.sum(), None
    middles = (angles + np.append(angles[1:], angles[0] + 2 * np.pi)) / 2
    widths = np.diff(np.append(angles, angles[0] + 2 * np.pi))
    w = np.stack([np.cos(middles), np.sin(middles)])
    error = weight @ (np.where(x @ w >= 0, 1.0, -1.0) != y[:, None]) / weight.sum()
    return error.min(), widths[error <= error.min() + 1e-12].max()


def slack(w, x, weight):
    """Angle between w and the nearest w at which a prediction changes."""
    keep = (weight > 0) & x.any(axis=1)
    sine = np.abs(x[keep] @ w) / np.linalg.norm(x[keep], axis=1) / np.linalg.norm(w)
    return np.arcsin(sine.min())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_erm_is_the_best_of_all_arcs(dtype):
    x, y, weight = problems(200)
    x[7] = 0.0  # nothing to turn
    given = [v.astype(dtype) for v in (x, y, weight)]
    found = jax.jit(jax.vmap(erm_2d))(*given)
    assert found.w.dtype == found.error.dtype == dtype
    tol = 1e-12 if dtype == np.float64 else 1e-6
    for i in range(200):
        least, width = brute(x[i], y[i], weight[i])
        w = np.asarray(found.w[i], float)
        np.testing.assert_allclose(found.error[i], least, atol=tol)
        np.testing.assert_allclose(np.linalg.norm(w), 1.0, atol=tol)
        own = weight[i] @ (np.where(x[i] @ w >= 0, 1.0, -1.0) != y[i]) / weight[i].sum()
        np.testing.assert_allclose(own, least, atol=tol)
        if width is not None:
            np.testing.assert_allclose(slack(w, x[i], weight[i]), width / 2, atol=max(tol, 1e-8))


def test_erm_without_jit_or_weights_is_the_same():
    x, y, weight = problems(4)
    assert (weight[2] == 1).all()
    one, batch = erm_2d(x[2], y[2]), jax.vmap(erm_2d)(x, y, weight)
    np.testing.assert_allclose(one.w, batch.w[2], atol=1e-12)
    np.testing.assert_allclose(one.error, batch.error[2], atol=1e-12)


def test_erm_on_the_points_of_an_instance_is_opt():
    # LEVER's six points with their two labels each, weighted by their probabilities.
    it = constructions.lever(0.05, 0.3)
    points, weight = it.grid()
    x = jnp.concatenate([points.x, points.x])
    y = jnp.concatenate([points.clean, -points.clean])
    best = erm_2d(x, y, jnp.concatenate([weight * (1 - points.rate), weight * points.rate]))
    np.testing.assert_allclose([best.error, it.error(best.w)], 0.06, atol=1e-12)


def test_erm_on_many_points_beats_every_direction_of_a_grid():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2001, 2))
    y = np.where(x[:, 0] + rng.normal(size=2001) > 0, 1.0, -1.0)
    best = erm_2d(x, y)
    angle = np.linspace(0, 2 * np.pi, 5000)
    grid = np.mean(np.sign(x @ np.stack([np.cos(angle), np.sin(angle)])) != y[:, None], axis=0)
    assert 0.2 < best.error <= grid.min() < best.error + 0.002


def test_erm_answers_bad_traced_numbers_with_nan():
    go = jax.jit(erm_2d)
    x, y, weight = (v[0] for v in problems(1))
    for bad in ((x * np.nan, y, weight), (x, y, 0 * weight), (x, y, -weight)):
        assert all(jnp.all(jnp.isnan(v)) for v in go(*bad))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_separate_finds_a_halfspace_where_there_is_one(dtype):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 6)).astype(dtype)
    w_star = rng.normal(size=6)
    y = np.where(x @ w_star >= 0, 1, -1)
    found = separate(x, y)
    assert found.feasible is True
    assert found.w.dtype == dtype
    np.testing.assert_allclose(jnp.linalg.norm(found.w), 1.0, rtol=1e-6)
    assert np.all(np.asarray(x @ found.w) * y > 0)

    noisy = np.where(rng.uniform(size=300) < 0.2, -y, y)
    lost = separate(x, noisy)
    assert lost.feasible is False
    assert not lost.w.any()


def test_separate_returns_the_least_l1_norm_and_knows_the_edge_cases():
    # y w.x >= 1: 2 w_1 >= 1 and w_2 >= 1, so w is along (1/2, 1).
    np.testing.assert_allclose(
        separate([[2.0, 0.0], [0.0, 1.0]], [1, 1]).w, np.array([1, 2]) / 5**0.5
    )
    assert not separate([[0.0, 0.0], [1.0, 0.0]], [1, 1]).feasible  # a point at 0 has no margin
    assert not separate([[1.0, 1.0], [2.0, 2.0]], [1, -1]).feasible
    assert separate([[1e-3, 1.0], [1e-3, -1.0]], [1, 1]).feasible
    assert separate([[1e9, 1e9], [-1e9, 1e9]], [1, -1]).feasible  # the scale of x is no matter
    assert separate([[1e-9, 1e-9], [-1e-9, 1e-9]], [1, -1]).feasible


def test_separate_checks_what_the_solver_says(monkeypatch):
    wrong = types.SimpleNamespace(x=np.array([1.0, 0.0, 0.0, 0.0]))
    monkeypatch.setattr("scipy.optimize.linprog", lambda *args, **options: wrong)
    assert separate([[1.0, 0.0], [0.5, 1.0]], [1, 1]).feasible
    assert not separate([[1.0, 0.0], [0.5, 1.0]], [1, -1]).feasible


@pytest.mark.parametrize("learn", [separate, erm_2d])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y": [0, 1]}, "map 0/1 labels"),
        ({"y": [1]}, "y must have shape"),
        ({"x": [[np.nan, 0.0], [0.0, 1.0]]}, "non-finite"),
        ({"x": [1.0, 0.0]}, "x must have shape"),
    ],
)
def test_wrong_input_gets_one_line(learn, change, words):
    with pytest.raises(ValueError, match=words) as error:
        learn(**{"x": [[1.0, 0.0], [0.0, 1.0]], "y": [1, -1], **change})
    assert "\n" not in str(error.value)


def test_what_only_one_of_them_refuses():
    with pytest.raises(ValueError, match="x must have shape"):
        erm_2d([[1.0, 0.0, 0.0]], [1])
    with pytest.raises(ValueError, match="weight is 0 everywhere"):
        erm_2d([[1.0, 0.0]], [1], [0.0])
    with pytest.raises(ValueError, match="weight must lie in"):
        erm_2d([[1.0, 0.0]], [1], [-1.0])
    with pytest.raises(ValueError, match="weight must have shape"):
        erm_2d([[1.0, 0.0]], [1], [1.0, 1.0])
    with pytest.raises(ValueError, match="traced: call separate outside jit"):
        jax.jit(separate)(np.eye(2), np.array([1.0, -1.0]))
