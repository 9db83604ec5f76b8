"""Pieces of the studies of networks that deserve a test of their own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import _costs, _probe
from jaxrobust.deep import optimiser
from jaxrobust.deep.method import Batch, Network, Task, Weights, Whole


def test_labels_of_every_kind_are_as_wrong_as_the_human_ones():
    rng = np.random.default_rng(0)
    truth = jnp.asarray(rng.integers(0, 10, 900), jnp.int32)
    other = jnp.asarray(rng.integers(0, 10, 900), jnp.int32)
    human = jnp.where(rng.random(900) < 0.3, other, truth)

    def table(labels, part):
        counts = np.zeros((10, 10), int)
        np.add.at(counts, (truth[part], labels[part]), 1)
        return counts

    given = jax.jit(jax.vmap(lambda k: _probe.given(jax.random.key(1), truth, human, 700, k)))
    true, same, dealt, symmetric = np.asarray(given(jnp.arange(4)))
    assert (true == truth).all()
    assert (same == human).all()
    for part in (slice(700), slice(700, None)):
        assert (table(dealt, part) == table(human, part)).all()
        assert np.sum(symmetric[part] != truth[part]) == np.sum(human[part] != truth[part])
    assert 0.2 < np.mean(dealt[truth == human] != human[truth == human])  # they have moved


WIDE = 192


def passes(jaxpr, batch):
    """Count the products of a linear network, (forward, backward), in passes of a batch.

    Loops count as often as they run, of branches the dearest.
    """
    total = np.zeros(2)
    for eqn in jaxpr.eqns:
        inner = [v for p in eqn.params.values() for v in (p if isinstance(p, tuple) else (p,))]
        inner = [getattr(v, "jaxpr", v) for v in inner]
        inner = [passes(v, batch) for v in inner if hasattr(v, "eqns")]
        if eqn.primitive.name == "cond":
            total += max(inner, key=sum)
        elif inner:
            total += eqn.params.get("length", 1) * sum(inner)
        elif eqn.primitive.name == "dot_general":
            (first, second), out = [v.aval.shape for v in eqn.invars], eqn.outvars[0].aval.shape
            if second == (WIDE, 10):
                total += first[0] / batch, 0
            elif sorted(out) == [10, WIDE]:
                total += 0, first[0] / batch
    return total


@pytest.mark.parametrize("name", _costs.METHODS)
def test_passes_are_those_of_the_steps(name):
    def init(key):
        return Weights({"W": jax.random.normal(key, (WIDE, 10), jnp.float32)}, {})

    def apply(weights, x, train):
        return x @ weights.params["W"], weights.stats

    method = _costs.METHODS[name](Task(Network(init, apply), optimiser.sgd(0.1), 12, 10))
    x, y, key = jnp.zeros((12, WIDE), jnp.float32), jnp.zeros(12, jnp.int32), jax.random.key(0)
    rows, state = jnp.arange(4, dtype=jnp.int32), jax.eval_shape(method.init, key)
    epoch, state = jax.make_jaxpr(
        lambda s: method.epoch(s, Whole(x, y), key, jnp.int32(1)), return_shape=True
    )(state)
    step = jax.make_jaxpr(lambda s: method.step(s, Batch(rows, x[rows], y[rows]), key))(state)
    found = passes(epoch.jaxpr, 12) + passes(step.jaxpr, 4)
    assert tuple(found) == _costs.PASSES[name][:2]
