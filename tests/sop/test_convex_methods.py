"""Each method by itself: one that stopped working would hide behind the interior point."""

from contextlib import ExitStack
from functools import lru_cache
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.l1_lanes import gaps
from jaxrobust.sop.convex import active_set, crossover, interior, program, shared
from jaxrobust.sop.convex.dual import prepare

TOL = 1e-10
METHODS = {
    "by_cholesky": active_set,
    "by_conjugate_gradients": active_set,
    "detect": crossover,
    "mixed": interior,
    "double": interior,
    "columns": shared,
}


def problem(seed, N, p, rho, lanes=None):
    """Draw J with rows of norm about 1, and y = J theta + 5 N(0, 1) on a share rho."""
    rng = np.random.default_rng(seed)
    J = rng.normal(size=(N, p)) / np.sqrt(p)
    y = rng.normal(size=(lanes or 1, p)) @ J.T
    for one in y:
        one[rng.permutation(N)[: round(rho * N)]] += 5 * rng.normal(size=round(rho * N))
    return J, y if lanes else y[0]


@lru_cache
def alone(name):
    """Compile a method without what comes before and after it."""
    method = getattr(METHODS[name], name)
    return jax.jit(lambda J, z: method(prepare(J, z), TOL))


def solve(name, J, y, lam):
    """Return the gap of what the method found, recomputed, and its steps."""
    found = alone(name)(J, y / lam)
    true = gaps(J, y, np.array(lam), lam * np.asarray(found.nu))
    if found.gap <= TOL:  # infinite where a method gives up
        np.testing.assert_allclose(found.gap, float(true), atol=0.2 * TOL)
    return true, int(found.steps)


@pytest.mark.parametrize("lam", [0.5, 1.0, 3.0, 10.0])
@pytest.mark.parametrize(
    ("name", "N", "p"), [("by_cholesky", 30, 60), ("by_conjugate_gradients", 110, 250)]
)
def test_active_sets_need_few_rounds_where_j_is_wide_and_gaussian(name, N, p, lam):
    for seed, rho in enumerate((0.1, 0.1, 0.4, 0.4)):
        gap, rounds = solve(name, *problem(seed, N, p, rho), lam)
        assert gap <= 1.01 * TOL
        assert 1 <= rounds <= 5, rounds


def test_detection_finds_exact_recovery():
    # Now and then recovery is not exact, or needs more steps than detection takes.
    found = [solve("detect", *problem(i, 60, 12, 0.1), 3.0) for i in range(20)]
    assert sum(gap <= 1.01 * TOL for gap, _ in found) >= 18


@pytest.mark.parametrize("lam", [0.5, 1.0, 3.0])
def test_mixed_precision_certifies_hard_tall_problems(lam):
    for seed in range(6):
        gap, steps = solve("mixed", *problem(seed, 60, 25, 0.4), lam)
        assert gap <= 1.01 * TOL
        assert steps <= 12, steps


@pytest.mark.parametrize(("N", "p"), [(12, 12), (20, 6)])
def test_the_fallback_needs_no_help(N, p):
    for seed in range(10):
        J, y = problem(seed, N, p, 0.4)
        J[N // 2 :] = J[: N - N // 2]  # contradicting rows: K is singular
        gap, steps = solve("double", J, y, 10.0 ** (seed % 4 - 2))
        assert gap <= 1.01 * TOL
        assert steps <= 25, steps


def test_columns_solve_a_batch_in_few_rounds():
    J, y = problem(0, 104, 200, 0.4, lanes=70)  # two parts, the second filled up
    lam = np.geomspace(0.5, 5.0, 70)
    found = jax.jit(lambda z: shared.columns(prepare(jnp.asarray(J), z), TOL))(y / lam[:, None])
    true = gaps(J, y, lam, lam[:, None] * np.asarray(found.nu))
    assert np.all(true <= 1.01 * TOL), np.max(true)
    assert np.all(np.asarray(found.steps) <= 5)
    assert found.gap.shape == (70,)


WIDE, LARGE, NEAR, TALL, TALLER = (20, 24), (101, 122), (20, 23), (23, 20), (560, 510)


@pytest.mark.parametrize(
    ("shape", "dtype", "mapped", "methods"),
    [
        (WIDE, "float64", None, {"by_cholesky", "double"}),
        (LARGE, "float64", None, {"by_conjugate_gradients", "double"}),
        (NEAR, "float64", None, {"double"}),
        ((20, 20), "float64", None, {"double"}),
        (TALL, "float64", None, {"detect", "mixed", "double"}),
        (TALLER, "float64", None, {"mixed", "double"}),
        (WIDE, "float32", None, {"double"}),
        (TALL, "float32", None, {"double"}),
        # A mapped solver is traced for one lane, too.
        (WIDE, "float64", (None, 0, 0), {"columns", "by_cholesky", "double"}),
        (WIDE, "float64", (None, None, 0), {"columns", "by_cholesky", "double"}),
        (WIDE, "float64", (0, 0, 0), {"by_cholesky", "double"}),
        (LARGE, "float64", (0, 0, None), {"by_conjugate_gradients", "double"}),
        (NEAR, "float64", (None, 0, 0), {"double"}),
        (TALL, "float64", (None, 0, 0), {"detect", "mixed", "double"}),
    ],
)
def test_each_shape_goes_to_its_methods(shape, dtype, mapped, methods):
    used = set()

    def spy(name, method):
        return lambda *args: (used.add(name), method(*args))[1]

    J, y, lam = np.zeros(shape, dtype), np.zeros(shape[0], dtype), np.ones((), dtype)
    if mapped:
        J, y, lam = (x if m is None else x[None] for x, m in zip((J, y, lam), mapped, strict=True))
    run = program._solver.__wrapped__(TOL)  # traced anew, and never compiled
    with ExitStack() as stack:
        for name, module in METHODS.items():
            spied = spy(name, getattr(module, name))
            stack.enter_context(mock.patch.object(module, name, spied))
        jax.eval_shape(jax.vmap(run, mapped) if mapped else run, J, y, lam)
    assert used == methods
