"""Sets of examples with given and with true labels, and what is wrong with them in one line."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from jaxrobust import _check
from jaxrobust.deep.method import Method


class Labelled(NamedTuple):
    """Examples as stored, their given labels, and their true ones where these are known."""

    x: Array
    y: Int[Array, " n"]
    truth: Int[Array, " n"] | None = None


class Data(NamedTuple):
    """What a run trains on, chooses by, and is scored on."""

    train: Labelled
    held: Labelled | None = None
    """Validation set, its given labels as noisy as the training ones."""
    test: Labelled | None = None
    """Test set; its given labels should be true."""


def ready(data: Data, method: Method, key: Any, batch: int) -> Data:
    """Return the data as arrays, labels int32; refuse what a run would get silent nonsense from.

    Under a trace shapes alone are checked. Labels must lie in 0..C-1, C what `method` predicts.
    """
    if not isinstance(data, Data) or not isinstance(data.train, Labelled):
        raise ValueError(
            f"data must be Data(train=Labelled(x, y)), got {type(data).__name__}: wrap the arrays"
        )
    if not isinstance(method, Method):
        raise ValueError(
            f"method must be a Method, got {type(method).__name__}: make it from a Task, as in "
            "elr.method(task)"
        )
    dtype = getattr(key, "dtype", None)
    if dtype is None or not (jnp.issubdtype(dtype, jax.dtypes.prng_key) or dtype == jnp.uint32):
        raise ValueError(f"keys must hold jax.random.key(...), got {key!r:.40}")
    held, test = (None if part is None else _arrays(part) for part in data[1:])
    data = Data(_arrays(data.train), held, test)
    check(data, batch)
    few = data.train.x[:1]
    known = jax.eval_shape(lambda key: method.predict(method.init(key), few), key)
    for name, part in zip(("train", "held", "test"), data, strict=True):
        if part is None:
            continue
        _check.labels(f"{name}.y", part.y, known.shape[1])
        if part.truth is not None:
            _check.labels(f"{name}.truth", part.truth, known.shape[1])
        if jnp.issubdtype(part.x.dtype, jnp.floating):
            _check.real(f"{name}.x", part.x)
    return data


def _arrays(part: Labelled) -> Labelled:
    """Return arrays; labels that are whole numbers become int32, others are left to be refused."""

    def whole(labels: Any) -> Array:
        if not isinstance(labels, jax.Array):
            labels = np.asarray(labels)
            if labels.dtype.kind not in "biuf":
                raise ValueError(f"labels are {labels.dtype}: number the classes 0..C-1")
            labels = jnp.asarray(labels)
        same = jnp.issubdtype(labels.dtype, jnp.integer)
        return labels.astype(jnp.int32) if same else labels

    try:
        x = part.x if isinstance(part.x, jax.Array) else jnp.asarray(np.asarray(part.x))
        truth = None if part.truth is None else whole(part.truth)
        return Labelled(x, whole(part.y), truth)
    except (TypeError, ValueError) as error:
        raise ValueError(f"x and y must be arrays of numbers: {str(error)[:90]}") from None


def check(data: Data, batch: int) -> int:
    """Refuse sets that do not fit together; return how many examples are trained on."""
    n = len(data.train.x)
    if n < batch:
        raise ValueError(f"batch is {batch}, more than the {n} training examples: lower it")
    for name, part in zip(("train", "held", "test"), data, strict=True):
        if part is None:
            continue
        if not len(part.x):
            raise ValueError(f"{name} is empty: give None in its place, or examples")
        for what, labels in (("y", part.y), ("truth", part.truth)):
            if labels is None:
                continue
            if labels.shape != (len(part.x),):
                raise ValueError(
                    f"{name}.{what} has shape {labels.shape}, {name}.x has {len(part.x)} rows: "
                    "give one label a row"
                )
            if not jnp.issubdtype(labels.dtype, jnp.integer):
                raise ValueError(
                    f"{name}.{what} must hold whole numbers, got {labels.dtype}: use "
                    ".astype('int32')"
                )
    return n
