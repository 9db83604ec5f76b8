"""The search for hard instances: valid candidates, planted optima, no luck kept, true failures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.halfspace import candidate, search, targets

KEY = jax.random.key(0)
ETA, GAMMA = 0.3, 0.05


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_any_numbers_decode_to_a_valid_instance(dtype):
    # Sizes over many decades, with infinities; the first rows are all ends and all zeros.
    size = 10 ** jax.random.uniform(KEY, (1000, 1, 1), dtype, -3, 3)
    numbers = size * jax.random.normal(jax.random.key(1), (1000, 4, 4), dtype)
    numbers = numbers.at[0].set(jnp.inf).at[1].set(-jnp.inf).at[2].set(0.0)
    many = candidate.Candidate(numbers[..., :2], numbers[..., 2], numbers[..., 3])
    eps = float(jnp.finfo(dtype).eps)

    @jax.jit
    def decode(one):
        it = candidate.instance_of(one, ETA, GAMMA)
        return it.atoms, it.error(it.w_star), it.opt

    (x, clean, rate, weight), error, opt = jax.vmap(decode)(many)
    assert {v.dtype for v in (x, clean, rate, weight)} == {jnp.dtype(dtype)}
    x, rate, weight = (np.asarray(v, float) for v in (x, rate, weight))
    bound = np.asarray(ETA, dtype).astype(float), np.asarray(GAMMA, dtype).astype(float)
    assert (x[..., 0] >= bound[1]).all()  # exactly
    assert (np.hypot(x[..., 0], x[..., 1]) <= 1 + 2 * eps).all()
    assert (rate >= 0).all()
    assert (rate <= bound[0]).all()
    assert np.allclose(weight.sum(axis=1), 1, atol=8 * eps)
    assert weight.min() >= search.FLOOR * (1 - 4 * eps)
    assert (clean == 1).all()
    assert np.allclose(error, (weight * rate).sum(axis=1), atol=8 * eps)  # w* errs OPT
    assert np.allclose(opt, error, atol=8 * eps)
    # The ends are reached, and by many: margin gamma, rate 0, rate eta, the length 1.
    for hit in (x[..., 0] == bound[1], rate == 0, rate == bound[0], x[..., 0] == 1):
        assert hit.mean() > 0.1


PLANTED = np.array([0.5, 0.3, 0.08, -0.4, 0.25, 0.0, 0.6])  # x of 2 points, rates, first weight


def _miss(it):
    a = it.atoms
    found = jnp.concatenate([a.x.ravel(), a.rate, a.weight[:1]])
    return jnp.sum((found - PLANTED.astype(found.dtype)) ** 2)


def _own_noise(key, it):
    """Draw N(0, 1) anew for each candidate: its bits go into the key."""
    bits = jax.lax.bitcast_convert_type(jnp.sum(it.atoms.x).astype(jnp.float32), jnp.uint32)
    return jax.random.normal(jax.random.fold_in(key, bits))


SMALL = {"eta": ETA, "gamma": GAMMA, "points": 2, "population": 32, "generations": 30}


@pytest.fixture(scope="module")
def run():
    """Give runs of one program: a planted target, noise on it, a hole where harm is not finite."""

    def one(key, noise, pull, hole):
        def harm(key, it):
            value = noise * _own_noise(key, it) - pull * _miss(it)
            where = it.atoms.x[0, 0]
            undefined = jnp.where(where < 0.8, jnp.nan, jnp.inf)
            return jnp.where(where > hole, undefined, value)

        found = search.run(key, harm, **SMALL)
        return found, _miss(candidate.instance_of(found.candidate, ETA, GAMMA))

    return jax.jit(jax.vmap(one, in_axes=(0, None, None, None)))


KEYS = jax.random.split(KEY, 16)


def test_a_planted_target_is_found_with_and_without_noise(run):
    found, miss = run(KEYS, 0.0, 1.0, 2.0)
    start = -np.asarray(found.info.incumbent[:, 0])
    assert np.median(start) > 0.3
    assert miss.max() < 0.05
    assert np.allclose(found.harm, -miss, atol=1e-12)
    assert (found.spread < 1e-12).all()
    # Without noise the incumbent never gets worse.
    assert (np.diff(found.info.incumbent[:, 1:], axis=1) >= -1e-12).all()
    assert np.mean(run(KEYS, 0.05, 1.0, 2.0)[1]) < 0.1


def test_luck_is_neither_kept_nor_reported(run):
    found, _ = run(KEYS, 1.0, 0.0, 2.0)
    # 32 candidates, so the luckiest of a key is near 2; what is reported is near 0.
    assert found.info.luckiest.mean() > 1.7
    standard = 1 / np.sqrt(16 * 16)  # 16 searches of 16 replicates
    assert abs(found.harm.mean()) < 4 * standard
    assert 0.15 < found.spread.mean() < 0.35  # 1/4
    assert abs(found.info.incumbent.mean()) < 4 / np.sqrt(16 * 34)


@jax.jit
def _meet(state, keys):
    """Give the state after three keys, and each candidate's harm on each key."""
    for key in keys:
        state, _ = search.step(key, state, _own_noise, eta=ETA, gamma=GAMMA, breed=False)

    def harms(one):
        it = candidate.instance_of(one, ETA, GAMMA)
        return jnp.stack([_own_noise(jax.random.split(key)[0], it) for key in keys])

    return state, jax.vmap(harms)(state.population)


