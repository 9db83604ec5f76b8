import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxrobust.halfspace import (
    adversary,
    basis,
    drag,
    from_data,
    lever,
    levers,
    long_servedio,
    mix,
    mixture,
    noisy,
    predict,
)
from jaxrobust.halfspace.gaussian import chen_mixture, gaussian_margin, lever_in

KEY = jax.random.key(11)
N = 40_000


def data(rate=0.2):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(50, 3))
    x = x / np.linalg.norm(x, axis=1).max()
    clean = np.where(x[:, 0] + x[:, 1] ** 2 > 0.2, 1, -1)  # no halfspace
    return from_data(x, clean, rate * (x[:, 0] > 0))


FINITE = {
    "long_servedio": lambda: long_servedio(0.1, 0.3, where="far"),
    "drag": lambda: drag(0.05, 0.3),
    "lever": lever,
    "levers": lambda: levers(3),
    "basis of size 3": lambda: basis(4, 0.2, size=3),
    "mix": lambda: mix(0.3, 4),
    "mixture": lambda: mixture([drag(0.1, 0.4), lever(), basis(2, 0.1)], [1.0, 2.0, 3.0]),
}
SAMPLED = {
    "gaussian": lambda: gaussian_margin(5, 0.1, adversary.far(0.3, 0.3)),
    "gaussian plane": lambda: gaussian_margin(2, 0.1, adversary.constant(0.2)),
    "lever in 3": lambda: lever_in(3, 0.4),
    "lever in 6": lambda: lever_in(6, 0.3, 0.1, 0.2),
    "chen": lambda: chen_mixture(0.3),
}
ALL = {**FINITE, **SAMPLED, "data": data}


def close(found, sample):
    """The mean of a sample is `found` to 5 standard errors."""
    sample = np.asarray(sample, float)
    limit = 5 * np.sqrt((sample.var() + 1 / sample.size) / sample.size)
    assert abs(sample.mean() - found) < limit, (found, sample.mean(), limit)


@pytest.mark.parametrize("name", ALL)
def test_an_instance_is_what_it_says(name):
    d = ALL[name]().d
    rng = np.random.default_rng(1)
    W = np.concatenate([rng.normal(size=(3, d)), np.zeros((1, d))])

    @jax.jit
    def everything(key, W):
        it = ALL[name]()
        first, second = jax.random.split(key)
        points = it.points(first, N)
        by_grid = None
        if "gaussian" not in name:  # to spare time; see test_gaussian
            by_grid = jax.vmap(lambda w: it.error_of(lambda x: predict(w, x)))(W), it.grid()[1]
        truth = (it.w_star, it.gamma, it.eta, it.opt, it.error(it.w_star))
        return points, noisy(second, points), jax.vmap(it.error)(W), by_grid, truth

    points, y, errors, by_grid, truth = jax.tree.map(np.asarray, everything(KEY, W))
    w_star, gamma, eta, opt, bayes = truth
    assert np.linalg.norm(points.x, axis=1).max() < 1 + 1e-9
    assert set(np.unique(points.clean)) <= {-1, 1}
    assert points.rate.min() >= 0
    assert points.rate.max() <= eta < 0.5
    if w_star.any():
        margin = points.x @ w_star
        assert np.linalg.norm(w_star) == pytest.approx(1)
        assert np.abs(margin).min() > gamma * (1 - 1e-9) - 1e-15
        np.testing.assert_array_equal(points.clean, np.where(margin > 0, 1, -1))
        assert bayes == pytest.approx(opt, abs=1e-12)
    close(opt, points.rate)
    for w, error in zip(W, errors, strict=True):
        wrong = np.where(points.x @ w >= 0, 1, -1) != points.clean
        close(error, points.rate + (1 - 2 * points.rate) * wrong)
        close(error, np.where(points.x @ w >= 0, 1, -1) != y)
    if by_grid:
        assert by_grid[1].sum() == pytest.approx(1)
        # The grid of some is a sample of 10,000 points.
        fixed = 5 * 0.5 / 100 if name in SAMPLED else 1e-12
        np.testing.assert_allclose(errors, by_grid[0], rtol=0, atol=fixed)


