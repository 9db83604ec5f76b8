"""The trials of early_learning: descents, one step from zero, and who can be separated."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize

from jaxrobust.deep import elr, gaussians, scores, theory

CLASSES = 5
ROUNDING = 1e-7  # a residual below is zero


def identities(key):
    """Compare gradients with their formulas: in the logits, and of the linear model."""
    drawn = jax.random.normal(key, (32, 3 * CLASSES + 40))
    z, t, u, x, more = jnp.split(drawn, [CLASSES, 2 * CLASSES, 3 * CLASSES, 3 * CLASSES + 20], 1)
    t, y = jax.nn.softmax(t, axis=1), jnp.argmax(u, axis=1).astype(jnp.int32)
    lam = 3.0
    p, given = jax.nn.softmax(z, axis=1), jax.nn.one_hot(y, CLASSES, dtype=z.dtype)
    slope = jax.grad(lambda z: elr.loss(z, y, t, lam).sum())(z)
    side, theta, zero = y % 2, more[0], jnp.zeros((32, 2))

    def ce(theta):
        return jnp.mean(elr.loss(gaussians.logits(theta, x), side, zero, 0.0))

    eps = 2.0 * side - 1.0

    def linear(scale):
        return x.T @ (jnp.tanh(scale * (x @ theta)) - eps) / 64

    share = jnp.linspace(0.05, 0.95, 19)  # of the true class, class 1; the label says 0

    def logit_loss(s, q):
        both = jnp.stack([1 - q, q])[None, :]
        return elr.loss(jnp.stack([0 * s, s])[None, :], jnp.zeros(1, jnp.int32), both, lam)[0]

    pulled = jax.vmap(jax.grad(logit_loss))(jnp.log(share / (1 - share)), share)
    return {
        "lemma": slope - (p - given + lam * theory.pull(p, t)),
        "kl": slope - (p - given + lam * (p - t)),
        "tanh": jax.grad(ce)(theta) - linear(0.5),
        "typo": jax.grad(ce)(theta) - linear(1.0),
        "pull": pulled - (share - lam * (2 * share - 1) / 2),
        "push": pulled - (share - lam * (2 * share - 1)),
    }


def descent(key, lam, config):
    """Descend on one sample; at each mark accuracy, on wrong labels and new examples, and AUC."""
    data, start = jax.random.split(key)
    given = gaussians.draw(data, config.n, config.p, config.sigma, config.Delta)
    theta = gaussians.descend(start, given, config.times, config.eta, lam, config.beta)

    def look(theta):
        z = gaussians.logits(theta, given.x)
        right = (z[:, 1] > 0) == (given.truth == 1)
        el2n = scores.el2n(jax.nn.softmax(z, axis=1), given.y)
        # One weight vector a class: the gradient is (p - e_y) x^T.
        grand = el2n * jnp.linalg.norm(given.x, axis=1)
        return {
            "wrong": jnp.sum(right & given.wrong) / jnp.sum(given.wrong),
            "el2n": scores.auc(el2n, given.wrong),
            "grand": scores.auc(grand, given.wrong),
            "test": gaussians.accuracy(theta, config.sigma),
        }

    return jax.lax.map(look, theta)


def one_step(key, setting, config):
    """Take one step from zero in each dimension: accuracy, AUC on the training set, flips."""
    sigma, Delta = (jnp.asarray(x)[setting] for x in zip(*config.one_at, strict=True))
    given = gaussians.draw(key, config.one_n, max(config.one_p), sigma, Delta)
    theta = gaussians.descend(key, given, (1,), 1.0, radius=0.0)[0]

    def at(p):
        # From zero a coordinate of theta depends on that coordinate of x alone.
        first = jnp.where(jnp.arange(theta.size) < p, theta, 0.0)
        chance = jax.nn.softmax(gaussians.logits(first, given.x), axis=1)
        found = scores.auc(scores.el2n(chance, given.y), given.wrong)
        return {"accuracy": gaussians.accuracy(first, sigma), "auc": found}

    return jax.vmap(at)(jnp.asarray(config.one_p)) | {"flips": jnp.sum(given.wrong)}


def sample(key, sigma, share, config):
    """Draw eps_i x_i in as many dimensions as may be asked for."""
    most = int(0.75 * config.many)
    given = gaussians.draw(key, config.many, most, sigma, 2 * share)
    signed = given.x * (2.0 * given.y - 1.0)[:, None]
    return {"rows": signed, "realised": jnp.mean(given.wrong)}


def separable(rows):
    """Return whether some theta has rows @ theta > 0, and whether that is certified.

    By least squares, sum_i weight_i row_i = 0 and sum_i weight_i = 1, weights >= 0: what solves
    both proves that there is no theta (Gordan); if nothing does the best sum is one, and is tried.
    """
    n, p = rows.shape
    aim = np.append(np.zeros(p), 1.0)
    weight, residual = optimize.nnls(np.vstack([rows.T, np.ones(n)]), aim, maxiter=50 * n)
    if residual < ROUNDING:
        return False, bool(abs(weight.sum() - 1) < ROUNDING)
    return True, bool(np.min(rows @ (weight @ rows)) > 0)


def threshold(rows):
    """Return the least number of leading columns that separate the rows, less 1/2, and a status.

    More columns separate what fewer do, so it is bisected. Status 0 where all is certified. The
    half: for random labels it is then n / 2 in the mean (Cover), at any n.
    """
    low, high = 0, rows.shape[1]
    found, sure = separable(rows)
    sure = sure and found
    while high - low > 1:
        middle = (low + high) // 2
        found, certified = separable(rows[:, :middle])
        low, high, sure = (low, middle, sure) if found else (middle, high, sure)
        sure = sure and certified
    return high - 0.5, 0 if sure else 1


def thresholds(rows):
    """Return `threshold` of each (sample, sigma, share), and the statuses."""
    answers = [threshold(x) for x in rows.reshape(-1, *rows.shape[-2:])]
    return (np.reshape(x, rows.shape[:3]) for x in zip(*answers, strict=True))


def formulas(config, wrong):
    """Return `one_step_mean` and `one_step` for counts (draw, setting, p) of wrong labels."""
    n = config.one_n
    a = 1 - 2 * np.arange(n + 1) / n
    told = {}
    for name, formula in (("mean", theory.one_step_mean), ("short", theory.one_step)):
        for kind, pair in (("accuracy", False), ("auc", True)):
            table = [
                [np.asarray(formula(a, sigma, p, n, pair)) for p in config.one_p]
                for sigma, _ in config.one_at
            ]
            i, j = np.indices(wrong.shape[1:])
            told[name, kind] = np.array(table)[i[None], j[None], wrong]
    return told


def limits(realised, config):
    """Return theory.separable_from at shares (sample, sigma, share) of wrong labels.

    Without any it is taken at half a wrong one: 0, the formula's limit, is reached slowly.
    """
    n = config.many
    k = np.arange(n + 1)
    counts = np.clip(np.minimum(k, n - k) / n, 0.5 / n, 0.5)  # -theta does for mostly wrong ones
    wrong = np.round(realised * n).astype(int)
    table = [np.asarray(theory.separable_from(counts, sigma)) for sigma in config.sigmas]
    return np.stack([t[wrong[:, i]] for i, t in enumerate(table)], axis=1)
