"""TV with an l1 fit: an independent solver, exact limits and invariances, an honest certificate."""

import clarabel
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import sparse

from jaxrobust._status import Status
from jaxrobust.recovery.image import total_variation, tv

RNG = np.random.default_rng(4)


def matrix(shape):
    """Give D of a picture (H, W) as a matrix: differences down, then to the right."""
    H, W = shape
    steps = [
        sparse.diags_array([np.r_[-np.ones(n - 1), 0], np.ones(n - 1)], offsets=(0, 1))
        for n in shape
    ]
    return sparse.vstack([
        sparse.kron(steps[0], sparse.eye_array(W)), sparse.kron(sparse.eye_array(H), steps[1])
    ]).tocsr()  # fmt: skip


def objective(x, y, weight, vectorial=False):
    d = np.zeros((2, *x.shape))
    d[0, :-1], d[1, :, :-1] = np.diff(x, axis=0), np.diff(x, axis=1)
    axes = (0, 3) if vectorial else 0
    return weight * np.sqrt((d**2).sum(axis=axes)).sum() + np.abs(x - y).sum()


def by_clarabel(y, weight, vectorial):
    """Minimise by second-order cones: variables x, r >= |x - y| and one norm a pixel."""
    y = np.atleast_3d(y)
    H, W, C = y.shape
    N, groups = H * W, 1 if vectorial else C
    D = sparse.kron(sparse.eye_array(C), matrix((H, W))).tocsr()  # channel by channel
    target, n = np.moveaxis(y, 2, 0).ravel(), C * N
    cost = np.r_[np.zeros(n), np.ones(n), np.full(groups * N, weight)]
    eye = sparse.eye_array(n)
    none = sparse.csr_array((n, groups * N))
    rows = [sparse.hstack([eye, -eye, none]), sparse.hstack([-eye, -eye, none])]
    b, cones = [target, -target], [clarabel.NonnegativeConeT(2 * n)]
    for g in range(groups):
        for i in range(N):
            mine = range(C) if vectorial else (g,)
            lines = [2 * N * c + k * N + i for c in mine for k in range(2)]
            top = sparse.csr_array(([-1.0], ([0], [2 * n + g * N + i])), (1, len(cost)))
            rest = sparse.hstack([-D[lines], sparse.csr_array((len(lines), len(cost) - n))])
            rows += [top, rest]
            b.append(np.zeros(1 + len(lines)))
            cones.append(clarabel.SecondOrderConeT(1 + len(lines)))
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_rel = settings.tol_gap_abs = settings.tol_feas = 1e-10
    A = sparse.vstack(rows).tocsc()
    P = sparse.csc_array(A.shape[1:] * 2)
    return clarabel.DefaultSolver(P, cost, A, np.concatenate(b), cones, settings).solve().obj_val


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 3)])
@pytest.mark.parametrize("vectorial", [False, True])
def test_against_an_interior_point(shape, vectorial):
    y = RNG.random(shape)
    for weight in (0.4, 1.0, 2.5):
        got = total_variation(y, weight, vectorial=vectorial, tol=1e-7, steps=100_000)
        assert got.status == Status.CERTIFIED
        joint = vectorial and y.ndim == 3
        mine, best = objective(np.asarray(got.x), y, weight, joint), by_clarabel(y, weight, joint)
        assert mine == pytest.approx(best, rel=1e-6)
        assert mine - best <= float(got.gap) * mine + 1e-9 * best
        x = np.asarray(got.x)
        assert np.all((x >= y.min(axis=(0, 1))) & (x <= y.max(axis=(0, 1))))


def test_limits():
    y = RNG.random((6, 7, 3))
    same = total_variation(y, 0.29, tol=1e-6)  # below 1 / (2 + sqrt 2): D'p cannot reach 1
    np.testing.assert_allclose(same.x, y, rtol=0, atol=1e-5)
    moved = total_variation(y, 0.5, tol=1e-6)
    assert np.abs(moved.x - y).max() > 0.1
    odd = y[:, :, 0][:5]
    flat = total_variation(odd, 50.0, tol=1e-6, steps=50_000)
    np.testing.assert_allclose(flat.x, np.median(odd), atol=1e-4)
    # A square of side a in black keeps its contrast while 4 a weight < a^2, and goes beyond; the
    # isotropic norm counts one corner of four as sqrt 2 in place of 2.
    square = np.zeros((16, 16))
    square[4:12, 4:12] = 1.0
    edge = 64 / (4 * 8 - 2 + 2**0.5)
    for weight, kept in ((0.97 * edge, 1.0), (1.03 * edge, 0.0)):
        x = np.asarray(total_variation(square, weight, tol=1e-6, steps=50_000).x)
        assert x[7:9, 7:9].mean() == pytest.approx(kept, abs=1e-3)
    constant = total_variation(np.full((4, 4), 0.3), 1.0)
    assert constant.status == Status.CERTIFIED
    assert constant.gap == 0