@pytest.mark.parametrize("name", ["lever", "mix", "basis of size 3"])
def test_draws_follow_the_atoms_and_their_rates(name):
    it = FINITE[name]()
    atoms = jax.tree.map(np.asarray, it.atoms)
    x, y = (np.asarray(v) for v in it.draw(KEY, N))
    both = np.concatenate([atoms.x, -atoms.x])
    chance = np.concatenate([atoms.weight, atoms.weight]) / 2
    clean, rate = np.concatenate([atoms.clean, -atoms.clean]), np.tile(atoms.rate, 2)
    distance = np.abs(x[:, None, :] - both[None, :, :]).max(axis=2)
    which = distance.argmin(axis=1)
    assert distance.min(axis=1).max() < 1e-12
    count = np.bincount(which, minlength=chance.size)
    met = chance > 0
    assert count[~met].sum() == 0
    assert stats.chisquare(count[met], N * chance[met]).pvalue > 1e-5
    flips = np.bincount(which, y != clean[which], minlength=chance.size)
    assert np.all(flips[rate == 0] == 0)
    for k, n, p in zip(flips[rate > 0], count[rate > 0], rate[rate > 0], strict=True):
        assert n == 0 or stats.binomtest(int(k), int(n), p).pvalue > 1e-5


@pytest.mark.parametrize(
    ("it", "rows"),  # x, rate, weight
    [
        (
            long_servedio(0.1, 0.3),
            [(1, 0, 0.3, 0.25), (0.1, -0.1, 0.3, 0.5), (0.1, 0.5, 0.3, 0.25)],
        ),
        (
            long_servedio(0.1, 0.3, where="far"),
            [(1, 0, 0.3, 0.25), (0.1, -0.1, 0, 0.5), (0.1, 0.5, 0, 0.25)],
        ),
        (drag(0.28, 0.3), [(0.28, 0.96, 0, 0.3), (0.28, -0.56, 0.3, 0.7)]),
        (
            lever(0.28, 0.3, a=0.1, p_arm=0.1),
            [(1, 0, 0.3, 0.2), (0.28, -0.96, 0, 0.1), (0.28, 0.1, 0, 0.7)],
        ),
    ],
)
def test_the_points_by_hand(it, rows):
    atoms = it.atoms
    found = np.column_stack([atoms.x, atoms.rate, atoms.weight])
    np.testing.assert_allclose(found, rows, atol=1e-15)
    np.testing.assert_array_equal(atoms.clean, 1)
    np.testing.assert_array_equal(it.w_star, [1, 0])


def test_ties_are_half_wrong_on_finite_instances():
    it = lever(0.05, 0.3)
    # w = e_2: B on the line; C (.2) wrong and A (.6) right.
    assert it.error(jnp.array([0.0, 1.0])) == pytest.approx(0.2 * 0.5 + 0.2)
    assert it.error(jnp.zeros(2)) == pytest.approx(0.5)
    # On lists of points sign 0 = +1, and the mirror image makes it half again.
    assert it.error_of(lambda x: jnp.ones(x.shape[0])) == pytest.approx(0.5)


def test_the_known_optima():
    @jax.jit
    def found():
        instances = lever(), levers(40), mix(0.2, 300), lever_in(20, 0.3)
        return [(it.opt, it.gamma, jnp.asarray(it.d, float)) for it in instances]

    # MIX has the largest margin in separate coordinates: (1/.05^2 + 300)^(-1/2).
    expected = [
        (0.06, 0.05, 2),
        (0.06, 0.05 / np.sqrt(40), 80),
        (0.252, (1 / 0.05**2 + 300) ** -0.5, 302),
        (0.06, 0.05 / np.sqrt(1.09), 20),
    ]
    np.testing.assert_allclose(found(), expected, rtol=1e-12)
    assert long_servedio(0.1, 0.3, where="far").opt == pytest.approx(0.075)


