"""The trials of sop_ladder, one a rung."""

import jax.numpy as jnp
import numpy as np
from scipy.optimize import linprog

from jaxrobust import sop


def _relative(a, b):
    return jnp.linalg.norm(a - b) / jnp.linalg.norm(b)


def finite_step(config):
    """Descent to flow limit, and to the program, at lam = 0.3."""

    def trial(key, step):
        J, y, *_ = sop.draw(key, 20, 80, k=4)
        gamma, lam = 1e-8, 0.3
        alpha = sop.theory.alpha_for(lam, gamma)
        # A step of size alpha tau = 1 is one where s would move by about max|r|.
        tau = step / (alpha * jnp.max(jnp.abs(y)))
        options = {"alpha": alpha, "gamma": gamma, "tau": tau}
        steps = (config.horizon / step * jnp.max(jnp.abs(y))).astype(int)
        plain = sop.run(J, y, **options, steps=steps)
        scaled = sop.run(J, y, **options, steps=steps, rule="multiplicative")
        flow, program = sop.flow_limit(J, y, alpha, gamma), sop.solve_l1(J, y, lam)
        return {
            "plain_to_flow": _relative(plain.theta, flow.theta),
            "scaled_to_flow": _relative(scaled.theta, flow.theta),
            "plain_to_program": _relative(plain.theta, program.theta),
            "flow_residual": flow.residual,
            "step_flow_status": flow.status,
            "step_program_status": program.status,
        }

    return trial


def finite_gamma(key, gamma):
    """Flow limit to program at lam = 0.3, full rank: errors of order 1 / log(1/gamma)."""
    J, y, *_ = sop.draw(key, 50, 100, k=8)
    flow = sop.flow_limit(J, y, sop.theory.alpha_for(0.3, gamma), gamma)
    program = sop.solve_l1(J, y, 0.3)
    return {
        "flow_to_program": _relative(flow.theta, program.theta),
        "gamma_flow_status": flow.status,
        "gamma_program_status": program.status,
    }


LAM = 3.0


def _recovered(key):
    """An instance whose program recovers the truth."""
    return sop.draw(key, 50, 100, rank=10, k=5)


def exact(key, exact_gamma):
    """Flow limit to program where recovery is exact."""
    J, y, *_ = _recovered(key)
    flow = sop.flow_limit(J, y, sop.theory.alpha_for(LAM, exact_gamma), exact_gamma)
    program = sop.solve_l1(J, y, LAM)
    return {
        "exact_error": _relative(flow.theta, program.theta),
        "exact_flow_status": flow.status,
        "exact_program_status": program.status,
    }


def largest_clean_dual(key):
    """Give m = min over the program's dual solutions of max |nu_i| / lam over clean examples.

    As gamma -> 0 the flow's cosh penalty picks this dual solution. A linear program of its own,
    nothing of the flow in it: J_C' nu_C = theta* - lam J_S' sign(s_S), minimise |nu_C|_inf.
    """
    J, _, theta, s = (np.asarray(x) for x in _recovered(key))
    clean = s == 0
    basis = np.linalg.svd(J, full_matrices=False)[2][:10]  # the row space: 10 equations, not 100
    left = basis @ J[clean].T
    right = basis @ (theta - LAM * J[~clean].T @ np.sign(s[~clean]))
    n = left.shape[1]
    eye, ones = np.eye(n), np.ones((n, 1))
    found = linprog(
        np.r_[np.zeros(n), 1.0],
        A_ub=np.block([[eye, -ones], [-eye, -ones]]),
        b_ub=np.zeros(2 * n),
        A_eq=np.c_[left, np.zeros(len(left))],
        b_eq=right,
        bounds=[(None, None)] * n + [(0, None)],
    )
    if not found.success:
        raise ValueError(f"the linear program of the clean dual failed: {found.message}")
    return found.fun / LAM


def speed(key, speed_gamma):
    """Late decay per unit of time of multiplicative descent along its slowest mode."""

    def one(rank):
        J, y, *_ = sop.draw(key, 20, 40, rank=rank, k=3)
        alpha = sop.theory.alpha_for(LAM, speed_gamma)
        flow = sop.flow_limit(J, y, alpha, speed_gamma)
        curvature = 8 * alpha * speed_gamma**2 * jnp.cosh(4 * alpha * flow.nu)
        K = J @ J.T
        eigenvalues, modes = jnp.linalg.eigh(K + jnp.diag(curvature))
        tau = sop.theory.stable_step(J, y, alpha, speed_gamma)
        gram = jnp.linalg.eigvalsh(K)
        least = jnp.min(jnp.where(gram > 1e-9 * gram[-1], gram, jnp.inf))
        # Snapshots one e-folding of the slowest mode apart; the tail is folds 10 to 16.
        steps = jnp.ceil(1 / (tau * eigenvalues[0])).astype(int)
        path = sop.trajectory(
            J,
            y,
            alpha=alpha,
            gamma=speed_gamma,
            tau=tau,
            steps=steps,
            snapshots=16,
            rule="multiplicative",
        )
        slowest = jnp.abs((path.theta @ J.T + path.s - y[None, :]) @ modes[:, 0])
        rate = jnp.log(slowest[9] / slowest[15]) / (6 * steps * tau)
        return {
            "rate": rate,
            "predicted_rate": -jnp.log1p(-tau * eigenvalues[0]) / tau,
            "full_rank_rate": -jnp.log1p(-tau * least) / tau,
            "speed_flow_status": flow.status,
        }

    both = [one(None), one(5)]
    return {name: jnp.stack([x[name] for x in both]) for name in both[0]}
