from fractions import Fraction
from functools import partial
from itertools import combinations
from math import ceil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jaxrobust import noise

KEY = jax.random.key(0)
N = 200_000


def balanced(classes, n=N):
    return np.arange(n) % classes


def keys(m):
    return jax.random.split(KEY, m)


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.8, 1.0])
@pytest.mark.parametrize("exact", [False, True])
def test_symmetric_law_given_the_class(follows, rate, exact):
    y = balanced(10)
    off = rate / 9
    noisy = noise.symmetric(KEY, y, 10, rate, inclusive=False, exact=exact)
    follows(y, noisy, np.where(np.eye(10), 1 - rate, off))
    off = rate / 10
    noisy = noise.symmetric(KEY, y, 10, rate, inclusive=True, exact=exact)
    follows(y, noisy, np.where(np.eye(10), 1 - rate + off, off))


def test_the_law_test_tells_the_conventions_apart(p_value):
    y = np.zeros(N, int)
    counts = {
        inclusive: np.bincount(noise.symmetric(KEY, y, 10, 0.4, inclusive=inclusive), minlength=10)
        for inclusive in (True, False)
    }
    laws = {True: [0.64] + [0.04] * 9, False: [0.6] + [0.4 / 9] * 9}
    for inclusive in (True, False):
        assert p_value(counts[inclusive], laws[inclusive]) > 1e-4
        assert p_value(counts[inclusive], laws[not inclusive]) < 1e-12


def test_marginal_share_of_wrong_labels():
    y = balanced(10)
    for inclusive, real in ((False, 0.3), (True, 0.27)):
        wrong = int((noise.symmetric(KEY, y, 10, 0.3, inclusive=inclusive) != y).sum())
        assert stats.binomtest(wrong, N, real).pvalue > 1e-4


def test_symmetric_law_in_single_precision(follows):
    y = balanced(10)
    with jax.enable_x64(False):
        noisy = np.asarray(noise.symmetric(KEY, y, 10, 0.4, inclusive=False))
    follows(y, noisy, np.where(np.eye(10), 0.6, 0.4 / 9))


def test_two_classes_and_one_example(follows):
    y = balanced(2)
    follows(y, noise.symmetric(KEY, y, 2, 0.3, inclusive=False), [[0.7, 0.3], [0.3, 0.7]])
    assert noise.symmetric(KEY, [1], 2, 1.0, inclusive=False, exact=True).tolist() == [0]


def test_pair_law(follows):
    y = balanced(4)
    want = [[0.55, 0.45, 0, 0], [0, 0.55, 0.45, 0], [0, 0, 0.55, 0.45], [0.45, 0, 0, 0.55]]
    follows(y, noise.pair(KEY, y, 4, 0.45), want)


def test_cifar10_law(follows):
    y = balanced(10)
    want = np.eye(10)
    for a, b in ((9, 1), (2, 0), (4, 7), (3, 5), (5, 3)):
        want[a, a], want[a, b] = 0.6, 0.4
    noisy = noise.asymmetric(KEY, y, noise.CIFAR10_TARGETS, 0.4)
    follows(y, noisy, want)
    noisy_classes = np.isin(y, [9, 2, 4, 3, 5])
    wrong = int((noisy != y).sum())
    assert stats.binomtest(wrong, int(noisy_classes.sum()), 0.4).pvalue > 1e-4


def test_cifar100_law(follows):
    y = balanced(100)
    want = 0.6 * np.eye(100)
    for i in range(100):
        want[i, i + 1 if i % 5 < 4 else i - 4] = 0.4
    follows(y, noise.asymmetric(KEY, y, noise.CIFAR100_TARGETS, 0.4), want)


