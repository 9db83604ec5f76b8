"""Measure one training step beside PyTorch's: `python -m benchmarks.deep_step`.

Cross-entropy, SGD with momentum .9, float32, batches gathered by index from data in memory; the
same network, first weights and batches for all, and their losses are compared. Ours is the method
`deep.cross_entropy` on the networks of `deep.nets`: in one scan of steps, as the training loop runs
them, and in a Python loop of jitted steps, which are given the old state's memory. PyTorch runs
eagerly, as its users do. Then 8 runs of the MLP side by side (vmap) and one after another
(lax.map).

A round times every contestant once, one after another; shown is the median of the rounds, and the
median ratio within a round. By default on one core.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax import lax

from jaxrobust._machine import affinity
from jaxrobust.deep import cross_entropy, nets, optimiser
from jaxrobust.deep.method import Batch, Method, Task

RATE = 0.01
LAX_SCAN = "jaxrobust, lax, scan (a tenth of the steps)"
Run = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Config:
    """Numbers of the benchmark."""

    rounds: int = 7
    steps: int = 30
    """Steps of a round; a fifth for pictures of 28 x 28."""
    lanes: int = 8
    cores: int = 1
    tolerance: float = 1e-3
    """How far the losses of two contestants may be apart."""

    def __post_init__(self) -> None:
        """Refuse what makes no row."""
        for name in ("rounds", "steps", "lanes", "cores"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


class Problem:
    """Data, batches and the first weights of one network."""

    def __init__(self, title: str, module: Callable, side: int, B: int, steps: int) -> None:
        r, n = np.random.default_rng(0), 1200
        self.title, self.module = title, module
        self.x = r.normal(size=(n, side, side, 1)).astype(np.float32)
        self.y = r.integers(0, 10, n).astype(np.int32)
        self.rows = r.integers(0, n, (steps, B)).astype(np.int32)
        self.first = self.method(None).init(jax.random.key(0))

    def method(self, arithmetic: str | None) -> Method:
        """Give cross-entropy on the network, its convolutions by one arithmetic."""
        network = nets.network(self.module(arithmetic), self.x.shape[1:])
        return cross_entropy.method(Task(network, optimiser.sgd(RATE), len(self.x), 10))

    def step(self, arithmetic: str | None) -> Callable:
        """Give one step of the method from a row of the table of batches."""
        method, x, y = self.method(arithmetic), jnp.asarray(self.x), jnp.asarray(self.y)

        def step(state, rows):
            batch = Batch(rows, x[rows], y[rows])
            state, info = method.step(state, batch, jax.random.key(0))
            return state, info.loss

        return step

    def scan(self, arithmetic: str | None, share: int = 1) -> Run:
        """Compile all steps in one scan, or the first of them."""
        rows = jnp.asarray(self.rows[: max(len(self.rows) // share, 1)])
        step = self.step(arithmetic)
        whole = jax.jit(lambda s, rows: lax.scan(step, s, rows)).lower(self.first, rows).compile()
        return lambda: np.asarray(jax.block_until_ready(whole(self.first, rows))[1])

    def loop(self, arithmetic: str | None) -> Run:
        """Compile one step and call it again and again."""
        rows = [jnp.asarray(row) for row in self.rows]
        step = jax.jit(self.step(arithmetic), donate_argnums=0)
        step = step.lower(self.first, rows[0]).compile()

        def run() -> np.ndarray:
            state, losses = jax.tree.map(jnp.copy, self.first), []
            for row in rows:
                state, loss = step(state, row)
                losses.append(loss)
            jax.block_until_ready(state)
            return np.array(losses)

        return run

    def lanes(self, lanes: int, side_by_side: bool) -> Run:
        """Compile several runs: side by side, or one after another."""
        rows, step = jnp.asarray(self.rows), self.step(None)
        first = jax.tree.map(lambda a: jnp.stack([a] * lanes), self.first)
        one = lambda s: lax.scan(step, s, rows)  # noqa: E731
        whole = jax.vmap(one) if side_by_side else partial(lax.map, one)
        whole = jax.jit(whole).lower(first).compile()
        return lambda: np.asarray(jax.block_until_ready(whole(first))[1])[0]


def torch_run(problem: Problem, channels_last: bool) -> Run:
    """Build the same network in PyTorch, from the same weights."""
    import torch
    from torch import nn

    params = jax.tree.map(np.array, problem.first.weights.params)
    side = problem.x.shape[1]
    convs = [params[name] for name in sorted(params) if name.startswith("Conv")]
    inner = params.get("MLP_0", params)
    denses = [inner[name] for name in sorted(inner) if name.startswith("Dense")]
    form = torch.channels_last if channels_last else torch.contiguous_format
    x = torch.from_numpy(problem.x).permute(0, 3, 1, 2).contiguous(memory_format=form)
    y = torch.from_numpy(problem.y.astype(np.int64))
    batches = torch.from_numpy(problem.rows.astype(np.int64))

    def network() -> nn.Module:
        layers, left = [], side // 2
        for p in convs:
            layer = nn.Conv2d(p["kernel"].shape[2], p["kernel"].shape[3], 3, padding=1)
            _fill(layer, p["kernel"].transpose(3, 2, 0, 1), p["bias"])
            layers += [layer, nn.ReLU()]
        layers += [nn.MaxPool2d(2)] * bool(convs) + [nn.Flatten()]
        for place, p in enumerate(denses):
            kernel = p["kernel"]
            if convs and not place:  # flattened as C H W there
                kernel = kernel.reshape(left, left, -1, kernel.shape[1]).transpose(2, 0, 1, 3)
                kernel = kernel.reshape(-1, kernel.shape[3])
            layer = nn.Linear(*kernel.shape)
            _fill(layer, kernel.T, p["bias"])
            layers += [layer, nn.ReLU()]
        return nn.Sequential(*layers[:-1]).to(memory_format=form)

    net, cost = network(), nn.CrossEntropyLoss()
    first = {name: a.clone() for name, a in net.state_dict().items()}

    def run() -> np.ndarray:
        net.load_state_dict(first)
        descent, losses = torch.optim.SGD(net.parameters(), lr=RATE, momentum=0.9), []
        for rows in batches:
            descent.zero_grad()
            loss = cost(net(x[rows]), y[rows])
            loss.backward()
            descent.step()
            losses.append(loss.detach())
        return torch.stack(losses).numpy()

    return run


def _fill(layer, weight, bias) -> None:
    import torch

    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
        layer.bias.copy_(torch.from_numpy(bias))


def contestants(problem: Problem, config: Config) -> Iterator[tuple[str, Run, int]]:
    """Give names, calls, and how many runs a call makes; the first is what others are held to."""
    cnn = "CNN" in problem.title
    if find_spec("torch") is None:
        print("PyTorch is not installed: it is left out (pip install torch)")
    else:
        import torch

        torch.set_num_threads(config.cores)
        yield "PyTorch", torch_run(problem, False), 1
        if cnn:
            yield "PyTorch, channels last", torch_run(problem, True), 1
    for arithmetic in ("patches", "lax") if cnn else (None,):
        name = f", {arithmetic}" if arithmetic else ""
        yield f"jaxrobust{name}, loop", problem.loop(arithmetic), 1
        if arithmetic != "lax":
            yield f"jaxrobust{name}, scan", problem.scan(arithmetic), 1
        elif problem.x.shape[1] <= 8:
            yield LAX_SCAN, problem.scan(arithmetic, 10), 1
    if not cnn and config.lanes > 1:
        yield f"{config.lanes} runs, vmap", problem.lanes(config.lanes, True), config.lanes
        yield f"{config.lanes} runs, lax.map", problem.lanes(config.lanes, False), config.lanes


def measure(problem: Problem, config: Config) -> bool:
    """Print the table of one network; say whether all losses agree."""
    entries = list(contestants(problem, config))
    losses = {name: run() for name, run, _ in entries}  # also warms up
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in range(config.rounds):
        for name, run, runs in entries:
            start = time.perf_counter()
            run()
            seconds[name].append((time.perf_counter() - start) / len(losses[name]) / runs)
    base, *_ = losses
    print(f"\n{problem.title:50}ms a step and run    least   ratio to {base}  max |d loss|")
    good = True
    for name, values in seconds.items():
        times, count = 1e3 * np.array(values), len(losses[name])
        gap = float(np.max(np.abs(losses[name] - losses[base][:count])))
        good &= gap <= config.tolerance  # False where it is NaN
        ratio = np.median(np.array(seconds[base]) / np.array(values))
        print(f"{name:50}{np.median(times):17.3f}{times.min():9.3f}{ratio:17.2f}{gap:15.1e}")
    return good


def main(config: Config) -> int:
    """Run all; 0 if the losses agree."""
    if cores := affinity():
        os.sched_setaffinity(0, cores[: config.cores])
    many, few = config.steps, max(config.steps // 5, 1)
    small = partial(nets.CNN, 10)
    problems = [
        Problem("CNN 8-16-256-10, 8 x 8, batch 100", _named(small), 8, 100, many),
        Problem("MLP 64-512-512-10, batch 100", lambda _: nets.MLP(10), 8, 100, many),
        Problem("CNN 8-16-256-10, 28 x 28, batch 100", _named(small), 28, 100, few),
    ]
    print(f"{config.cores} core(s), {config.rounds} rounds; a ratio over 1 is faster than PyTorch")
    good = True
    for problem in problems:
        good &= measure(problem, config)
    print(f"\nlosses agree within {config.tolerance:g}: {'yes' if good else 'NO'}")
    return 0 if good else 1


def _named(module: Callable) -> Callable:
    return lambda arithmetic: module(arithmetic=arithmetic)


if __name__ == "__main__":
    raise SystemExit(main(tyro.cli(Config)))
