"""Kill a sweep with SIGKILL again and again: `python -m benchmarks.kill_sweep`.

One child program runs a sweep into a store, a file a block, and is killed at random instants,
while it compiles, computes and writes; then it is started again on the same store. When it gets
through, its result is held against that of a run that was never killed, bit by bit, and the next
child begins a new store. Exit status 0 if all bits agree and nothing half-written is left.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from jaxrobust import lab

AXES = {"rate": [0.1, 0.4, 0.7, 1.0]}
SEEDS = 192


@dataclass(frozen=True)
class Config:
    """Numbers of the benchmark."""

    kills: int = 100
    key: int = 0
    """Of the instants at which the children are killed."""

    def __post_init__(self) -> None:
        """Refuse what would show nothing."""
        if self.kills < 1:
            raise ValueError(f"kills must be at least 1, got {self.kills}")


@dataclass
class Seen:
    """What was seen: counts, and whether every run that got through had the right bits."""

    kills: int = 0
    through: int = 0
    resumed: int = 0
    """Starts that found finished blocks of a killed run."""
    halves: int = 0
    """Half-written files that kills left."""
    left: int = 0
    """Of those, the ones still there when the sweep had got through."""
    equal: bool = True


def trial(key, rate):
    """Descend 20 numbers for a while, and return enough of them to make writing take its time."""
    x = jax.random.normal(key, (20,))
    x = jax.lax.fori_loop(0, 3000, lambda _, x: x - 1e-3 * rate * jnp.tanh(x) * jnp.exp(-x * x), x)
    return {"x": jnp.tile(x, 500)}


def child(store: str, out: str) -> None:
    """Run the sweep and write its numbers; say first that all is imported."""
    jax.config.update("jax_enable_x64", True)
    print("start", flush=True)
    options = {"key": jax.random.key(1), "store": store or None, "chunk": 1, "progress": False}
    np.save(out, lab.sweep(trial, AXES, SEEDS, **options).x.values)


def besiege(
    folder: Path, kills: int, key: int = 0, say: Callable[[Seen], object] = lambda seen: None
) -> Seen:
    """Kill the child that many times, then let it end; stores and results go into the folder."""
    chance, seen = random.Random(key), Seen()
    plain, out = folder / "plain.npy", folder / "out.npy"
    process = _start("", plain)
    begun = time.monotonic()
    _end(process)
    want, span = np.load(plain), time.monotonic() - begun
    while True:
        store = folder / f"store{seen.through}"
        before = _halves(store)
        seen.resumed += bool(list(store.glob("blocks-*")))
        process = _start(store, out)
        try:
            process.wait(chance.uniform(0.0, span) if seen.kills < kills else None)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            seen.kills += 1
            span *= 1.1
            say(seen)
            seen.halves += len(_halves(store) - before)
            continue
        _end(process)
        seen.equal &= bool(np.array_equal(np.load(out), want))
        seen.left += len(_halves(store))
        seen.through += 1
        span *= 0.7  # about one start in four is to get through, however busy the machine
        if seen.kills >= kills:
            return seen


def _halves(store: Path) -> set[Path]:
    return set(store.glob(".tmp-*"))


def _start(store: Path | str, out: Path) -> subprocess.Popen[str]:
    """Start a child and wait until it has imported what it needs."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"from benchmarks import kill_sweep as k; k.child({str(store)!r}, "
         f"{str(out)!r})"],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    return process


def _end(process: subprocess.Popen[str]) -> None:
    """Wait for a child; raise where it failed."""
    if process.wait():
        raise RuntimeError(f"the child failed with status {process.returncode}")


def _tenth(seen: Seen) -> None:
    if seen.kills % 10 == 0:
        print(seen, file=sys.stderr, flush=True)


def main(config: Config) -> int:
    """Besiege the sweep, say what was seen, return 0 if it held."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        seen = besiege(Path(folder), config.kills, config.key, _tenth)
    print(
        f"{seen.kills} kills in {time.monotonic() - begun:.0f} s; {seen.resumed} starts resumed, "
        f"{seen.through} sweeps got through\n"
        f"half-written files: {seen.halves} left by kills, {seen.left} still there at the end\n"
        f"bits equal to a run never killed: {'yes' if seen.equal else 'NO'}"
    )
    return 0 if seen.equal and seen.left == 0 and seen.through else 1


if __name__ == "__main__":
    raise SystemExit(main(tyro.cli(Config)))