def test_the_size_of_basis_can_be_traced():
    def numbers(size):
        it = basis(6, 0.2, size=size)
        return it.gamma, it.opt, it.error(jnp.arange(6.0) - 1.5), it.w_star @ it.w_star

    traced = jax.vmap(numbers)(jnp.array([2, 6]))
    for i, size in enumerate((2, 6)):
        wrong = min(size, 2) / size  # the signs of w are - - + + + +
        np.testing.assert_allclose(
            [v[i] for v in traced], [size**-0.5, 0.2, 0.2 + 0.6 * wrong, 1], rtol=1e-12
        )


@pytest.mark.parametrize(
    "make",
    [
        lambda eta: lever(eta=eta),
        lambda eta: gaussian_margin(4, 0.1, adversary.far(eta, 0.3)),
        lambda eta: chen_mixture(eta),
    ],
)
def test_instances_that_differ_in_eta_share_points_and_luck(make):
    draw = jax.jit(lambda eta: make(eta).draw(KEY, 2000))
    clean = draw(0.0)[1]
    (x, y), (x_more, y_more) = draw(0.1), draw(0.4)
    np.testing.assert_array_equal(x, x_more)
    flipped, more = np.asarray(y != clean), np.asarray(y_more != clean)
    assert 0 < flipped.sum() < more.sum()
    assert np.all(more[flipped])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: lever(0.0), "g must lie in"),
        (lambda: lever(eta=0.5), "eta must lie in"),
        (lambda: lever(p_noisy=0.6, p_arm=0.5), "p_noisy \\+ p_arm must be below 1"),
        (lambda: drag(0.5, 0.3), "g must lie in"),
        (lambda: long_servedio(0.2, 0.3), "g must lie in"),
        (lambda: long_servedio(0.1, 0.3, where="near"), "where must be"),
        (lambda: basis(0, 0.3), "d must be a whole number"),
        (lambda: basis(3, [0.1, 0.2]), "eta must be one number"),
        (lambda: levers(0), "K must be a whole number"),
        (lambda: mix(1.0), "p_lever must lie in"),
        (lambda: mixture([], []), "instances must be finite"),
        (lambda: mixture([data()], [1.0]), "instances must be finite"),
        (lambda: mixture([lever()], [-1.0]), "weights must lie in"),
        (lambda: lever_in(2, 0.3), "d must be a whole number >= 3"),
        (lambda: lever_in(4, 0.0), "r must lie in"),
        (lambda: chen_mixture(0.5), "eta must lie in"),
        (lambda: chen_mixture(0.2, where="near"), "where must be"),
        (lambda: gaussian_margin(1, 0.1, adversary.constant(0.1)), "d must be a whole number"),
        (lambda: gaussian_margin(3, 0.0, adversary.constant(0.1)), "gamma must lie in"),
        (lambda: gaussian_margin(3, 1.0, adversary.constant(0.1)), "gamma must lie in"),
        (
            lambda: gaussian_margin(2, 0.1, adversary.constant(0.1), w_star=[0.0, 0.0]),
            "w_star must not be 0",
        ),
        (
            lambda: gaussian_margin(2, 0.1, adversary.constant(0.1), w_star=[1.0]),
            "w_star must have shape",
        ),
        (lambda: from_data([[2.0, 0.0]], [1], 0.1), "x has a row of norm 2"),
        (lambda: from_data([[1.0, 0.0]], [0], 0.1), "map 0/1 labels"),
        (lambda: from_data([[1.0, 0.0]], [1], 0.5), "rate must lie in"),
        (lambda: from_data([[jnp.nan, 0.0]], [1], 0.1), "x has 1 non-finite"),
        (lambda: from_data([[1.0, 0.0]], [1, 1], 0.1), "clean must have shape"),
    ],
)
def test_bad_input_gets_one_clear_line(make, words):
    with pytest.raises(ValueError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)
