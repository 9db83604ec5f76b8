"""A study: what the theory says, the run that tests it, and the picture of both, in one object."""

from __future__ import annotations

import dataclasses
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from jaxrobust import __version__
from jaxrobust.lab import figure
from jaxrobust.lab.claim import Claim, Verdict, judge
from jaxrobust.lab.sweep import sweep

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

PRESETS = ("smoke", "laptop", "gpu")
LONG = "long"
"""A fourth preset, which a study may lack: more than minutes on a laptop."""


class MissingInput(Exception):  # noqa: N818
    """Raised by a study's `simulate` where what it reads, such as a data set, is not there.

    The message says what is missing and where to get it. The command line skips the study then.
    """


@dataclass(frozen=True)
class Bench:
    """What a study's sweeps share: the root key, the store, whether to show progress."""

    key: Any
    store: Path | None = None
    progress: bool = False

    def sweep(
        self,
        trial: Callable[..., Any],
        axes: Mapping[str, Any],
        seeds: Any,
        *,
        name: str = "main",
        **kwargs: Any,
    ) -> xarray.Dataset:
        """Run `lab.sweep` with this bench's key and store; `name` tells a study's sweeps apart."""
        store = None if self.store is None else self.store / name
        options = {"key": self.key, "store": store, "progress": self.progress, **kwargs}
        return sweep(trial, axes, seeds, **options)


@dataclass(frozen=True)
class Study:
    """A study; `lab.main(study)` makes it a command.

    Attributes
    ----------
    name, title, caption
        A word for files and commands, a line for the list, a paragraph for the gallery.
    presets
        A frozen dataclass `Config` for each of "smoke" (seconds, for tests), "laptop" and "gpu",
        and for "long" (more than minutes on a laptop) if there is one; its field `seeds` is how
        many replicates run.
    simulate
        `simulate(config, bench) -> xarray.Dataset`, by `bench.sweep`. Outputs named `..._status`
        are codes of reference solutions, 0 where certified: any other makes the run fail. Raises
        `MissingInput` where a data set is not there.
    claims
        `claims(dataset, config) -> [Claim]`.
    plot
        `plot(dataset, config) -> Figure`, from `lab.figure.panels`.
    table
        `table(dataset, config) -> str`, Markdown for NAME.md beside the picture, or None.
    alone
        Whether it times things: where studies run side by side, nothing runs beside this one.
    cost
        Rough seconds of one core that the laptop preset takes, if more than a minute: where
        studies run side by side, the longest begin first.
    """

    name: str
    title: str
    caption: str
    presets: Mapping[str, Any]
    simulate: Callable[[Any, Bench], xarray.Dataset]
    claims: Callable[[xarray.Dataset, Any], Sequence[Claim]]
    plot: Callable[[xarray.Dataset, Any], Figure]
    table: Callable[[xarray.Dataset, Any], str] | None = None
    alone: bool = False
    cost: float = 0.0

    def __post_init__(self):
        if not self.name.isidentifier():
            raise ValueError(f"name must be one word for files and commands, got {self.name!r}")
        missing = [p for p in PRESETS if p not in self.presets]
        if missing:
            raise ValueError(f"presets of {self.name} lack {', '.join(missing)}")
        if unknown := set(self.presets) - {*PRESETS, LONG}:
            raise ValueError(f"presets of {self.name} hold {unknown.pop()!r}: name it {LONG!r}")
        for preset, config in self.presets.items():
            if not dataclasses.is_dataclass(config) or not hasattr(config, "seeds"):
                raise ValueError(f"preset {preset!r} of {self.name} must be a dataclass with seeds")


@dataclass(frozen=True)
class Result:
    """What a run of a study gave."""

    study: Study
    config: Any
    dataset: xarray.Dataset
    verdicts: Sequence[Verdict]
    picture: bytes
    table: str | None
    provenance: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Return whether no claim is refuted, every control is, and every reference certified."""
        return all(v.ok for v in self.verdicts) and not any(self.uncertified.values())

    @property
    def uncertified(self) -> dict[str, int]:
        """Count the lanes whose reference solution is not certified, by output `..._status`."""
        names = [str(n) for n in self.dataset.data_vars if str(n).endswith("_status")]
        return {n: int((self.dataset[n] != 0).sum()) for n in names}


def conduct(study: Study, config: Any, bench: Bench, *, preset: str = "") -> Result:
    """Simulate, judge and draw."""
    dataset = study.simulate(config, bench)
    verdicts = [judge(claim, bench.key) for claim in study.claims(dataset, config)]
    with figure.style():
        drawn = study.plot(dataset, config)
        figure.stamp(drawn, verdicts)
        picture = figure.png(drawn)
    table = study.table(dataset, config) if study.table else None
    about = _provenance(config, bench, preset)
    return Result(study, config, dataset, verdicts, picture, table, about)


def _provenance(config: Any, bench: Bench, preset: str) -> dict[str, Any]:
    device = jax.devices()[0]
    packages = ("jax", "jaxlib", "numpy", "scipy", "matplotlib", "xarray")
    return {
        "versions": {"jaxrobust": __version__, "python": platform.python_version()}
        | {p: version(p) for p in packages},
        "device": f"{device.platform} {device.device_kind}" if device.platform != "cpu" else "cpu",
        "machine": f"{sys.platform} {platform.machine()}",
        "dtype": str(jnp.zeros(()).dtype),
        "preset": preset,
        "config": dataclasses.asdict(config),
        "seeds": config.seeds,
        "key": [int(x) for x in jax.random.key_data(bench.key).ravel()],
    }
