import clarabel
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import sparse

from jaxrobust._status import Status
from jaxrobust.recovery.matrix import altproj, problem, program


def svec_places(n):
    """Return (i, j) of Clarabel's triangle order: upper triangle, column by column."""
    return [(i, j) for j in range(n) for i in range(j + 1)]


def conic(cost, equal, right, n, extra):
    """Minimise cost.z s.t. equal z = right, svec(first) >= 0, the `extra` last ones >= 0."""
    places = svec_places(n)
    size = len(places) + extra
    scaled = [-1.0 if i == j else -np.sqrt(2) for i, j in places]  # svec scales off-diagonals
    cone = sparse.diags(np.r_[scaled, -np.ones(extra)])
    rows = sparse.vstack([sparse.csc_matrix(equal), cone]).tocsc()
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-10
    kinds = [
        clarabel.ZeroConeT(len(right)),
        clarabel.PSDTriangleConeT(n),
        clarabel.NonnegativeConeT(extra),
    ]
    none = sparse.csc_matrix((size, size))
    b = np.r_[right, np.zeros(size)]
    found = clarabel.DefaultSolver(none, np.asarray(cost), rows, b, kinds, settings).solve()
    return np.asarray(found.x), found.obj_val


def by_conic_psd(A, y, lam):
    m, n, _ = A.shape
    places = svec_places(n)
    part = np.array([[a[i, j] * (1 if i == j else 2) for i, j in places] for a in A])
    equal = np.hstack([part, np.eye(m), -np.eye(m)])
    cost = np.r_[[float(i == j) for i, j in places], lam * np.ones(2 * m)]
    z, value = conic(cost, equal, y, n, 2 * m)
    X = np.zeros((n, n))
    for (i, j), x in zip(places, z, strict=False):
        X[i, j] = X[j, i] = x
    return X, value


def by_conic(A, y, lam, shape):
    """|X|_* = min (tr P + tr Q) / 2 over [[P, X], [X', Q]] >= 0."""
    n, p = shape
    m, places = len(y), svec_places(n + p)
    part = np.array([[a[i, j - n] if i < n <= j else 0.0 for i, j in places] for a in A])
    equal = np.hstack([part, np.eye(m), -np.eye(m)])
    cost = np.r_[[0.5 * (i == j) for i, j in places], lam * np.ones(2 * m)]
    z, value = conic(cost, equal, y, n + p, 2 * m)
    X = np.zeros(shape)
    for (i, j), x in zip(places, z, strict=False):
        if i < n <= j:
            X[i, j - n] = x
    return X, value


@pytest.mark.parametrize("lam", [0.3, 0.8])
def test_semi_definite_against_a_conic_solver(lam):
    wrong = problem.draw(jax.random.key(0), 5, 1, 0.2, m=20)
    found = program.solve(wrong.A, wrong.y, lam, psd=True, tol=1e-9)
    X, value = by_conic_psd(np.asarray(wrong.A), np.asarray(wrong.y), lam)
    assert int(found.status) == Status.CERTIFIED
    assert found.gap <= 1e-9
    np.testing.assert_allclose(found.value, value, rtol=1e-7)
    np.testing.assert_allclose(found.X, X, atol=1e-6 * np.abs(X).max())
    assert np.linalg.eigvalsh(found.X)[0] > -1e-12


def test_rectangular_against_a_conic_solver():
    wrong = problem.draw(jax.random.key(1), 4, 1, 0.1, p=3, m=20)
    found = program.solve(wrong.A, wrong.y, 0.4, tol=1e-9)
    X, value = by_conic(np.asarray(wrong.A), np.asarray(wrong.y), 0.4, (4, 3))
    np.testing.assert_allclose(found.value, value, rtol=1e-7)
    np.testing.assert_allclose(found.X, X, atol=1e-6 * np.abs(X).max())


@pytest.mark.parametrize("shape", [(5, 4), (4, 6)])
def test_principal_component_pursuit_against_a_conic_solver(shape):
    n, p = shape
    wrong = problem.draw(jax.random.key(2), n, 1, 0.15, p=p, size=2.0)
    found = program.solve(None, wrong.y, tol=1e-9)
    A = np.eye(n * p).reshape(n * p, n, p)
    X, value = by_conic(A, np.asarray(wrong.y).ravel(), program.weight(n, p), shape)
    np.testing.assert_allclose(found.value, value, rtol=1e-7)
    np.testing.assert_allclose(found.X, X, atol=2e-6 * np.abs(X).max())
    assert int(found.status) == Status.CERTIFIED


def test_pursuit_recovers_and_a_sub_optimal_point_is_not_certified():
    wrong = problem.draw(jax.random.key(3), 30, 2, 0.1, p=30)
    found = program.solve(None, wrong.y, tol=1e-9)
    assert jnp.linalg.norm(found.X - wrong.X) < 1e-7 * jnp.linalg.norm(wrong.X)
    again = program.certificate(None, wrong.y, program.weight(30, 30), found.X, found.nu)
    np.testing.assert_allclose(again.gap, found.gap, atol=1e-12)
    off = program.certificate(None, wrong.y, program.weight(30, 30), found.X * 1.01, found.nu)
    # The gap bounds the excess of the value, and is no lower.
    excess = (off.value - found.value) / off.value
    assert excess - 1e-12 <= off.gap < excess + 1e-6
    assert int(off.status) == Status.NOT_CONVERGED


