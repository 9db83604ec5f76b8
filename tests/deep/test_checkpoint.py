"""States come back bit by bit; kills, damage and other runs' states are told."""

import json
import os
import subprocess
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrobust.deep import checkpoint
from jaxrobust.deep.method import Learner, Weights

RUN = {"method": "elr", "seed": "0"}


class State(NamedTuple):
    learner: Learner
    rows: Any
    key: Any


def state(seed=0, scale=1.0):
    r = np.random.default_rng(seed)
    params = {"w": jnp.asarray(r.normal(size=(3, 2)) * scale, jnp.float32), "b": jnp.zeros(2)}
    moments = optax.adam(0.1).init(params)
    stats = {"mean": jnp.asarray([1.5, np.nan], jnp.bfloat16), "seen": np.arange(3)}
    keys = jax.random.split(jax.random.key(seed, impl="rbg"), 3)
    return State(
        Learner(Weights(params, stats), moments), (jnp.ones((0, 4)), jnp.array(True)), keys
    )


def equal(one, two):
    """Compare kinds, dtypes and bits."""
    a, b = jax.tree.leaves(one), jax.tree.leaves(two)
    assert jax.tree.structure(one) == jax.tree.structure(two)
    for x, y in zip(a, b, strict=True):
        assert x.dtype == y.dtype
        assert isinstance(x, np.ndarray) == isinstance(y, np.ndarray)
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        assert x.shape == y.shape
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


def test_the_last_of_two_states_comes_back(tmp_path):
    folder = tmp_path / "deep" / "run"
    assert checkpoint.latest(folder) is None
    with pytest.raises(ValueError, match="no state is saved in"):
        checkpoint.restore(folder, state(), RUN)
    for step in (0, 9, 10):
        checkpoint.save(folder, step, state(step), RUN)
    assert checkpoint.latest(folder) == 10
    step, it = checkpoint.restore(folder, state(), dict(reversed(RUN.items())))
    assert step == 10
    equal(it, state(10))
    like = jax.eval_shape(lambda: jax.tree.map(jnp.asarray, state()))
    learner = checkpoint.restore(folder, like, RUN)[1].learner
    np.testing.assert_array_equal(
        learner.weights.params["w"], state(10).learner.weights.params["w"]
    )
    assert sorted(path.name[:17] for path in folder.iterdir()) == [
        "run.json",
        "step-000000000009",
        "step-000000000010",
    ]
    with pytest.raises(ValueError, match="step 10 does not come after 10"):
        checkpoint.save(folder, 10, state(), RUN)