@pytest.mark.parametrize("classes", [2, 3, 8, 33])
def test_any_transition_matrix(follows, classes):
    rng = np.random.default_rng(classes)
    matrix = rng.dirichlet(np.ones(classes), classes) + 0.01
    matrix[rng.random(matrix.shape) < 0.3] = 0.0
    matrix[:, 0] += 0.01
    matrix /= matrix.sum(axis=1, keepdims=True)
    y = rng.permutation(balanced(classes))
    follows(y, noise.transition(KEY, y, matrix), matrix)


def test_examples_are_independent(p_value):
    matrix = np.array([[0.7, 0.3], [0.4, 0.6]])
    noisy = jax.vmap(lambda k: noise.transition(k, [0, 1], matrix))(keys(50_000))
    cells = np.bincount(noisy @ np.array([2, 1]), minlength=4)
    assert p_value(cells, np.outer(matrix[0], matrix[1]).ravel()) > 1e-4


@given(seed=st.integers(0, 2**20), zeros=st.sets(st.integers(0, 2), max_size=2))
def test_a_class_of_probability_zero_never_comes(seed, zeros):
    row = np.random.default_rng(seed).dirichlet(np.ones(3)).astype(np.float32)
    row[list(zeros)] = 0
    row /= row.sum()
    y = np.zeros(4096, np.int32)
    noisy = noise.transition(jax.random.key(seed), y, np.tile(row, (3, 1)))
    assert not set(np.unique(noisy).tolist()) & zeros


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 10, 1000])
def test_exactly_k_is_exact_at_every_thousandth(n, dtype):
    def wrong(rate):
        y = jnp.zeros(n, int)
        return (noise.symmetric(KEY, y, 10, rate, inclusive=False, exact=True) != y).sum()

    counts = jax.jit(jax.vmap(wrong))(jnp.asarray(np.arange(1001) / 1000, dtype))
    assert counts.tolist() == [ceil(Fraction(i, 1000) * n) for i in range(1001)]


@pytest.mark.parametrize(
    ("rate", "n", "k"), [(0.07, 100, 7), (0.55, 100, 55), (0.2, 50_000, 10_000)]
)
def test_rounding_adds_no_label(rate, n, k):
    def wrong(rate):
        y = jnp.zeros(n, int)
        return (noise.symmetric(KEY, y, 10, rate, inclusive=False, exact=True) != y).sum()

    assert int(wrong(rate)) == int(jax.jit(wrong)(rate)) == k


def test_exact_every_set_of_k_is_equally_likely(p_value):
    def redrawn(k):
        return noise.symmetric(k, jnp.zeros(5, int), 2, 0.4, inclusive=False, exact=True) != 0

    sets = np.asarray(jax.vmap(redrawn)(keys(20_000))) @ (2 ** np.arange(5))
    cells = [np.sum(sets == 2**i + 2**j) for i, j in combinations(range(5), 2)]
    assert sum(cells) == 20_000
    assert p_value(cells, np.full(10, 0.1)) > 1e-4


def test_exact_inclusive_wrong_labels_are_binomial(p_value):
    def wrong(k):
        y = jnp.full(20, 2)
        return (noise.symmetric(k, y, 4, 0.5, inclusive=True, exact=True) != y).sum()

    counts = np.bincount(jax.vmap(wrong)(keys(20_000)), minlength=11)
    law = stats.binom.pmf(np.arange(11), 10, 0.75)
    # The rare cells together.
    assert p_value([counts[:4].sum(), *counts[4:]], [law[:4].sum(), *law[4:]]) > 1e-4


def test_the_dtype_of_the_labels_is_kept():
    for dtype in (np.uint8, np.int8, np.int32, np.int64):
        y = np.arange(10).astype(dtype)
        for exact in (False, True):
            draw = partial(noise.symmetric, y=y, classes=10, inclusive=True, exact=exact)
            assert jax.eval_shape(draw, KEY, rate=0.5).dtype == dtype
    with pytest.raises(ValueError, match="y has dtype int8, too small for 200 classes"):
        noise.pair(KEY, np.arange(10, dtype=np.int8), 200, 0.5)
