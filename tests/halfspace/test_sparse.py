"""`sparse.stream` is `trajectory.stream`, which the plain loop holds, on the same examples."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.halfspace import constructions, gaussian, mixtures, online, sparse, trajectory
from jaxrobust.halfspace.adversary import constant

KEY = jax.random.key(5)
OPTIONS = {"eta": 0.3, "gamma": 0.2, "mu": 0.3, "steps": 210, "snapshots": 3}  # 70 = 2 * 32 + 6


def test_every_rule_takes_the_steps_of_the_dense_stream():
    it = mixtures.mix(0.6, d_basis=5)  # d = 7: the last pair is filled up

    def run(stream, *problem):
        def one(i):
            return stream(KEY, *problem, rule=online.chosen(online.RULES, i), **OPTIONS)

        return jax.vmap(one)(jnp.arange(len(online.RULES)))

    found, expected = run(sparse.stream, it), run(trajectory.stream, it.draw, it.d)
    assert float(jnp.max(jnp.linalg.norm(expected.w, axis=2))) > 1.5  # some leave the ball,
    inside = jnp.linalg.norm(expected.w[:3], axis=2)
    assert float(jnp.max(inside)) > 1 - 1e-9  # and those that may not are projected
    for name, one, other in zip(found._fields, found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10, err_msg=name)
    assert found.finite.all()


def test_a_run_that_overflows_says_so():
    it = constructions.lever()
    assert not sparse.stream(KEY, it, rule="leaky", **OPTIONS | {"mu": 1e300}).finite


def test_other_points_are_refused():
    assert sparse.in_pairs(gaussian.gaussian_margin(2, 0.1, constant(0.2))) is None
    it = constructions.basis(3, 0.2)
    assert sparse.in_pairs(it) is not None
    wide = it.atoms._replace(x=it.atoms.x.at[0, 2].set(0.1))
    with pytest.raises(ValueError, match="in pairs of coordinates"):
        sparse.stream(KEY, replace(it, atoms=wide), **OPTIONS)
