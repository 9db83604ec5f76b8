"""The trials of why_not_l1_penalty: digits with wrong labels, watched runs, s solved for."""

import jax
import jax.numpy as jnp
import numpy as np
import xarray

from experiments import _bed, _lineup
from jaxrobust import noise
from jaxrobust.deep import explicit, method, optimiser, scores, sets, sop, suspects, train

# Of s where it is added to probabilities: (w1, w2, rate of s). Rate 1 solves for s at each visit.
OTHERS = (
    (0.1, 0.3, 1.0),
    (0.3, 0.3, 1.0),
    (0.0, 0.3, 1.0),
    (0.03, 0.0, 0.03),
    (0.1, 0.0, 0.03),
    (0.3, 0.0, 0.03),
)


def name(place, w1, w2, rate):
    """Give a setting's name."""
    more = f", w2 = {w2:g}" if w2 else ""
    return f"{place}: w1 = {w1:g}{more}" + (", slow s" if rate < 1 else "")


def settings(config):
    """Give {name: numbers} in the two places."""
    solved = [(w1, 0.0, 1.0) for w1 in config.weights]
    # The curvature of cross-entropy in the logits is 1/2 at most: 2 is its largest sure step.
    stepped = [(w1, 0.0, 2.0) for w1 in config.weights]
    places = {"probabilities": [*solved, *OTHERS], "logits": stepped}
    return {place: {name(place, *row): row for row in rows} for place, rows in places.items()}


def problem(config, key):
    """Draw data, noise on training and validation labels, and the run's keys; make the task."""
    split, corrupt, weights, order = jax.random.split(key, 4)
    bed = _bed.digits(config)
    (x, y), (held_x, held_y), (test_x, test_y) = bed.draw(split)
    n, both = len(x), jnp.concatenate([y, held_y])
    given = noise.symmetric(corrupt, both, _bed.CLASSES, config.rate, inclusive=False, exact=True)
    held = sets.Labelled(held_x, given[n:], held_y)
    data = sets.Data(sets.Labelled(x, given[:n], y), held, sets.Labelled(test_x, test_y))
    rule = optimiser.sgd(jnp.asarray(config.step, _bed.SINGLE))
    task = method.Task(bed.network, rule, n, _bed.CLASSES)
    return task, data, train.Keys(weights, order)


def watched(keys, made, data, plan, size):
    """Train; give what is read after every `plan.every` epochs, |s| by `size(state)` among it."""
    wrong = data.train.y != data.train.truth

    def go(run, _):
        run, seen = train.advance(keys, made, data, plan, run)
        s = size(run.state)
        return run, {
            "test": seen.test,
            "held": seen.held_noisy,
            "memorized": seen.memorized,
            "s_wrong": jnp.mean(s, where=wrong),
            "s_right": jnp.mean(s, where=~wrong),
            "auc": scores.auc(s, wrong),
            "precision": suspects.precision(s, wrong),
        }

    return jax.lax.scan(go, train.begin(keys, made), length=plan.readings)[1]


def penalised(config, plan, place, rows):
    """Give the trial of the explicit penalty: one of the rows (w1, w2, rate of s)."""

    def trial(key, setting):
        task, data, keys = problem(config, key)
        w1, w2, rate = jnp.asarray(rows, _bed.SINGLE)[setting]
        made = explicit.method(task, w1, w2, rate=rate, place=place)
        return watched(keys, made, data, plan, lambda state: jnp.sum(jnp.abs(state.s), axis=1))

    return trial


def implicit(config, plan):
    """Give the trial of SOP."""

    def trial(key):
        task, data, keys = problem(config, key)
        best = _lineup.best_at("SOP", "symmetric 40", config.step)
        lr_v = best["per_rate"] * config.step
        made = sop.method(task, lr_u=best["lr_u"], lr_v=lr_v)
        return watched(keys, made, data, plan, lambda state: suspects.by_sop(state, data.train.y))

    return trial


def solved(w1, w2, place, z, y):
    """Minimise over s by many proximal steps from 0; give the gradient in p or z that is left."""
    one = jax.nn.one_hot(y, z.shape[1], dtype=z.dtype)

    def slope(s):
        if place == "logits":
            return jax.nn.softmax(z + s, axis=1) - one
        return jax.nn.softmax(z, axis=1) + s - one

    def step(s, _):
        return explicit.move(s, slope(s), 1.0, w1, w2), None

    return slope(jax.lax.scan(step, jnp.zeros_like(z), length=4_000)[0])


def identities():
    """Compare gradients at a minimum over s with those of the losses without s."""
    labels, logits = jax.random.split(jax.random.key(0))
    z = jax.random.normal(logits, (100, 10))
    y = jax.random.randint(labels, (100,), 0, 10, jnp.int32)
    r = jax.nn.softmax(z, axis=1) - jax.nn.one_hot(y, 10, dtype=z.dtype)
    tails = jnp.array([0.0, 0.2])  # w2
    huber = jax.vmap(
        jax.grad(lambda r, w1, w2: jnp.sum(explicit.huber(r, w1, w2))), (None, None, 0)
    )
    clipped = jax.grad(lambda z, w1: jnp.sum(explicit.clipped(z, y, w1)))

    def off(w1):
        bent = jax.vmap(lambda w2: solved(w1, w2, "probabilities", z, y))(tails)
        left = solved(w1, 0.0, "logits", z, y)
        return {
            "huber": huber(r, w1, tails) - bent,
            "not_huber": huber(r, w1 / 2, tails) - bent,
            "clipped": clipped(z, w1) - left,
            "not_clipped": jnp.clip(r, -w1, w1) - left,
        }

    found = jax.jit(jax.vmap(off))(jnp.array([0.1, 0.3, 0.6]))
    cells = {name: [f"{name}_{k}" for k in range(x.ndim)] for name, x in found.items()}
    return xarray.Dataset({name: (cells[name], np.asarray(x)) for name, x in found.items()})
