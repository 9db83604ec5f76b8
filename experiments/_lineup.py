"""The methods that deep studies compare, and the grids that noisy validation chooses from.

Every method chooses from the same step sizes, and from two values of its own numbers if it has
any, the papers' first. `told`: methods that are given what others must do without, the true T or
the rate.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxrobust.deep import (
    active_passive,
    anchors,
    bootstrapping,
    correction,
    coteaching_plus,
    cross_entropy,
    dividemix,
    elr,
    elr_plus,
    gce,
    label_smoothing,
    ldr,
    mixup,
    optimiser,
    sop,
    sop_plus,
    symmetric,
)

CHOSEN = Path(__file__).with_name("_chosen.json")
RATES = (0.003, 0.01, 0.02, 0.05, 0.1)
"""Step sizes that every method may choose from."""


class Entry(NamedTuple):
    """A method: `build(task, told, plan, **numbers)`, and the values of its numbers to try."""

    build: Callable[..., Any]
    grid: tuple[dict[str, float], ...]
    told: str = ""
    networks: int = 1


def grid(**values):
    """Give the step sizes crossed with the values of one or more numbers, taken together."""
    rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return tuple({"rate": rate, **row} for rate in RATES for row in rows or [{}])


def _sop(make, task, told, plan, rate, lr_u, per_rate):
    # v must wake before the network memorizes, and that is sooner with a larger step: facts of its
    # growth in `deep.theory`. So lr_v is in proportion to the step.
    return make(task, lr_u=lr_u, lr_v=per_rate * rate)


def _plain(make, task, told, plan, rate, **numbers):
    return make(task, **numbers)


def _elr_plus(task, told, plan, rate, **numbers):
    # The published ramp, 40,000 steps, is half of the published run; gamma stays .997.
    return elr_plus.method(task, ramp=plan.steps(task.n) / 2, **numbers)


def _coteaching_plus(task, told, plan, rate, start):
    # The ramp of 10 epochs as published; at start 1 disagreement never rules: Co-teaching.
    first = 1 + jnp.round(start * plan.epochs)
    return coteaching_plus.method(task, told.rate, E=first)


def _dividemix(task, told, plan, rate, lam_u, warm):
    # Published: 10 epochs of 300 on 50,000 pictures; on few examples a network needs more of them.
    return dividemix.method(task, lam_u=lam_u, warmup=warm * plan.epochs)


def _estimated(task, told, plan, rate, warm):
    # The epochs before T is estimated are among the run's: no method trains longer than another.
    return anchors.forward_estimated(task, warm * plan.epochs)


def _told(loss, task, told, plan, rate):
    return correction.method(task, told.T, loss)


plain = functools.partial(functools.partial, _plain)
METHODS: dict[str, Entry] = {
    "cross-entropy": Entry(plain(cross_entropy.method), grid()),
    "label smoothing": Entry(plain(label_smoothing.method), grid(eps=(0.1, 0.4))),
    "mixup": Entry(plain(mixup.method), grid(a=(8.0, 32.0))),
    "bootstrap soft": Entry(plain(bootstrapping.method), grid(beta=(0.95, 0.8))),
    "bootstrap hard": Entry(
        functools.partial(_plain, functools.partial(bootstrapping.method, loss=bootstrapping.hard)),
        grid(beta=(0.8, 0.5)),
    ),
    "GCE": Entry(plain(gce.method), grid(q=(0.7, 0.9))),
    "symmetric CE": Entry(plain(symmetric.method), grid(alpha=(0.1, 0.1), beta=(1.0, 4.0))),
    "NCE + RCE": Entry(plain(active_passive.method), grid(alpha=(1.0, 1.0), beta=(1.0, 10.0))),
    "LDR": Entry(plain(ldr.method), grid(lam=(1.0, 10.0))),
    "ALDR": Entry(plain(ldr.adaptive_method), grid(lam0=(10.0, 1.0))),
    "backward": Entry(functools.partial(_told, correction.backward), grid(), "T"),
    "forward": Entry(functools.partial(_told, correction.forward), grid(), "T"),
    "forward, T estimated": Entry(_estimated, grid(warm=(0.1, 0.25))),
    "ELR": Entry(plain(elr.method), grid(lam=(3.0, 7.0), beta=(0.7, 0.9))),
    "SOP": Entry(functools.partial(_sop, sop.method), grid(lr_u=(10.0,) * 2, per_rate=(5e3, 2e4))),
    "SOP+": Entry(
        functools.partial(_sop, sop_plus.method), grid(lr_u=(10.0,) * 2, per_rate=(5e3, 2e4))
    ),
    "ELR+": Entry(_elr_plus, grid(lam=(3.0, 7.0), beta=(0.7, 0.9)), networks=2),
    "Co-teaching+": Entry(_coteaching_plus, grid(start=(1 / 3, 1.0)), "rate", networks=2),
    "DivideMix": Entry(_dividemix, grid(lam_u=(0.0, 25.0), warm=(0.1, 0.1)), networks=2),
}


# For CIFAR-10, where nothing was chosen: step .02 and the papers' numbers, the first of the grid
# but for these; where the noise goes from class to class those of asymmetric noise.
PAPERS = {
    "SOP": {"lr_u": 10.0, "per_rate": 500.0},
    "SOP+": {"lr_u": 10.0, "per_rate": 500.0},
    "DivideMix": {"lam_u": 25.0, "warm": 1 / 30},
}
UNEVEN = {
    "SOP": {"per_rate": 5000.0},
    "SOP+": {"per_rate": 5000.0},
    "ELR": {"lam": 1.0, "beta": 0.9},
    "ELR+": {"lam": 1.0, "beta": 0.9},
    "DivideMix": {"lam_u": 0.0},
}


def of_papers(name, kind):
    """Give a method's numbers as the papers have them for CIFAR-10."""
    found = METHODS[name].grid[0] | {"rate": 0.02} | PAPERS.get(name, {})
    if name == "DivideMix" and kind == "symmetric 20":
        found |= {"lam_u": 0.0}
    return found if kind.startswith("symmetric") else found | UNEVEN.get(name, {})


