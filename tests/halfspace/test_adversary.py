import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.halfspace import adversary, basis, from_data, lever
from jaxrobust.halfspace.adversary import Adversary, with_adversary
from jaxrobust.halfspace.gaussian import gaussian_margin

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 3))
X = X / np.linalg.norm(X, axis=1, keepdims=True)
E1 = jnp.array([1.0, 0.0, 0.0])


def test_rates_by_hand():
    x = jnp.array([[0.1, 0.5, 0.0], [-0.4, 0.0, 0.2], [0.9, 0.0, -0.1], [-0.9, 0.1, 0.0]])
    v = jnp.array([0.0, 1.0, 1.0])
    # y* (w* - v).x: .1 - .5, .4 + .2, .9 + .1, .9 + .1
    for made, chosen in (
        (adversary.constant(0.3), [1, 1, 1, 1]),
        (adversary.near(0.3, 0.5), [1, 1, 0, 0]),
        (adversary.far(0.3, 0.5), [0, 0, 1, 1]),
        (adversary.groups(0.3, lambda x: x[:, 1] > 0), [1, 0, 0, 1]),
        (adversary.favouring(0.3, v), [0, 1, 1, 1]),
    ):
        np.testing.assert_allclose(made.rate(x, E1), 0.3 * np.array(chosen), rtol=1e-15)
    # The band says the same of the margin.
    for made in (adversary.near(0.3, 0.5), adversary.far(0.3, 0.5), adversary.constant(0.3)):
        width, near, far = made.band
        by_margin = np.where(np.abs(x[:, 0]) <= width, near, far)
        np.testing.assert_allclose(made.rate(x, E1), by_margin)


LOSSES = {
    "logistic": (lambda z: np.logaddexp(0, -z), 1.0),
    "leaky": (lambda z: -z / 2 + (0.5 - 0.3) * np.abs(z), 1.0),
    "perceptron": (lambda z: np.maximum(0, -z), 1.0),
    "hinge": (lambda z: np.maximum(0, 1 - z), 2.0),
}


@pytest.mark.parametrize("name", LOSSES)
def test_favouring_is_the_best_rate_for_v(name):
    # All margins are below 1 here, so that hinge is covered.
    loss, c = LOSSES[name]
    v, w_star = np.array([-0.3, 0.8, 0.4]), np.array([1.0, 0.0, 0.0])
    clean = np.where(X @ w_star >= 0, 1, -1)

    def difference(rate):
        """E loss(v) - E loss(w*), the mean over the points, exact over the labels."""
        each = [
            (1 - rate) * loss(clean * (X @ w)) + rate * loss(-clean * (X @ w)) for w in (v, w_star)
        ]
        return np.mean(each[0] - each[1])

    found = np.asarray(adversary.favouring(0.4, v).rate(jnp.asarray(X), E1))
    best = difference(found)
    # The objective is linear in eta(x), so its best value is that of each point's best end.
    change = np.array([difference(0.4 * row) for row in np.eye(len(X))]) - difference(0 * found)
    assert best == pytest.approx(difference(0 * found) + change[change < 0].sum(), abs=1e-12)
    assert best < difference(0.4 + 0 * found)
    for _ in range(50):
        assert difference(0.4 * RNG.random(len(X))) > best
        assert difference(np.where(RNG.random(len(X)) < 0.05, 0.4 - found, found)) >= best
    derived = difference(0 * found) + c * np.mean(found * clean * (X @ (v - w_star)))
    assert best == pytest.approx(derived, abs=1e-12)


def test_a_finite_instance_keeps_its_points():
    it = lever(0.05, 0.3)
    new = with_adversary(it, adversary.near(0.2, 0.5))  # A and C, not B
    np.testing.assert_allclose(new.atoms.rate, [0, 0.2, 0.2])
    assert (new.opt, new.eta, new.gamma) == pytest.approx((0.16, 0.2, 0.05))
    assert new.error(jnp.array([0.0, -1.0])) == pytest.approx(0.1 + 0.2 * 0.2 + 0.6 * 0.8)
    draws = jax.jit(lambda key: [one.draw(key, 500) for one in (it, new)])
    (x, y), (x_new, y_new) = (map(np.asarray, pair) for pair in draws(jax.random.key(0)))
    np.testing.assert_array_equal(x, x_new)
    far, clean = np.abs(x[:, 0]) > 0.5, np.where(x[:, 0] > 0, 1, -1)
    assert np.all(np.where(far, y_new, y) == clean)
    # The noise of LEVER itself is "far".
    again = with_adversary(it, adversary.far(0.3, 0.5))
    np.testing.assert_array_equal(again.atoms.rate, it.atoms.rate)
    one_sided = adversary.groups(0.2, lambda x: x[:, 0] > 0)
    with pytest.raises(ValueError, match="must treat x and -x alike"):
        with_adversary(it, one_sided)
    hidden = jax.jit(
        lambda eta: with_adversary(lever(), adversary.groups(eta, lambda x: x[:, 0] > 0)).opt
    )
    assert np.isnan(hidden(0.2))


