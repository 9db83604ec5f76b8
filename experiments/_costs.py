"""What a step costs, for cost_table: passes through the network, as counted, compiled and timed."""

import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrobust.deep import (
    augment,
    coteaching_plus,
    cross_entropy,
    dividemix,
    elr_plus,
    nets,
    optimiser,
    sop,
    sop_plus,
)
from jaxrobust.deep.method import Batch, Task, Whole

METHODS = {
    "cross-entropy": cross_entropy.method,
    "SOP": sop.method,
    "Co-teaching+": lambda task: coteaching_plus.method(task, 0.4, E=0, T_k=1),
    "SOP+": sop_plus.method,
    "ELR+": elr_plus.method,
    "DivideMix": lambda task: dividemix.method(task, warmup=0),
}


class Passes(NamedTuple):
    """Passes of one network over as many pictures as a batch has, for each batch of an epoch."""

    forward: int
    backward: int
    reason: str

    @property
    def units(self):
        """Count in forward passes; a backward pass has two products for each one of theirs."""
        return self.forward + 2 * self.backward


# Derived from the steps in jaxrobust.deep.
PASSES = {
    "cross-entropy": Passes(1, 1, "one network, one view"),
    "SOP": Passes(1, 1, "u and v see the logits of the same pass"),
    "Co-teaching+": Passes(4, 2, "two networks, through each to choose and again to descend"),
    "SOP+": Passes(2, 2, "two views, one network"),
    "ELR+": Passes(4, 2, "two networks, each also through the other's averaged weights"),
    "DivideMix": Passes(
        14, 4, "two networks: views through both (8), their mixture (4, and 4 back), losses (2)"
    ),
}
SLIDES = {
    "cross-entropy": 0.9,
    "SOP": 1.0,
    "SOP+": 2.1,
    "ELR+": 2.3,
    "Co-teaching+": 4.4,
    "DivideMix": 5.4,
}
"""Hours on one V100: CIFAR-10, half of the labels wrong, as the authors of SOP report them."""


def theory(names):
    """Give each method's passes over those of cross-entropy."""
    return np.array([PASSES[n].units / PASSES["cross-entropy"].units for n in names])


def epochs(config):
    """Compile `steps` batches of each method as one program; give (program, state) and operations.

    An epoch's own work, such as DivideMix's split, is inside. Operations are those of the compiled
    program as XLA counts them, a loop's body once: a batch's.
    """
    n = config.steps * config.batch
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.integers(0, 256, (n, 32, 32, 3), np.uint8))
    y = jnp.asarray(rng.integers(0, 10, n), jnp.int32)
    whole = Whole(x, y)
    network = nets.network(nets.CNN(10, config.channels, config.widths), (32, 32, 3))
    network = network._replace(init=jax.jit(network.init))  # compiled once for all methods
    task = Task(network, optimiser.sgd(0.01, decay=5e-4), n, 10, *augment.views(augment.CIFAR10))
    found = {}
    for name in config.methods:
        method = METHODS[name](task)

        def run(state, key, method=method):
            first, order, rest = jax.random.split(key, 3)
            state = method.epoch(state, whole, first, jnp.int32(1))
            rows = jax.random.permutation(order, jnp.arange(n, dtype=jnp.int32))
            pieces = (rows.reshape(config.steps, -1), jax.random.split(rest, config.steps))

            def step(state, piece):
                rows, key = piece
                state, info = method.step(state, Batch(rows, x[rows], y[rows]), key)
                return state, info.loss

            return jax.lax.scan(step, state, pieces)

        state = method.init(jax.random.key(0))
        program = jax.jit(run).lower(state, jax.random.key(0)).compile()
        jax.block_until_ready(program(state, jax.random.key(0)))  # the first run warms up
        found[name] = (program, state, (program.cost_analysis() or {}).get("flops", np.nan))
    return found


def seconds(found, repeats, times):
    """Time every program `times` times in each repeat, in turn; give medians (repeat, method)."""
    table = np.empty((repeats, times, len(found)))
    for repeat in range(repeats):
        for time_ in range(times):
            for place, (program, state, _) in enumerate(found.values()):
                key = jax.random.key(repeat)
                start = time.perf_counter()
                jax.block_until_ready(program(state, key))
                table[repeat, time_, place] = time.perf_counter() - start
    return np.median(table, axis=1)
