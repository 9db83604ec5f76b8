"""The trials of sop_ladder, one a rung."""

import jax.numpy as jnp

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
        }

    return trial


def finite_gamma(key, gamma):
    """Flow limit to program at lam = 0.3, full rank: errors of order 1 / log(1/gamma)."""
    J, y, *_ = sop.draw(key, 50, 100, k=8)
    flow = sop.flow_limit(J, y, sop.theory.alpha_for(0.3, gamma), gamma)
    program = sop.solve_l1(J, y, 0.3)
    return {"flow_to_program": _relative(flow.theta, program.theta), "program_gap": program.gap}


def exact(key, exact_gamma):
    """Flow limit to program where recovery is exact, and the largest |nu| of a clean example."""
    lam = 3.0
    J, y, _, s = sop.draw(key, 50, 100, rank=10, k=5)
    flow = sop.flow_limit(J, y, sop.theory.alpha_for(lam, exact_gamma), exact_gamma)
    program = sop.solve_l1(J, y, lam)
    return {
        "exact_error": _relative(flow.theta, program.theta),
        "clean_nu": jnp.max(jnp.where(s == 0, jnp.abs(flow.nu), 0.0)) / lam,
    }


def speed(key, speed_gamma):
    """Late decay per step of the residual of multiplicative descent, over tau."""

    def one(rank):
        J, y, *_ = sop.draw(key, 20, 40, rank=rank, k=3)
        alpha = sop.theory.alpha_for(3.0, speed_gamma)
        flow = sop.flow_limit(J, y, alpha, speed_gamma)
        curvature = 8 * alpha * speed_gamma**2 * jnp.cosh(4 * alpha * flow.nu)
        K = J @ J.T
        hessian = jnp.linalg.eigvalsh(K + jnp.diag(curvature))[0]
        eigenvalues = jnp.linalg.eigvalsh(K)
        gram = jnp.min(jnp.where(eigenvalues > 1e-9 * eigenvalues[-1], eigenvalues, jnp.inf))
        tau = sop.theory.stable_step(J, y, alpha)
        # Snapshots one e-folding of the slowest mode apart; the tail is folds 10 to 16.
        path = sop.trajectory(
            J,
            y,
            alpha=alpha,
            gamma=speed_gamma,
            tau=tau,
            steps=jnp.ceil(1 / (tau * hessian)).astype(int),
            snapshots=16,
            rule="multiplicative",
        )
        folds = jnp.log(path.residual[9] / path.residual[15])
        return folds / (6 * jnp.ceil(1 / (tau * hessian))) / tau, hessian, gram

    rate, hessian, gram = (jnp.stack(z) for z in zip(one(None), one(5), strict=True))
    return {"rate": rate, "hessian": hessian, "gram": gram}
