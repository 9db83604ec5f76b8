"""The front door: clean a picture of one's own, of any size, with progress and checkpoints."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxrobust import _check, _checkpoint
from jaxrobust.recovery.image import fit, network, pictures
from jaxrobust.recovery.image.fit import Plan, Reading


class Cleaned(NamedTuple):
    """A picture before and after, of the shape given, floats in [0, 1]."""

    before: Float[np.ndarray, "*shape"]
    after: Float[np.ndarray, "*shape"]
    """phi at the fixed input, after the last step."""
    removed: Float[np.ndarray, "*shape"]
    """g*g - h*h in [-1, 1]: what the method calls corruption. Not before - after: the rest of that
    is what the network has not fitted."""
    readings: Reading
    """Loss and diverged entries, (readings,) each."""


def clean(
    picture: Any,
    *,
    key: PRNGKeyArray | None = None,
    steps: int = 4_000,
    every: int = 100,
    pace: float = 0.018,
    lr: float = 1.0,
    width: int = 32,
    scales: int = 4,
    folder: str | Path | None = None,
    progress: Callable[[int, int, Float[np.ndarray, "*shape"]], Any] | None = None,
) -> Cleaned:
    """Remove sparse gross errors from a picture by the deep image prior with s = g*g - h*h.

    It needs no truth, no place of the errors and no share of them. `fit` has the method.

    Parameters
    ----------
    picture
        Whatever `pictures.read` takes: a path, or an array (height, width) or (height, width,
        channels). It is extended by reflection to what the network needs, and cut again.
    key
        Of the first weights, input and jitter; `jax.random.key(0)` without.
    steps, every
        How many, and how many from one checkpoint and call of `progress` to the next.
    pace
        lr_gh over the picture's entries: larger trusts the picture less. If specks stay, take
        more; if details are gone, less. It matters only beside lr.
    lr
        Step of the weights.
    width, scales
        Of the network. The defaults suit a CPU and small pictures; the paper's are 128 and 5.
    folder
        Where the run is kept; started again with the same folder it goes on from its last reading
        to the same bits, and a folder of another run is refused. At the end `before.png`,
        `after.png` and `removed.png` (grey is nothing, white was too bright) are written there.
    progress
        Called as `progress(steps done, steps in all, the picture so far)`.

    Raises
    ------
    ValueError
        Where the picture cannot be read or is too small, a number is out of its range, the folder
        is damaged or another run's, or the run diverges (its last finite state stays in `folder`).
    """
    before = pictures.read(picture)
    plan, key = Plan(steps, every), jax.random.key(0) if key is None else key
    pace, lr = float(_check.number("pace", pace)), float(_check.number("lr", lr))
    width = _check.count("width", width)
    _told(key, folder, progress)
    y = fitted(before, _check.count("scales", scales))
    begin, segment = _compiled(y.shape, width, scales, every)
    rates = tuple(jnp.asarray(x, y.dtype) for x in fit.dop(y.size, pace, lr)[:2])
    kept = _Kept(folder, plan, {"pace": pace, "lr": lr, "width": width, "scales": scales}, key, y)
    state = begin(key)
    done, (state, still, corruption, past) = kept.latest(segment, (y, rates, state))
    while done < plan.readings:
        state, still, corruption, reading = segment(y, rates, state)
        done += 1
        if int(reading.lost):
            raise ValueError(
                f"the run is not finite after {done * every} steps: take a smaller lr than {lr:g}, "
                f"or a smaller pace than {pace:g}"
            )
        past = jax.tree.map(lambda row, x, at=done - 1: row.at[at].set(x), past, reading)
        kept.save(done, (state, still, corruption, past))
        if progress:
            progress(done * every, steps, _like(before, still))
    found = Cleaned(before, _like(before, still), _like(before, corruption), past)
    kept.draw(found)
    return found


def _told(key: Any, folder: Any, progress: Any) -> None:
    """Refuse what is no key, no folder and no function."""
    kind, shape = getattr(key, "dtype", type(key).__name__), getattr(key, "shape", ())
    known = isinstance(key, jax.Array) and (
        jnp.issubdtype(kind, jax.dtypes.prng_key) or kind == jnp.uint32
    )
    if not known or jax.random.key_data(key).ndim != 1:
        raise ValueError(f"key must be one key, got {kind} of shape {shape}: jax.random.key(0)")
    if not isinstance(folder, str | os.PathLike | None):
        raise ValueError(f"folder must be a path, got {folder!r:.40}: give its name as text")
    if progress is not None and not callable(progress):
        raise ValueError(
            f"progress must be a function of (done, steps, picture), got {progress!r:.40}: give "
            "print, or leave it out"
        )


def fitted(picture: Float[np.ndarray, "*shape"], scales: int) -> Float[Array, "H W C"]:
    """Extend a picture to multiples of 2^scales, as (height, width, channels) in single precision.

    >>> fitted(np.zeros((20, 19)), 3).shape
    (24, 24, 1)
    """
    unit = 2**scales
    for name, side in zip(("height", "width"), picture.shape[:2], strict=True):
        if side <= unit:
            raise ValueError(
                f"picture has {name} {side}, and {scales} scales need more than {unit}: take fewer "
                "scales"
            )
    wide = pictures.fit_to(jnp.asarray(picture, jnp.float32), unit)
    return wide if wide.ndim == 3 else wide[:, :, None]


@lru_cache(maxsize=4)
def _compiled(shape: tuple[int, ...], width: int, scales: int, every: int) -> Any:
    """Return what starts a run and what takes it to its next reading: compiled once a shape."""
    prior = network.prior(shape, width=width, scales=scales)

    def segment(y: Array, rates: Any, state: fit.State) -> tuple[fit.State, Array, Array, Reading]:
        state, seen, reading = fit.advance(state, y, fit.Rates(*rates), prior, every)
        return state, seen.still, seen.corruption, reading

    return jax.jit(partial(fit.init, prior=prior, shape=shape)), jax.jit(segment)


def _like(before: np.ndarray, found: Array) -> np.ndarray:
    """Cut a result to the shape of the picture."""
    cut = np.asarray(found, before.dtype)[: before.shape[0], : before.shape[1]]
    return cut.reshape(before.shape)


class _Kept:
    """The folder of a run; nothing without one."""

    def __init__(self, folder: str | Path | None, plan: Plan, about: Any, key: Any, y: Array):
        self.folder, self.plan = None if folder is None else Path(folder), plan
        words = [np.asarray(jax.random.key_data(key)).tobytes(), np.asarray(y).tobytes()]
        marks = [hashlib.sha256(word).hexdigest()[:16] for word in words]
        self.run = {name: repr(value) for name, value in about.items()}
        self.run |= {"plan": str(plan), "key": marks[0], "picture": marks[1]}

    def latest(self, segment: Any, start: Any) -> tuple[int, Any]:
        """Return how many readings are done, and the last state with its readings."""

        def begin(state: fit.State, still: Array, corruption: Array, reading: Reading) -> Any:
            row = partial(jnp.zeros, (self.plan.readings,))
            return state, still, corruption, jax.tree.map(lambda x: row(dtype=x.dtype), reading)

        like = jax.eval_shape(lambda *start: begin(*segment(*start)), *start)
        if self.folder is not None and _checkpoint.latest(self.folder) is not None:
            return _checkpoint.restore(self.folder, like, self.run)
        return 0, (start[-1], *jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like[1:]))

    def save(self, done: int, carry: Any) -> None:
        """Keep a state."""
        if self.folder is not None:
            _checkpoint.save(self.folder, done, carry, self.run)

    def draw(self, found: Cleaned) -> None:
        """Write the pictures."""
        if self.folder is None:
            return
        removed = np.clip((found.removed + 1) / 2, 0, 1)
        for name, picture in (
            ("before", found.before),
            ("after", np.clip(found.after, 0, 1)),
            ("removed", removed),
        ):
            pictures.save(self.folder / f"{name}.png", picture)
