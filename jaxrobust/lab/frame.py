"""What goes into a sweep and what comes out: arguments checked, results labelled."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core as jex

from jaxrobust.lab.block import ENGINE, OPTIONS
from jaxrobust.lab.store import sha
from jaxrobust.lab.tracing import Traced, digest

if TYPE_CHECKING:
    import xarray

Values = dict[str, np.ndarray]
Named = dict[str, tuple[str, ...]]


def check_axes(axes: Any) -> tuple[Values, dict[str, jax.Array]]:
    """Return the axes' values as given, and as the trial gets them (strings as their position)."""
    if not isinstance(axes, Mapping):
        raise ValueError(f"axes must be a dict name -> values, got {type(axes).__name__}")
    values, columns = {}, {}
    for name, given in axes.items():
        if not isinstance(name, str) or not name.isidentifier() or name in ("seed", "key"):
            raise ValueError(f"axes: {name!r} cannot name an axis: use a word, not seed or key")
        array = _vector(f"axes[{name!r}]", given)
        if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
            raise ValueError(f"axes[{name!r}] holds {array[~np.isfinite(array)][0]}: remove it")
        column = jnp.arange(array.size) if array.dtype.kind == "U" else jnp.asarray(array)
        if array.dtype.kind in "iu" and not np.array_equal(np.asarray(column), array):
            raise ValueError(f"axes[{name!r}] overflows {column.dtype}: give floats or enable x64")
        values[name], columns[name] = array, column
    return values, columns


def _vector(name: str, given: Any) -> np.ndarray:
    """Return distinct 1-D numbers or strings, at least one."""
    try:
        array = np.asarray(given)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a 1-D list of numbers or strings: {error}") from None
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "biufU":
        raise ValueError(
            f"{name} must be a 1-D list of numbers or strings, not empty, got {given!r:.60}"
        )
    kinds, counts = np.unique(array, return_counts=True)
    if counts.max() > 1:
        raise ValueError(f"{name} holds {kinds[counts.argmax()]} more than once: list it once")
    return array


def check_seeds(seeds: Any) -> np.ndarray:
    """Return the seeds as int64; n means 0..n-1."""
    array = np.asarray(seeds)
    if array.dtype.kind not in "iu":
        raise ValueError(f"seeds must be whole numbers >= 0, or how many, got {seeds!r:.60}")
    if array.ndim == 0:
        array = np.arange(array.item())
    array = _vector("seeds", array).astype(np.int64)
    if array.min() < 0 or array.max() >= 2**31:
        bad = array[(array < 0) | (array >= 2**31)][0]
        raise ValueError(f"seeds must lie in 0..{2**31 - 1}, got {bad}")
    return array


def check_key(key: Any) -> jax.Array:
    """Return a typed threefry key, from a typed or a raw one."""
    dtype = getattr(key, "dtype", None)
    if dtype == np.uint32 and key.shape == (2,):
        key = jax.random.wrap_key_data(jnp.asarray(key), impl="threefry2x32")
    elif dtype is None or not jnp.issubdtype(dtype, jax.dtypes.prng_key) or key.shape:
        raise ValueError(f"key must be one jax.random.key(...), got {key!r:.60}")
    impl = str(jax.random.key_impl(key))
    if impl != "threefry2x32":  # rbg draws for the whole batch: a lane would know its neighbours
        raise ValueError(f"key must be threefry2x32, got {impl}: use jax.random.key(seed)")
    return key


