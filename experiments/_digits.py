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


def draw(config, key, pair):
    """Split, flip at every rate and initialise, each by a key of its own; noisy is (rate, n)."""
    X, y = (z[pair] for z in digits())
    split, flips, weights = jax.random.split(key, 3)
    order = jax.random.permutation(split, y.size)
    X, y = X[order], y[order]
    X = X - X[: config.train].mean(axis=0)
    rates = jnp.array(config.rates)
    noisy = jax.vmap(lambda rate: noise.flip(flips, y[: config.train], rate))(rates)
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


def _lanes(noisy, values):
    """Give the labels and the number of every lane: each rate with each of the values."""
    return jnp.repeat(noisy, len(values), axis=0), jnp.tile(jnp.array(values), len(noisy))


def _named(who, y, noisy, lanes):
    """Name what the lanes (rate x value) gave, and score their outputs; as (rate, value, ...)."""
    labels = jnp.repeat(noisy, len(lanes["outputs"]) // len(noisy), axis=0)
    outputs, s = lanes.pop("outputs"), lanes.pop("s")
    found = jax.vmap(scores, (0, 0, None, 0))(outputs, s, y, labels) | lanes
    found["out"] = outputs[:, noisy.shape[1] :]
    return {f"{who}_{what}": z.reshape(len(noisy), -1, *z.shape[1:]) for what, z in found.items()}


def linear_methods(config, key, pair):
    """Least squares, ridge and the l1 program on the network's first-order model, f0 taken off."""
    _, y, noisy, _, model = draw(config, key, pair)
    n = config.train
    F = model.J @ model.J[:n].T

    def ridge(weight):
        outputs = jnp.linalg.solve(F[:n] + weight * jnp.eye(n), noisy.T).T @ F.T
        score = jax.vmap(scores, (0, None, None, 0))
        return score(outputs, jnp.zeros(n), y, noisy)["error"]

    # At lam = 300 every label is fitted, s = 0, and rounding leaves gaps of up to 1.2e-9 of P; all
    # lams are solved by one program, with one tol.
    l1 = sop.solve_l1(model.J[:n], *_lanes(noisy, config.lams), tol=1e-8)
    lanes = {"outputs": l1.nu @ F.T, "s": l1.s, "status": l1.status}
    found = _named("l1", y, noisy, lanes)
    return {f"l1_{what}s": found[f"l1_{what}"] for what in ("error", "precision", "recall")} | {
        "linear_program_status": found["l1_status"],
        "least_squares_error": ridge(1e-9 * jnp.trace(F[:n]) / n),
        "ridge_errors": jax.lax.map(ridge, jnp.array(config.ridges)).T,
    }


def flow_and_program(config, lams, key, pair):
    """The program and SOP's flow at each lam, and the program at the wrong weight 2 lam."""
    _, y, noisy, _, model = draw(config, key, pair)
    n = config.train
    F = model.J @ model.J[:n].T
    labels, weights = _lanes(noisy, lams)
    both = sop.solve_l1(model.J[:n], jnp.tile(labels, (2, 1)), jnp.append(weights, 2 * weights))
    root = jnp.linalg.cholesky(F[:n])  # the flow knows J by JJ' alone

    def flow(lane):
        alpha = sop.theory.alpha_for(lane[1], GAMMA)
        return sop.flow_limit(root, lane[0], alpha, GAMMA, tol=1e-7)

    answers = {
        "l1": jax.tree.map(lambda z: z[: len(weights)], both),
        "double": jax.tree.map(lambda z: z[len(weights) :], both),
        "flow": jax.lax.map(flow, (labels, weights)),
    }
    found = {}
    for who, answer in answers.items():
        lanes = {"outputs": answer.nu @ F.T, "s": answer.s, "status": answer.status}
        found |= _named(who, y, noisy, lanes)
    return found


def trained(config, lams, key, pair):
    """The network trained with SOP at each lam, and its linear model by the same steps."""
    X, y, noisy, params, model = draw(config, key, pair)
    n = config.train

    def one(labels, lam):
        alpha = sop.theory.alpha_for(lam, GAMMA)
        tau = _tau(model, n, alpha)
        start, run = _training(params, X, labels, model, alpha, tau)
        end = run(start, config.steps)
        s, out = end.u**2 - end.v**2, _outputs(end.params, X) - model.f0
        linear = sop.run(
            model.J[:n],
            labels,
            alpha=alpha,
            gamma=GAMMA,
            tau=tau,
            steps=config.steps,
            rule="multiplicative",
        )
        network = {"outputs": out, "s": s}
        network["residual"] = jnp.max(jnp.abs(out[:n] + s - labels))
        descent = {"outputs": model.J @ linear.theta, "s": linear.s, "residual": linear.residual}
        return network, descent

    both = jax.vmap(one)(*_lanes(noisy, lams))
    named = (_named(who, y, noisy, z) for who, z in zip(("network", "descent"), both, strict=True))
    return next(named) | next(named)


def trained_plain(config, lam, key, pair):
    """The network without u and v, by the steps that SOP takes at lam: its error at each stop."""
    X, y, noisy, params, model = draw(config, key, pair)
    n = config.train
    tau = _tau(model, n, sop.theory.alpha_for(lam, GAMMA))

    def one(labels):
        state, run = _training(params, X, labels, model, 0.0, tau)
        done, errors = 0, []
        for stop in config.stops:
            state, done = run(state, stop - done), stop
            out = _outputs(state.params, X) - model.f0
            errors.append(scores(out, jnp.zeros(n), y, labels)["error"])
        return jnp.stack(errors)

    return {"plain_errors": jax.vmap(one)(noisy)}


def _tau(model, n, alpha):
    """A step that is stable where |s| <= 2, the size of a flip: 2 / (row sum + 4 alpha 2) or less.

    The row sums of |JJ'| bound its eigenvalues at no factorization.
    """
    K = model.J[:n] @ model.J[:n].T
    return 1 / (jnp.max(jnp.sum(jnp.abs(K), axis=1)) + 4 * alpha)


def _outputs(params, rows):
    return jax.vmap(network, in_axes=(None, 0))(params, rows.astype(params["W"].dtype))


def _training(params, X, labels, model, alpha, tau):
    """Give the start and `run(state, steps)`; the output at the initial weights is taken off.

    In float32: half the time, and the claims are on percents of the outputs.
    """
    n, single = labels.size, jnp.float32
    x, y, f0 = X[:n].astype(single), labels.astype(single), model.f0[:n].astype(single)
    sizes = {"alpha": jnp.asarray(alpha, single), "tau": jnp.asarray(tau, single)}
    start = jax.tree.map(lambda z: z.astype(single), sop.network_init(params, n, GAMMA))

    def step(_, state):
        return sop.network_step(state, lambda p: _outputs(p, x) - f0, y, **sizes)[0]

    return start, lambda state, steps: jax.lax.fori_loop(0, steps, step, state)
