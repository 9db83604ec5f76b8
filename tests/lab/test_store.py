import os
import random
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.lab.store import Store, StoreError
from jaxrobust.lab.sweep import sweep

KEY = jax.random.key(3)
AXES = {"rate": [0.1, 0.2, 0.3], "method": ["a", "b"]}


def make(scale=1.0, shift=(0.0, 1.0)):
    table = jnp.asarray(shift)

    def trial(key, rate, method):
        x = jax.random.normal(key, (3,))
        y = jnp.where(method == 0, x * scale, jnp.exp(x)) + table[method]
        return {"y": y * rate, "n": jnp.sum(y > 0)}

    return trial


def run(store, seeds=20, trial=None, axes=AXES, key=KEY, **options):
    options = {"progress": False} | options
    return sweep(trial or make(), axes, seeds, key=key, store=store, **options)


def same(a, b):
    return all(np.array_equal(a[name].values, b[name].values) for name in a.data_vars)


def lanes_run(store, **options):
    """Run, and return how many lanes were already there (the first tick)."""
    ticks = []
    found = run(store, progress=lambda done, total: ticks.append(done), **options)
    return found, ticks


def test_extend_and_read_in_part(tmp_path):
    plain = run(None, 20)
    assert same(run(tmp_path, 8), plain.isel(seed=slice(8)))
    more, ticks = lanes_run(tmp_path, seeds=20)
    assert same(more, plain)
    assert ticks[0] == 10 * 6  # the blocks are of 5 seeds: the first two were whole
    part, ticks = lanes_run(tmp_path, seeds=[11, 2])
    assert same(part, plain.sel(seed=[11, 2]))
    assert ticks == [12]
    assert same(run(tmp_path, 20, chunk=1), plain)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"trial": make(scale=2.0)}, "trial"),
        ({"trial": make(shift=(0.0, 2.0))}, "trial"),
        ({"axes": {"rate": [0.1, 0.2, 0.4], "method": ["a", "b"]}}, "axes"),
        ({"axes": {"rate": [0.1, 0.2, 0.3], "method": ["a", "c"]}}, "axes"),
        ({"key": jax.random.key(4)}, "key"),
        ({"width": 1}, "block"),
    ],
)
def test_another_sweep_is_refused_and_says_what_differs(tmp_path, change, part):
    run(tmp_path, 2)
    with pytest.raises(StoreError, match=rf"made by another sweep, {part} differs: give a new"):
        run(tmp_path, 2, **change)


FINGERPRINT = """
import sys, jax, jax.numpy as jnp
import jax.random as jr
from jaxrobust.lab import tracing
table = jnp.arange(4.0)
def trial(key, rate):
    def step(c, x):
        return c + jax.nn.softmax(x * rate) @ table, jax.nn.gelu(c)
    f = jax.custom_jvp(lambda x: jnp.sin(x)); f.defjvp(lambda p, t: (f(p[0]), t[0]))
    x = jr.normal(key, (5, 4))
    c, ys = jax.lax.scan(jax.checkpoint(step), f(rate), x)
    c = jax.lax.cond(c > 0, lambda: c, lambda: jnp.linalg.norm(jnp.linalg.cholesky(x.T @ x)))
    return {"c": jax.lax.while_loop(lambda v: v < 9, lambda v: v + 1 + jnp.where(v > 2, 1, 0), c)}
traced = tracing.trace(trial, jax.random.key(0), {"rate": jnp.float32(1.0)})
print(tracing.digest(traced.jaxpr))
"""


def test_fingerprint_is_the_same_in_fresh_processes():
    # Different hash seeds: nothing may hang on the order of a set or on an address.
    digests = {
        subprocess.check_output(
            [sys.executable, "-c", FINGERPRINT], env=os.environ | {"PYTHONHASHSEED": seed}
        )
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_torn_and_foreign_files_are_named(tmp_path):
    plain = run(tmp_path, 8)
    (file,) = tmp_path.glob("blocks-*.npz")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match=rf"{file.name} is torn or altered: remove it"):
        run(tmp_path, 8)
    file.write_bytes(whole[:-30] + b"x" + whole[-29:])
    with pytest.raises(StoreError, match="torn or altered"):
        run(tmp_path, 8)
    file.unlink()
    assert same(run(tmp_path, 8), plain)
    (tmp_path / "notes.npz").write_bytes(b"")
    with pytest.raises(StoreError, match=r"notes.npz is no part of a store: move it away"):
        run(tmp_path, 8)