def test_no_wrong_dual_makes_a_gap_below_the_truth():
    wrong = problem.draw(jax.random.key(4), 6, 1, 0.2, m=25)
    best = program.solve(wrong.A, wrong.y, 0.5, psd=True, tol=1e-9)
    for seed in range(20):
        nu = 3 * jax.random.normal(jax.random.key(seed), (25,))
        U = jax.random.normal(jax.random.key(100 + seed), (6, 2))
        point = program.certificate(wrong.A, wrong.y, 0.5, U @ U.T, nu, psd=True)
        assert point.gap >= (point.value - best.value * (1 + 1e-8)) / point.value
    for i in jnp.argsort(-jnp.abs(wrong.s))[:3]:
        for factor in (1.5, 2.0, 4.0):  # beyond the box, where it pays
            nu = best.nu.at[i].multiply(factor)
            point = program.certificate(wrong.A, wrong.y, 0.5, best.X, nu, psd=True)
            assert point.gap >= -1e-12
    negative = program.certificate(wrong.A, wrong.y, 0.5, -jnp.eye(6), best.nu, psd=True)
    assert jnp.isinf(negative.value)
    assert int(negative.status) == Status.NOT_FINITE


def test_scale_and_transpose():
    y = problem.draw(jax.random.key(5), 7, 1, 0.1, p=5).y
    one = program.solve(None, y, tol=1e-9)
    np.testing.assert_allclose(program.solve(None, 1e4 * y, tol=1e-9).X, 1e4 * one.X, rtol=1e-5)
    np.testing.assert_allclose(program.solve(None, y.T, tol=1e-9).X.T, one.X, atol=1e-7)
    nothing = program.solve(None, jnp.zeros((3, 4)))
    assert int(nothing.status) == Status.CERTIFIED
    assert float(nothing.value) == 0.0


def test_certificates_in_single_precision_and_of_odd_points():
    for A, y, lam in (
        (None, problem.draw(jax.random.key(1), 8, 1, 0.1).y, None),
        (*problem.draw(jax.random.key(1), 6, 1, 0.1, m=30)[:2], 0.5),
    ):
        A32 = None if A is None else A.astype(jnp.float32)
        found = program.solve(A32, y.astype(jnp.float32), lam, psd=True, tol=1e-4)
        assert int(found.status) == Status.CERTIFIED
        weight = program.weight(*found.X.shape) if lam is None else lam
        wide = [None if A is None else A32.astype(float), y.astype(jnp.float32).astype(float)]
        w, Q = jnp.linalg.eigh(found.X.astype(float))
        X = (Q * jnp.maximum(w, 0.0)[None, :]) @ Q.T
        truth = program.certificate(*wide, weight, X, found.nu.astype(float), psd=True)
        assert float(found.gap) >= float(truth.gap) - 1e-6
        least = program.solve(A32, y.astype(jnp.float32), lam, psd=True, max_iterations=500)
        assert int(least.status) != Status.CERTIFIED  # 1e-8 is below rounding
    odd = jnp.array([[1.0, 1.0], [-1.0, 1.0]])
    assert program.certificate(None, odd, 1.0, odd, odd, psd=True).value == 4.0  # not symmetric
    for c in (1e-200, 1e200):
        scaled = program.solve(None, c * jnp.eye(3), 1.0)
        assert int(scaled.status) == Status.CERTIFIED


def test_lanes_are_alone():
    ys = jnp.stack([problem.draw(jax.random.key(i), 6, 1, 0.1 * i, p=6).y for i in range(3)])
    together = jax.jit(jax.vmap(lambda y: program.solve(None, y, tol=1e-7)))(ys)
    for i in range(3):
        alone = program.solve(None, ys[i], tol=1e-7)
        np.testing.assert_allclose(together.X[i], alone.X, atol=1e-5)
        assert int(together.status[i]) == Status.CERTIFIED


def test_steps_that_run_out_say_so():
    wrong = problem.draw(jax.random.key(6), 8, 3, 0.4, p=8)
    found = program.solve(None, wrong.y, tol=1e-9, max_iterations=25)
    assert int(found.status) == Status.NOT_CONVERGED
    assert found.gap > 1e-9
    assert int(found.iterations) == 25


def test_refusals():
    wrong = problem.draw(jax.random.key(0), 4, 1, 0.2, m=6)
    with pytest.raises(ValueError, match="lam is None: name the weight"):
        program.solve(wrong.A, wrong.y)
    with pytest.raises(ValueError, match="y must have shape"):
        program.solve(wrong.A, wrong.y[:3], 0.1)
    with pytest.raises(ValueError, match="psd wants square X"):
        program.solve(None, jnp.ones((2, 3)), psd=True)
    with pytest.raises(ValueError, match="y has 1 non-finite"):
        program.solve(None, jnp.ones((2, 3)).at[0, 0].set(jnp.nan))
    with pytest.raises(ValueError, match="tol must lie in"):
        program.solve(None, jnp.ones((2, 3)), tol=2.0)
    with pytest.raises(ValueError, match="size must lie in"):
        problem.draw(jax.random.key(0), 4, 1, 0.2, size=-5.0)
    with pytest.raises(ValueError, match="rank must lie in"):
        altproj.solve(jnp.ones((3, 3)), 2, most=1)
    with pytest.raises(ValueError, match="lam must lie in"):
        program.solve(None, jnp.ones((2, 3)), -1.0)


def test_alternating_projections_recover():
    wrong = problem.draw(jax.random.key(0), 60, 3, 0.1, p=60)
    for most in (3, 5):  # stages beyond the rank change nothing
        L, S = altproj.solve(wrong.y, 3, most=most)
        assert jnp.linalg.norm(L - wrong.X) < 1e-5 * jnp.linalg.norm(wrong.X)
        np.testing.assert_allclose(L + S, wrong.y, atol=1e-12)
    less, _ = altproj.solve(wrong.y, 2, most=3)
    assert jnp.linalg.norm(less - wrong.X) > 0.1 * jnp.linalg.norm(wrong.X)