def test_invariances():
    y = RNG.random((9, 8))
    plain = total_variation(y, 0.8, tol=1e-6)
    far = total_variation(7.0 - 3.0 * y, 0.8, tol=1e-6)  # the model knows no contrast
    np.testing.assert_allclose(far.x, 7.0 - 3.0 * plain.x, atol=1e-3)
    apart = total_variation(np.stack([y, y[::-1] ** 2], axis=2), 0.8, tol=1e-6)
    np.testing.assert_allclose(apart.x[..., 0], plain.x, atol=1e-3)
    grey = total_variation(np.stack([y, y], axis=2), 0.8, vectorial=True, tol=1e-6)
    alone = total_variation(y, 0.8 / 2**0.5, tol=1e-6)  # |(d, d)| = sqrt 2 |d|, two fits
    np.testing.assert_allclose(grey.x[..., 0], alone.x, atol=1e-3)


def test_neither_scale_nor_offset_costs_the_certificate():
    y = RNG.random((9, 8)).astype(np.float32)
    plain = total_variation(y, 0.8, tol=1e-3)
    for scale, offset, error in ((1e-30, 0.0, 1e-5), (1e30, 0.0, 1e-5), (1.0, 1e4, 0.02)):
        got = total_variation(np.float32(scale) * y + np.float32(offset), 0.8, tol=1e-3)
        assert got.status == Status.CERTIFIED
        assert got.iterations > 0
        np.testing.assert_allclose((got.x - offset) / scale, plain.x, atol=error)


def test_the_gap_is_that_of_the_two_points():
    """It holds for any pair, written out by the dual's definition, and is not far too large."""
    y = RNG.random((5, 6))
    D, weight, grid = matrix(y.shape), 0.7, np.linspace(y.min(), y.max(), 4001)
    for _ in range(3):
        x = RNG.uniform(y.min(), y.max(), y.shape)
        p = 0.4 * RNG.uniform(-1, 1, (2, *y.shape))  # in the ball: 0.4 sqrt 2 < 0.7
        c = (D.T @ p.ravel()).reshape(y.shape)
        dual = (c[..., None] * grid + np.abs(grid - y[..., None])).min(axis=2)
        dual = np.minimum(dual, c * y).sum()
        primal = objective(x, y, weight)
        ends = (jnp.full((1, 1), y.min()), jnp.asarray(y), jnp.full((1, 1), y.max()))
        certain, seen = tv._gap(*map(jnp.asarray, (x, p, y, weight)), ends, False)
        assert float(seen) == pytest.approx((primal - dual) / primal, rel=1e-12)
        assert seen < certain < seen + 1e-13


def test_status_codes_and_refusals():
    y = RNG.random((8, 8))
    short = total_variation(y, 1.0, tol=1e-9, steps=10)
    assert (int(short.status), int(short.iterations)) == (Status.NOT_CONVERGED, 50)
    assert short.gap > 1e-9
    for weight in (0.6, 1.0):  # where it stops early, both points are feasible all the same
        early = total_variation(y, weight, tol=1e-9, steps=1)
        assert np.linalg.norm(early.p, axis=0).max() <= weight * (1 + 1e-12)
        assert y.min() <= early.x.min() <= early.x.max() <= y.max()
    low = total_variation(y.astype(np.float32), 0.8, tol=1e-8, steps=5000)
    assert low.status == Status.ROUNDING_LIMIT
    assert low.x.dtype == jnp.float32
    run = jax.jit(jax.vmap(lambda y, weight: total_variation(y, weight), (0, 0)))
    lanes = jnp.stack([jnp.asarray(y), jnp.asarray(y).at[2, 2].set(jnp.nan), jnp.asarray(y)])
    many = run(lanes, jnp.array([0.8, 0.8, -1.0]))
    assert many.status.tolist() == [Status.CERTIFIED, Status.NOT_FINITE, Status.NOT_FINITE]
    np.testing.assert_allclose(many.x[0], total_variation(y, 0.8).x, atol=1e-12)
    for bad, words in (
        (lambda: total_variation(y, 0.0), "weight must lie in"),
        (lambda: total_variation(y[0]), "picture must have shape"),
        (lambda: total_variation(y, tol=0.0), "tol must lie in"),
        (lambda: total_variation(y, steps=0), "steps must be a whole number"),
        (lambda: total_variation(y, tol=np.full(2, 0.1)), "tol must be one number"),
    ):
        with pytest.raises(ValueError, match=words):
            bad()
