"""The loop: every example once an epoch, truth for nobody but readings, resume."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.deep import cross_entropy, elr, long_run, optimiser, protocol, sop
from jaxrobust.deep.method import Info, Method, Network, Task, Weights, no_epoch
from jaxrobust.deep.sets import Data, Labelled
from jaxrobust.deep.train import Keys, Plan, fit, many, probabilities

N, C = 23, 3
KEYS = Keys(jax.random.key(1), jax.random.key(2))


def network(features=4):
    def init(key):
        return Weights({"w": 0.1 * jax.random.normal(key, (features, C))}, {})

    return Network(init, lambda weights, x, train: (x @ weights.params["w"], {}))


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, C, 3 * N).astype(np.int32)
    x = np.eye(4)[truth] + 0.3 * rng.normal(size=(3 * N, 4))
    given = np.where(rng.uniform(size=3 * N) < 0.3, (truth + 1) % C, truth).astype(np.int32)
    parts = [Labelled(*map(jnp.asarray, (x[k::3], given[k::3], truth[k::3]))) for k in range(3)]
    return Data(parts[0], parts[1], Labelled(parts[2].x, parts[2].truth))


def counting():
    """A method that counts how often it met each row, and predicts fixed classes."""

    def step(state, batch, key):
        return state.at[batch.rows].add(1), Info(jnp.asarray(1.0))

    def predict(state, x):
        return jax.nn.one_hot(jnp.argmax(x[:, :C], axis=1), C)

    return Method(lambda key: jnp.zeros(N, jnp.int32), step, predict, no_epoch)


def test_an_epoch_meets_every_row_once_but_for_the_last_partial_batch(data):
    plan = Plan(epochs=6, batch=5, every=3)
    met, _ = fit(KEYS, counting(), data, plan)
    assert int(met.sum()) == 6 * 20  # four batches of five a time
    assert met.max() <= 6
    assert met.min() >= 1  # another three are left out each time
    one = Plan(epochs=6, batch=23, every=6)
    np.testing.assert_array_equal(fit(KEYS, counting(), data, one)[0], np.full(N, 6))


def test_readings_are_shares_counted_by_hand(data):
    _, seen = fit(KEYS, counting(), data, Plan(epochs=2, batch=5, every=1, block=7))
    guess, held, test = (np.asarray(part.x)[:, :C].argmax(axis=1) for part in data)
    y, truth = np.asarray(data.train.y), np.asarray(data.train.truth)
    wrong = y != truth
    assert seen.test.shape == (2,)
    hand = {
        "fitted": (guess == y).mean(),
        "memorized": (guess == y)[wrong].mean(),
        "corrected": (guess == truth)[wrong].mean(),
        "held_noisy": (held == np.asarray(data.held.y)).mean(),
        "held_clean": (held == np.asarray(data.held.truth)).mean(),
        "test": (test == np.asarray(data.test.y)).mean(),
    }
    for name, wanted in hand.items():
        assert float(getattr(seen, name)[-1]) == pytest.approx(float(wanted), abs=1e-6), name


def test_without_truth_or_other_sets_nothing_is_made_up(data):
    only = Data(Labelled(data.train.x, data.train.y))
    _, seen = fit(KEYS, counting(), only, Plan(epochs=1, batch=5, every=1))
    assert (seen.memorized, seen.corrected, seen.held_noisy, seen.test) == (None,) * 4
    with pytest.raises(ValueError, match="no test: give the run a test and a held set"):
        protocol.score(seen)


def test_blocks_predict_as_the_whole(data):
    method = counting()
    state, x = method.init(KEYS.weights), data.train.x
    whole = method.predict(state, x)
    for block in (5, 23, 100):
        np.testing.assert_array_equal(probabilities(method, state, x, block), whole)


@pytest.mark.parametrize("make", [cross_entropy.method, elr.method, sop.method])
def test_true_labels_do_not_reach_the_method(make, data):
    plan = Plan(epochs=2, batch=5, every=2)
    task = Task(network(), optimiser.sgd(0.1), N, C)
    lied = data._replace(train=data.train._replace(truth=jnp.zeros_like(data.train.y)))
    one, other = (fit(KEYS, make(task), d, plan)[0] for d in (data, lied))
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_a_long_run_is_the_same_run_and_goes_on_where_it_was_stopped(data, tmp_path):
    plan = Plan(epochs=6, batch=5, every=2)
    method = elr.method(Task(network(), optimiser.sgd(0.1), N, C))
    state, seen = fit(KEYS, method, data, plan)

    def stop(done, epochs, reading):
        assert epochs == 6
        if done == 4:
            raise KeyboardInterrupt

    about = {"method": "elr"}
    with pytest.raises(KeyboardInterrupt):
        long_run(KEYS, method, data, plan, folder=tmp_path, about=about, progress=stop)
    heard = []
    again = long_run(
        KEYS,
        method,
        data,
        plan,
        folder=tmp_path,
        about=about,
        progress=lambda *a: heard.append(a[0]),
    )
    assert heard == [6]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), (state, seen), again)
    with pytest.raises(ValueError, match="method"):
        long_run(KEYS, method, data, plan, folder=tmp_path, about={"method": "sop"})
    other = KEYS._replace(order=jax.random.key(9))
    with pytest.raises(ValueError, match="keys"):
        long_run(other, method, data, plan, folder=tmp_path, about=about)
    with pytest.raises(ValueError, match="about must say which run this is"):
        long_run(KEYS, method, data, plan, folder=tmp_path)


def test_schedules_and_weight_decay_are_those_of_sgd_by_hand():
    rule = optimiser.sgd(optimiser.drops(0.1, (2,)), momentum=0.9, decay=0.01)
    w, trace = np.array([1.0, -2.0]), np.zeros(2)
    ours, state = jnp.asarray(w), None
    for count in range(4):
        slope = np.array([0.3, 0.1]) * (count + 1)
        trace = 0.9 * trace + slope + 0.01 * w
        w = w - (0.1 if count < 2 else 0.01) * trace
        state = rule.init(ours) if state is None else state
        moved, state = rule.update(jnp.asarray(slope), state, ours)
        ours = ours + moved
        np.testing.assert_allclose(ours, w, atol=1e-12)


def test_what_does_not_fit_is_refused(data):
    with pytest.raises(ValueError, match="every must divide the 10 epochs, got 3"):
        Plan(epochs=10, every=3)
    with pytest.raises(ValueError, match="batch is 50, more than the 23 training examples"):
        fit(KEYS, counting(), data, Plan(epochs=1, batch=50, every=1))
    short = data._replace(train=data.train._replace(y=data.train.y[:-1]))
    with pytest.raises(ValueError, match=r"train.y has shape \(22,\), train.x has 23 rows"):
        fit(KEYS, counting(), short, Plan(epochs=1, batch=5, every=1))


def test_epochs_are_chosen_by_what_they_say_they_are():
    _, test = None, jnp.array([[0.8, 0.9, 0.7], [0.5, 0.6, 0.7]])
    from jaxrobust.deep.train import Reading

    told = Reading(test, test, None, None, jnp.array([[3, 1, 1.0], [0, 1, 1.0]]), 1 - test, test)
    score = protocol.score(told)
    np.testing.assert_allclose(score.last, [0.7, 0.7])
    np.testing.assert_allclose(score.best, [0.9, 0.7])
    np.testing.assert_allclose(score.noisy, [0.8, 0.6])  # of equal ones the first
    np.testing.assert_allclose(score.clean, [0.7, 0.5])


def test_arrays_of_ones_own_and_their_mistakes(data):
    plan = Plan(epochs=1, batch=5, every=1)
    method = elr.method(Task(network(), optimiser.sgd(0.1), N, C))

    def go(x=None, y=None):
        train = Labelled(
            np.asarray(data.train.x) if x is None else x, data.train.y if y is None else y
        )
        return fit(KEYS, method, Data(train), plan)

    y = np.asarray(data.train.y)
    for fine in (y.tolist(), y.astype(np.uint8), y.astype(np.int64)):
        assert float(go(y=fine)[1].fitted[-1]) > 0
    bad = np.where(np.arange(N)[:, None] == 3, np.nan, data.train.x)
    for options, words in (
        ({"y": y + 1}, "train.y must hold labels 0..2, got 3"),
        ({"y": y - 1}, "train.y must hold labels 0..2, got -1"),
        ({"y": y + 0.5}, "train.y must hold whole numbers, got float"),
        ({"y": np.eye(C)[y]}, r"train.y has shape \(23, 3\)"),
        ({"y": ["a"] * N}, r"labels are <U1: number the classes 0\.\.C-1"),
        ({"x": bad}, "train.x has 4 non-finite of 92 entries"),
    ):
        with pytest.raises(ValueError, match=words):
            go(**options)
    good = Data(Labelled(data.train.x, y))
    few = elr.method(Task(network(), optimiser.sgd(0.1), N, C - 1))
    for arguments, words in (
        ((Keys(0, 1), method, good), r"keys must hold jax.random.key\(...\), got 0"),
        ((KEYS, few, good), "classes of the task is 2, the network has 3 outputs"),
    ):
        with pytest.raises(ValueError, match=words):
            fit(*arguments, plan)
    short = Data(Labelled(data.train.x[:10], data.train.y[:10]))
    with pytest.raises(ValueError, match="n of the task is 23, the training set has 10 examples"):
        fit(KEYS, method, short, plan)


def test_a_network_that_blew_up_has_no_accuracy(data):
    method = cross_entropy.method(Task(network(), optimiser.sgd(1e308), N, C))
    _, seen = fit(KEYS, method, data, Plan(epochs=4, batch=5, every=4))
    shares = [seen.fitted, seen.memorized, seen.corrected, seen.held_noisy, seen.test]
    assert np.isnan(np.array(shares)).all()


def test_many_runs_are_each_alone(data):
    plan = Plan(epochs=2, batch=5, every=2)
    method = elr.method(Task(network(), optimiser.sgd(0.1), N, C))

    def one(weights, order):
        return fit(Keys(weights, order), method, data, plan)[1].loss

    seeds = [jax.random.split(jax.random.key(k), 3) for k in (5, 6)]
    found = jax.jit(lambda *keys: many(one, *keys))(*seeds)
    alone = [one(*keys) for keys in zip(*seeds, strict=True)]
    np.testing.assert_allclose(found, np.stack(alone), rtol=1e-12)
    assert np.unique(np.asarray(found)).size == 3
