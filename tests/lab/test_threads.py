"""Threads of a sweep and the cores that they hold."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.lab.sweep import sweep
from jaxrobust.lab.tracing import calls_back


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity on this system")
def test_a_trial_that_calls_python_runs_on_threads_that_are_not_held():
    seen = []

    def look(x):
        seen.append(os.sched_getaffinity(0))
        return np.asarray(x)

    def trial(key, a):
        x = jax.random.normal(key) + a
        return {"x": jax.pure_callback(look, x, x, vmap_method="sequential")}

    mine = os.sched_getaffinity(0)
    found = sweep(trial, {"a": [0.0, 1.0]}, 64, key=jax.random.key(0), chunk=4, progress=False)
    assert found.x.shape == (64, 2)
    assert seen
    assert all(cores == mine for cores in seen)
    assert os.sched_getaffinity(0) == mine


def test_python_inside_a_loop_is_seen():
    def quiet(x):
        return jax.lax.fori_loop(0, 3, lambda _, y: y + 1, x)

    def loud(x):
        shout = lambda y: jax.pure_callback(np.asarray, y, y)  # noqa: E731
        return jax.lax.fori_loop(0, 3, lambda _, y: shout(y), x)

    assert not calls_back(jax.make_jaxpr(quiet)(jnp.zeros(2)))
    assert calls_back(jax.make_jaxpr(loud)(jnp.zeros(2)))
