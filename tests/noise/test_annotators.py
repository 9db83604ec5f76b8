import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxrobust import noise

KEY = jax.random.key(2)
N = 100_000
RNG = np.random.default_rng(2)
CONFUSION = RNG.dirichlet(np.ones(4), (3, 4))
Y = RNG.integers(0, 4, N)


def test_each_worker_has_the_law_of_its_matrix(follows):
    answers = np.asarray(noise.panel(KEY, Y, CONFUSION))
    assert answers.shape == (N, 3)
    for worker in range(3):
        follows(Y, answers[:, worker], CONFUSION[worker])


def test_workers_are_independent_given_the_class(p_value):
    answers = np.asarray(noise.panel(KEY, Y, CONFUSION))
    for c in range(4):
        cells = np.bincount(4 * answers[Y == c, 0] + answers[Y == c, 2], minlength=16)
        law = np.outer(CONFUSION[0, c], CONFUSION[2, c]).ravel()
        rare = law * (Y == c).sum() < 10
        cells, law = (
            np.append(cells[~rare], cells[rare].sum()),
            np.append(law[~rare], law[rare].sum()),
        )
        assert p_value(cells, law) > 1e-4


def test_missing_answers(follows):
    missing = np.array([0.0, 0.3, 1.0])
    answers = np.asarray(noise.panel(KEY, Y, CONFUSION, missing))
    assert not (answers[:, 0] == -1).any()
    assert (answers[:, 2] == -1).all()
    assert stats.binomtest(int((answers[:, 1] == -1).sum()), N, 0.3).pvalue > 1e-4
    # Absence says nothing of the class or of the answer.
    given = answers[:, 1] >= 0
    follows(Y[given], answers[given, 1], CONFUSION[1])
    for c in range(4):
        absent = int((~given)[Y == c].sum())
        assert stats.binomtest(absent, int((Y == c).sum()), 0.3).pvalue > 1e-4


def test_a_larger_panel_keeps_the_first_answers():
    small = noise.panel(KEY, Y[:50], CONFUSION[:2], 0.2)
    np.testing.assert_array_equal(noise.panel(KEY, Y[:50], CONFUSION, 0.2)[:, :2], small)


def test_majority_takes_the_most_answers():
    answers = [[0, 2, 2, -1], [1, 1, 0, 1], [-1, -1, -1, -1], [-1, -1, -1, 3]]
    for seed in range(5):
        assert noise.majority(jax.random.key(seed), answers, 4).tolist() == [2, 1, -1, 3]


def test_ties_are_uniform_among_the_tied(p_value):
    answers = jnp.array([[0, 0, 2, 2, 1], [3, 1, 0, -1, -1]])
    votes = jax.vmap(lambda k: noise.majority(k, answers, 4))(jax.random.split(KEY, 30_000))
    assert p_value(np.bincount(votes[:, 0], minlength=4), [0.5, 0, 0.5, 0]) > 1e-4
    assert p_value(np.bincount(votes[:, 1], minlength=4), [1 / 3, 1 / 3, 0, 1 / 3]) > 1e-4
    # The two ties are broken independently.
    joint = np.bincount(np.asarray(votes[:, 0] // 2 * 4 + votes[:, 1]), minlength=8)
    assert p_value(joint, np.tile([1 / 6, 1 / 6, 0, 1 / 6], 2)) > 1e-4


@pytest.mark.parametrize("workers", [1, 4, 5])
def test_majority_error_is_the_error_of_a_panel(workers):
    y = np.arange(N) % 2
    confusion = np.tile([[0.7, 0.3], [0.3, 0.7]], (workers, 1, 1))
    key_panel, key_vote = jax.random.split(KEY)
    wrong = np.asarray(noise.majority(key_vote, noise.panel(key_panel, y, confusion), 2)) != y
    error = float(noise.majority_error(workers, 0.3))
    assert stats.binomtest(int(wrong.sum()), N, error).pvalue > 1e-4


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.8, 1.0])
def test_majority_error_is_the_binomial_tail(rate):
    workers = np.arange(1, 60)
    tail = stats.binom.sf(workers / 2, workers, rate)
    tie = np.where(workers % 2 == 0, stats.binom.pmf(workers // 2, workers, rate), 0.0)
    error = jax.jit(jax.vmap(lambda m: noise.majority_error(m, rate)))(jnp.asarray(workers))
    np.testing.assert_allclose(error, tail + tie / 2, rtol=1e-10, atol=1e-12)
