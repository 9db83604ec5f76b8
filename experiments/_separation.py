"""The runs of halfspace_separation: instances, and every learner on each of them."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import xarray

from experiments import _massart as m
from experiments._separation_plot import SURROGATES
from jaxrobust import halfspace
from jaxrobust.halfspace import decision_list, filtertron

COMPARED = ("LEVERS", "MIX", "SCALES", "Gaussian", "LEVER 2")
DRAWN = ("normalized", *SURROGATES, "perceptron")  # on the other instances, over the dimension
BATCH = ("FilterTron 0.05", "FilterTron 3")  # its authors' step, and the best of a few


def instances(config):
    """Give name -> (function that builds the instance, steps T)."""
    eta, dtype = config.eta, m.SINGLE

    def plane(d):
        if d == 2:
            return lambda: halfspace.lever(eta=eta, dtype=dtype)
        return lambda: halfspace.lever_in(d, 0.3, eta=eta, dtype=dtype)

    constant = halfspace.adversary.constant(eta)
    return {
        "LEVERS": (lambda: halfspace.levers(config.K, eta=eta, dtype=dtype), config.steps_levers),
        "MIX": (lambda: halfspace.mix(eta=eta, dtype=dtype), config.steps_mix),
        "SCALES": (lambda: halfspace.scales(eta=eta, dtype=dtype), config.steps_scales),
        "Gaussian": (
            lambda: halfspace.gaussian_margin(config.d_gaussian, 0.05, constant, dtype=dtype),
            config.steps_plane,
        ),
        **{f"LEVER {d}": (plane(d), config.steps_plane) for d in config.dims},
    }


def simulate(config, bench) -> Any:
    """Run the learners; err by (seed, instance, learner, choice), and of those that read batches.

    The latter run on fewer seeds and instances, with axes of their own, `batch_...`.
    """
    choices, online, batch = list(halfspace.CHOICES), {}, {}
    for name, (make, steps) in instances(config).items():
        it = make()  # outside of the trial: its arrays are constants of one program
        learners = m.LABELS if name in COMPARED else DRAWN
        found = bench.sweep(
            partial(_online, config, it, steps, learners),
            {"learner": learners},
            config.seeds,
            name=f"online {name}",
            width=144,
            dims={"error": ("choice",)},
            coords={"choice": choices},
        )
        found = found.reindex(learner=list(m.LABELS))
        online[name] = found.assign(opt=float(it.opt), gamma=float(it.gamma))
        if name in COMPARED:
            batch[name] = bench.sweep(
                partial(_batch, config, it),
                {},
                config.batch_seeds,
                name=f"batch {name}",
                width=1,
                dims={
                    "batch_error": ("batch_learner", "choice"),
                    "list_error": ("list_choice",),
                },
                coords={
                    "batch_learner": list(BATCH),
                    "choice": choices,
                    "list_choice": ["last", "holdout"],
                },
            ).rename(seed="batch_seed")

    def over(axis, parts):
        names = xarray.DataArray(list(parts), dims=axis, name=axis)
        return xarray.concat(list(parts.values()), names, combine_attrs="drop")

    return xarray.merge([over("instance", online), over("batch_instance", batch)])


def _online(config, it, steps, learners, key, learner):
    spec = jnp.array([m.LABELS.index(name) for name in learners])[learner]
    errors = m.online_errors(key, it, spec, eta=config.eta, steps=steps, snapshots=config.snapshots)
    return {"error": errors}


def _batch(config, it, key):
    """Run FilterTron and the decision list on one sample, at lam = eta + .05."""
    drawn, start, held = jax.random.split(key, 3)
    x, y = it.draw(drawn, config.batch)
    examples, counted = it.draw(held, m.HOLDOUT), it.hold_out(held, m.HOLDOUT)
    lam, steps = config.eta + 0.05, config.batch_steps

    def filtered(mu):
        path = filtertron.run(start, x, y, lam=lam, mu=mu, steps=steps, snapshots=min(100, steps))
        return jnp.stack(halfspace.errors(path, it.error, *counted))

    rules = decision_list.fit(x, y, lam=lam, steps=min(100, steps))
    return {
        "batch_error": jax.lax.map(filtered, jnp.array([0.05, 3.0], m.SINGLE)),
        "list_error": jnp.stack(decision_list.errors(rules, it, *examples)),
    }
