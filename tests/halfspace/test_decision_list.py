import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.halfspace import constructions
from jaxrobust.halfspace import decision_list as lists

KEY = jax.random.key(21)
N = 12
choose = jax.jit(lists.band)


def all_bands(z, y, left, lam, least):
    """Every band between distinct values: (kept?, G, error, share, t)."""
    values = np.unique(np.abs(z[left]))
    out = []
    for t in [0.0, *((values[1:] + values[:-1]) / 2)]:
        inside = left & (np.abs(z) >= t)
        wrong = (inside & (np.where(z >= 0, 1, -1) != y)).sum()
        if inside.sum() >= least * len(z) - 1e-9:
            n = inside.sum()
            out.append((lam * n - wrong, wrong / n, n / len(z), t))
    return out


def test_the_band_is_the_best_of_all_bands():
    rng = np.random.default_rng(0)
    lam, good, bad, tied = 0.25, 0, 0, 0  # lam binary: gains are exact
    for trial in range(300):
        z = np.round(rng.uniform(-1, 1, N), 1 if trial % 2 else 3)
        y = np.where(rng.uniform(size=N) < (0.2 if trial % 3 else 0.7), -1, 1) * np.where(
            z >= 0, 1.0, -1.0
        )
        left = rng.uniform(size=N) < 0.8
        least = rng.choice([1, 2, 4]) / N
        bands = all_bands(z, y, left, lam, least)
        if not bands:
            continue
        t, share, error = map(float, choose(z, y, left, lam=lam, least=least))
        inside = left & (np.abs(z) >= t)
        np.testing.assert_allclose(share, inside.mean())
        np.testing.assert_allclose(error, np.mean((np.where(z >= 0, 1, -1) != y)[inside]))
        fit = [b for b in bands if b[0] >= 0]
        key = max(b[0] for b in fit) if fit else min(b[1] for b in bands)
        equals = [b for b in (fit or bands) if b[0 if fit else 1] == key]
        largest = max(equals, key=lambda b: b[2])
        np.testing.assert_allclose([share, t], largest[2:], atol=1e-12)
        good, bad = good + bool(fit), bad + (not fit)
        tied += len(equals) > 1
    assert min(good, bad, tied) > 20


def test_tied_points_are_not_cut():
    z = np.array([0.5, 0.5 + 2e-16, -0.5, 0.2, 0.2 - 1e-16, 0.2] * 2)
    assert len(set(np.abs(z))) == 4
    y = np.array([1.0, 1.0, 1.0, -1.0, -1.0, 1.0] * 2)
    t, share, error = choose(z, y, np.ones(N, bool), lam=0.45, least=0.01)
    assert 0.2 < t < 0.5
    np.testing.assert_allclose([share, error], [0.5, 1 / 3])


@pytest.mark.parametrize("inner", lists.INNER)
def test_first_rule_minimises_the_leaky_loss(inner):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(80, 2))
    x /= np.linalg.norm(x, axis=1, keepdims=True) / rng.uniform(size=(80, 1))
    y = np.where(x[:, 0] + 0.2 * rng.normal(size=80) >= 0, 1.0, -1.0)
    angle = np.linspace(0, 2 * np.pi, 20_001)
    grid = np.stack([np.cos(angle), np.sin(angle)])

    def loss(w):
        z = x @ w
        return np.mean(-y[:, None] * z / 2 + 0.2 * np.abs(z), axis=0)

    rules = lists.fit(x, y, lam=0.3, rounds=1, steps=1000, inner=inner)
    best = loss(grid).min()  # the loss is homogeneous: its minimum over the ball is on the circle
    assert best < -0.02
    assert 0 <= float(loss(np.asarray(rules.w[0])[:, None])[0]) - best + 1e-7 < 0.01 * -best


def test_noiseless_labels_are_learned_without_error():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(900, 4))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x = x[np.abs(x[:, 0] - x[:, 1]) > 0.15]
    y = np.where(x[:, 0] > x[:, 1], 1.0, -1.0)
    rules = lists.fit(x[:400], y[:400], lam=0.1)
    np.testing.assert_array_equal(jax.jit(lists.predict)(rules, x), y)
    assert rules.error.max() == 0
    np.testing.assert_allclose(rules.share.sum(), 1.0)


def plain_prefix(rules, x, k):
    out = []
    used = [r for r in range(k) if rules.used[r]]
    for point in np.asarray(x):
        r = next((r for r in used if abs(rules.w[r] @ point) >= rules.threshold[r]), used[-1])
        out.append(1.0 if rules.w[r] @ point >= 0 else -1.0)
    return np.array(out)


