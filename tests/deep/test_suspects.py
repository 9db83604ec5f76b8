"""Which labels are suspect: scores by hand, order and precision by brute force."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.deep import suspects

RNG = np.random.default_rng(8)
Y = jnp.asarray([0, 2, 1, 2, 0], jnp.int32)


def test_by_sop_is_the_size_of_the_clipped_noise():
    u, v = 1.5 * RNG.normal(size=5), RNG.normal(size=(5, 3))
    got = suspects.by_sop(SimpleNamespace(u=jnp.asarray(u), v=jnp.asarray(v)), Y)
    want = [
        min(u[i] ** 2, 1) + sum(min(v[i, c] ** 2, 1) for c in range(3) if c != Y[i])
        for i in range(5)
    ]
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_by_elr_and_by_loss_look_at_the_given_label():
    p = RNG.dirichlet(np.ones(3), size=5)
    got = suspects.by_elr(SimpleNamespace(t=jnp.asarray(p)), Y)
    np.testing.assert_allclose(got, [1 - p[i, Y[i]] for i in range(5)])
    np.testing.assert_allclose(
        suspects.by_loss(jnp.asarray(p), Y), [-np.log(p[i, Y[i]]) for i in range(5)]
    )


def test_ranked_and_precision():
    score = jnp.asarray(RNG.integers(0, 4, size=30) / 4)
    wrong = jnp.asarray(RNG.random(30) < 0.3)
    order = sorted(range(30), key=lambda i: (-float(score[i]), i))
    assert suspects.ranked(score).tolist() == order
    k = int(wrong.sum())
    hits = np.mean([bool(wrong[i]) for i in order[:k]])
    assert np.isclose(jax.jit(suspects.precision)(score, wrong), hits)
    assert np.isnan(suspects.precision(score, jnp.zeros(30, bool)))


def test_errors_say_what_to_do():
    state = SimpleNamespace(u=jnp.ones(4), v=jnp.ones((4, 3)), t=jnp.ones((4, 3)))
    for score in (suspects.by_sop, suspects.by_elr):
        with pytest.raises(ValueError, match="labels that the run was trained on"):
            score(state, Y)
    with pytest.raises(ValueError, match="score is NaN in 1 places"):
        suspects.ranked(jnp.array([0.0, jnp.nan]))


def test_a_state_of_another_method_is_refused():
    y = jnp.zeros(3, jnp.int32)
    for score, words in (
        (suspects.by_sop, "without v: give the last state of SOP"),
        (suspects.by_elr, "without t"),
    ):
        with pytest.raises(ValueError, match=words):
            score(y, y)
