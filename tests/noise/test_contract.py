"""What holds for every sampler: jit, vmap, keys, precision, paired rates, answers to bad input."""

import re
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust import noise

N = 64
KEY = jax.random.key(0)
RNG = np.random.default_rng(7)
Y = RNG.integers(0, 10, N)
S = RNG.choice([-1, 1], N)
X = RNG.normal(size=(N, 3))
IMAGE = RNG.uniform(0.1, 0.9, (5, 6, 3))


def table():
    """Each sampler as (key, one traced number in [0, 0.5)) -> arrays, on fresh constants."""
    y, s, x, image = Y.copy(), S.copy(), X.copy(), IMAGE.copy()
    w, eyes = np.array([1.0, -2.0, 0.5]), np.stack([np.eye(10)] * 3)
    sure = np.linspace(0.0, 1.0, N)[:, None] < 0.5
    answers = np.where(sure, np.stack([y, y, y], axis=1), RNG.integers(-1, 10, (N, 3)))

    def mixed(rate):
        return noise.symmetric_matrix(10, rate, inclusive=False)

    return {
        "transition": lambda k, r: noise.transition(k, y, mixed(r)),
        "symmetric": lambda k, r: noise.symmetric(k, y, 10, r, inclusive=True),
        "symmetric exact": lambda k, r: noise.symmetric(k, y, 10, r, inclusive=False, exact=True),
        "pair": lambda k, r: noise.pair(k, y, 10, r),
        "asymmetric": lambda k, r: noise.asymmetric(k, y, noise.CIFAR10_TARGETS, r),
        "instance_dependent": lambda k, r: noise.instance_dependent(k, x, y, 10, r),
        "flip": lambda k, r: noise.flip(k, s, r),
        "massart": lambda k, r: noise.massart(k, s, r),
        "tsybakov": lambda k, r: noise.tsybakov(k, s, x @ w, 0.5 + r, 0.7),
        "positive_unlabelled": lambda k, r: noise.positive_unlabelled(k, s, r),
        "adversarial": lambda k, r: noise.adversarial(x, s, w, jnp.floor(r * N)),
        "panel": lambda k, r: noise.panel(k, y, eyes, r),
        "majority": lambda k, r: noise.majority(k, answers, 10),
        "gross_errors": lambda k, r: noise.gross_errors(k, x, r, 2.0),
        "gross_errors exact": lambda k, r: noise.gross_errors(k, x, r, 2.0, law="sign", exact=True),
        "salt_and_pepper": lambda k, r: noise.salt_and_pepper(k, image, r),
        "random_impulses": lambda k, r: noise.random_impulses(k, image, r, per_pixel=True),
        "flip_preferences": lambda k, r: noise.flip_preferences(k, y, y + 10, r),
        "bradley_terry": lambda k, r: noise.bradley_terry(k, y, y + 10, r),
    }


SAMPLERS = table()


@cache
def alone(name):
    return jax.jit(SAMPLERS[name])


@cache
def lanes(name):
    """The sampler at five rates under one key and, in the other lanes, under its own key."""
    keys = jnp.concatenate([jnp.broadcast_to(KEY, (5,)), jax.random.split(KEY, 5)])
    rates = jnp.tile(RATES, 2)
    return keys, rates, jax.jit(jax.vmap(SAMPLERS[name]))(keys, rates)


RATES = jnp.array([0.0, 0.1, 0.2, 0.3, 0.45])
# No sampler of their own: formulas, and the rows that instance_dependent returns.
OTHERS = {"tsybakov_rate", "majority_error", "instance_rows"}
every = pytest.mark.parametrize("name", SAMPLERS)


def same(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-12), a, b)


def test_the_table_is_complete():
    samplers = {name for name in noise.__all__ if callable(getattr(noise, name))}
    samplers -= OTHERS | {name for name in samplers if name.endswith("_matrix")}
    assert samplers == {name.split()[0] for name in SAMPLERS}


@every
def test_jit_equals_eager(name):
    same(alone(name)(KEY, 0.3), SAMPLERS[name](KEY, 0.3))


@pytest.mark.parametrize("name", ["symmetric exact", "instance_dependent", "flip", "panel"])
def test_a_key_of_either_kind_fixes_the_draw(name):
    draw = SAMPLERS[name](KEY, 0.3)
    same(SAMPLERS[name](KEY, jnp.asarray(0.3)), draw)
    same(SAMPLERS[name](jax.random.PRNGKey(0), 0.3), draw)


@every
def test_vmap_over_key_and_rate_equals_the_loop(name):
    keys, rates, many = lanes(name)
    for i in (0, 3, 6, 9):
        one = alone(name)(keys[i], rates[i])
        same(jax.tree.map(lambda leaf, i=i: leaf[i], many), one)