def test_prefixes_and_hold_out_are_what_their_names_say():
    rng = np.random.default_rng(4)
    used = jnp.array([True, True, True, False])
    threshold = jnp.array([0.6, 0.4, 0.3, np.inf])
    rules = lists.DecisionList(
        jnp.asarray(rng.normal(size=(4, 2))), threshold, used, threshold, threshold
    )
    x = jnp.asarray(rng.uniform(-0.6, 0.6, (40, 2)))
    expected = [plain_prefix(rules, x, k) for k in (1, 2, 3, 4)]
    found = jax.jit(lists.prefixes)(rules, x)
    np.testing.assert_array_equal(found, expected)
    assert len({tuple(e) for e in expected}) == 3  # each used rule matters, the unused one does not

    it = constructions.drag(0.1, 0.3)
    exact = [float(it.error_of(lambda p, k=k: plain_prefix(rules, p, k))) for k in (1, 2, 3)]
    assert len(set(exact)) > 1
    score = jax.jit(lambda rules, x, y: lists.errors(rules, it, x, y))
    for k in (0, 1, 2):
        scores = score(rules, x, expected[k])  # held-out labels that prefix k fits
        np.testing.assert_allclose(scores.holdout, exact[k])
        np.testing.assert_allclose(scores.last, exact[2])


def test_lever_needs_the_list_and_reaches_opt():
    it = constructions.lever(0.05, 0.3)

    def trial(key, lam):
        (x, y), (x2, y2) = (
            it.draw(k, n) for k, n in zip(jax.random.split(key), (4000, 1000), strict=True)
        )
        rules = lists.fit(x, y, lam=lam, rounds=4)
        first = it.error_of(lambda p: lists.prefixes(rules, p)[0])
        return rules, lists.errors(rules, it, x2, y2), first

    lam = jnp.array([0.3, 0.35, 0.3])
    rules, scores, first = jax.jit(jax.vmap(trial))(jax.random.split(KEY, 3), lam)
    assert jnp.max(scores.last) < 0.07  # OPT = .06
    assert jnp.max(scores.holdout) < 0.07
    assert jnp.min(first) > 0.3  # the leaky minimiser alone
    assert jnp.all(jnp.where(rules.used, rules.error <= lam[:, None], True))
    np.testing.assert_allclose(jnp.sum(rules.share, axis=1), 1.0)
    assert jnp.max(jnp.sum(rules.share * rules.error, axis=1)) < 0.075


def test_contract():
    rng = np.random.default_rng(5)
    x = rng.uniform(-0.5, 0.5, (60, 3))
    y = np.where(x[:, 0] > 0, 1.0, -1.0) * rng.choice([1, 1, 1, -1], 60)
    traces, x0 = [], jnp.asarray(x)

    @jax.jit
    def go(x, y, lam, least, mu):
        traces.append(1)
        rules = lists.fit(x, y, lam=lam, least=least, mu=mu, rounds=3, steps=50)
        return rules, lists.predict(rules, x0.astype(x.dtype))

    alone, _ = go(x, y, 0.3, 0.1, 1.0)
    go(x, y, 0.1, 0.5, 0.3)
    assert len(traces) == 1
    assert alone.used[0]
    assert not jnp.any(alone.used[1:] & ~alone.used[:-1])
    assert jnp.all(jnp.where(alone.used, alone.share >= 0.1, alone.share == 0))

    # A list that cannot be learned has no rule and says NaN.
    spoiled = x.copy()
    spoiled[3, 1] = np.nan
    assert jnp.all(jnp.isnan(go(spoiled, y, 0.3, 0.1, 1.0)[1]))
    for lam, least, mu in (
        (0.6, 0.1, 1.0),
        (-0.1, 0.1, 1.0),
        (0.3, 0.0, 1.0),
        (0.3, 1.5, 1.0),
        (0.3, 0.1, 0.0),
    ):
        rules, says = go(x, y, lam, least, mu)
        assert not rules.used.any()
        assert jnp.all(jnp.isnan(says))
    it = constructions.basis(3, 0.1)
    assert all(jnp.isnan(e) for e in jax.jit(lambda r: lists.errors(r, it, x0, y))(rules))

    many, _ = jax.vmap(go, (None, None, 0, None, None))(x, y, jnp.array([0.3, 0.1]), 0.1, 1.0)
    for one, other in zip(many, alone, strict=True):
        np.testing.assert_allclose(one[0], other, atol=1e-12)
    half, says = go(*(jnp.asarray(v, jnp.float32) for v in (x, y, 0.3, 0.1, 1.0)))
    numbers = (half.w, half.threshold, half.share, half.error, says)
    assert {v.dtype for v in numbers} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y": [0, 1]}, "map 0/1 labels"),
        ({"y": [1, 1]}, "one class only"),
        ({"y": [1]}, "y must have shape"),
        ({"x": [[3.0, 4.0], [0.0, 1.0]]}, "unit ball"),
        ({"x": [[np.nan, 0.0], [0.0, 1.0]]}, "non-finite"),
        ({"lam": 0.6}, "lam must lie in"),
        ({"least": 0.0}, "least must lie in"),
        ({"mu": 0.0}, "mu must lie in"),
        ({"rounds": 0}, "rounds must be a whole number"),
        ({"steps": 0}, "steps must be a whole number"),
        ({"inner": "first"}, "inner must be one of best, average, last"),
    ],
)
def test_wrong_input_gets_one_line(change, words):
    good = {"x": [[1.0, 0.0], [0.0, 1.0]], "y": [1, -1], "lam": 0.3}
    with pytest.raises(ValueError, match=words) as error:
        lists.fit(**{**good, **change})
    assert "\n" not in str(error.value)