def schedule(config, rate):
    """Give what makes the optimiser of a run, of its number of steps.

    Step size constant, no weight decay; for CIFAR-10 a tenth after one and two thirds, and 5e-4.
    """
    if config.data != "cifar10":
        return lambda steps: optimiser.sgd(rate)
    return lambda steps: optimiser.sgd(
        optimiser.drops(rate, (steps // 3, 2 * steps // 3)), decay=5e-4
    )


@functools.cache
def record():
    """Give what `python -m experiments._choose` wrote: what was chosen on digits, and why."""
    return json.loads(CHOSEN.read_text())


def numbers(config, name):
    """Give a method's numbers as arrays, an entry for each of the study's kinds of noise.

    Those that noisy validation chose on digits, for all symmetric rates those of 40 %; for CIFAR-10
    the papers'.
    """
    rows = METHODS[name].grid
    if config.data == "cifar10":
        mine = [of_papers(name, kind) for kind in config.kinds]
    else:
        told = record()["chosen"][name]
        mine = [rows[told[asked(kind)]] for kind in config.kinds]
    return {k: jnp.asarray([row[k] for row in mine], jnp.float32) for k in rows[0]}


def asked(kind):
    """Give the noise whose choice is used."""
    return "symmetric 40" if kind == "clean" or kind.startswith("symmetric") else kind


def build(name, plan, mine, task, told):
    """Make a method from its numbers."""
    return METHODS[name].build(task, told, plan, **mine)


def best_at(name, kind, rate):
    """Give the setting that noisy validation likes best among those with one step size."""
    rows, seen = METHODS[name].grid, record()["held"][name][kind]
    among = [i for i, row in enumerate(rows) if row["rate"] == rate]
    if not among:
        tried = sorted({row["rate"] for row in rows})
        raise ValueError(f"step size {rate:g} was not tried for {name}: take one of {tried}")
    return rows[max(among, key=lambda i: seen[i])]