def test_a_data_set_gets_exact_group_rates():
    clean = np.where(X[:, 0] * X[:, 1] > 0, 1, -1)
    it = with_adversary(from_data(X, clean, 0.0), adversary.groups(0.4, lambda x: x[:, 2] > 0.1))
    rate = np.where(X[:, 2] > 0.1, 0.4, 0)
    w = jnp.array([0.2, 1.0, -0.3])
    wrong = np.where(X @ w >= 0, 1, -1) != clean
    assert it.opt == pytest.approx(rate.mean())
    assert it.eta == pytest.approx(0.4)
    assert it.error(w) == pytest.approx((rate + (1 - 2 * rate) * wrong).mean())
    points = it.points(jax.random.key(1), 100)
    np.testing.assert_allclose(points.rate, np.where(points.x[:, 2] > 0.1, 0.4, 0))
    for made in (adversary.near(0.1, 0.2), adversary.far(0.1, 0.2), adversary.favouring(0.1, w)):
        with pytest.raises(ValueError, match="w\\*, which is 0"):
            with_adversary(it, made)


def test_gaussian_points_are_rated_again_on_a_sample():
    w = jnp.array([0.5, 1.0, 0.0])

    @jax.jit
    def numbers():
        plain = gaussian_margin(3, 0.1, adversary.constant(0.2))
        exact = gaussian_margin(3, 0.1, adversary.near(0.4, 0.3))
        rated = with_adversary(plain, adversary.near(0.4, 0.3))
        pair = [it.points(jax.random.key(2), 50) for it in (rated, exact)]
        return [(it.opt, it.error(w)) for it in (plain, exact, rated)], pair

    (before, want, found), (ours, theirs) = numbers()
    np.testing.assert_allclose(found, want, atol=0.02)
    assert abs(found[1] - before[1]) > 0.03
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_best_response_to_what_was_learned():
    # On BASIS with v = e_1: y* (w* - v).x = w*_j > 0 but for j = 1, where it is w*_1 - 1 < 0.
    it = basis(4, 0.1)
    hard = with_adversary(it, adversary.favouring(0.4, jnp.array([1.0, 0.0, 0.0, 0.0])))
    np.testing.assert_allclose(hard.atoms.rate, [0, 0.4, 0.4, 0.4])


def test_traced_numbers():
    def opt(eta, width):
        return with_adversary(lever(), adversary.far(eta, width)).opt

    found = jax.jit(jax.vmap(opt))(
        jnp.array([0.1, 0.4, 0.5, 0.1]), jnp.array([0.5, 0.01, 0.5, -1.0])
    )
    np.testing.assert_allclose(found, [0.02, 0.4, np.nan, np.nan])
    single = adversary.near(0.3, 0.5).rate(jnp.ones((2, 3), jnp.float32), E1.astype(jnp.float32))
    assert single.dtype == jnp.float32


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: adversary.constant(0.5), "eta must lie in"),
        (lambda: adversary.near(-0.1, 0.5), "eta must lie in"),
        (lambda: adversary.far([0.1, 0.2], 0.5), "eta must be one number"),
        (lambda: adversary.near(0.1, 0.0), "width must lie in"),
        (lambda: adversary.far(0.1, -1.0), "width must lie in"),
        (lambda: adversary.groups(0.1, [True]), "member must be a function"),
        (lambda: adversary.favouring(0.1, [jnp.nan]), "v has 1 non-finite"),
        (lambda: adversary.favouring(0.1, [1.0]).rate(jnp.asarray(X), E1), "v must have shape"),
        (
            lambda: adversary.groups(0.1, lambda x: x > 0).rate(jnp.asarray(X), E1),
            r"member must give True or False for each of the \d+ rows of x, got shape",
        ),
        (
            lambda: Adversary(jnp.asarray(0.1), lambda x, w: 0.2 * jnp.ones(len(x))).rate(
                jnp.asarray(X), E1
            ),
            "the adversary's rates must lie in \\[0, 0.1\\], got 0.2",
        ),
    ],
)
def test_bad_input_gets_one_clear_line(make, words):
    with pytest.raises(ValueError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)
