"""Early learning: closed forms beside scipy, scikit-learn, plain NumPy and brute force."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, optimize, stats
from sklearn.metrics import roc_auc_score

from experiments import _early
from jaxrobust.deep import elr, gaussians, scores, theory

R = np.random.default_rng(0)


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def test_scores_and_their_auc():
    z, y = R.normal(size=(40, 3)), R.integers(0, 3, 40).astype(np.int32)
    p = softmax(z)
    by_hand = [np.sqrt(sum((p[i, c] - (c == y[i])) ** 2 for c in range(3))) for i in range(40)]
    np.testing.assert_allclose(scores.el2n(jnp.asarray(p), jnp.asarray(y)), by_hand, rtol=1e-12)
    # Linear: the gradient in the weights is (p - e_y) x^T, that in the biases p - e_y.
    x, w = (
        R.normal(size=(40, 4)),
        {"kernel": jnp.asarray(R.normal(size=(4, 3))), "bias": jnp.ones(3)},
    )

    def loss(w, x, y):
        return -jax.nn.log_softmax(x @ w["kernel"] + w["bias"])[y]

    p = softmax(x @ np.asarray(w["kernel"]) + 1)
    error = np.linalg.norm(p - np.eye(3)[y], axis=1)
    found = scores.grand(loss, w, jnp.asarray(x), jnp.asarray(y))
    np.testing.assert_allclose(found, error * np.sqrt((x**2).sum(axis=1) + 1), rtol=1e-12)
    wrong = R.random(40) < 0.3
    find = jax.jit(scores.auc)  # one trace for all
    for score in (R.random(40), R.integers(0, 4, 40) / 1.0, np.ones(40)):  # ties, and nothing else
        np.testing.assert_allclose(find(score, wrong), roc_auc_score(wrong, score), rtol=1e-12)
    with pytest.raises(
        ValueError, match="wrong must mark some labels and spare some, got all right"
    ):
        scores.auc(jnp.ones(3), jnp.zeros(3, bool))
    assert np.isnan(find(np.where(np.arange(40) == 3, np.nan, 1.0), wrong))


def test_lemma_2_in_its_first_form():
    p, t = softmax(R.normal(size=(6, 4))), softmax(R.normal(size=(6, 4)))
    inner = (p * t).sum(axis=1)
    for c in range(4):
        written = p[:, c] / (1 - inner) * ((t - t[:, [c]]) * p).sum(axis=1)
        np.testing.assert_allclose(
            theory.pull(jnp.asarray(p), jnp.asarray(t))[:, c], written, atol=1e-15
        )


def test_the_gradient_holds_half_the_argument():
    x, theta = R.normal(size=(7, 3)), R.normal(size=3)
    eps = np.where(R.random(7) < 0.5, 1.0, -1.0)

    def loss(w):
        return np.mean(np.log1p(np.exp(-eps * (x @ w))))

    slope = [(loss(theta + h) - loss(theta - h)) / 2e-5 for h in 1e-5 * np.eye(3)]
    numerical = np.array(slope)
    formula = x.T @ (np.tanh(x @ theta / 2) - eps) / 14
    np.testing.assert_allclose(formula, numerical, atol=1e-9)
    assert np.max(np.abs(x.T @ (np.tanh(x @ theta) - eps) / 14 - numerical)) > 0.01
    given = gaussians.Instance(
        jnp.asarray(x), jnp.zeros(7, jnp.int32), jnp.asarray((eps > 0).astype(np.int32))
    )
    start = gaussians.State(jnp.asarray(theta), jnp.zeros((7, 2)))
    state, info = jax.jit(gaussians.step)(start, given, 0.9)
    np.testing.assert_allclose(state.theta, theta - 0.9 * formula, rtol=1e-12)
    np.testing.assert_allclose(info.loss, loss(theta), rtol=1e-12)


def test_descent_is_that_of_plain_numpy():
    given = gaussians.draw(jax.random.key(1), 30, 4, 0.5, 0.5)
    x, y = np.asarray(given.x), np.asarray(given.y)
    times, lam, beta = (0, 2, 7), 3.0, 0.6
    found = np.asarray(gaussians.descend(jax.random.key(2), given, times, 0.9, lam, beta))
    theta, t, kept = found[0], np.zeros((30, 2)), [found[0]]
    np.testing.assert_allclose(np.linalg.norm(theta), 2.0, rtol=1e-12)
    for _ in range(7):
        p = softmax(np.stack([np.zeros(30), x @ theta], axis=1))
        t = beta * t + (1 - beta) * p
        both = (p * t).sum(axis=1)
        g = p[:, 1] * (both - t[:, 1]) / (1 - both)
        theta = theta - 0.9 * x.T @ (p[:, 1] - y + lam * g) / 30
        kept.append(theta)
    np.testing.assert_allclose(found, np.array(kept)[list(times)], rtol=1e-10)
    for times in ((), (3, 2), (-1, 4)):
        with pytest.raises(ValueError, match="times must be whole numbers >= 0 that increase"):
            gaussians.descend(jax.random.key(2), given, times, 0.9)


def test_a_sample_has_its_law():
    given = gaussians.draw(jax.random.key(3), 40_000, 2, 0.5, 0.4)
    sign = 2.0 * np.asarray(given.truth) - 1
    assert abs(np.mean(given.wrong) - 0.2) < 0.01  # half of what is replaced
    assert abs(sign.mean()) < 0.02
    noise = np.asarray(given.x) - sign[:, None] * np.array([[1.0, 0.0]])
    np.testing.assert_allclose(np.cov(noise.T), 0.25 * np.eye(2), atol=0.01)
    theta = jnp.array([1.0, 2.0])
    measured = np.mean(np.sign(np.asarray(given.x) @ np.asarray(theta)) == sign)
    assert abs(float(gaussians.accuracy(theta, 0.5)) - measured) < 0.01


@pytest.mark.parametrize(
    ("a", "sigma", "p", "n"), [(0.4, 0.5, 80, 40), (-0.2, 0.7, 20, 30), (0.6, 1.0, 400, 50)]
)
def test_one_step_mean_beside_noncentral_chi_squares(a, sigma, p, n):
    # w.x > 0 where |w' + x'| > |w' - x'|, both of unit variance: two independent chi squares.
    for pair, m in ((False, 1.0), (True, np.sqrt(2))):
        more, less = ((a * np.sqrt(n) + s * m) ** 2 / (2 * sigma**2) for s in (1, -1))

        def at(q, more=more, less=less):
            return stats.ncx2.cdf(stats.ncx2.ppf(q, p, more), p, less)

        exact = integrate.quad(at, 0, 1, epsabs=1e-8)[0]
        assert abs(float(theory.one_step_mean(a, sigma, p, n, pair)) - exact) < 1e-7
        assert abs(float(theory.one_step(a, sigma, p, n, pair)) - exact) < 0.02


def test_one_step_from_zero_on_many_samples():
    n, p, sigma = 20, 30, 0.7
    wrong = jnp.arange(n) < 5  # as the laws are given the labels, they may be these

    def trial(key):
        sign = jnp.where(jnp.arange(n) % 2 == 0, 1.0, -1.0)
        x = (sigma * jax.random.normal(key, (n, p))).at[:, 0].add(sign)
        eps = jnp.where(wrong, -sign, sign)
        given = gaussians.Instance(x, (sign > 0).astype(jnp.int32), (eps > 0).astype(jnp.int32))
        theta = gaussians.descend(key, given, (1,), 1.0, radius=0.0)[0]
        score = scores.el2n(jax.nn.softmax(gaussians.logits(theta, x), axis=1), given.y)
        return gaussians.accuracy(theta, sigma), scores.auc(score, given.wrong)

    found = jax.jit(jax.vmap(trial))(jax.random.split(jax.random.key(4), 1_500))
    for each, pair in zip(found, (False, True), strict=True):
        error = np.std(each) / np.sqrt(1_500)
        assert abs(np.mean(each) - float(theory.one_step_mean(0.5, sigma, p, n, pair))) < 4 * error
        assert error < 0.004


def test_separability():
    # Cover: of n points with random labels the least separating number of columns is 1 + Binomial.
    many, n = 400, 11
    least = [_early.threshold(R.normal(size=(n, n))) for _ in range(many)]
    assert all(status == 0 for _, status in least)
    law = stats.binom.pmf(np.arange(n), n - 1, 0.5)
    seen = np.bincount([round(k - 0.5) for k, _ in least], minlength=n)[:n] / many
    np.testing.assert_allclose(np.cumsum(seen), np.cumsum(law), atol=0.08)
    rows = R.normal(size=(20, 8))  # beside a linear program
    for columns in range(1, 9):
        found = optimize.linprog(
            np.zeros(columns), A_ub=-rows[:, :columns], b_ub=-np.ones(20), bounds=(None, None)
        )
        assert _early.separable(rows[:, :columns]) == (found.status == 0, True)
    # The formula beside quadrature and a scan of c.
    for f, sigma in ((0.1, 0.5), (0.3, 1.0), (0.02, 0.2)):

        def value(c, f=f, sigma=sigma):
            def mean(b):
                return integrate.quad(
                    lambda g: (
                        min(0, c * b / sigma + np.sqrt(1 + c * c) * g) ** 2 * stats.norm.pdf(g)
                    ),
                    -12,
                    12,
                    points=[-c * b / sigma / np.sqrt(1 + c * c)],
                )[0]

            return (1 - f) * mean(1) + f * mean(-1)

        best = optimize.minimize_scalar(
            value, bounds=(0, 5), method="bounded", options={"xatol": 1e-7}
        ).fun
        np.testing.assert_allclose(theory.separable_from(f, sigma), best, atol=1e-8)


def test_what_holds_a_wrong_label_off():
    @jax.jit
    @jax.vmap
    def pull(share, lam):
        z = jnp.stack([jnp.zeros(()), jnp.log(share / (1 - share))])[None, :]
        t = jnp.stack([1 - share, share])[None, :]
        return jax.grad(lambda z: elr.loss(z, jnp.zeros(1, jnp.int32), t, lam)[0])(z)[0, 1]

    lam = jnp.array([2.5, 3.0, 7.0])
    level = theory.hold(lam)
    assert np.all(pull(level - 0.01, lam) > 0)
    assert np.all(pull(level + 0.01, lam) < 0)
    assert theory.hold(2.0) == 1.0
    assert np.all(pull(jnp.array([0.5, 0.9, 0.999]), jnp.full(3, 2.0)) > 0)


def test_activation_times():
    """Descent on SOP's losses of one example, in plain NumPy."""
    for lr, batch in ((1.0, 128), (10.0, 128), (50.0, 128), (100.0, 128)):
        v, count = 1e-8, 0
        while v**2 < 0.5:
            slope = -4 * v * (1 - v**2)  # of (1 - v^2)^2
            v, count = v - lr / batch * slope, count + 1
        assert v > 0
        assert abs(count - theory.visits(theory.growth_v(lr, batch))) < 1
    for p_y in (0.05, 0.5):

        def loss(u, p_y=p_y):  # V is zero, or enters q without a slope
            return -jnp.log((p_y + u**2) / (1 + u**2))

        u = 1e-6
        moved = u - 10 / 128 * jax.grad(loss)(u)
        np.testing.assert_allclose(moved / u, theory.growth_u(10, 128, p_y), rtol=1e-8)
