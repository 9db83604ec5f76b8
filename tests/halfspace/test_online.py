import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.halfspace import constructions, online, trajectory
from jaxrobust.halfspace.online import RULES

KEY = jax.random.key(3)
N, D, SNAPSHOTS = 390, 5, 3  # segments of 130 = 2 * 64 + 2
ETA, GAMMA, MU = 0.3, 0.2, 0.1  # much larger mu / gamma^2 is chaos: it would magnify rounding


def examples(seed, n=N, d=D):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    x *= (rng.uniform(size=(n, 1)) ** 0.3) / np.linalg.norm(x, axis=1, keepdims=True)
    y = np.where(x @ rng.normal(size=d) + 0.3 * rng.normal(size=n) >= 0, 1.0, -1.0)
    return x, y


@functools.cache
def runner(name):
    """One compiled run a rule, and how often it was traced."""
    traces = []

    @jax.jit
    def go(x, y, eta, gamma, mu):
        traces.append(1)
        options = {"eta": eta, "gamma": gamma, "mu": mu, "snapshots": SNAPSHOTS}
        return trajectory.over(x, y, rule=name, **options)

    return go, traces


# Each rule said otherwise: by what it does to a right and to a wrong example.
def leaning(z, y):
    return -ETA * y if (z >= 0) == (y > 0) else -(1 - ETA) * y


PLAIN = {
    "normalized": lambda z, y: leaning(z, y) / (abs(z) + GAMMA),
    "normalized_max": lambda z, y: leaning(z, y) / max(abs(z), GAMMA),
    "leaky": leaning,
    "perceptron": lambda z, y: -y if y * z <= 0 else 0.0,
    "logistic": lambda z, y: -y * (1 - 1 / (1 + np.exp(-y * z))),
    "hinge": lambda z, y: -y if y * z < 1 else 0.0,
}
IN_BALL = {"normalized", "normalized_max", "leaky"}


