"""Every loss beside plain NumPy in the paper's letters, values and gradients; limits, extremes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.deep import (
    active_passive,
    anchors,
    bootstrapping,
    correction,
    cross_entropy,
    gce,
    label_smoothing,
    ldr,
    mixup,
    symmetric,
)

R = np.random.default_rng(0)
Z = R.normal(size=(6, 4)) * 2
Y = np.array([0, 3, 2, 1, 1, 0], np.int32)
T = 0.6 * np.eye(4) + 0.4 * R.dirichlet(np.ones(4), size=4)
T[2] = [0.0, 0.3, 0.7, 0.0]
SOFT = R.dirichlet(np.ones(4), size=6)
LAM = R.uniform(0.4, 3, size=6)
W = np.array([1.0, 0, 1, 1, 0, 1])
ROWS = np.arange(6)
K = 4


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def by_row(f):
    """Lift f(p, y, i), p the probabilities of one example, to logits."""
    return lambda z: np.array([f(p, Y[i], i) for i, p in enumerate(softmax(z))])


def hard_bootstrap(p, y, i):
    t = 0.8 * np.eye(K)[y] + 0.2 * np.eye(K)[np.argmax(p)]
    return -(t * np.log(p)).sum()


def reverse(p, y, A):
    return -sum(p[k] * (0 if k == y else A) for k in range(K))


def reference_ldr(f, lam, margin):
    out = []
    for i in range(len(f)):
        total = sum(
            np.exp((f[i, k] - f[i, Y[i]] + margin * (k != Y[i])) / lam[i]) for k in range(K)
        )
        out.append(lam[i] * np.log(total / K))
    return np.array(out)


def soft_scores(z):
    f = np.log(1 + np.exp(z))
    return f / f.mean(axis=1, keepdims=True)


def l1_scores(z):
    return K * z / np.abs(z).sum(axis=1, keepdims=True)


def aldr_cost(lam, lam0, alpha):
    return alpha * np.log(K) / (2 * lam0) * (lam - lam0) ** 2


BACK = np.linalg.inv(T)
A = np.log(1e-4)
CASES = {
    "cross entropy": (cross_entropy.loss, by_row(lambda p, y, i: -np.log(p[y]))),
    "label smoothing": (
        lambda z, y: label_smoothing.loss(z, y, 0.2),
        by_row(lambda p, y, i: -((0.8 * np.eye(K)[y] + 0.05) * np.log(p)).sum()),
    ),
    "gce": (gce.loss, by_row(lambda p, y, i: (1 - p[y] ** 0.7) / 0.7)),
    "truncated gce": (
        lambda z, y: gce.truncated(z, y, W, 0.6, 0.4),
        by_row(lambda p, y, i: W[i] * ((1 - p[y] ** 0.6) / 0.6 - (1 - 0.4**0.6) / 0.6)),
    ),
    "symmetric": (
        lambda z, y: symmetric.loss(z, y, 0.3, 2.0),
        by_row(lambda p, y, i: -0.3 * np.log(p[y]) + 2 * reverse(p, y, A)),
    ),
    "symmetric, the text's A": (
        lambda z, y: symmetric.loss(z, y, 0.3, 2.0, -4.0),
        by_row(lambda p, y, i: -0.3 * np.log(p[y]) + 2 * reverse(p, y, -4)),
    ),
    "active passive": (
        lambda z, y: active_passive.loss(z, y, 2.0, 0.5),
        by_row(lambda p, y, i: 2 * np.log(p[y]) / np.log(p).sum() + 0.5 * reverse(p, y, A)),
    ),
    "soft bootstrap": (
        bootstrapping.soft,
        by_row(lambda p, y, i: -((0.95 * np.eye(K)[y] + 0.05 * p) * np.log(p)).sum()),
    ),
    "hard bootstrap": (bootstrapping.hard, by_row(hard_bootstrap)),
    "forward": (
        lambda z, y: correction.forward(z, y, T),
        by_row(lambda p, y, i: -np.log((T.T @ p)[y])),
    ),
    "backward": (
        lambda z, y: correction.backward(z, y, T),
        by_row(lambda p, y, i: (BACK @ -np.log(p))[y]),
    ),
    "backward, clipped": (
        lambda z, y: correction.backward(z, y, T, 0.1),
        by_row(lambda p, y, i: (BACK @ -np.log(np.clip(p, 0.1, 1)))[y]),
    ),
    "mixup": (
        lambda z, y: mixup.loss(z, jnp.asarray(SOFT)),
        by_row(lambda p, y, i: -(SOFT[i] * np.log(p)).sum()),
    ),
    "ldr": (
        lambda z, y: ldr.loss(z, y, 0.3),
        lambda z: reference_ldr(soft_scores(z), np.full(6, 0.3), 0.1),
    ),
    "aldr": (
        lambda z, y: ldr.adaptive(z, y, jnp.asarray(LAM), 3.0, 1.5),
        lambda z: reference_ldr(l1_scores(z), LAM, 0.1) - aldr_cost(LAM, 3.0, 1.5),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient(name):
    ours, theirs = CASES[name]
    value, pull = jax.vjp(lambda z: ours(z, jnp.asarray(Y)), jnp.asarray(Z))
    np.testing.assert_allclose(value, theirs(Z), rtol=1e-10, atol=1e-12)
    slope, h = np.zeros_like(Z), 1e-6
    for k in range(K):  # a row's loss depends on its own logits alone
        step = h * np.eye(K)[k]
        slope[:, k] = (theirs(Z + step) - theirs(Z - step)) / (2 * h)
    np.testing.assert_allclose(pull(jnp.ones(6))[0], slope, rtol=1e-6, atol=1e-7)


EXTREME = 1e4 * np.array(
    [[1, -1, -1, -1], [-1, 1, 1, -1], [-1, -1, -1, -1], [0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 1, -1]]
)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_extreme_logits_are_finite_and_keep_their_dtype(dtype):
    @jax.jit
    def all_of(z):
        y = jnp.asarray(Y)
        return {n: jax.vjp(lambda z, f=f: f(z, y), z) for n, (f, _) in CASES.items()}

    for name, (value, pull) in all_of(jnp.asarray(EXTREME, dtype)).items():
        slope = pull(jnp.ones_like(value))[0]
        assert value.dtype == slope.dtype == dtype, name
        assert np.all(np.isfinite(value)), name
        assert np.all(np.isfinite(slope)), name


def test_gce_lies_between_cross_entropy_and_the_absolute_error():
    z, y = jnp.asarray(Z), jnp.asarray(Y)
    q = jnp.array([0.0, 1e-9, 0.7, 1.0])
    value, slope = jax.vmap(
        lambda q: (gce.loss(z, y, q), jax.grad(lambda z: gce.loss(z, y, q).sum())(z))
    )(q)
    ce, p_y = cross_entropy.loss(z, y), softmax(Z)[ROWS, Y]
    np.testing.assert_allclose(value[0], ce, rtol=1e-12)
    np.testing.assert_allclose(value[1], ce, rtol=1e-7)
    np.testing.assert_allclose(value[3], 1 - p_y, rtol=1e-12)
    steep = softmax(Z) - np.eye(K)[Y]  # of cross-entropy
    np.testing.assert_allclose(slope[2], p_y[:, None] ** 0.7 * steep, rtol=1e-10, atol=1e-14)


def test_symmetric_losses_sum_to_a_constant_over_the_labels():
    every = jnp.tile(jnp.arange(K, dtype=jnp.int32), 6)
    z = jnp.repeat(jnp.asarray(Z), K, axis=0)
    nce = active_passive.normalised(z, every).reshape(6, K)
    rce = symmetric.reverse(z, every).reshape(6, K)
    np.testing.assert_allclose(nce.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(rce.sum(axis=1), -A * (K - 1), rtol=1e-12)
    assert np.ptp(cross_entropy.loss(z, every).reshape(6, K).sum(axis=1)) > 1


def test_backward_is_unbiased_and_forward_by_the_identity_is_cross_entropy():
    z = jnp.asarray(Z)
    back = np.stack([correction.backward(z, jnp.full(6, j, jnp.int32), T, 0.0) for j in range(K)])
    np.testing.assert_allclose(T @ back, -np.log(softmax(Z)).T, rtol=1e-10)
    ce = cross_entropy.loss(z, jnp.asarray(Y))
    np.testing.assert_allclose(correction.forward(z, jnp.asarray(Y), np.eye(K)), ce, rtol=1e-12)


def test_ldr_limits_and_that_it_is_the_worst_distribution():
    z, y = jnp.asarray(Z), jnp.asarray(Y)
    ce = cross_entropy.loss(z, y)
    np.testing.assert_allclose(ldr.loss(z, y, 1.0, 0.0, ldr.raw), ce - np.log(K), atol=1e-12)
    gap = Z - Z[ROWS, Y][:, None] + 0.1 * (1 - np.eye(K)[Y])
    np.testing.assert_allclose(ldr.loss(z, y, 1e-4, 0.1, ldr.raw), gap.max(axis=1), atol=2e-4)
    np.testing.assert_allclose(ldr.loss(z, y, 1e6, 0.1, ldr.raw), gap.mean(axis=1), atol=2e-5)
    q = R.dirichlet(np.ones(K), size=500)
    q[0] = softmax(gap[:1] / 0.7)
    inner = q @ gap[0] - 0.7 * (q * np.log(q * K)).sum(axis=1)
    most = float(ldr.loss(z, y, 0.7, 0.1, ldr.raw)[0])
    assert np.all(inner[1:] < most)
    np.testing.assert_allclose(inner[0], most, rtol=1e-12)


def test_relative_scores_have_mean_one_where_softplus_underflows():
    z = jnp.array([[-800.0, -801.0, -810.0, -900.0], [-20.5, -19.5, -3.0, 1.0]])
    f = np.asarray(ldr.relative(z))
    np.testing.assert_allclose(f.mean(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(f[0], K * softmax(np.asarray(z[:1]))[0], rtol=1e-12)
    np.testing.assert_allclose(f[1], soft_scores(np.asarray(z[1:]))[0], rtol=1e-7)


def test_lam_is_the_best_one_for_its_q():
    lam0, alpha = 3.0, 1.5
    new = np.asarray(ldr.refreshed(jnp.asarray(Z), jnp.asarray(LAM), lam0, alpha))
    q = softmax(l1_scores(Z) / LAM[:, None]) + 1e-5
    q /= q.sum(axis=1, keepdims=True)
    kl = (q * np.log(q * K)).sum(axis=1)
    grid = np.linspace(0.5, 3.5, 30_001)[:, None]
    best = grid[np.argmax(-grid * kl - aldr_cost(grid, lam0, alpha), axis=0), 0]
    np.testing.assert_allclose(new, best, atol=1.01e-4)
    assert np.all((new > lam0 * (1 - 1 / alpha)) & (new <= lam0))
    sure = ldr.refreshed(jnp.array([[1e4, 0, 0, 0]]), jnp.array([0.01]), lam0, alpha)
    np.testing.assert_allclose(sure, lam0 * (1 - 1 / alpha), rtol=2e-3)


@pytest.mark.parametrize("percentile", [97.0, 90.0, None])
def test_anchors_beside_a_loop(percentile):
    p = R.dirichlet(np.full(3, 0.3), size=101)
    p[5] = [0.999, 0.0005, 0.0005]
    want = []
    for i in range(3):
        column = p[:, i].copy()
        if percentile is not None:
            column[column >= np.percentile(column, percentile, method="higher")] = 0
        want.append(p[np.argmax(column)])
    want = np.maximum(want, 1e-7)
    want /= want.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(anchors.estimate(p, percentile), want, rtol=1e-12)


def test_anchors_find_the_matrix_and_take_a_column_that_is_flat():
    noise = np.array([[0.7, 0.3, 0.0], [0.1, 0.8, 0.1], [0.0, 0.25, 0.75]])
    posterior = np.concatenate([np.eye(3).repeat(40, axis=0), R.dirichlet(np.ones(3), size=80)])
    found = anchors.estimate(posterior @ noise, 20.0)  # 40 alike at the top: below it, interior
    assert np.abs(found - noise).max() > 0.05
    np.testing.assert_allclose(anchors.estimate(posterior @ noise, None), noise, atol=1e-6)
    np.testing.assert_allclose(anchors.estimate(np.full((9, 3), 1 / 3)), np.full((3, 3), 1 / 3))


def test_mix_is_one_line_between_rows():
    x, t = jnp.asarray(R.normal(size=(6, 2, 3))), jnp.eye(6)

    @jax.jit
    @jax.vmap
    def drawn(key):
        tree, floored = (mixup.mix(key, 4.0, x, (t, t), floor) for floor in (False, True))
        return *tree, floored[1][0]

    mixed, (share, same), floored = map(np.asarray, drawn(jax.random.split(jax.random.key(1), 900)))
    np.testing.assert_array_equal(share, same)
    np.testing.assert_allclose(mixed, np.einsum("sij,jkl->sikl", share, x), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(share.sum(axis=1), 1.0)  # a permutation
    moved = share[:, 0, 0] < 1  # row 0 did not meet itself
    assert abs(moved.mean() - 5 / 6) < 4 * np.sqrt(5 / 36 / 900)
    l = share[moved, 0, 0]
    np.testing.assert_allclose(floored[moved, 0, 0], np.maximum(l, 1 - l))
    spread = 1 / 36  # variance of Beta(4, 4)
    assert abs(l.mean() - 0.5) < 4 * np.sqrt(spread / len(l))
    assert abs(l.var() / spread - 1) < 0.2


Y6 = jnp.asarray(Y)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda z: label_smoothing.loss(z, Y6, 1.5), "eps must lie in"),
        (lambda z: gce.loss(z, Y6, -0.1), "q must lie in"),
        (lambda z: gce.truncated(z, Y6, W, 0.7, 0.0), "k must lie in"),
        (lambda z: symmetric.loss(z, Y6, 1.0, 1.0, 4.0), "-A must lie in"),
        (lambda z: bootstrapping.soft(z, Y6, 2.0), "beta must lie in"),
        (lambda z: correction.forward(z, Y6, T.T), "transpose T"),
        (lambda z: correction.forward(z, Y6, np.eye(3)), "T must have shape"),
        (lambda z: correction.backward(z, Y6, np.full((4, 4), 0.25)), "T is singular"),
        (lambda z: ldr.loss(z, Y6, 0.0), "lam must lie in"),
        (lambda z: ldr.refreshed(z, jnp.asarray(LAM), 1.0, 1.0), "alpha must lie in"),
        (lambda z: mixup.mix(jax.random.key(0), 0.0, z, z), "a must lie in"),
        (lambda z: mixup.mix(jax.random.key(0), 1.0, Y6[:, None], z), "x must be floating"),
    ],
)
def test_refusals_name_argument_and_value(call, says):
    with pytest.raises(ValueError, match=says):
        call(jnp.asarray(Z))
