import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.halfspace import constructions, filtertron

KEY = jax.random.key(11)


def examples(n=60, d=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-0.5, 0.5, (n, d))
    x[n // 2 :] = -x[: n - n // 2]  # opposite points: every |w.x| twice
    return x, rng.choice([-1.0, 1.0], n)


def plain_step(w, x, y, lam, least, mu, slabs):
    z = x @ w
    size = np.abs(z)
    correct = np.where(z >= 0, 1.0, -1.0) == y
    loss = np.where(correct, lam * -size, (1 - lam) * size)
    best = (-np.inf, None, None)
    for j in range(1, slabs + 1):
        held = math.ceil(max(j / slabs, least) * len(y) - 1e-9)
        radius = np.sort(size)[held - 1]
        inside = size <= radius + 1e-12
        if loss[inside].mean() > best[0]:
            best = (loss[inside].mean(), radius, inside)
    mean, radius, inside = best
    assert inside.mean() >= least
    push = (np.where(correct, lam, 1 - lam) * y)[:, None] * x
    w = w + mu * push[inside].mean(axis=0)
    return w / max(1, np.linalg.norm(w)), radius, mean


@pytest.mark.parametrize(("least", "slabs"), [(0.35, 4), (1.0, 3)])
def test_run_is_the_plain_loop_of_steps(least, slabs):
    x, y = examples()
    lam, mu = 0.35, 0.1
    start = x @ filtertron.init(KEY, 3).w  # right far from the start's boundary, wrong near it
    y = np.where((start >= 0) == (np.abs(start) > 0.2), 1.0, -1.0)
    options = {"lam": lam, "least": least, "mu": mu, "slabs": slabs}
    path = filtertron.run(KEY, x, y, steps=6, snapshots=3, **options)
    step = jax.jit(functools.partial(filtertron.step, **options))
    w = np.asarray(filtertron.init(KEY, 3).w)
    np.testing.assert_allclose(np.linalg.norm(w), 1.0)
    np.testing.assert_allclose(path.w[0], w, atol=1e-15)
    seen, filtered = [], 0
    for t in range(6):
        seen.append(w)
        _, info = step(filtertron.State(w), x, y)
        widest = np.max(np.abs(x @ w))
        w, radius, mean = plain_step(w, x, y, lam, least, mu, slabs)
        np.testing.assert_allclose([info.radius, info.loss], [radius, mean], atol=1e-12)
        filtered += radius < widest
        if t % 2:
            np.testing.assert_allclose(path.w[t // 2 + 1], w, atol=1e-12)
            np.testing.assert_allclose(path.average[t // 2 + 1], np.mean(seen, axis=0), atol=1e-12)
    assert (filtered > 2) == (least < 1)
    assert not path.mistakes.any()
    assert path.finite


def test_lever_is_learned_with_the_filter_and_lost_without():
    it = constructions.lever(0.05, 0.3)

    def trial(key, least):
        first, second = jax.random.split(key)
        x, y = it.draw(first, 4000)
        path = filtertron.run(second, x, y, lam=0.3, least=least)
        return it.error(path.w[-1])

    last = jax.vmap(trial)(jax.random.split(KEY), jnp.array([0.05, 1.0]))
    assert last[0] < 0.07  # OPT = .06
    assert last[1] > 0.3  # one slab, everything: plain leaky ReLU


def test_contract():
    x, y = examples()
    traces = []

    @jax.jit
    def go(x, y, lam, least, mu):
        traces.append(1)
        return filtertron.run(KEY, x, y, lam=lam, least=least, mu=mu, steps=20)

    alone = go(x, y, 0.3, 0.1, 0.05)
    go(x, y, 0.4, 0.5, 0.1)
    assert len(traces) == 1
    spoiled = x.copy()
    spoiled[3, 1] = np.nan
    assert not go(spoiled, y, 0.3, 0.1, 0.05).finite
    for bad in (
        (1.0, 0.1, 0.05),
        (-0.1, 0.1, 0.05),
        (0.3, 0.0, 0.05),
        (0.3, 1.1, 0.05),
        (0.3, 0.1, 0),
    ):
        assert not go(x, y, *map(float, bad)).finite
    many = jax.vmap(go, (None, None, 0, None, None))(x, y, jnp.array([0.3, 0.4]), 0.1, 0.05)
    np.testing.assert_allclose(many.w[0], alone.w, atol=1e-12)
    half = go(*(jnp.asarray(v, jnp.float32) for v in (x, y, 0.3, 0.1, 0.05)))
    assert half.w.dtype == half.average.dtype == jnp.float32
    np.testing.assert_allclose(half.w[0], filtertron.init(KEY, 3, jnp.float32).w, atol=1e-6)
    assert jnp.linalg.norm(half.w[-1]) <= 1 + 1e-6


def test_sorting_by_bits_sorts():
    for dtype in (np.float32, np.float64):
        size = np.abs(np.random.default_rng(1).normal(size=200)).astype(dtype)
        size[:7] = [0, 0, np.inf, np.nan, 5e-324, 1e-40, 1e30]
        np.testing.assert_array_equal(filtertron._ascending(jnp.asarray(size)), np.sort(size))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y": [0, 1]}, "map 0/1 labels"),
        ({"y": [1, 1]}, "one class only"),
        ({"y": [1]}, "y must have shape"),
        ({"x": [[3.0, 4.0], [0.0, 1.0]]}, "unit ball"),
        ({"x": [[np.nan, 0.0], [0.0, 1.0]]}, "non-finite"),
        ({"lam": 1.0}, "lam must lie in"),
        ({"least": 0.0}, "least must lie in"),
        ({"mu": -1.0}, "mu must lie in"),
        ({"slabs": 0}, "slabs must be a whole number"),
        ({"steps": 10, "snapshots": 3}, "snapshots must divide the 10 steps"),
    ],
)
def test_wrong_input_gets_one_line(change, words):
    good = {"x": [[1.0, 0.0], [0.0, 1.0]], "y": [1, -1], "lam": 0.3}
    with pytest.raises(ValueError, match=words) as error:
        filtertron.run(KEY, **{**good, **change})
    assert "\n" not in str(error.value)
