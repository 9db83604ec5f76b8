"""The trials of sop_on_a_network: digits, a tanh network, its linear model, its training."""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

from jaxrobust import noise, sop

PAIRS = ("4 vs 9", "3 vs 8", "1 vs 7")  # the last one only chooses lam and the ridge
GAMMA = 1e-16


def network(params, x):
    """Give the output of a tanh network of one hidden layer for one picture of 64 pixels."""
    hidden = jnp.tanh(params["W"] @ x + params["b"])
    return params["a"] @ hidden / hidden.size**0.5 + params["c"]


def digits():
    """Give pictures (pair, n, 64) in [0, 1] and labels +-1, every pair cut to the same n."""
    X, digit = load_digits(return_X_y=True)
    chosen = [[int(w) for w in pair.split(" vs ")] for pair in PAIRS]
    rows = [np.flatnonzero((digit == a) | (digit == b)) for a, b in chosen]
    n = min(r.size for r in rows)
    rows = np.stack([np.random.default_rng(0).permutation(r)[:n] for r in rows])
    signs = np.where(digit[rows] == np.array([a for a, _ in chosen])[:, None], 1.0, -1.0)
    return jnp.asarray(X[rows] / 16), jnp.asarray(signs)


def draw(config, key, pair, rate):
    """Split, flip and initialise, each by a key of its own."""
    X, y = (z[pair] for z in digits())
    split, flips, weights = jax.random.split(key, 3)
    order = jax.random.permutation(split, y.size)
    X, y = X[order], y[order]
    X = X - X[: config.train].mean(axis=0)
    noisy = noise.flip(flips, y[: config.train], rate)
    first, second = jax.random.split(weights)
    params = {
        "W": jax.random.normal(first, (config.width, 64)) / 8,
        "b": jnp.zeros(config.width),
        "a": jax.random.normal(second, (config.width,)),
        "c": jnp.zeros(()),
    }
    return X, y, noisy, params, sop.linearize(network, params, X)


def scores(outputs, s, y, noisy):
    """Give the error on true test labels, and precision and recall of the flips that s finds."""
    n = noisy.size
    wrong, found = noisy != y[:n], jnp.abs(s) > 1  # a flip moves a label by 2: half of it
    hits = jnp.sum(wrong & found)
    return {
        "error": jnp.mean(jnp.where(outputs[n:] * y[n:] > 0, 0.0, 1.0)),
        "precision": hits / jnp.maximum(jnp.sum(found), 1),
        "recall": jnp.where(jnp.any(wrong), hits / jnp.maximum(jnp.sum(wrong), 1), 1.0),
    }


def linear_methods(config, key, pair, rate):
    """Least squares, ridge and the l1 program on the network's first-order model, f0 taken off."""
    _, y, noisy, _, model = draw(config, key, pair, rate)
    n = config.train
    F = model.J @ model.J[:n].T

    def ridge(weight):
        nu = jnp.linalg.solve(F[:n] + weight * jnp.eye(n), noisy)
        return scores(F @ nu, jnp.zeros(n), y, noisy)["error"]

    def program(lam):
        # At lam = 300 every label is fitted, s = 0, and rounding of s alone is 1e-10 of P; all lams
        # are solved by one program, with one tol.
        found = sop.solve_l1(model.J[:n], noisy, lam, tol=1e-9)
        return scores(F @ found.nu, found.s, y, noisy) | {"program_status": found.status}

    programs = jax.lax.map(program, jnp.array(config.lams))
    status = programs.pop("program_status")
    return {f"l1_{what}s": values for what, values in programs.items()} | {
        "linear_program_status": status,
        "least_squares_error": ridge(1e-9 * jnp.trace(F[:n]) / n),
        "ridge_errors": jax.lax.map(ridge, jnp.array(config.ridges)),
    }


def flow_and_program(config, key, pair, rate, lam):
    """The program and SOP's flow at one lam, and the program at the wrong weight 2 lam."""
    _, y, noisy, _, model = draw(config, key, pair, rate)
    J = model.J[: config.train]
    answers = {
        "l1": sop.solve_l1(J, noisy, lam),
        "double": sop.solve_l1(J, noisy, 2 * lam),
        "flow": sop.flow_limit(J, noisy, sop.theory.alpha_for(lam, GAMMA), GAMMA, tol=1e-7),
    }
    found = {}
    for who, answer in answers.items():
        outputs = model.J @ answer.theta
        named = scores(outputs, answer.s, y, noisy) | {"out": outputs[config.train :]}
        found |= {f"{who}_{what}": value for what, value in named.items()}
        found[f"{who}_status"] = answer.status
    return found


def trained(config, key, pair, rate, lam):
    """The network trained with SOP, and its linear model by the same steps."""
    X, y, noisy, params, model = draw(config, key, pair, rate)
    n, alpha = config.train, sop.theory.alpha_for(lam, GAMMA)
    tau = _tau(model, n, alpha)
    run = _runner(X, noisy, model, alpha, tau)
    end = run(sop.network_init(params, n, GAMMA), config.steps)
    s, out = end.u**2 - end.v**2, _outputs(end.params, X) - model.f0
    linear = sop.run(
        model.J[:n],
        noisy,
        alpha=alpha,
        gamma=GAMMA,
        tau=tau,
        steps=config.steps,
        rule="multiplicative",
    )
    named = scores(out, s, y, noisy) | {
        "out": out[n:],
        "residual": jnp.max(jnp.abs(out[:n] + s - noisy)),
    }
    return {f"network_{what}": value for what, value in named.items()} | {
        "descent_out": model.J[n:] @ linear.theta
    }


def trained_plain(config, lam, key, pair, rate):
    """The network without u and v, by the steps that SOP takes at lam: its error at each stop."""
    X, y, noisy, params, model = draw(config, key, pair, rate)
    n = config.train
    run = _runner(X, noisy, model, 0.0, _tau(model, n, sop.theory.alpha_for(lam, GAMMA)))
    state, done, errors = sop.network_init(params, n, GAMMA), 0, []
    for stop in config.stops:
        state, done = run(state, stop - done), stop
        out = _outputs(state.params, X) - model.f0
        errors.append(scores(out, jnp.zeros(n), y, noisy)["error"])
    return {"plain_errors": jnp.stack(errors)}


def _tau(model, n, alpha):
    """A stable step; the row sums of |JJ'| bound its eigenvalues at no factorization."""
    K = model.J[:n] @ model.J[:n].T
    return 0.5 / (jnp.max(jnp.sum(jnp.abs(K), axis=1)) + 4 * alpha)


def _outputs(params, rows):
    return jax.vmap(network, in_axes=(None, 0))(params, rows)


def _runner(X, noisy, model, alpha, tau):
    """Give `run(state, steps)`; the output at the initial weights is taken off."""
    n = noisy.size

    def predict(params):
        return _outputs(params, X[:n]) - model.f0[:n]

    def step(_, state):
        return sop.network_step(state, predict, noisy, alpha=alpha, tau=tau)[0]

    return lambda state, steps: jax.lax.fori_loop(0, steps, step, state)
