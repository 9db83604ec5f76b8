"""The runs of halfspace_separation: instances, and every learner on each of them."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import xarray

from experiments import _massart as m
from jaxrobust import halfspace
from jaxrobust.halfspace import decision_list, filtertron

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
    """Run all learners on all instances; err by (seed, instance, learner, choice)."""
    found = []
    for name, (make, steps) in instances(config).items():
        it = make()  # outside of the trial: its arrays are constants of one program
        part = bench.sweep(
            partial(_online, config, it, steps),
            {"learner": m.LABELS},
            config.seeds,
            name=f"online {name}",
            width=144,
            dims={"error": ("choice",)},
            coords={"choice": list(halfspace.CHOICES)},
        )
        more = bench.sweep(
            partial(_batch, config, it),
            {"batch_learner": BATCH},
            config.batch_seeds,
            name=f"batch {name}",
            width=1,
            dims={"batch_error": ("choice",), "list_error": ("list_choice",)},
            coords={"choice": list(halfspace.CHOICES), "list_choice": ["last", "holdout"]},
        )
        more = more.rename(seed="batch_seed")  # fewer seeds: an axis of their own
        whole = part.merge(more).assign(opt=float(it.opt), gamma=float(it.gamma))
        found.append(whole)
    names = xarray.DataArray(list(instances(config)), dims="instance", name="instance")
    return xarray.concat(found, names, combine_attrs="drop")


def _online(config, it, steps, key, learner):
    errors = m.online_errors(
        key, it, learner, eta=config.eta, steps=steps, snapshots=config.snapshots
    )
    return {"error": errors}


def _batch(config, it, key, batch_learner):
    """Run FilterTron and the decision list on one sample, at lam = eta + .05."""
    drawn, run, held = jax.random.split(key, 3)
    x, y = it.draw(drawn, config.batch)
    held = it.draw(held, m.HOLDOUT)
    lam, steps = config.eta + 0.05, config.batch_steps
    mu = jnp.array([0.05, 3.0], m.SINGLE)[batch_learner]
    path = filtertron.run(run, x, y, lam=lam, mu=mu, steps=steps, snapshots=min(100, steps))
    rules = decision_list.fit(x, y, lam=lam, steps=min(100, steps))
    return {
        "batch_error": jnp.stack(halfspace.errors(path, it.error, *held)),
        "list_error": jnp.stack(decision_list.errors(rules, it, *held)),
    }