def plain_loop(name, x, y, snapshots=SNAPSHOTS):
    w, seen, mistakes, out = np.zeros(x.shape[1]), [], 0, []
    for t, (a, b) in enumerate(zip(x, y, strict=True)):
        z = a @ w
        seen.append(w)
        mistakes += (1.0 if z >= 0 else -1.0) != b
        w = w - MU * PLAIN[name](z, b) * a
        if name in IN_BALL:
            w = w / max(1.0, np.linalg.norm(w))
        if (t + 1) % (len(y) // snapshots) == 0:
            out.append((w, np.mean(seen, axis=0), mistakes))
    return [np.array(v) for v in zip(*out, strict=True)]


def compare(path, expected):
    w, average, mistakes = expected
    np.testing.assert_allclose(path.w[1:], w, atol=1e-10)
    np.testing.assert_allclose(path.average[1:], average, atol=1e-10)
    np.testing.assert_array_equal(path.mistakes[1:], mistakes)
    assert not path.w[0].any()
    assert not path.average[0].any()
    assert path.mistakes[0] == 0
    assert path.finite


@pytest.mark.parametrize("name", RULES)
def test_over_is_the_plain_loop(name):
    x, y = examples(1)
    compare(runner(name)[0](x, y, ETA, GAMMA, MU), plain_loop(name, x, y))


@pytest.mark.parametrize("name", ["normalized", "perceptron"])
def test_stream_is_the_plain_loop_over_what_it_drew(name):
    it = constructions.lever(GAMMA, ETA)
    options = {"rule": name, "eta": ETA, "gamma": GAMMA, "mu": MU, "steps": N}
    path = trajectory.stream(KEY, it.draw, it.d, snapshots=SNAPSHOTS, **options)
    draw = jax.jit(lambda k: it.draw(jax.random.fold_in(KEY, k), N // SNAPSHOTS))
    pieces = [draw(k) for k in range(SNAPSHOTS)]
    x, y = (np.concatenate(v) for v in zip(*pieces, strict=True))
    compare(path, plain_loop(name, x, y))


@pytest.mark.parametrize("name", RULES)
def test_contract(name):
    go, traces = runner(name)
    x, y = examples(2)
    go(x, y, ETA, GAMMA, MU)
    before = len(traces)
    go(x, y, 0.1, 0.3, 0.05)
    assert len(traces) == before  # no number recompiles

    # NaN in, a status out.
    spoiled = x.copy()
    spoiled[200, 1] = np.nan
    assert not go(spoiled, y, ETA, GAMMA, MU).finite
    for bad in ((ETA, GAMMA, 0.0), (ETA, GAMMA, np.nan)):
        assert not go(x, y, *bad).finite
    assert not go(x, y, ETA, -1.0, MU).finite

    # One step from w = 0: jit and vmap are the eager loop; a second fits onto it.
    options = {"rule": name, "eta": ETA, "gamma": GAMMA, "mu": MU}
    few, labels = jnp.asarray(x[:3]), jnp.asarray(y[:3])
    many = jax.jit(jax.vmap(lambda a, b: online.step(online.init(D), a, b, **options)))(few, labels)
    for i in range(3):
        one = online.step(online.init(D), few[i], labels[i], **options)
        for mine, theirs in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True):
            np.testing.assert_allclose(mine, theirs[i], atol=1e-15)
    assert jax.tree.structure(one[0]) == jax.tree.structure(online.init(D))
    _, info = online.step(one[0], few[0], labels[0], **options)
    np.testing.assert_allclose(info.margin, labels[0] * (few[0] @ one[0].w), atol=1e-15)
    assert info.mistake == (np.where(few[0] @ one[0].w >= 0, 1, -1) != y[0])

    for dtype in (jnp.float32, jnp.float64):
        given = [jnp.zeros((N, D), dtype), jnp.zeros(N, dtype), *jnp.full(3, 0.1, dtype)]
        shapes = jax.eval_shape(go, *given)
        assert shapes.w.dtype == shapes.average.dtype == dtype


def test_vmap_over_numbers_is_a_loop_and_float32_agrees():
    x, y = examples(2)
    go = runner("normalized")[0]
    alone = go(x, y, ETA, GAMMA, MU)
    many = jax.vmap(go, (None, None, 0, 0, 0))(
        x, y, *jnp.array([[0.1, ETA], [0.3, GAMMA], [0.05, MU]])
    )
    np.testing.assert_allclose(many.w[1], alone.w, atol=1e-12)
    np.testing.assert_array_equal(many.mistakes[1], alone.mistakes)
    half = go(jnp.float32(x), jnp.float32(y), *jnp.float32(jnp.array([ETA, GAMMA, MU])))
    assert half.w.dtype == jnp.float32
    np.testing.assert_allclose(half.w, alone.w, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("leaky", lambda z, y: jnp.where(y * z < 0, (1 - ETA), -ETA) * jnp.abs(z)),
        (
            "normalized",
            lambda z, y: (
                (-y * z / 2 + (0.5 - ETA) * jnp.abs(z)) / jax.lax.stop_gradient(jnp.abs(z) + GAMMA)
            ),
        ),
        (
            "normalized_max",
            lambda z, y: (
                (-y * z / 2 + (0.5 - ETA) * jnp.abs(z))
                / jax.lax.stop_gradient(jnp.maximum(jnp.abs(z), GAMMA))
            ),
        ),
        ("perceptron", lambda z, y: jnp.maximum(-y * z, 0.0)),
        ("logistic", lambda z, y: jnp.log1p(jnp.exp(-y * z))),
        ("hinge", lambda z, y: jnp.maximum(1 - y * z, 0.0)),
    ],
)
def test_slopes_are_gradients_of_the_losses(name, loss):
    z = jnp.concatenate([jnp.linspace(-2, 2, 42), jnp.array([0.05, -0.05])])  # 0 is not among them
    for y in (-1.0, 1.0):
        y = jnp.full(z.shape, y)
        slope = RULES[name].slope(z, y, ETA, GAMMA)
        np.testing.assert_allclose(slope, jax.vmap(jax.grad(loss))(z, y), atol=1e-14)


def test_the_perceptron_makes_at_most_one_over_gamma_squared_updates():
    # On BASIS the bound is attained: one update a coordinate, then never again. w.x = 0 is +1, so
    # only those that meet a label -1 first are mistakes of the prediction.
    it = constructions.basis(16, 0.0)
    x, y = it.draw(KEY, N)
    path = runner("perceptron")[0](x, y, ETA, GAMMA, 1.0)
    np.testing.assert_allclose(path.w[-1], 4 * it.w_star)
    assert jnp.sum(path.w[-1] ** 2) == 16 == round(float(1 / it.gamma**2))
    first = [int(np.flatnonzero(x[:, j])[0]) for j in range(16)]
    assert int(path.mistakes[-1]) == np.sum(np.asarray(y)[first] < 0)

    rng = np.random.default_rng(0)
    x = examples(5)[0]
    w_star, gamma = rng.normal(size=5), 0.1
    w_star /= np.linalg.norm(w_star)
    x = np.tile(x[np.abs(x @ w_star) >= gamma][: N // 3], (3, 1))  # three passes
    y = np.where(x @ w_star >= 0, 1.0, -1.0)
    path = runner("perceptron")[0](x, y, ETA, GAMMA, 1.0)
    assert 5 < int(path.mistakes[-1]) <= 1 / gamma**2


def test_projected_rules_stay_in_the_unit_ball():
    x, y = examples(4)
    for name in RULES:
        longest = jnp.max(jnp.linalg.norm(runner(name)[0](x, y, ETA, GAMMA, 5.0).w, axis=1))
        assert longest > 0.5
        assert (longest <= 1 + 1e-12) == (name in IN_BALL)


def test_chosen_is_each_rule_alone():
    x, y = examples(6)
    names = ["hinge", "normalized", "perceptron"]

    def one(index):
        rule = online.chosen(names, index)
        options = {"eta": ETA, "gamma": GAMMA, "mu": MU, "snapshots": SNAPSHOTS}
        return trajectory.over(jnp.asarray(x), jnp.asarray(y), rule=rule, **options)

    paths = jax.vmap(one)(jnp.arange(3))
    for i, name in enumerate(names):
        alone = runner(name)[0](x, y, ETA, GAMMA, MU)
        np.testing.assert_allclose(paths.w[i], alone.w, atol=1e-12)
        np.testing.assert_array_equal(paths.mistakes[i], alone.mistakes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y": [0, 1]}, r"y must hold -1 and \+1 only \(map 0/1 labels"),
        ({"y": [1, 1]}, "y holds one class only"),
        ({"y": [1.0]}, "y must have shape"),
        ({"x": [[3.0, 4.0], [0.0, 1.0]]}, r"norm 5: points must lie in the unit ball, divide"),
        ({"x": [[np.nan, 0.0], [0.0, 1.0]]}, "x has 1 non-finite"),
        ({"x": [1.0, 0.0]}, "x must have shape"),
        ({"gamma": 0.0}, "gamma must lie in"),
        ({"gamma": -0.1}, "gamma must lie in"),
        ({"eta": 0.5}, r"eta must lie in \[0, 0.5\)"),
        ({"eta": -0.1}, "eta must lie in"),
        ({"mu": 0.0}, "mu must lie in"),
        ({"mu": np.inf}, "mu has 1 non-finite"),
        ({"snapshots": 3}, "snapshots must divide the 2 steps, got 3"),
        ({"snapshots": 0}, "snapshots must be a whole number"),
        ({"rule": "winnow"}, "rule must be one of normalized"),
    ],
)
def test_wrong_input_gets_one_line(change, words):
    good = {"x": [[1.0, 0.0], [0.0, 1.0]], "y": [1, -1], "eta": 0.1, "gamma": 0.1, "mu": 0.1}
    with pytest.raises(ValueError, match=words) as error:
        trajectory.over(**{**good, **change})
    assert "\n" not in str(error.value)