def check_dims(traced: Traced, values: Values, dims: Any, coords: Any) -> Named:
    """Return the dimension names of every output, and refuse what does not fit the shapes."""
    named: Named = {}
    sizes: dict[str, int] = {}
    taken = {"seed", *values}
    for kind, given in (("dims", dims), ("coords", coords)):
        if not isinstance(given, Mapping):
            raise ValueError(f"{kind} must be a dict, got {type(given).__name__}")
    if unknown := [name for name in dims if name not in traced.names]:
        raise ValueError(f"dims names {unknown[0]!r}, the trial returns {', '.join(traced.names)}")
    for name, shape in zip(traced.names, (s.shape for s in traced.shapes), strict=True):
        given = dims.get(name, tuple(f"{name}_dim{i}" for i in range(len(shape))))
        given = (given,) if isinstance(given, str) else tuple(given)
        if len(given) != len(shape) or len(set(given)) != len(given) or taken & set(given):
            raise ValueError(
                f"dims[{name!r}] must give {len(shape)} new names for shape {shape}, got {given}"
            )
        for dim, size in zip(given, shape, strict=True):
            if sizes.setdefault(dim, size) != size:
                raise ValueError(f"dims: {dim!r} is {sizes[dim]} long and {size} in {name!r}")
        named[name] = given
    if clash := (taken | set(sizes)) & set(traced.names):
        raise ValueError(f"trial returns {clash.pop()!r}, the name of a dimension: rename it")
    for dim, along in coords.items():
        if dim not in sizes or np.shape(along) != (sizes[dim],):
            raise ValueError(
                f"coords[{dim!r}] has shape {np.shape(along)}, the outputs' dims are {sizes}"
            )
    return named


def describe(key: jax.Array, device: Any, block: Sequence[int]) -> dict[str, Any]:
    """Return what the bits depend on besides trial and axes, as JSON."""
    return {
        "key": np.asarray(jax.random.key_data(key)).tolist(),
        "key_impl": str(jax.random.key_impl(key)),
        "jax": jax.__version__,
        "jaxlib": version("jaxlib"),
        "dtype": str(jnp.result_type(float)),
        "platform": device.platform,
        "device_kind": device.device_kind,
        "processor": processor() if device.platform == "cpu" else "",
        "block": list(block),
    }


def fingerprint(
    traced: Traced, whole: jex.ClosedJaxpr, values: Values, about: dict[str, Any]
) -> dict[str, str]:
    """Return a sha256 for each part of what makes a block's bits; the seeds are not among them."""
    modes = [
        str(getattr(jax.config, f"jax_{mode}", None))
        for mode in ("default_matmul_precision", "threefry_partitionable")
    ]
    outputs = [[n, str(s)] for n, s in zip(traced.names, traced.shapes, strict=True)]
    return {
        "trial": sha(digest(traced.jaxpr), digest(whole), outputs),
        "axes": sha([[name, str(v.dtype), v.tolist()] for name, v in values.items()]),
        "key": sha(about["key"], about["key_impl"]),
        "block": sha(about["block"]),
        "versions": sha(about["jax"], about["jaxlib"], about["dtype"], modes),
        "engine": sha(ENGINE, OPTIONS),
        "device": sha(about["platform"], about["device_kind"], about["processor"]),
    }


def processor() -> str:
    """Return what the CPU's libraries choose their code by: its model and vector instructions."""
    found = [platform.machine()]
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return " ".join([*found, platform.processor()])
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            found.append(value.strip())
        elif name.strip() in ("flags", "Features"):
            kinds = ("avx", "fma", "sse", "amx", "asimd", "sve")
            found.extend(sorted(x for x in value.split() if x.startswith(kinds)))
    return " ".join(found)


def nonfinite(x: np.ndarray) -> int:
    """Count the lanes (first two axes) of an output that hold a NaN or an infinity."""
    if x.dtype.kind not in "fc":
        return 0
    return int(np.sum(~np.all(np.isfinite(x), axis=tuple(range(2, x.ndim)))))


def label(
    outputs: dict[str, np.ndarray],
    seeds: np.ndarray,
    values: Values,
    named: Named,
    coords: Mapping[str, Any],
    attrs: dict[str, Any],
) -> xarray.Dataset:
    """Return the outputs, each (seeds, cells, ...), as a Dataset (seed, *axes, ...)."""
    import xarray  # imported late: it takes longer than many a sweep

    grid = (seeds.size, *(v.size for v in values.values()))
    data = {
        name: (("seed", *values, *named[name]), x.reshape(grid + x.shape[2:]))
        for name, x in outputs.items()
    }
    # A tuple would be read as (dims, data).
    along = {name: np.asarray(x) for name, x in coords.items()}
    return xarray.Dataset(data, {"seed": seeds, **values, **along}, attrs)
