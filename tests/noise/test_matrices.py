import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust import noise


def test_symmetric_conventions_by_hand():
    exclusive = noise.symmetric_matrix(5, 0.4, inclusive=False)
    inclusive = noise.symmetric_matrix(5, 0.4, inclusive=True)
    np.testing.assert_allclose(exclusive, np.where(np.eye(5), 0.6, 0.1), rtol=1e-14)
    np.testing.assert_allclose(inclusive, np.where(np.eye(5), 0.68, 0.08), rtol=1e-14)


def test_the_conventions_meet_at_the_real_rate():
    inclusive = noise.symmetric_matrix(10, 0.5, inclusive=True)
    exclusive = noise.symmetric_matrix(10, 0.5 * 9 / 10, inclusive=False)
    np.testing.assert_allclose(inclusive, exclusive, rtol=1e-14)


def test_cifar10_names_the_right_classes():
    names = [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]
    moves = {"truck": "automobile", "bird": "airplane", "deer": "horse", "cat": "dog"}
    moves["dog"] = "cat"
    want = np.eye(10)
    for a, b in moves.items():
        want[names.index(a), names.index(a)] = 0.7
        want[names.index(a), names.index(b)] = 0.3
    np.testing.assert_allclose(noise.cifar10_matrix(0.3), want, rtol=1e-14)
    # With balanced classes half of the labels can flip.
    assert 1 - np.trace(noise.cifar10_matrix(0.3)) / 10 == pytest.approx(0.15)


def test_cifar100_moves_inside_blocks_of_five():
    matrix = np.asarray(noise.cifar100_matrix(0.3))
    assert matrix[3, 4] == pytest.approx(0.3)
    assert matrix[4, 0] == pytest.approx(0.3)
    assert matrix[99, 95] == pytest.approx(0.3)
    blocks = np.kron(np.eye(20), np.ones((5, 5)))
    assert np.all(matrix[blocks == 0] == 0)
    np.testing.assert_allclose(np.diag(matrix), 0.7)


def test_pair_is_circular():
    matrix = np.asarray(noise.pair_matrix(10, 0.45))
    np.testing.assert_allclose(matrix, 0.55 * np.eye(10) + 0.45 * np.roll(np.eye(10), 1, axis=1))


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    "build",
    [
        lambda r: noise.symmetric_matrix(7, r, inclusive=True),
        lambda r: noise.symmetric_matrix(7, r, inclusive=False),
        lambda r: noise.pair_matrix(7, r),
        noise.cifar10_matrix,
        noise.cifar100_matrix,
        lambda r: noise.asymmetric_matrix([0, 0, 1], r),
    ],
)
def test_rows_are_laws_and_jit_and_vmap_agree(build, rate):
    matrix = build(rate)
    assert np.all(np.asarray(matrix) >= 0)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, rtol=1e-14)
    many = jax.jit(jax.vmap(build))(jnp.array([0.1, rate]))
    np.testing.assert_allclose(many[1], matrix, rtol=1e-14)
