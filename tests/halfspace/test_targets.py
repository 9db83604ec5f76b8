"""Ready-made learners for the search: scored as they are by hand, and never NaN in silence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust import halfspace
from jaxrobust.halfspace import online, targets

KEY = jax.random.key(0)
ETA, GAMMA = 0.3, 0.05
LEVELS = ("zero", "eta", "opt", "middle")


def test_drift_is_the_expected_step():
    it = halfspace.drag(GAMMA, ETA)
    x, _, rate, weight = it.atoms
    for name, ball in (("leaky", True), ("logistic", False)):
        w, total = np.zeros(2), np.zeros(2)
        for _ in range(50):
            total += w
            z = np.asarray(x) @ w
            if name == "leaky":
                slope = 0.5 * (1 - 2 * ETA) * np.where(z >= 0, 1, -1) - 0.5 * (1 - 2 * rate)
            else:
                slope = -(1 - rate) / (1 + np.exp(z)) + rate / (1 + np.exp(-z))
            w = w - 0.5 * (weight * slope) @ x
            w = w / max(1, np.linalg.norm(w)) if ball else w
        last = targets.drift_learner(name, "last", steps=50, mu=0.5)(KEY, it)
        mean = targets.drift_learner(name, "average", steps=50, mu=0.5)(KEY, it)
        assert np.allclose(last, w, atol=1e-12)
        assert np.allclose(mean, total / 50, atol=1e-12)


def test_online_learner_scores_the_iterate_that_it_names():
    it = halfspace.lever()
    settings = {"steps": 256, "snapshots": 4}

    @jax.jit
    def every(key, mu):
        def learner(choice):
            rule = online.RULES["logistic"]
            return targets.online_learner(rule, choice, **settings, mu=mu, held=100)

        run, apart = jax.random.split(key)
        about = {"rule": "logistic", "eta": ETA, "gamma": GAMMA, "mu": mu}
        path = halfspace.stream(run, it.draw, 2, **about, **settings)
        want = halfspace.errors(path, it.error, *it.draw(apart, 100))
        places = jnp.arange(len(halfspace.CHOICES))
        placed = jax.vmap(lambda i: learner(i)(key, it))(places)
        named = jnp.stack([learner(name)(key, it) for name in halfspace.CHOICES])
        last = [targets.harm_of(learner("last"), a)(key, it) for a in LEVELS]
        return jnp.stack(want), placed, named, jnp.stack(last)

    want, placed, named, last = every(KEY, 0.1)
    assert len(set(want.tolist())) > 1
    assert np.allclose(placed, want, atol=1e-12)
    assert np.allclose(named, want, atol=1e-12)
    assert np.allclose(last, want[0] - np.array([0, ETA, it.opt, (ETA + it.opt) / 2]), atol=1e-12)
    assert jnp.isnan(every(KEY, jnp.inf)[1]).all()  # a run that diverged has no error


def test_harm_of_weights():
    it = halfspace.lever()
    broken = targets.harm_of(lambda key, it: it.w_star * jnp.nan)
    assert jnp.isnan(broken(KEY, it))
    w = jnp.array([1.0, -0.9])
    margin = (it.atoms.x[2] @ w) / jnp.linalg.norm(w)
    assert -0.01 < margin < -0.009  # A = (.05, .07) is wrong by .0097
    loss = [
        targets.harm_of(lambda key, it: w, "zero", slack=s)(KEY, it) for s in (0.0, 0.009, 0.01)
    ]
    assert np.allclose(loss, [0.66, 0.66, 0.06], atol=1e-12)


def test_bad_targets_are_named():
    with pytest.raises(ValueError, match="choice must be one of"):
        targets.online_learner("leaky", "first", steps=20, mu=0.1)
    with pytest.raises(ValueError, match="choice must be one of"):
        targets.online_learner("leaky", 0, among=(), steps=20, mu=0.1)
    with pytest.raises(ValueError, match="mu must be given"):
        targets.online_learner("leaky", steps=20)
    with pytest.raises(ValueError, match='choice must be "last" or "average"'):
        targets.drift_learner("leaky", "holdout", mu=0.1)
    drift = targets.drift_learner("leaky", mu=0.1)
    it = halfspace.from_data([[0.5, 0.1], [0.2, 0.3]], [1, -1], 0.1)
    with pytest.raises(ValueError, match="must be a finite one"):
        drift(KEY, it)
    with pytest.raises(ValueError, match="slack wants"):
        targets.harm_of(lambda key, it: it.w_star, slack=0.1)(KEY, it)
    with pytest.raises(ValueError, match="above must be"):
        targets.harm_of(lambda key, it: 0.0, "bayes")