@every
def test_single_precision(name):
    with jax.enable_x64(False):
        # Constants must be fresh: JAX may remember those that it saw in double precision.
        leaves = jax.tree.leaves(jax.eval_shape(table()[name], KEY, np.float32(0.3)))
    assert all(leaf.dtype.itemsize <= 4 for leaf in leaves)


@every
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_coarser_rate_in_double_precision(name, dtype):
    jax.eval_shape(SAMPLERS[name], KEY, jnp.asarray(0.3, dtype))


CLEAN = {
    "transition": Y,
    "symmetric": Y,
    "symmetric exact": Y,
    "pair": Y,
    "asymmetric": Y,
    "instance_dependent": Y,
    "flip": S,
    "massart": S,
    "positive_unlabelled": S,
    "adversarial": S,
    "panel": np.stack([Y] * 3, axis=1),
    "gross_errors": X,
    "gross_errors exact": X,
    "salt_and_pepper": IMAGE,
    "random_impulses": IMAGE,
    "flip_preferences": Y,
}


@pytest.mark.parametrize("name", CLEAN)
def test_a_higher_rate_hits_the_same_places_and_more(name):
    draws = np.asarray(jax.tree.leaves(lanes(name)[2])[0])[: len(RATES)]
    hit = draws != CLEAN[name]
    assert np.all(hit[1:] >= hit[:-1])
    assert hit[-1].any()
    # At rate 0 instance-dependent rates are half-normal, not zero.
    assert name == "instance_dependent" or not hit[0].any()


def test_traced_numbers_out_of_range_act_as_documented():
    draw = jax.jit(lambda r: noise.symmetric(KEY, Y, 10, r, inclusive=False))
    np.testing.assert_array_equal(draw(-1.0), Y)
    np.testing.assert_array_equal(draw(jnp.nan), Y)
    np.testing.assert_array_equal(draw(7.0), draw(1.0))
    exactly = jax.jit(lambda r: noise.symmetric(KEY, Y, 10, r, inclusive=False, exact=True))
    np.testing.assert_array_equal(exactly(jnp.nan), Y)
    np.testing.assert_array_equal(exactly(7.0), exactly(1.0))
    np.testing.assert_array_equal(jax.jit(lambda r: noise.flip(KEY, S, r))(jnp.nan), S)


def test_lists_numpy_and_jax_arrays_agree():
    for y in (Y.tolist(), tuple(Y.tolist()), Y, jnp.asarray(Y), Y.astype(float)):
        same(noise.symmetric(KEY, y, 10, 0.4, inclusive=True), SAMPLERS["symmetric"](KEY, 0.4))
    for s in (S.tolist(), S, jnp.asarray(S), S.astype(float)):
        same(noise.flip(KEY, s, 0.4), SAMPLERS["flip"](KEY, 0.4))


NAN, INF = float("nan"), float("inf")
MATRIX = [[0.9, 0.1], [0.2, 0.8]]
sym = {"inclusive": False}

