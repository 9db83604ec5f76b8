"""A long run, one reading at a time: it shows progress, and goes on where it was stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxrobust import _checkpoint as checkpoint
from jaxrobust.deep.method import Method
from jaxrobust.deep.sets import Data, ready
from jaxrobust.deep.train import Keys, Plan, Reading, Run, advance, begin


def long_run(
    keys: Keys,
    method: Method,
    data: Data,
    plan: Plan,
    *,
    folder: str | Path | None = None,
    about: Mapping[str, str] | None = None,
    progress: Callable[[int, int, Reading], Any] | None = None,
) -> tuple[Any, Reading]:
    """Train as `fit` does and return the same, by a Python loop over compiled segments.

    A segment is `plan.every` epochs and a reading. Stopped at any instant and started again with
    the same folder, it goes on from the last reading to the same end.

    Parameters
    ----------
    folder
        Where the state and the readings so far are kept after each segment; None: nowhere.
    about
        What tells this run from others, words to words: the method and its numbers. (Data, keys
        and plan are compared as well.) A folder of another run is refused with what differs.
    progress
        Called as `progress(epochs done, epochs in all, last reading)` after each segment.

    Raises
    ------
    ValueError
        Where `about` is missing, or the folder is damaged or belongs to another run.
    """
    data = ready(data, method, keys.weights, plan.batch)
    if folder is not None and not about:
        raise ValueError(
            "about must say which run this is where a folder is given: {'method': ...}"
        )
    words = {**(about or {}), "plan": str(plan)}
    if folder is not None:
        words |= {"keys": _hash(jax.tree.map(jax.random.key_data, keys)), "data": _hash(data)}
    # Data are arguments: closed over they would be copied into the program.
    segment = jax.jit(lambda keys, data, run: advance(keys, method, data, plan, run))
    run, done = begin(keys, method), 0
    past: Any = None
    if folder is not None and checkpoint.latest(folder) is not None:
        like = jax.eval_shape(lambda k, d, r: _empty(segment(k, d, r), plan), keys, data, run)
        done, (run, past) = checkpoint.restore(folder, like, words)
    while done < plan.readings:
        run, reading = segment(keys, data, run)
        past = _empty((run, reading), plan)[1] if past is None else past
        past = jax.tree.map(partial(_put, done), past, reading)
        done += 1
        if folder is not None:
            checkpoint.save(folder, done, (run, past), words)
        if progress:
            progress(done * plan.every, plan.epochs, reading)
    return run.state, past


def _hash(arrays: Any) -> str:
    """Return a hash of arrays' bytes."""
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(arrays):
        found.update(np.ascontiguousarray(leaf).tobytes())
    return found.hexdigest()[:16]


def _put(place: int, column: Array, entry: Array) -> Array:
    return column.at[place].set(entry)


def _empty(pair: tuple[Run, Reading], plan: Plan) -> tuple[Run, Reading]:
    """Return the run, and room for all readings."""
    run, reading = pair
    return run, jax.tree.map(lambda a: jnp.zeros((plan.readings, *a.shape), a.dtype), reading)
