"""PyTorch's ways of many SOP descents, side by side on the CPU; torch is wanted here only."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import numpy as np

from benchmarks.numpy_peers import Data, Found


def contestants(
    data: Data, gamma: float, steps: int, timed: int, threads: int
) -> dict[str, tuple[bool, Callable[[], Found]]]:
    """Give each method's name, whether it works in N-space, and the call that runs it.

    A call does `timed` steps of all runs and scales its time to `steps`. Empty without torch.
    """
    if find_spec("torch") is None:
        print("PyTorch is not installed: its methods are left out (pip install torch)")
        return {}
    timing = partial(_timed, data, gamma, steps, min(timed, steps), threads)
    return {
        "torch.func.vmap(grad), theta-space": (False, partial(timing, _by_grad)),
        "PyTorch by hand, N-space": (True, partial(timing, _by_hand)),
    }


def _timed(
    data: Data, gamma: float, steps: int, timed: int, threads: int, descend: Callable
) -> Found:
    """Time a method over all runs."""
    import torch

    torch.set_num_threads(threads)
    arrays = [torch.from_numpy(x) for x in (data.J, data.y, data.alpha[:, None], data.tau)]
    arrays[3] = arrays[3][..., None]
    descend(*arrays, gamma, 1)  # what torch loads and sets up at the first call
    wall, cpu = time.perf_counter(), time.process_time()
    theta, s = (x.numpy().reshape(data.tau.size, -1) for x in descend(*arrays, gamma, timed))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Found(np.arange(data.tau.size), theta, s, wall * steps / timed, 0.0, cpu / wall)


def _by_grad(J, y, alpha, tau, gamma, steps):
    """Write down the loss of one run; torch differentiates and batches it."""
    import torch
    from torch.func import grad, vmap

    def loss(x, J, y):
        theta, u, v = x
        r = J @ theta + u * u - v * v - y
        return 0.5 * (r @ r)

    slopes = vmap(vmap(grad(loss), in_dims=(0, None, 0)))
    theta = torch.zeros(*y.shape[:2], J.shape[2], dtype=y.dtype)
    u, v = torch.full_like(y, gamma), torch.full_like(y, gamma)
    rate = alpha * tau
    for _ in range(steps):
        d_theta, d_u, d_v = slopes((theta, u, v), J, y)
        theta -= tau * d_theta
        u -= rate * d_u
        v -= rate * d_v
    return theta, u * u - v * v


def _by_hand(J, y, alpha, tau, gamma, steps):
    """Iterate on (nu, u, v) with one batched matrix product a step, in place."""
    import torch

    K = J @ J.mT
    nu, r = torch.zeros_like(y), torch.empty_like(y)
    u, v = torch.full_like(y, gamma), torch.full_like(y, gamma)
    rate = 2 * alpha * tau
    for _ in range(steps):
        torch.baddbmm(y, nu, K, beta=-1, out=r)
        r.addcmul_(u, u).addcmul_(v, v, value=-1)
        nu.addcmul_(tau, r, value=-1)
        r *= rate
        u.addcmul_(u, r, value=-1)
        v.addcmul_(v, r)
    return nu @ J, u * u - v * v
