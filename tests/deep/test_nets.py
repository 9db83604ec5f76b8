"""Networks beside plain NumPy, whole ones written out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxrobust.deep import conv, nets, resnet
from jaxrobust.deep.method import Weights
from tests.deep.test_conv import by_loops

R = np.random.default_rng(0)


def start(net, seed=0):
    return jax.jit(net.init)(jax.random.key(seed))


def apply(net, weights, x, train):
    return jax.jit(net.apply, static_argnums=2)(weights, jnp.asarray(x), train)


def relu(x):
    return np.maximum(x, 0)


def dense(x, p):
    return x @ np.asarray(p["kernel"]) + np.asarray(p["bias"])


@pytest.mark.parametrize("arithmetic", conv.ARITHMETICS)
def test_cnn_by_hand(arithmetic):
    module = nets.CNN(4, channels=(2, 3), widths=(6,), arithmetic=arithmetic)
    net = nets.network(module, (4, 4, 2), dtype=jnp.float64)
    weights = start(net, 1)
    assert nets.size(weights) == (9 * 2 + 1) * 2 + (9 * 2 + 1) * 3 + (12 + 1) * 6 + (6 + 1) * 4
    p, x = weights.params, R.normal(size=(5, 4, 4, 2))
    h = x
    for name in ("Conv_0", "Conv_1"):
        h = relu(by_loops(h, np.asarray(p[name]["kernel"])) + np.asarray(p[name]["bias"]))
    h = h.reshape(5, 2, 2, 2, 2, 3).max(axis=(2, 4)).reshape(5, -1)
    want = dense(relu(dense(h, p["MLP_0"]["Dense_0"])), p["MLP_0"]["Dense_1"])
    logits, stats = apply(net, weights, x, True)
    np.testing.assert_allclose(logits, want, rtol=1e-12, atol=1e-12)
    assert logits.dtype == jnp.float64
    assert stats == {}


def test_mlp_linear_and_lanes_in_float32():
    x = R.normal(size=(3, 2, 5))
    net = nets.network(nets.MLP(4, (6,)), (2, 5))
    weights = jax.jit(jax.vmap(net.init))(jax.random.split(jax.random.key(0), 2))
    logits = jax.jit(jax.vmap(lambda w: net.apply(w, jnp.asarray(x), True)[0]))(weights)
    for lane in range(2):
        p = jax.tree.map(lambda a, lane=lane: a[lane], weights.params)
        want = dense(relu(dense(x.reshape(3, -1), p["Dense_0"])), p["Dense_1"])
        np.testing.assert_allclose(logits[lane], want, rtol=1e-5, atol=1e-5)
    assert logits.dtype == jnp.float32
    assert {a.dtype for a in jax.tree.leaves(weights)} == {jnp.dtype("float32")}
    probe = nets.network(nets.Linear(4), (2, 5))
    weights = start(probe)
    assert nets.size(weights) == 44
    np.testing.assert_array_equal(probe.apply(weights, jnp.asarray(x), True)[0], 0)


def test_first_weights():
    kernel = start(nets.network(nets.MLP(200, ()), (300,))).params["Dense_0"]
    assert abs(float(jnp.std(kernel["kernel"])) / np.sqrt(2 / 300) - 1) < 0.01
    np.testing.assert_array_equal(kernel["bias"], 0)
    drawn = resnet.uniform(jax.random.key(0), (3, 3, 100, 50), jnp.float64)
    assert 0.999 / 30 < float(jnp.max(jnp.abs(drawn))) <= 1 / 30
    bias = resnet._bias(jax.random.key(0), (1000,), jnp.float64, 16)
    assert 0.99 / 4 < float(jnp.max(jnp.abs(bias))) <= 1 / 4


@pytest.mark.parametrize(
    ("module", "count"),
    [
        (resnet.preact18(10), 11_171_146),
        (resnet.preact18(10, repositories=True), 11_171_274),
        (resnet.resnet34(10), 21_282_122),
        (resnet.resnet34(100), 21_282_122 + 90 * 513),
    ],
)
def test_parameters_of_residual_networks(module, count):
    net = nets.network(module, (32, 32, 3))
    assert nets.size(jax.eval_shape(net.init, jax.random.key(0))) == count


class Hand:
    """Residual networks in NumPy; keeps the new running statistics."""

    def __init__(self, weights, train):
        self.train, self.moved = train, jax.tree.map(np.asarray, weights.stats)

    def norm(self, x, p, s):
        mean, var = s["mean"], s["var"]
        if self.train:
            mean, var = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
            s["mean"] = 0.9 * s["mean"] + 0.1 * mean
            s["var"] = 0.9 * s["var"] + 0.1 * x.var(axis=(0, 1, 2), ddof=1)
        return (x - mean) / np.sqrt(var + 1e-5) * np.asarray(p["scale"]) + np.asarray(p["bias"])

    def conv(self, x, p, stride=1):
        return by_loops(x, np.asarray(p["kernel"]), stride)

    def block(self, x, p, s, stride):
        h = relu(self.norm(self.conv(x, p["Conv_0"], stride), p["Norm_0"], s["Norm_0"]))
        h = self.norm(self.conv(h, p["Conv_1"]), p["Norm_1"], s["Norm_1"])
        if "Conv_2" in p:
            x = self.norm(self.conv(x, p["Conv_2"], stride), p["Norm_2"], s["Norm_2"])
        return relu(h + x)

    def preact(self, x, p, s, stride, repositories):
        h = relu(self.norm(x, p["Norm_0"], s["Norm_0"]))
        past = h if repositories else x
        y = self.conv(h, p["Conv_0"], stride)
        if "Conv_2" in p:
            past = self.conv(h, p["Conv_1"], stride)
        last = p["Conv_2"] if "Conv_2" in p else p["Conv_1"]
        return self.conv(relu(self.norm(y, p["Norm_1"], s["Norm_1"])), last) + past


@pytest.mark.parametrize(
    ("kind", "train"),
    [("plain", True), ("preact", True), ("repositories", True), ("repositories", False)],
)
def test_residual_networks_by_hand(kind, train):
    repositories = kind == "repositories"
    make = resnet.resnet34 if kind == "plain" else resnet.preact18
    options = {"repositories": True} if repositories else {}
    module = make(3, **options, widths=(2, 3), arithmetic="patches").clone(depths=(1, 1))
    net = nets.network(module, (6, 6, 2), dtype=jnp.float64)
    init = start(net, 2)
    r, x = np.random.default_rng(3), R.normal(size=(4, 6, 6, 2))
    weights = Weights(*jax.tree.map(lambda a: np.asarray(a) + r.uniform(0, 0.5, a.shape), init))
    p, hand = weights.params, Hand(weights, train)
    s = hand.moved
    h = hand.conv(x, p["Conv_0"])
    if kind != "preact":
        h = relu(hand.norm(h, p["Norm_0"], s["Norm_0"]))
    name = "Block" if kind == "plain" else "PreActBlock"
    for layer, stride in enumerate((1, 2)):
        here = p[f"{name}_{layer}"], s[f"{name}_{layer}"], stride
        h = hand.block(h, *here) if kind == "plain" else hand.preact(h, *here, repositories)
    logits, stats = apply(net, weights, x, train)
    np.testing.assert_allclose(logits, dense(h.mean(axis=(1, 2)), p["Dense_0"]), atol=1e-10)
    assert jax.tree.structure(stats) == jax.tree.structure(s)
    for a, b in zip(jax.tree.leaves(stats), jax.tree.leaves(s), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_both_arithmetics_train_the_same_residual_network():
    x, found = jnp.asarray(R.normal(size=(3, 4, 4, 2)), jnp.float32), []
    for arithmetic in conv.ARITHMETICS:
        module = resnet.preact18(3, widths=(2, 3), arithmetic=arithmetic).clone(depths=(1, 1))
        net = nets.network(module, (4, 4, 2))
        weights = start(net)

        @jax.jit
        def slope(params, stats=weights.stats, net=net):
            return jax.grad(lambda p: net.apply(Weights(p, stats), x, True)[0][0, 0])(params)

        found.append(slope(weights.params))
    for a, b in zip(*map(jax.tree.leaves, found), strict=True):
        assert a.dtype == jnp.float32
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_bfloat16_computes_and_float32_keeps():
    options = {"widths": (4, 8), "arithmetic": "patches"}
    logits = {}
    for compute in (None, jnp.bfloat16):
        module = resnet.resnet34(3, **options, compute=compute).clone(depths=(1, 1))
        net = nets.network(module, (6, 6, 2))
        weights = start(net)
        x = jnp.asarray(np.random.default_rng(1).normal(size=(4, 6, 6, 2)), jnp.float32)
        logits[compute], stats = apply(net, weights, x, True)
        kept = jax.tree.leaves((weights, stats, logits[compute]))
        assert {a.dtype for a in kept} == {jnp.dtype("float32")}
    gap = np.abs(logits[jnp.bfloat16] - logits[None]).max()
    assert 1e-5 < gap < 0.05  # bfloat16 has three digits


class Counting(nn.Module):
    """Keeps a variable that no network may have."""

    @nn.compact
    def __call__(self, x):
        self.variable("cache", "count", lambda: jnp.zeros(()))
        return x


def test_refusals():
    net = nets.network(nets.MLP(2, ()), (3,))
    with pytest.raises(ValueError, match=r"x must have shape \(any, 3\), got \(1, 4\)"):
        net.apply(net.init(jax.random.key(0)), jnp.zeros((1, 4)), False)
    with pytest.raises(ValueError, match="keeps variables of kind cache"):
        nets.network(Counting(), (3,)).init(jax.random.key(0))
    with pytest.raises(ValueError, match="shape must be a whole number"):
        nets.network(nets.MLP(2), (0,))
