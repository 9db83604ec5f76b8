"""What a hurried user gets wrong: one line that names the argument, the value and the cure."""

import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust import halfspace
from jaxrobust.halfspace import _guard, adversary, online, search, targets
from jaxrobust.halfspace.adversary import with_adversary
from jaxrobust.halfspace.online import Rule

KEY = jax.random.key(0)
IT = halfspace.lever()
X = np.array([[0.6, 0.2], [-0.3, 0.4], [0.1, -0.9]])


def stream(key=KEY, draw=IT.draw, d=2, **options):
    settings = {"eta": 0.3, "gamma": 0.1, "mu": 0.01, "steps": 4, "snapshots": 2}
    return halfspace.stream(key, draw, d, **settings | options)


def own(slope):
    return stream(rule=Rule(slope, False))


STREAMED = [
    (lambda: stream(draw=IT), "draw must be a function of (key, n), such as it.draw of an inst"),
    (lambda: stream(draw=lambda key, n: jnp.ones(n)), "draw must be a function of (key, n), such"),
    (lambda: stream(draw=IT.points), "give x (n, d) and y (n,), got shapes"),
    (lambda: stream(d=3), "d must be 2, the number of features that draw gives, got 3"),
    (lambda: stream(d="two"), "d must be a whole number >= 1, got 'two'"),
    (lambda: stream(key=0), "key must be a key such as jax.random.key(0), got 0"),
    (lambda: stream(key=jnp.arange(2)), "key must be a key such as jax.random.key(0), got int"),
    (lambda: stream(key=jax.random.split(KEY)), "key must be one key, got shape (2,): vmap over"),
    (lambda: stream(rule=["hinge"]), "or a Rule, got ['hinge']"),
    (lambda: stream(rule="winnow"), "rule must be one of normalized, "),
    (lambda: stream(snapshots=3), "snapshots must divide the 4 steps, got 3"),
    (lambda: own(lambda z, y: -y), "rule.slope must be a function of the numbers z, y, eta, gamma"),
    (lambda: own("hinge"), "rule.slope must be a function of the numbers z, y, eta, gamma"),
    (lambda: own(lambda z, y, eta, gamma: None), "and give one number, got None"),
    (lambda: own(lambda z, y, eta, gamma: (z, y)), "and give one number, got (ShapeDtypeStruct("),
    (lambda: own(lambda z, y, eta, gamma: z * jnp.ones(3)), "and give one number, got (3,)"),
    (lambda: own(lambda z, y, eta, gamma: -y if z < 1 else 0 * y), "that JAX can trace: "),
    (
        lambda: own(lambda z, y, eta, gamma: z.astype(jnp.float32)),
        "rule.slope must give c in the dtype of z, float64, got float32",
    ),
]
CHOSEN = [
    (lambda: online.chosen((), 0), "rules must name at least one rule, got none"),
    (lambda: online.chosen("hinge", 0), "rules must be a list, got 'hinge' alone: put it in br"),
    (lambda: online.chosen(["hinge"], 1), "index must be a whole number in 0..0, got 1"),
    (lambda: online.chosen(["hinge", "leaky"], -1), "index must be a whole number in 0..1, got -1"),
    (lambda: online.chosen(["hinge", "svm"], 0), "or a Rule, got 'svm'"),
]
MADE = [
    (lambda: with_adversary(IT, lambda x, w: 0.1), "adversary must be an Adversary such as adver"),
    (
        lambda: with_adversary(adversary.constant(0.1), IT),
        "instance must be an Instance, and comes first, got Adversary(",
    ),
    (
        lambda: halfspace.gaussian_margin(3, 0.1, 0.3),
        "adversary must be an Adversary such as adversary.constant(0.3), or groups for a function "
        "of x, got 0.3",
    ),
    (
        lambda: halfspace.finite((X, np.ones(3)), [1.0, 0.0], 0.1, 0.3),
        "atoms must be Atoms(x, clean, rate, weight), got a tuple of 2",
    ),
    (lambda: halfspace.finite(IT, [1.0, 0.0], 0.1, 0.3), "atoms must be Atoms(x, clean, rate, "),
    (
        lambda: halfspace.from_data(X, [1, -1, 1], [0.1, 0.2]),
        "rate must be one number or one for each of the 3 rows of x, got shape (2,)",
    ),
    (
        lambda: adversary.groups(0.1, lambda x: True).rate(jnp.asarray(X), IT.w_star),
        "member must give True or False for each of the 3 rows of x, got shape () of bool",
    ),
    (
        # Rates in the place of a mask: all of them would be True.
        lambda: adversary.groups(0.1, lambda x: x[:, 0]).rate(jnp.asarray(X), IT.w_star),
        "member must give True or False for each of the 3 rows of x, got shape (3,) of float64",
    ),
]
SEARCHED = [
    (lambda: targets.drift_learner(mu=-1), "mu must lie in (0, inf), got -1"),
    (lambda: targets.drift_learner(["hinge"], mu=1), "or a Rule, got ['hinge']"),
    (
        lambda: targets.drift_learner(Rule(lambda z: z, False), mu=1)(KEY, IT),
        "rule.slope must be a function of the numbers z, y, eta, gamma",
    ),
    (
        lambda: targets.harm_of("leaky"),
        "learner must be a function (key, instance) -> w or err, got 'leaky': online_learner or",
    ),
    (
        lambda: targets.online_learner(steps=510),
        "snapshots must divide the 510 steps, got 20",
    ),
    (
        lambda: search.run(KEY, targets.harm_of(lambda key, it: 1), eta=[0.1, 0.2], gamma=0.1),
        "eta must be one number, got shape (2,): vmap over it",
    ),
]


@pytest.mark.parametrize(("call", "words"), STREAMED + CHOSEN + MADE + SEARCHED)
def test_one_line_says_what_is_wrong(call, words):
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        call()
    assert "\n" not in str(error.value)


def test_what_is_right_is_not_refused():
    _guard.one_key("key", jax.random.PRNGKey(0))  # an old-style key
    single = halfspace.lever(dtype=jnp.float32)
    # A plain number has no dtype of its own.
    still = stream(draw=single.draw, rule=Rule(lambda z, y, eta, gamma: 0.0, False))
    assert still.w.dtype == jnp.float32
    assert not still.w.any()
    traced = jax.jit(jax.vmap(lambda i: stream(rule=online.chosen(["hinge", "leaky"], i)).w))
    paths = traced(jnp.arange(3))
    np.testing.assert_array_equal(paths[2], paths[1])  # past the end: the last
    by_name, z = online.chosen({"hinge": "a name", "leaky": "another"}, 1), jnp.array(0.2)
    assert by_name.slope(z, -z / z, 0.3, 0.1) == halfspace.RULES["leaky"].slope(z, -z / z, 0.3, 0.1)


def test_importing_leaves_heavy_parts_for_later():
    code = (
        "import sys, jaxrobust.halfspace; "
        "print({'scipy.optimize', 'sklearn', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
