"""Batches: every lane is certified, whatever is shared, and however it is mapped."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.l1_lanes import Batch, consistent, gaps
from jaxrobust import _machine
from jaxrobust.sop import Status, factor, solve_l1
from jaxrobust.sop.convex import shared
from jaxrobust.sop.convex.threads import in_parts

WIDE, LARGE, NEAR = (8, 12), (102, 130), (5, 5)
TOL = 1e-10


def draw(seed, shape, lanes, distinct=False, rank=None):
    """Draw a batch with 30 % of y wrong by 3 N(0, 1), lam from .1 to 10."""
    rng = np.random.default_rng(seed)
    N, p = shape
    r = rank or p
    J = rng.normal(size=(lanes if distinct else 1, N, r)) / np.sqrt(r)
    if rank:
        J = J @ rng.normal(size=(r, p)) / np.sqrt(p)
    y = (J @ rng.normal(size=(lanes, p, 1)))[..., 0]
    y += (rng.random((lanes, N)) < 0.3) * 3 * rng.normal(size=(lanes, N))
    return Batch(J if distinct else J[0], y, 10 ** rng.uniform(-1, 1, lanes))


def certified(batch, found, tol=TOL):
    """Check all that a lane says, in NumPy."""
    lanes = jnp.broadcast_shapes(batch.J.shape[:-2], batch.y.shape[:-1], np.shape(batch.lam))
    N, p = batch.J.shape[-2:]
    assert found.theta.shape == (*lanes, p)
    assert found.s.shape == found.nu.shape == (*lanes, N)
    assert found.gap.shape == found.status.shape == found.iterations.shape == lanes
    assert np.all(found.status == Status.CERTIFIED), np.asarray(found.status)
    assert np.max(gaps(*batch, found.nu, found.theta)) <= tol
    assert np.all(consistent(batch, found))


def close(found, other, lam):
    """Check that two certified solutions agree: each is within sqrt(2 P gap) of the minimiser."""

    def off(one):
        primal = jnp.sum(one.theta**2, -1) / 2 + lam * jnp.sum(jnp.abs(one.s), -1)
        return jnp.sqrt(2 * primal * one.gap)

    apart = jnp.linalg.norm(found.theta - other.theta, axis=-1)
    assert np.all(apart <= off(found) + off(other) + 1e-14 * jnp.linalg.norm(other.theta, axis=-1))


def lanes_alone(batch):
    """Solve a lane after the other."""
    y, lam = np.broadcast_arrays(batch.y, np.broadcast_to(batch.lam, (5,))[:, None])
    J = np.broadcast_to(batch.J, (5, *batch.J.shape[-2:]))
    found = [solve_l1(*lane) for lane in zip(J, y, lam[:, 0], strict=True)]
    return jax.tree.map(lambda *x: jnp.stack(x), *found)


@pytest.mark.parametrize("rank", [None, 3])
def test_wide_batches_equal_their_lanes(rank):
    J, y, lam = draw(0, WIDE, 5, rank=rank)  # K of rank 3 of 8 falls back, lane by lane
    batches = [Batch(J, y, lam), Batch(J, y[0], lam), Batch(J, y, np.array(0.7))]
    for batch in batches if rank is None else batches[:1]:
        found = solve_l1(*batch, threads=1)
        certified(batch, found)
        close(found, lanes_alone(batch), batch.lam)


def test_a_lane_does_not_depend_on_its_neighbours():
    J, y, lam = draw(2, LARGE, shared.COLUMNS + 2)  # two parts, the second filled up
    found = solve_l1(J, y, lam, threads=1)
    certified(Batch(J, y, lam), found)
    turned = solve_l1(J, y[::-1], lam[::-1], threads=1)
    for one, other in zip(found, turned, strict=True):
        np.testing.assert_allclose(one, other[::-1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("threads", [1, 2, 3, 5, 50])
def test_parts_are_put_together_in_order(threads):
    def compiled(size):
        def part(a, b, start):
            mine = jax.lax.dynamic_slice_in_dim(b, start, size)
            return {"sum": a + mine[:, None], "size": jnp.full(size, size)}

        return jax.jit(part)

    found = in_parts(compiled, (jnp.arange(3.0)[None], jnp.arange(7.0)), 7, threads)
    np.testing.assert_array_equal(found["sum"], np.arange(3.0) + np.arange(7.0)[:, None])
    assert set(np.asarray(found["size"])) == {-(-7 // min(threads, 7))}


def held(monkeypatch, pin):
    """Give the cores that the two threads of a pool asked for, on a machine of two cores."""
    asked = []

    def ask(_, cores):
        asked.append(cores)
        pin()

    monkeypatch.setattr(_machine, "affinity", lambda: (4, 7))
    monkeypatch.setattr(_machine.os, "sched_setaffinity", ask, raising=False)
    both = threading.Barrier(2)
    with _machine.workers(2) as pool:
        assert list(pool.map(lambda x: (both.wait(9), x)[1], [1, 2])) == [1, 2]
    return sorted(map(sorted, asked))


def test_threads_take_a_core_each_and_go_on_where_that_is_refused(monkeypatch):
    def refuse():
        raise PermissionError

    assert held(monkeypatch, lambda: None) == [[4], [7]]
    assert held(monkeypatch, refuse) == [[4], [7]]
    assert held(monkeypatch, lambda: None) == [[4], [7]]
    with _machine.workers(2, held=False) as pool:
        assert pool.submit(lambda: 3).result() == 3


def test_threads_of_the_front_door():
    batch = draw(4, NEAR, 7)
    one, two = (solve_l1(*batch, threads=n) for n in (1, 2))
    certified(batch, one)
    jax.tree.map(np.testing.assert_array_equal, one, two)
    for given in (batch, (batch.J, batch.y[0], 1.0)):
        with pytest.raises(ValueError, match="threads must be a whole number >= 1, got 0"):
            solve_l1(*given, threads=0)


def test_nested_maps_agree_with_one():
    J, y, lam = draw(5, (3, 5), 4, distinct=True)
    grid = np.stack([y, y[::-1], -y])
    # J and lam with the outer axis, y with both: each inner batch shares its J.
    inner = jax.vmap(solve_l1, (None, 0, None))
    found = jax.jit(jax.vmap(inner, (0, 1, 0)))(J, grid, lam)
    for k in range(4):
        lane = Batch(J[k], grid[:, k], np.full(3, lam[k]))
        certified(lane, jax.tree.map(lambda x, k=k: x[k], found))
    # One J in all; y with the outer axis, lam with the inner.
    inner = jax.vmap(solve_l1, (None, None, 0))
    found = jax.jit(jax.vmap(inner, (None, 0, None)))(J[0], y, lam)
    for k in range(4):
        certified(Batch(J[0], y[k], lam), jax.tree.map(lambda x, k=k: x[k], found))


def test_a_traced_batch_and_vmap_over_lam():
    J, y, lam = draw(6, NEAR, 3)
    certified(Batch(J, y, lam), jax.jit(solve_l1)(J, y, lam))
    certified(Batch(J, y[0], lam), jax.jit(jax.vmap(lambda t: solve_l1(J, y[0], t)))(lam))


def test_a_factored_matrix_gives_the_same_program():
    J, y, lam = draw(7, (12, 30), 5, rank=5)
    core, basis = factor(jnp.asarray(J))
    assert core.shape == (12, 5)
    np.testing.assert_allclose(core @ basis.T, J, atol=1e-14)
    np.testing.assert_allclose(basis.T @ basis, np.eye(5), atol=1e-14)
    found = solve_l1(factor(J, rank=5), y[0], lam[0])
    certified(Batch(J, y[0], lam[0]), found, 1.1 * TOL)  # J is core basis' to rounding only
    assert factor(J, rank=8).core.shape == (12, 8)
    with pytest.raises(ValueError, match="rank must be at least 5, the rank of J, got 4"):
        factor(J, rank=4)
    with pytest.raises(ValueError, match=r"rank must be a whole number in 1\.\.12, got 13"):
        factor(J, rank=13)
    with pytest.raises(ValueError, match="J is traced and its rank cannot be read"):
        jax.jit(factor)(J)
    assert factor(np.zeros((3, 2))).core.shape == (3, 1)


@pytest.mark.parametrize(
    ("J", "y", "lam", "words"),
    [
        ((2, 3, 4), (5, 3), (), r"as many lanes, got J \(2, 3, 4\), y \(5, 3\), lam \(\)"),
        ((3, 4), (5, 3), (4,), "as many lanes"),
        ((2, 3, 4), (3,), (4,), "as many lanes"),
        ((1, 3, 4), (2, 3), (), "as many lanes"),
        ((3, 4), (5, 4), (), r"y must have shape \(any, 3\)"),
        ((3, 4), (3,), (2, 2), "lam must be a number or have shape"),
        ((2, 2, 3, 4), (3,), (), r"J must have shape \(any, any, any\)"),
        ((3, 4), (2, 2, 3), (), r"y must have shape \(any, 3\)"),
        ((0, 3, 4), (3,), (), "J must have shape"),
        ((3, 4), (0, 3), (), "y must have shape"),
        ((3, 4), (3,), (0,), "lam"),
    ],
)
def test_wrong_shapes_are_named(J, y, lam, words):
    with pytest.raises(ValueError, match=words) as error:
        solve_l1(np.ones(J), np.ones(y), np.ones(lam))
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=words):
        jax.eval_shape(solve_l1, np.ones(J), np.ones(y), np.ones(lam))


def test_single_precision_certifies_what_it_can():
    batch = Batch(*(x.astype(np.float32) for x in draw(8, NEAR, 4)))
    found = solve_l1(*batch, tol=1e-3, threads=1)
    assert found.theta.dtype == found.nu.dtype == found.gap.dtype == jnp.float32
    assert np.all(found.status == Status.CERTIFIED)
    assert np.all(gaps(*batch, found.nu, found.theta) <= 1e-3)