def test_a_damaged_manifest_and_a_folder_of_something_else(tmp_path):
    run(tmp_path / "a", 2)
    (tmp_path / "a" / "manifest.json").write_text('{"format": 1, "pa')
    with pytest.raises(StoreError, match=r"manifest.json is damaged"):
        run(tmp_path / "a", 2)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.tex").write_text("")
    with pytest.raises(StoreError, match=r"holds thesis.tex but no manifest.json"):
        run(tmp_path / "b", 2)


def test_leftovers_of_a_killed_run_are_swept_away_and_a_living_one_is_spared(tmp_path):
    import platform

    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for pid in (dead.pid, os.getppid()):
        (tmp_path / f".tmp-{platform.node()}-{pid}-0").write_bytes(b"half")
    assert same(run(tmp_path, 4), run(None, 4))
    left = [p.name for p in tmp_path.iterdir() if p.name.startswith(".tmp")]
    assert left == [f".tmp-{platform.node()}-{os.getppid()}-0"]


def test_a_path_that_cannot_be_a_folder(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", "/proc/none/store"):
        with pytest.raises(StoreError, match=r"cannot be used as a folder: .*: give a folder") as e:
            run(path, 2)
        assert "\n" not in str(e.value)
    run(tmp_path / "ok", 2)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "_put", full)
    with pytest.raises(StoreError, match="cannot be written: No space left on device"):
        run(tmp_path / "ok", 20)


def test_what_is_finished_is_kept_when_the_sweep_is_interrupted(tmp_path):
    def stop(done, total):
        if done >= 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, 40, progress=stop, threads=1)
    found, ticks = lanes_run(tmp_path, seeds=40)
    assert ticks[0] >= 60
    assert same(found, run(None, 40))


SLOW = """
import sys, jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_enable_x64", True)
from jaxrobust.lab.sweep import sweep
def trial(key, rate):
    x = jax.random.normal(key, (20,))
    f = lambda i, x: x - 1e-3 * rate * jnp.tanh(x) * jnp.exp(-x * x)
    return {"x": jax.lax.fori_loop(0, 12_000, f, x)}
axes = {"rate": np.linspace(0.1, 1.0, 4)}
print("ready", flush=True)
found = sweep(trial, axes, 96, key=jax.random.key(1), store=sys.argv[1] or None, chunk=1)
np.save(sys.argv[2], found.x.values)
"""


def test_killed_at_any_instant_it_ends_with_the_same_bits(tmp_path):
    def start(store, out):
        return subprocess.Popen(
            [sys.executable, "-c", SLOW, str(store), str(out)], stdout=subprocess.PIPE
        )

    process = start("", tmp_path / "plain.npy")
    process.stdout.readline()
    begin = time.monotonic()
    assert process.wait() == 0
    process.stdout.close()
    span = time.monotonic() - begin
    chance, store, kills = random.Random(0), tmp_path / "store", 0
    for _ in range(10):
        process = start(store, tmp_path / "killed.npy")
        process.stdout.readline()
        try:
            process.wait(chance.uniform(0.3, 1.0) * span)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
        process.stdout.close()
        if (tmp_path / "killed.npy").exists():  # it got through: begin another store
            np.testing.assert_array_equal(
                np.load(tmp_path / "killed.npy"), np.load(tmp_path / "plain.npy")
            )
            (tmp_path / "killed.npy").unlink()
            store = store.with_name(store.name + "x")
    process = start(store, tmp_path / "killed.npy")
    process.stdout.readline()
    assert process.wait() == 0
    process.stdout.close()
    assert kills >= 3
    np.testing.assert_array_equal(np.load(tmp_path / "killed.npy"), np.load(tmp_path / "plain.npy"))
