"""Tasks and studies that workers import, for what runs them is another process."""

import dataclasses
import os
import signal
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from jaxrobust import lab
from jaxrobust.lab import figure


@dataclass(frozen=True)
class Meet:
    """Leave a file, wait until there are two, and tell where this runs."""

    folder: Path

    def __call__(self, name):
        (self.folder / name).touch()
        end = time.monotonic() + 60
        while len(list(self.folder.iterdir())) < 2:
            assert time.monotonic() < end, "nobody came"
            time.sleep(0.01)
        print(f"{name} was here")
        return os.getpid(), tuple(sorted(os.sched_getaffinity(0)))


@dataclass(frozen=True)
class Fail:
    """Fail in the way that is named."""

    folder: Path

    def __call__(self, name):
        (self.folder / "pid").write_text(str(os.getpid()))
        if name == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "stopped":  # Ctrl-C reaches every process of a terminal
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getppid(), signal.SIGINT)
            time.sleep(60)
        raise {"refused": ValueError, "broken": KeyError}[name]("no such number")


@dataclass(frozen=True)
class Config:
    busy: float = 0.3
    """Seconds."""
    seeds: int = 8


def _simulate(name, config, bench):
    import xarray

    if name == "lacking":
        raise lab.MissingInput("no file: get it from the publisher")
    begun = time.time()
    time.sleep(config.busy)
    print(f"{name} is not finite", file=sys.stderr)
    x = np.random.default_rng(len(name)).normal(size=(config.seeds, 2))
    with (Path(os.environ["TOYS"]) / "log").open("a") as file:
        file.write(f"{name} {begun} {time.time()} {os.getpid()}\n")
    return xarray.Dataset({"x": (("seed", "cell"), x)})


def _claims(dataset, config):
    test, control = (lab.Expectation(dataset.x, mean, resolution=2.0) for mean in (0.0, 9.0))
    about = {"name": "zero", "statement": "E x = 0", "source": "a toy", "basis": "derived"}
    return [lab.Claim(**about, test=test, control=control, control_name="nine")]


def _plot(dataset, config):
    drawn, ax = figure.panels(1, width=figure.COLUMN)
    figure.points(ax, dataset.cell, dataset.x)
    return drawn


def found():
    """Give two studies, one that runs alone, and one whose input is missing."""
    presets = dict.fromkeys(("smoke", "laptop", "gpu"), Config())
    long = dict.fromkeys(presets, Config(busy=1.0))
    studies = [
        lab.Study(name, "A toy", "Its caption.", presets, partial(_simulate, name), _claims, _plot)
        for name in ("cheap", "lacking", "dear", "timed")
    ]
    cheap, lacking, dear, timed = studies
    dear = dataclasses.replace(dear, cost=5.0)
    return [dear, lacking, cheap, dataclasses.replace(timed, cost=9.0, alone=True, presets=long)]