def test_another_run_and_another_state_are_told_apart(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    checkpoint.save(a, 1, state(), RUN)
    other = RUN | {"seed": "1"}
    for call in (
        lambda: checkpoint.save(a, 2, state(), other),
        lambda: checkpoint.restore(a, state(), other),
        lambda: checkpoint.restore(a, state(), RUN | {"data": "cifar10"}),
    ):
        with pytest.raises(ValueError, match=r"are another run's, (seed|data) differs"):
            call()
    with pytest.raises(ValueError, match="run must map words to words"):
        checkpoint.save(b, 2, state(), {"seed": 1})
    checkpoint.save(b, 2, state(), other)
    (file,) = b.glob("step-*")
    moved = file.rename(a / file.name)
    with pytest.raises(ValueError, match="belongs to another run: move it away"):
        checkpoint.restore(a, state(), RUN)
    moved.unlink()

    it = state().learner
    params = it.weights.params
    for edit, words in (
        ({"w": params["w"][:2]}, r"\['w'\] is float32 \(3, 2\) there and float32 \(2, 2\) in"),
        ({"w": params["w"].astype(float)}, "is float32 .* there and float64"),
        ({"v": params["w"]}, r"\['v'\] is missing there and float32"),
    ):
        weights = Weights(params | edit, it.weights.stats)
        like = state()._replace(learner=it._replace(weights=weights))
        with pytest.raises(ValueError, match=words) as e:
            checkpoint.restore(a, like, RUN)
        assert "\n" not in str(e.value)
    with pytest.raises(ValueError, match=r"carry\[1\] must be an array, got 'elr'"):
        checkpoint.save(a, 3, (jnp.zeros(2), "elr"), RUN)


def test_damage_is_told_in_one_line(tmp_path):
    checkpoint.save(tmp_path, 1, state(1), RUN)
    checkpoint.save(tmp_path, 2, state(2), RUN)
    first, last = sorted(tmp_path.glob("step-*"))
    raw = last.read_bytes()
    flipped = bytearray(raw)
    flipped[len(raw) // 2] ^= 1
    for damaged in (b"", raw[:-1], bytes(flipped)):
        last.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"torn or altered .* goes on from step 1") as e:
            checkpoint.restore(tmp_path, state(), RUN)
        assert "\n" not in str(e.value)
    last.write_bytes(raw)
    renamed = last.rename(tmp_path / last.name.replace("-000000000002-", "-000000000003-"))
    with pytest.raises(ValueError, match=r"altered \(it holds step 2\)"):
        checkpoint.restore(tmp_path, state(), RUN)
    renamed.unlink()
    step, it = checkpoint.restore(tmp_path, state(), RUN)
    assert step == 1
    equal(it, state(1))
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        checkpoint.restore(tmp_path, state(), RUN)
    (tmp_path / "run.json").unlink()
    for call in (checkpoint.restore, lambda *a: checkpoint.save(a[0], 5, a[1], a[2])):
        with pytest.raises(ValueError, match=r"holds step-0.* but no run\.json"):
            call(tmp_path, state(), RUN)
    for call in (checkpoint.latest, lambda path: checkpoint.save(path, 1, state(), RUN)):
        with pytest.raises(ValueError, match=r"is a file|cannot be written"):
            call(first)


KILLED = """
import os, random, signal, sys, time
import numpy as np
from jaxrobust.deep import checkpoint

folder, run = sys.argv[1], {"method": "ce"}


def carry(step):
    return {"w": np.full(200_000, step), "step": np.array(step)}


def child(work):
    pid = os.fork()  # no backend has started: there are no threads yet
    if pid == 0:
        work()
        os._exit(0)
    return pid


def killed_at(name, k):
    plain, calls = getattr(os, name), []

    def stand_in(*args, **more):
        calls.append(args)
        if len(calls) == k:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(*args, **more)

    setattr(os, name, stand_in)


last = 0
for name, k in (("fsync", 1), ("replace", 1), ("replace", 2), ("fsync", 4), ("unlink", 1)):
    def work():
        killed_at(name, k)
        for step in range(last + 1, last + 4):
            checkpoint.save(folder, step, carry(step), run)
    _, status = os.waitpid(child(work), 0)
    assert os.WIFSIGNALED(status) or name == "unlink", (name, k, status)
    found = checkpoint.latest(folder)
    if found is not None:
        step, it = checkpoint.restore(folder, carry(0), run)
        assert step == found >= last and it["step"] == step and (it["w"] == step).all()
        last = step
    print(name, k, found, flush=True)

random.seed(0)
for _ in range(6):
    def work():
        for step in range(last + 1, last + 10_000):
            checkpoint.save(folder, step, carry(step), run)
            os.write(ends[1], b".")
    ends = os.pipe()
    pid = child(work)
    os.read(ends[0], 1)
    time.sleep(random.uniform(0, 0.03))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(ends[1])
    done = 1 + len(os.read(ends[0], 10_000))
    os.close(ends[0])
    step, it = checkpoint.restore(folder, carry(0), run)
    assert step >= last + done and it["step"] == step and (it["w"] == step).all()
    last = step
print("done", last)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_a_run_killed_at_any_instant_leaves_its_last_state(tmp_path):
    it = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "run"], capture_output=True, text=True
    )
    assert it.returncode == 0, it.stderr
    lines = it.stdout.split("\n")
    assert lines[0] == "fsync 1 None"  # before anything was whole
    assert lines[-2].startswith("done")
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == {"method": "ce"}
    kept = len(list((tmp_path / "run").glob("step-*")))
    assert kept in (2, 3)  # three where it was killed before the oldest one went
    checkpoint.save(
        tmp_path / "run",
        10**6,
        {"w": np.zeros(1), "step": np.zeros(1)},
        {"method": "ce"},
    )
    assert len(list((tmp_path / "run").glob("step-*"))) == 2
    assert not list((tmp_path / "run").glob(".tmp*"))