def test_the_score_is_the_mean_over_the_keys_met():
    state, each = _meet(search.init(KEY, 16, 1), tuple(KEYS[:3]))
    assert np.allclose(state.score, each.mean(axis=1), atol=1e-6)
    assert (np.diff(state.score) <= 0).all()
    assert (state.met == 3).all()


def test_one_key_one_answer(run):
    first, again = run(KEYS, 0.05, 1.0, 2.0)[0], run(KEYS, 0.05, 1.0, 2.0)[0]
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), first, again))
    moved = run(KEYS[::-1], 0.05, 1.0, 2.0)[0]
    assert (moved.atoms.x[::-1] == first.atoms.x).all()  # a lane does not see the others
    assert (first.atoms.x[0] != first.atoms.x[1]).any()


def test_a_harm_that_is_not_finite_is_counted_and_never_kept(run):
    # The target lies at x_1 = .5, past the hole's edge.
    found, _ = run(KEYS, 0.0, 1.0, 0.4)
    assert jnp.isfinite(found.harm).all()
    assert (found.atoms.x[:, 0, 0] <= 0.4).all()
    assert (found.info.lost[:, 0] > 0).all()
    assert jnp.isfinite(found.info.mean).all()
    nothing, _ = run(KEYS, jnp.nan, 1.0, 2.0)
    assert jnp.isnan(nothing.harm).all()
    assert (nothing.info.lost == 32).all()


def _leaky_optimum_error(x, rate, weight):
    """Give err of the leaky ReLU's minimiser over the unit disc, by a fine grid of directions."""
    angle = np.linspace(-np.pi, np.pi, 20_001)
    z = np.stack([np.cos(angle), np.sin(angle)], axis=1) @ x.T

    def leaky(u):
        return np.where(u >= 0, (1 - ETA) * u, ETA * u)

    loss = (weight * ((1 - rate) * leaky(-z) + rate * leaky(z))).sum(axis=1)
    wrong = z[np.argmin(loss)] < 0
    assert loss.min() < 0  # else w = 0 is the minimiser
    return weight @ (rate + (1 - 2 * rate) * wrong)


def test_plain_leaky_relu_is_broken_and_the_oracle_agrees():
    learner = targets.drift_learner("leaky", "average", steps=1000, mu=0.3)
    harm = targets.harm_of(learner, slack=0.02)
    small = {"population": 32, "generations": 30, "replicates": 2, "dtype": jnp.float32}
    one = jax.vmap(lambda key: search.run(key, harm, eta=ETA, gamma=GAMMA, **small))
    found = jax.jit(one)(KEYS[:8])
    assert np.median(found.harm) > 0.2
    broken = np.flatnonzero(found.harm > 0.2)
    assert broken.size >= 5
    for k in broken:
        x, _, rate, weight = (np.asarray(v[k], float) for v in found.atoms)
        assert (x[:, 0] >= GAMMA - 1e-8).all()
        assert _leaky_optimum_error(x, rate, weight) - ETA >= float(found.harm[k]) - 0.01


@pytest.mark.parametrize(
    ("argument", "value", "words"),
    [
        ("eta", 0.5, "eta must lie in"),
        ("gamma", 1.0, "gamma must lie in"),
        ("points", 0, "points must be"),
        ("population", 8, "population must be a whole number >= 16"),
        ("replicates", 1, "replicates must be"),
        ("floor", 0.5, "floor must lie in"),
    ],
)
def test_bad_arguments_are_named(argument, value, words):
    with pytest.raises(ValueError, match=words):
        search.run(KEY, lambda key, it: 0.0, **{"eta": ETA, "gamma": GAMMA, argument: value})
