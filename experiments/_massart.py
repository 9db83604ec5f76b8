"""What the halfspace studies share: learners with their step sizes, and one run of all choices."""

import jax
import jax.numpy as jnp

from jaxrobust import halfspace
from jaxrobust.halfspace import sparse, theory

RULES = tuple(halfspace.RULES)
SINGLE = jnp.float32  # the scans: a step moves w by at most mu / gamma
HOLDOUT = 4000  # noisy examples that choose among the snapshots

# (rule, step); "theory" is gamma / ((1 - eta) sqrt T). The perceptron has no step size. SMALL: the
# average reaches the surrogate's population optimum, and the last iterate fluctuates little. With
# LARGE steps the run is noise around it; the average of leaky 1 still is the optimum.
SMALL = (
    ("leaky", 0.001),
    ("leaky", 0.03),
    ("logistic", 0.01),
    ("logistic", 0.1),
    ("logistic", 1.0),
    ("hinge", 0.01),
    ("hinge", 0.1),
    ("hinge", 0.3),
)
LARGE = (
    ("leaky", 1.0),
    ("logistic", 10.0),
    ("logistic", 100.0),
    ("logistic", 1000.0),
    ("hinge", 1.0),
    ("hinge", 10.0),
    ("hinge", 100.0),
    ("hinge", 1000.0),
)
SPECS = (("normalized", "theory"), *SMALL, *LARGE, ("perceptron", 1.0))


def label(spec):
    """Name a learner with its step."""
    rule, step = spec
    return rule if rule in ("normalized", "perceptron") else f"{rule} {step:g}"


LABELS = tuple(label(spec) for spec in SPECS)


def step_of(spec, gamma, eta, steps):
    """Give the step size of SPECS[spec], spec traced."""
    fixed = jnp.array([0.0 if s == "theory" else s for _, s in SPECS], gamma.dtype)[spec]
    return jnp.where(fixed > 0, fixed, theory.step_size(steps, gamma, eta))


def online_errors(key, it, spec, *, eta, steps, snapshots):
    """Run SPECS[spec] on an instance; give err of every choice of iterate, stacked."""
    rule = halfspace.online.chosen(RULES, jnp.array([RULES.index(r) for r, _ in SPECS])[spec])
    run, held = jax.random.split(key)
    options = {"eta": eta, "gamma": it.gamma, "mu": step_of(spec, it.gamma, eta, steps)}
    options |= {"rule": rule, "steps": steps, "snapshots": snapshots}
    if sparse.in_pairs(it):  # the same examples, at a cost of O(1) a step
        path = sparse.stream(run, it, **options)
    else:
        path = halfspace.stream(run, it.draw, it.d, **options)
    x, y = it.hold_out(held, HOLDOUT)
    return jnp.stack(halfspace.errors(path, it.error, x, y))
