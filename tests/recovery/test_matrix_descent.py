import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from jaxrobust._status import Status
from jaxrobust.recovery.matrix import dop, flow, problem, program, subgradient, theory


def commuting(key, m, n):
    first, second = jax.random.split(key)
    A, B, Q = problem.commuting_maps(first, m, n)
    x = jnp.where(jnp.arange(n) < 2, 2.0, 0.0)
    s = jnp.where(jnp.arange(m) < m // 4, jax.random.normal(second, (m,)), 0.0)
    return A, B, Q, B @ x + s


def objective(A, y, state):
    r = problem.measure(A, state.X) + state.s - y
    return 0.25 * jnp.sum(r**2)


@pytest.mark.parametrize("psd", [True, False])
@pytest.mark.parametrize("identity", [True, False])
def test_the_step_is_the_gradient_s(psd, identity):
    p = None if psd else 3
    wrong = problem.draw(jax.random.key(0), 4, 1, 0.2, p=p, m=None if identity else 7)
    keys = jax.random.split(jax.random.key(1), 4)
    state = dop.init(wrong.A, wrong.y, 0.3, psd=psd)
    noise = [
        jax.random.normal(k, a.shape) for k, a in zip(keys, jax.tree.leaves(state), strict=False)
    ]
    state = jax.tree.unflatten(jax.tree.structure(state), noise)
    slope = jax.grad(lambda at: objective(wrong.A, wrong.y, at))(state)
    new, info = dop.step(wrong.A, wrong.y, state, 0.1, 3.0)
    # f's gradient is r g for g, -r h for h, A*(r) U for U (A*(r) V / 2 each for U and V).
    share = 1.0 if psd else 2.0
    np.testing.assert_allclose(new.U, state.U - 0.1 * share * slope.U, atol=1e-12)
    if not psd:
        np.testing.assert_allclose(new.V, state.V - 0.1 * share * slope.V, atol=1e-12)
    np.testing.assert_allclose(new.g, state.g - 0.3 * slope.g, atol=1e-12)
    np.testing.assert_allclose(new.h, state.h - 0.3 * slope.h, atol=1e-12)
    np.testing.assert_allclose(info.residual, problem.measure(wrong.A, state.X) + state.s - wrong.y)


def test_the_flow_ends_at_its_dual():
    A, B, Q, y = commuting(jax.random.key(3), 10, 5)
    tau = dop.stable_step(A, y, 2.0) / 4
    for gamma in (0.3,):
        end = dop.descend(
            A, y, alpha=2.0, gamma=gamma, steps=30_000, tau=tau, move=dop.flow_step, tol=1e-9
        )
        found = flow.limit(B, y, 2.0, gamma)
        assert int(end.status) == int(found.status) == Status.CERTIFIED
        np.testing.assert_allclose(end.X[-1], (Q * found.x[None, :]) @ Q.T, atol=1e-8)
        np.testing.assert_allclose(end.s[-1], found.s, atol=1e-8)
        # Where it would end at another ratio of steps is not near.
        other = flow.limit(B, y, 1.9, gamma)
        assert jnp.abs(end.s[-1] - other.s).max() > 1e-3


def test_the_limit_meets_its_linear_program():
    m, n, alpha = 16, 8, 4.0
    of_A, of_x, of_s = jax.random.split(jax.random.key(1), 3)
    A, B, Q = problem.commuting_maps(of_A, m, n)
    A, B = 4 * A, 4 * B
    x = jnp.where(jnp.arange(n) < 3, 2 * jnp.abs(jax.random.normal(of_x, (n,))), 0.0)
    s = jnp.where(jnp.arange(m) < 3, 5 * jax.random.normal(of_s, (m,)), 0.0)
    y = B @ x + s
    blocks = np.hstack([B, np.eye(m), -np.eye(m)])

    def away(found, lam):
        cost = np.r_[np.ones(n), lam * np.ones(2 * m)]
        z = linprog(cost, A_eq=blocks, b_eq=np.asarray(y), bounds=(0, None)).x
        return np.linalg.norm(np.r_[found.x - z[:n], found.s - z[n : n + m] + z[n + m :]])

    at = jax.jit(lambda gamma: flow.limit(B, y, alpha, gamma))
    limits = [at(gamma) for gamma in (1e-1, 1e-4, 1e-16, 1e-100)]
    assert all(int(found.status) == Status.CERTIFIED for found in limits)
    distances = [away(found, 1 / alpha) for found in limits]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-9 < 0.1 < distances[0]
    assert away(limits[-1], 2 / alpha) > 0.3
    assert away(limits[-1], 0.5 / alpha) > 0.3
    # The matrix program is the same one.
    by_matrix = program.solve(A, y, 1 / alpha, psd=True)
    np.testing.assert_allclose(by_matrix.X, (Q * limits[-1].x[None, :]) @ Q.T, atol=1e-5)


def test_limit_is_stationary_for_its_entropies():
    _, B, _, y = commuting(jax.random.key(5), 12, 6)
    alpha, gamma = 1.5, 0.05
    found = flow.limit(B, y, alpha, gamma)

    def entropy(x, s):
        low = 2 * gamma**2
        matrix = 0.5 * jnp.sum(x * jnp.log(x / gamma**2) - x)
        return matrix + jnp.sum(s * jnp.arcsinh(s / low) - jnp.hypot(s, low)) / (2 * alpha)

    of_x, of_s = jax.grad(entropy, argnums=(0, 1))(found.x, found.s)
    rest = flow.remainder(found.x, found.s, alpha, gamma)
    value = jnp.sum(found.x) + jnp.sum(jnp.abs(found.s)) / alpha
    whole = entropy(found.x, found.s)
    np.testing.assert_allclose(whole, -jnp.log(gamma) * value + rest, rtol=1e-10)
    np.testing.assert_allclose(of_x, found.nu @ B, atol=1e-9)
    np.testing.assert_allclose(of_s, found.nu, atol=1e-9)
    np.testing.assert_allclose(B @ found.x + found.s, y, atol=1e-11)


def test_weights_of_unequal_starts():
    np.testing.assert_allclose(theory.weight(4.0, 1e-3, 1e-6), theory.weight(2.0))
    with pytest.raises(ValueError, match="gamma and gamma_s must be given together"):
        theory.weight(4.0, gamma_s=1e-6)
    A, _, _ = problem.commuting_maps(jax.random.key(6), 10, 5)
    y = 2 * jax.random.normal(jax.random.key(7), (10,))
    tau = dop.stable_step(A, y, 1.0)
    run = dop.descend(A, y, alpha=1.0, gamma=1e-3, gamma_s=1e-6, steps=20_000, tau=tau)
    told, plain = (
        program.solve(A, y, lam, psd=True).X for lam in (theory.weight(1.0, 1e-3, 1e-6), 1.0)
    )
    away = jnp.linalg.norm(run.X[-1] - told)
    assert run.residual[-1] < 1e-3
    assert jnp.linalg.norm(told - plain) > 4 * away


def test_steps_are_stable_at_any_scale_of_the_maps():
    wrong = problem.draw(jax.random.key(3), 6, 1, 0.1, m=40)
    ends = []
    for c in (1.0, 20.0):
        run = dop.descend(c * wrong.A, c * wrong.y, alpha=1.0 * c, gamma=0.03, steps=4_000)
        ends.append(jnp.linalg.norm(run.X[-1] - wrong.X) / jnp.linalg.norm(wrong.X))
    assert max(ends) < 0.1
    assert jnp.isfinite(dop.stable_step(wrong.A, jnp.zeros(40), 1.0))


def test_descent_recovers_rectangular_and_semi_definite():
    for p, psd in ((None, True), (8, False)):
        wrong = problem.draw(jax.random.key(7), 10, 1, 0.1, p=p, m=120)
        lam = 0.5
        run = dop.descend(
            wrong.A, wrong.y, alpha=1 / lam, gamma=1e-3, steps=5_000, psd=psd, snapshots=2
        )
        assert jnp.linalg.norm(run.X[-1] - wrong.X) < 0.02 * jnp.linalg.norm(wrong.X)
        assert run.residual[1] < run.residual[0]


def test_the_status_of_a_step_too_long():
    wrong = problem.draw(jax.random.key(8), 5, 1, 0.1, m=20)
    run = dop.descend(wrong.A, wrong.y, alpha=1.0, gamma=0.1, steps=200, tau=10.0)
    assert int(run.status) == Status.NOT_FINITE
    short = dop.descend(wrong.A, wrong.y, alpha=1.0, gamma=0.1, steps=5)
    assert int(short.status) == Status.NOT_CONVERGED


@pytest.mark.parametrize("m", [30, None])
def test_sub_gradients_are_sub_gradients(m):
    wrong = problem.draw(jax.random.key(9), 5, 2, 0.2, m=m)
    state = subgradient.init(jax.random.key(1), 5, 3, 0.5)
    slope = jax.grad(lambda U: jnp.mean(jnp.abs(wrong.y - problem.measure(wrong.A, U @ U.T))))(
        state.U
    )
    seen = {}

    def rule(t, loss, M, U):
        seen["M U"] = M @ U
        return jnp.asarray(0.1)

    new, info = subgradient.step(wrong.A, wrong.y, state, rule)
    np.testing.assert_allclose(2 * seen["M U"], slope, atol=1e-12)
    np.testing.assert_allclose(new.U, state.U - 0.1 * seen["M U"], atol=1e-12)
    assert float(new.t) == 1.0
    assert info.loss > 0


def test_rules():
    M, U = jnp.diag(jnp.array([3.0, 4.0])), jnp.eye(2)
    t, loss = jnp.asarray(2.0), jnp.asarray(3.0)
    assert float(subgradient.geometric(0.5, 0.9)(t, loss, M, U)) == pytest.approx(0.5 * 0.81 / 5)
    assert float(subgradient.polyak(1.0)(t, loss, M, U)) == pytest.approx(2 / 50)
    assert subgradient.reach(0.3, 0.99) == pytest.approx(30.0)
    for refused in (lambda: subgradient.reach(0.3, 1.2), lambda: subgradient.geometric(0.3, 2.0)):
        with pytest.raises(ValueError, match="rho must lie in"):
            refused()


@pytest.mark.parametrize("k", [2, 12])
def test_sub_gradient_descent_recovers(k):
    wrong = problem.draw(jax.random.key(0), 12, 2, 0.2, m=300)
    X = subgradient.descend(
        jax.random.key(1), wrong.A, wrong.y, k=k, scale=1e-4,
        rule=subgradient.geometric(0.3, 0.99), steps=1500,
    )[-1]  # fmt: skip
    assert jnp.linalg.norm(X - wrong.X) < 1e-2 * jnp.linalg.norm(wrong.X)


def test_signs_of_gaussian_measurements():
    n, m = 4, 400_000
    X = problem.low_rank(jax.random.key(0), n, 1)
    A = problem.gaussian_maps(jax.random.key(1), m, n) * jnp.sqrt(m)
    errors = jnp.where(jnp.arange(m) % 5 < 2, 3.0, 0.0)
    M = problem.adjoint(A, jnp.sign(problem.measure(A, X) + errors)) / m
    size = jnp.linalg.norm(X)
    phi = theory.sign_slope(errors, size)
    np.testing.assert_allclose(M, phi * X / size, atol=5 * m**-0.5)
    assert abs(phi - jnp.sqrt(2 / jnp.pi)) > 20 * m**-0.5  # the errors do count


def test_draws():
    X = problem.low_rank(jax.random.key(0), 6, 2, 4)
    assert X.shape == (6, 4)
    assert int(jnp.linalg.matrix_rank(X)) == 2
    np.testing.assert_allclose(jnp.mean(X**2), 1.0)
    assert float(jnp.abs(problem.low_rank(jax.random.key(0), 3, 0)).max()) == 0.0
    A = problem.gaussian_maps(jax.random.key(1), 20_000, 3)
    np.testing.assert_allclose(A, A.transpose(0, 2, 1))
    S = X[:3, :3] + X[:3, :3].T
    np.testing.assert_allclose(jnp.sum(problem.measure(A, S) ** 2), jnp.sum(S**2), rtol=0.05)
    nu = jax.random.normal(jax.random.key(2), (20_000,))
    np.testing.assert_allclose(
        nu @ problem.measure(A, S), jnp.sum(problem.adjoint(A, nu) * S), rtol=1e-10
    )
    with pytest.raises(ValueError, match="rank must be a whole number in"):
        problem.low_rank(jax.random.key(0), 3, 4)
