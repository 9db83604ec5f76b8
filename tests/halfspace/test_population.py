"""Certified minimisers beside brute force, closed forms, and the failures they were made for."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from jaxrobust import halfspace
from jaxrobust.halfspace.population import LOSSES, population_optimum

RNG = np.random.default_rng(5)
LEVERS = (  # eta, g, a, p_noisy, p_arm
    (0.3, 0.1, 0.14, 0.3, 0.3),
    (0.3, 0.05, 0.07, 0.2, 0.2),
    (0.3, 0.03, 0.05, 0.15, 0.15),
    (0.2, 0.07, 0.10, 0.3, 0.3),
    (0.2, 0.03, 0.05, 0.2, 0.2),
    (0.4, 0.1, 0.14, 0.25, 0.2),
    (0.4, 0.03, 0.05, 0.15, 0.1),
)


def cloud(n, d, least=0.05):
    """Random points, every one of them noisy, so that all losses have minimisers."""
    x = RNG.normal(size=(n, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True) * RNG.uniform(1, 3, (n, 1))
    clean, rate = np.where(x[:, 0] >= 0, 1.0, -1.0), RNG.uniform(least, 0.4, n)
    weight = RNG.dirichlet(np.ones(n))
    parts = [jnp.asarray(v) for v in (x, clean, rate, weight)]
    return halfspace.finite(halfspace.Atoms(*parts), np.eye(d)[0], 1e-3, 0.4)


def points(it):
    assert it.atoms is not None
    return np.asarray(it.atoms.x)


def expected(it, loss, w):
    """E loss(w) over points, mirror images and labels, for w (k, d)."""
    x, clean, rate, weight = (np.asarray(v) for v in it.atoms)
    total = np.zeros(len(np.atleast_2d(w)))
    for mirror, flipped in itertools.product((1, -1), (False, True)):
        y = mirror * clean * (-1 if flipped else 1)
        z = y * (mirror * np.atleast_2d(w) @ x.T)
        each = {
            "logistic": lambda z: np.logaddexp(0, -z),
            "hinge": lambda z: np.maximum(0, 1 - z),
            "leaky": lambda z: np.where(z < 0, -(1 - 0.4) * z, -0.4 * z),  # eta of the cloud
        }[loss](z)
        total = total + each @ (weight * (rate if flipped else 1 - rate)) / 2
    return total


def errors(it, loss):
    found = population_optimum(it, loss)
    assert found.certified
    assert found.gap < 1e-14
    return float(it.error(found.w))


def test_every_row_of_lever_defeats_all_three():
    for eta, g, a, p_noisy, p_arm in LEVERS:
        it = halfspace.lever(g, eta, a=a, p_noisy=p_noisy, p_arm=p_arm)
        want = 1 - p_noisy - p_arm + p_noisy * eta
        for loss in LOSSES:
            assert errors(it, loss) == pytest.approx(want, abs=1e-12), (eta, g, loss)


def test_long_servedio_defeats_hinge_before_logistic():
    for where, loss, g, want in (
        ("all", "hinge", 0.1, 0.5),
        ("all", "logistic", 0.1, 0.3),
        ("all", "hinge", 0.05, 0.5),
        ("all", "logistic", 0.05, 0.5),
        ("far", "hinge", 0.1, 0.575),
        ("far", "logistic", 0.1, 0.575),
        ("far", "leaky", 0.1, 0.075),
    ):
        it = halfspace.long_servedio(g, 0.3, where=where)
        assert errors(it, loss) == pytest.approx(want, abs=1e-12), (where, loss, g)


def test_drag_defeats_leaky_where_the_pull_beats_the_cost():
    # The far point pulls with eta .3, the others with (1 - 2 eta) .7 * 2 g: at (.2, .1) more.
    for eta, g, wrong in ((0.3, 0.1, 1), (0.3, 0.05, 1), (0.2, 0.05, 1), (0.2, 0.1, 0)):
        want = 0.7 * (1 - eta if wrong else eta)
        assert errors(halfspace.drag(g, eta), "leaky") == pytest.approx(want), (eta, g)


def test_logistic_on_a_cloud_is_what_bfgs_finds():
    it = cloud(12, 3)
    found = population_optimum(it, "logistic")
    assert found.certified
    assert found.unique
    rival = minimize(lambda w: expected(it, "logistic", w)[0], np.zeros(3), tol=1e-9)
    assert expected(it, "logistic", found.w)[0] == pytest.approx(found.value, abs=1e-14)
    assert found.value - found.gap <= rival.fun <= found.value + 1e-8
    np.testing.assert_allclose(found.w, rival.x, atol=1e-4)


def test_hinge_in_the_plane_is_the_best_crossing_of_two_kinks():
    for _ in range(5):
        it = cloud(9, 2)
        found = population_optimum(it, "hinge")
        assert found.certified
        x = points(it)
        pairs = [np.stack(p) for p in itertools.combinations(np.concatenate([x, -x]), 2)]
        pairs = [p for p in pairs if abs(np.linalg.det(p)) > 1e-9]
        vertices = np.stack([np.linalg.solve(p, np.ones(2)) for p in pairs])
        values = expected(it, "hinge", vertices)
        assert found.value == pytest.approx(values.min(), abs=1e-13)
        assert expected(it, "hinge", found.w)[0] == pytest.approx(found.value, abs=1e-13)
        if found.unique:
            np.testing.assert_allclose(found.w, vertices[values.argmin()], atol=1e-9)
            assert np.sort(values)[1] > values.min()


def test_leaky_in_the_plane_is_the_best_of_all_directions():
    for _ in range(5):
        it = cloud(7, 2, least=0.3)
        kinks = np.arctan2(*points(it).T[::-1]) + np.pi / 2
        t = np.concatenate([np.linspace(0, 2 * np.pi, 20_001), kinks, kinks + np.pi])
        circle = np.stack([np.cos(t), np.sin(t)], axis=1)
        found = population_optimum(it, "leaky")
        values = expected(it, "leaky", circle)
        best = min(values.min(), 0.0)
        assert found.certified
        assert found.value - found.gap <= best <= found.value + 1e-9
        assert found.value < -1e-4  # a direction worth going exists
        assert found.unique
        np.testing.assert_allclose(found.w, circle[values.argmin()], atol=1e-3)


def test_a_sum_of_planes_is_solved_plane_by_plane():
    one, many = halfspace.lever(), halfspace.levers(5)
    for loss in LOSSES:
        single, whole = (population_optimum(it, loss) for it in (one, many))
        # Homogeneous parts over a common ball: -sqrt(sum of squares) = f / sqrt K at weights 1 / K.
        times, length = (1 / np.sqrt(5), 1 / np.sqrt(5)) if loss == "leaky" else (1, 1)
        assert whole.value == pytest.approx(times * single.value, rel=1e-12)
        assert whole.certified
        np.testing.assert_allclose(whole.w, np.tile(length * single.w, 5), rtol=1e-9)


def test_closed_forms_on_basis():
    it = halfspace.basis(4, 0.2, size=3)  # the last coordinate has no weight
    logistic, hinge, leaky = (population_optimum(it, loss) for loss in LOSSES)
    np.testing.assert_allclose(logistic.w, np.log(4) * np.array([1, 1, 1, 0]), atol=1e-12)
    assert logistic.value == pytest.approx(-(0.2 * np.log(0.2) + 0.8 * np.log(0.8)))
    np.testing.assert_allclose(hinge.w, [1, 1, 1, 0], atol=1e-12)
    assert hinge.value == pytest.approx(0.4)
    assert hinge.unique
    # With lam = eta the loss is 0 wherever w is right: w = 0 is one of many.
    assert (leaky.certified, leaky.unique, leaky.value) == (True, False, 0.0)
    assert float(population_optimum(it, "leaky", lam=0.3).value) == pytest.approx(-0.1 / np.sqrt(3))


@pytest.mark.parametrize(
    "it", [halfspace.long_servedio(0.1, 0.0), halfspace.drag(0.1, 0.3), halfspace.drag(0.05, 0.2)]
)
def test_no_minimiser_no_certificate(it):
    # The clean points can be moved out for ever without touching the noisy one.
    found = population_optimum(it, "logistic")
    assert not found.certified
    assert not found.unique
    assert found.gap == np.inf
    assert np.linalg.norm(found.w) > 50


def test_single_precision_and_what_is_refused():
    it = halfspace.lever(dtype=jnp.float32)
    for loss in LOSSES:
        found = population_optimum(it, loss)
        assert found.w.dtype == jnp.float32
        assert found.certified
        assert float(it.error(found.w)) == pytest.approx(0.66)
    table = halfspace.from_data([[1.0, 0.0], [-1.0, 0.0]], [1, -1], 0.1)
    for call, told in (
        (lambda: population_optimum(it, "square"), "loss must be one of logistic, hinge, leaky"),
        (lambda: population_optimum(it, "hinge", lam=0.1), "lam belongs to the loss"),
        (lambda: population_optimum(it, "leaky", lam=0.7), "lam must lie in"),
        (lambda: population_optimum(table), "must be a finite one"),
        (lambda: jax.jit(lambda e: population_optimum(halfspace.lever(eta=e)).w)(0.3), "traced"),
    ):
        with pytest.raises(ValueError, match=told) as caught:
            call()
        assert "\n" not in str(caught.value)
