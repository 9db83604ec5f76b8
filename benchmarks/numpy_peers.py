"""NumPy's ways of many SOP descents, and what the machine under them can do."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

Ends = tuple[np.ndarray, np.ndarray]  # theta, s


class Data(NamedTuple):
    """All problems as NumPy arrays: S seeds, C = rates x alphas cells."""

    J: np.ndarray  # (S, N, p)
    y: np.ndarray  # (S, C, N)
    alpha: np.ndarray  # (C,)
    tau: np.ndarray  # (S, C)


class Found(NamedTuple):
    """What a method gives: its runs (flat: seed, then cell), their ends, seconds for all runs."""

    lanes: np.ndarray
    theta: np.ndarray
    s: np.ndarray
    seconds: float
    compile: float
    busy: float  # cores: CPU time over wall time


def descend_theta(J: Any, y: Any, alpha: Any, gamma: float, tau: Any, steps: int) -> Ends:
    """Descend one problem on (theta, u, v)."""
    theta = np.zeros(J.shape[1])
    u, v = np.full(len(y), gamma), np.full(len(y), gamma)
    rate = 2 * alpha * tau
    for _ in range(steps):
        r = J @ theta
        r += u * u
        r -= v * v
        r -= y
        theta -= tau * (J.T @ r)
        r *= rate
        u -= u * r
        v += v * r
    return theta, u * u - v * v


def descend_gram(J: Any, y: Any, alpha: Any, gamma: float, tau: Any, steps: int) -> Ends:
    """Descend problems that share J on (nu, u, v); y is (..., N), so also many seeds at once."""
    K = J @ np.swapaxes(J, -1, -2)
    nu, u, v = np.zeros_like(y), np.full_like(y, gamma), np.full_like(y, gamma)
    r, product = np.empty_like(y), np.empty_like(y)
    rate = 2 * alpha * tau
    for _ in range(steps):
        np.matmul(nu, K, out=r)
        r += np.multiply(u, u, out=product)
        r -= np.multiply(v, v, out=product)
        r -= y
        nu -= np.multiply(tau, r, out=product)
        r *= rate
        u -= np.multiply(u, r, out=product)
        v += np.multiply(v, r, out=product)
    return nu @ J, u * u - v * v


def descend_multiplicative(J: Any, y: Any, alpha: Any, gamma: float, tau: Any, steps: int) -> Ends:
    """Descend one problem by the multiplicative rule, on nu alone: u = gamma e^(2 alpha nu)."""
    K = J @ J.T
    nu, growth = np.zeros_like(y), np.empty_like(y)
    for _ in range(steps):
        np.exp(np.multiply(4 * alpha, nu, out=growth), out=growth)
        r = nu @ K
        r += gamma**2 * growth
        r -= gamma**2 / growth
        r -= y
        r *= tau
        nu -= r
    return nu @ J, 2 * gamma**2 * np.sinh(4 * alpha * nu)


def loop(
    descend: Callable, data: Data, gamma: float, steps: int, timed: int, threads: int
) -> Found:
    """Descend `timed` runs one after another, and scale the time to all of them."""
    runs = data.tau.size
    lanes = np.unique(np.linspace(0, runs - 1, timed).round().astype(int))
    with threadpool_limits(threads, user_api="blas"):
        wall, cpu = time.perf_counter(), time.process_time()
        ends = []
        for seed, cell in zip(*np.divmod(lanes, len(data.alpha)), strict=True):
            J, y, alpha, tau = (
                data.J[seed],
                data.y[seed, cell],
                data.alpha[cell],
                data.tau[seed, cell],
            )
            ends.append(descend(J, y, alpha, gamma, tau, steps))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    theta, s = (np.stack(x) for x in zip(*ends, strict=True))
    return Found(lanes, theta, s, wall * runs / len(lanes), 0.0, cpu / wall)


def together(data: Data, gamma: float, steps: int, threads: int) -> Found:
    """Descend all runs side by side in NumPy."""
    with threadpool_limits(threads, user_api="blas"):
        wall, cpu = time.perf_counter(), time.process_time()
        theta, s = descend_gram(
            data.J, data.y, data.alpha[:, None], gamma, data.tau[..., None], steps
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    runs = data.tau.size
    theta, s = theta.reshape(runs, -1), s.reshape(runs, -1)
    return Found(np.arange(runs), theta, s, wall, 0.0, cpu / wall)


def peak(threads: int, size: int = 1536) -> float:
    """Measure the best float64 GFLOP/s of a large matrix product."""
    a, b = np.random.default_rng(0).standard_normal((2, size, size))
    seconds = []
    with threadpool_limits(threads, user_api="blas"):
        for _ in range(5):
            start = time.perf_counter()
            np.matmul(a, b)
            seconds.append(time.perf_counter() - start)
    return 2e-9 * size**3 / min(seconds)


def in_a_folder(name: str, path: Path | None) -> None:
    """Refuse, before anything is timed, a file whose folder is not there."""
    if path is not None and not path.parent.is_dir():
        raise ValueError(f"{name} = {path}: there is no folder {path.parent}, make it first")


def machine(cores: int) -> str:
    """Say on what this runs, and how busy it is."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "CPU")
    blas = {
        f"{x['internal_api']} {x['version']}" for x in threadpool_info() if x["user_api"] == "blas"
    }
    packages = ", ".join(f"{x} {version(x)}" for x in ("jaxrobust", "jax", "jaxlib", "numpy"))
    return (
        f"{name}, {cores} cores, load {os.getloadavg()[0]:.1f} before the start; "
        f"jax on {jax.default_backend()}, XLA's pool {os.environ.get('PJRT_NPROC', 'default')}\n"
        f"Python {platform.python_version()}, {packages}, {', '.join(sorted(blas))}"
    )
