import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.sop import coherence, draw, linearize, theory


@pytest.mark.parametrize(
    ("N", "p", "rank"), [(12, 20, None), (20, 12, None), (12, 20, 4), (20, 12, 7)]
)
def test_draw_has_the_promised_rank_sparsity_and_row_space(N, p, rank):
    J, y, theta, s = draw(jax.random.key(0), N, p, rank=rank, k=3, magnitude=2.0)
    assert np.linalg.matrix_rank(J) == (rank or min(N, p))
    assert np.sum(np.asarray(s) != 0) == 3
    np.testing.assert_allclose(y, J @ theta + s, atol=1e-12)
    np.testing.assert_allclose(jnp.linalg.pinv(J) @ J @ theta, theta, atol=1e-9)


def test_draw_scales_rows_to_unit_mean_square():
    for rank in (None, 3, 30):
        J = draw(jax.random.key(1), 400, 300, rank=rank).J
        assert abs(float(jnp.mean(jnp.sum(J**2, axis=1))) - 1) < 0.25


def test_draws_of_one_key_are_nested_and_rank_may_be_traced():
    sweep = jax.jit(jax.vmap(lambda r: draw(jax.random.key(2), 9, 14, rank=r, k=r), in_axes=0))
    lanes = sweep(jnp.array([2.0, 5.0, 9.0]))
    for lane, rank in zip(lanes.J, (2, 5, 9), strict=True):
        assert np.linalg.matrix_rank(lane) == rank
    support = np.asarray(lanes.s) != 0
    assert list(support.sum(axis=1)) == [2, 5, 9]
    assert np.all(support[0] <= support[1])


def test_signs_have_one_size():
    s = draw(jax.random.key(3), 30, 40, k=10, magnitude=2.5, signs=True).s
    assert set(np.unique(np.abs(s))) == {0.0, 2.5}


def test_support_is_uniform():
    keys = jax.random.split(jax.random.key(4), 4000)
    hits = jax.vmap(lambda key: draw(key, 8, 3, k=2).s != 0)(keys).mean(axis=0)
    np.testing.assert_allclose(hits, 0.25, atol=5 * np.sqrt(0.25 * 0.75 / 4000))


def test_coherence_bounds_and_definition():
    J = draw(jax.random.key(5), 40, 60, rank=4).J
    U = np.linalg.svd(np.asarray(J), full_matrices=False)[0][:, :4]
    np.testing.assert_allclose(coherence(J), 10 * np.max(np.sum(U**2, axis=1)), rtol=1e-10)
    np.testing.assert_allclose(coherence(J, rank=4), coherence(J), rtol=1e-10)
    assert 1 <= coherence(J) <= 10


def test_lam_and_its_inverse():
    for gamma in (0.5, 1e-8, 1e-64):
        np.testing.assert_allclose(theory.lam(theory.alpha_for(0.7, gamma), gamma), 0.7)


def test_recovery_limit_is_the_null_space_property():
    # h = U c with |h|_1 = 1: the largest l1 mass on k coordinates stays below k sqrt(mu r / N).
    rng = np.random.default_rng(0)
    U = np.linalg.qr(rng.normal(size=(50, 3)))[0]
    mu, k = float(coherence(U)), 2
    h = U @ rng.normal(size=(3, 20_000))
    mass = np.sort(np.abs(h), axis=0)[-k:].sum(axis=0) / np.abs(h).sum(axis=0)
    assert mass.max() <= k * np.sqrt(mu * 3 / 50)
    assert float(theory.recovery_limit(mu, 3, 50)) == pytest.approx(np.sqrt(50 / (12 * mu)))


def test_linearize_is_the_jacobian_of_any_network():
    params = {"w": jnp.array([[0.3, -0.2], [0.1, 0.5]]), "b": jnp.array([0.1, 0.2])}

    def apply(q, x):
        return jnp.sum(jnp.tanh(q["w"] @ x + q["b"]))

    x = jax.random.normal(jax.random.key(0), (5, 2))
    lin = linearize(apply, params, x)
    assert lin.J.shape == (5, 6)
    np.testing.assert_allclose(lin.predict(jnp.zeros(6)), lin.f0)
    small = {"w": params["w"].at[0, 1].add(1e-6), "b": params["b"]}
    numeric = (jax.vmap(apply, (None, 0))(small, x) - lin.f0) / 1e-6
    column = 3  # ravelled in the order b, then w by rows
    np.testing.assert_allclose(lin.J[:, column], numeric, atol=1e-5)
    with pytest.raises(ValueError, match="scalar"):
        linearize(lambda q, x: q["w"] @ x, params, x)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"N": 0}, "N must be"),
        ({"p": -1}, "p must be"),
        ({"rank": 6}, "rank must lie in"),
        ({"rank": 0}, "rank must lie in"),
        ({"k": 6}, "k must lie in"),
        ({"magnitude": 0.0}, "magnitude"),
    ],
)
def test_bad_input_gets_one_clear_line(change, words):
    with pytest.raises(ValueError, match=words):
        draw(jax.random.key(0), **{"N": 5, "p": 8, **change})


def test_flat_problems_have_coherence_one():
    for rank in (1, 3, 8):
        J = draw(jax.random.key(1), 16, 24, rank=rank, flat=True).J
        assert np.linalg.matrix_rank(J) == rank
        np.testing.assert_allclose(coherence(J), 1.0, rtol=1e-10)
    with pytest.raises(ValueError, match="flat needs a rank and N"):
        draw(jax.random.key(1), 15, 24, rank=3, flat=True)