# What is called, and what the one line must say.
BAD = {
    "rate above 1": (lambda: noise.symmetric(KEY, Y, 10, 1.5, **sym), "rate must lie in [0, 1]"),
    "rate below 0": (lambda: noise.pair(KEY, Y, 10, -0.1), "rate must lie in [0, 1], got -0.1"),
    "rate nan": (lambda: noise.symmetric(KEY, Y, 10, NAN, **sym), "rate has 1 non-finite"),
    "rate text": (lambda: noise.pair(KEY, Y, 10, "0.1"), "rate must hold real numbers"),
    "rate vector": (lambda: noise.pair(KEY, Y, 10, [0.1, 0.2]), "rate must be one number"),
    "exact rate": (
        lambda: noise.symmetric(KEY, Y, 10, 1.5, inclusive=True, exact=True),
        "rate must lie in [0, 1], got 1.5",
    ),
    "one class": (lambda: noise.symmetric(KEY, [0, 0], 1, 0.1, **sym), "classes must be a whole"),
    "label 10": (lambda: noise.symmetric(KEY, [0, 10], 10, 0.1, **sym), "y must hold labels 0..9"),
    "label -1": (lambda: noise.pair(KEY, [0, -1], 10, 0.1), "y must hold labels 0..9, got -1"),
    "label 1.5": (lambda: noise.pair(KEY, [0, 1.5], 10, 0.1), "y must hold integer labels"),
    "label nan": (lambda: noise.pair(KEY, [0, NAN], 10, 0.1), "y must hold integer labels"),
    "no labels": (lambda: noise.pair(KEY, [], 10, 0.1), "y "),
    "label matrix": (lambda: noise.pair(KEY, Y[:, None], 10, 0.1), "y must have shape (any)"),
    "targets range": (lambda: noise.asymmetric(KEY, Y, [0, 2], 0.1), "targets must hold labels"),
    "targets few": (lambda: noise.asymmetric(KEY, Y, [0], 0.1), "targets must name a class"),
    "targets shape": (lambda: noise.asymmetric_matrix([[0, 1]], 0.1), "targets must have shape"),
    "rows": (lambda: noise.transition(KEY, [0], [[0.9, 0.2], [0, 1]]), "matrix must have rows"),
    "entry": (lambda: noise.transition(KEY, [0], [[1.1, -0.1], [0, 1]]), "matrix must lie in"),
    "oblong": (lambda: noise.transition(KEY, [0], np.ones((2, 3)) / 3), "matrix must be square"),
    "matrix nan": (lambda: noise.transition(KEY, [0], [[NAN, 1], [0, 1]]), "matrix has 1 non-fin"),
    "ragged": (lambda: noise.transition(KEY, [0], [[1, 0], [1]]), "matrix is not an array"),
    "X rows": (lambda: noise.instance_dependent(KEY, X[:5], Y, 10, 0.1), "X must hold one row"),
    "X vector": (lambda: noise.instance_rows(KEY, X[:, 0], Y, 10, 0.1), "X must hold one row"),
    "X nan": (lambda: noise.instance_rows(KEY, X * NAN, Y, 10, 0.1), "X has 192 non-finite"),
    "spread": (lambda: noise.instance_rows(KEY, X, Y, 10, 0.1, 0.0), "spread must lie in (0"),
    "instance rate": (lambda: noise.instance_rows(KEY, X, Y, 10, 2.0), "rate must lie in"),
    "0/1 labels": (lambda: noise.flip(KEY, [0, 1], 0.1), "map 0/1 labels by 2*y - 1"),
    "sign nan": (lambda: noise.flip(KEY, [1.0, NAN], 0.1), "y must hold -1 and +1 only"),
    "unsigned": (lambda: noise.flip(KEY, np.ones(3, np.uint8), 0.1), "y has dtype uint8"),
    "no signs": (lambda: noise.flip(KEY, [], 0.1), "y is empty"),
    "sign matrix": (lambda: noise.flip(KEY, [[1, -1]], 0.1), "y must have shape (any)"),
    "rates": (lambda: noise.flip(KEY, [1, 1], [0.1] * 3), "rate must be one number or one for"),
    "rates range": (lambda: noise.flip(KEY, [1, 1], [0.1, 1.1]), "rate must lie in [0, 1]"),
    "massart half": (lambda: noise.massart(KEY, [1, 1], [0.1, 0.5]), "eta must lie in [0, 0.5)"),
    "massart 0/1": (lambda: noise.massart(KEY, [0, 1], 0.1), "map 0/1 labels by 2*y - 1"),
    "massart nan": (lambda: noise.massart(KEY, [1, 1], NAN), "eta has 1 non-finite"),
    "tsybakov 0/1": (lambda: noise.tsybakov(KEY, [0, 1], [1, 2], 0.5), "map 0/1 labels"),
    "margin": (lambda: noise.tsybakov(KEY, [1, 1], [0.3], 0.5), "margin must have one entry"),
    "margin nan": (lambda: noise.tsybakov(KEY, [1], [INF], 0.5), "margin has 1 non-finite"),
    "alpha 0": (lambda: noise.tsybakov(KEY, [1], [0.3], 0.0), "alpha must lie in (0, 1]"),
    "scale 0": (lambda: noise.tsybakov(KEY, [1], [0.3], 0.5, 0.0), "scale must lie in (0"),
    "pu 0/1": (lambda: noise.positive_unlabelled(KEY, [0, 1], 0.1), "map 0/1 labels"),
    "pu rate": (lambda: noise.positive_unlabelled(KEY, [1], 1.1), "rate must lie in [0, 1]"),
    "budget": (lambda: noise.adversarial([[1.0]], [1], [1.0], 2), "budget must be a whole"),
    "budget 0.5": (lambda: noise.adversarial([[1.0]], [1], [1.0], 0.5), "budget must be a whole"),
    "w shape": (lambda: noise.adversarial([[1.0]], [1], [1.0, 2.0], 1), "w must have shape (1)"),
    "X shape": (lambda: noise.adversarial([[1.0]], [1, 1], [1.0], 1), "X must have shape (2, any)"),
    "adversary 0/1": (lambda: noise.adversarial([[1.0]], [0], [1.0], 1), "map 0/1 labels"),
    "one matrix": (lambda: noise.panel(KEY, [0], MATRIX), "confusion must have shape (workers"),
    "panel rows": (lambda: noise.panel(KEY, [0], [[[1, 1], [0, 1]]]), "confusion must have rows"),
    "panel labels": (lambda: noise.panel(KEY, [2], [MATRIX]), "y must hold labels 0..1, got 2"),
    "missing": (lambda: noise.panel(KEY, [0], [MATRIX], 1.2), "missing must lie in [0, 1]"),
    "missing shape": (lambda: noise.panel(KEY, [0], [MATRIX], [0, 0]), "missing must be one rate"),
    "answer 2": (lambda: noise.majority(KEY, [[0, 2]], 2), "answers must hold labels 0..1"),
    "answer -2": (lambda: noise.majority(KEY, [[0, -2]], 2), "answers must hold labels 0..1"),
    "answer 0.5": (lambda: noise.majority(KEY, [[0, 0.5]], 2), "answers must hold labels 0..1"),
    "answer shape": (lambda: noise.majority(KEY, [0, 1], 2), "answers must have shape (any, any)"),
    "workers": (lambda: noise.majority_error(0, 0.1), "workers must be a whole number >= 1"),
    "error rate": (lambda: noise.majority_error(3, 1.1), "rate must lie in [0, 1]"),
    "gross rate": (lambda: noise.gross_errors(KEY, X, 1.1, 1.0), "rate must lie in [0, 1]"),
    "magnitude": (lambda: noise.gross_errors(KEY, X, 0.1, 0.0), "magnitude must lie in (0"),
    "magnitudes": (lambda: noise.gross_errors(KEY, X, 0.1, [1, 2]), "magnitude must be one number"),
    "target nan": (lambda: noise.gross_errors(KEY, [NAN], 0.1, 1.0), "y has 1 non-finite"),
    "no targets": (lambda: noise.gross_errors(KEY, [], 0.1, 1.0), "y is empty"),
    "8 bit": (lambda: noise.salt_and_pepper(KEY, 255 * IMAGE, 0.1), "divide 8-bit pixels by 255"),
    "normalised": (
        lambda: noise.random_impulses(KEY, IMAGE - 0.5, 0.1),
        "image must lie in [0, 1]",
    ),
    "batch": (lambda: noise.salt_and_pepper(KEY, IMAGE[None], 0.1), "vmap over a batch"),
    "image nan": (lambda: noise.random_impulses(KEY, IMAGE * NAN, 0.1), "image has 90 non-finite"),
    "image rate": (lambda: noise.random_impulses(KEY, IMAGE, 1.1), "rate must lie in [0, 1]"),
    "salt": (lambda: noise.salt_and_pepper(KEY, IMAGE, 0.1, salt=2.0), "salt must lie in [0, 1]"),
    "no image": (lambda: noise.salt_and_pepper(KEY, np.ones((0, 3)), 0.1), "not be empty"),
    "sides": (lambda: noise.flip_preferences(KEY, [1, 2], [3], 0.1), "winners and losers must"),
    "side dtypes": (lambda: noise.flip_preferences(KEY, [1], [3.0], 0.1), "winners and losers"),
    "side nan": (lambda: noise.flip_preferences(KEY, [NAN], [1.0], 0.1), "winners has 1 non-fin"),
    "no pairs": (lambda: noise.flip_preferences(KEY, [], [], 0.1), "winners must hold one row"),
    "pair rate": (lambda: noise.flip_preferences(KEY, [1], [2], -0.1), "rate must lie in [0, 1]"),
    "gap": (lambda: noise.bradley_terry(KEY, [1], [2], [0.1, 0.2]), "gap must be one number or"),
    "gap nan": (lambda: noise.bradley_terry(KEY, [1], [2], NAN), "gap has 1 non-finite"),
    "mixed matrix": (lambda: noise.cifar10_matrix(1.1), "rate must lie in [0, 1], got 1.1"),
}


@pytest.mark.parametrize(("call", "words"), BAD.values(), ids=BAD)
def test_bad_input_gets_one_clear_line(call, words):
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_shapes_are_refused_under_jit_too():
    with pytest.raises(ValueError, match="rate must be one number"):
        jax.jit(lambda r: noise.pair(KEY, Y, 10, r))(jnp.ones(2))
    with pytest.raises(ValueError, match="X must hold one row"):
        jax.jit(lambda x: noise.instance_rows(KEY, x, Y, 10, 0.1))(jnp.ones((3, 2)))
