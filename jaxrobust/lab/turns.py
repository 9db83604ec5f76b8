"""Run studies, one after another or side by side; write what each gave, and say so."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax

from jaxrobust.lab import crew, report, summary
from jaxrobust.lab.store import StoreError
from jaxrobust.lab.study import Bench, MissingInput, Study, conduct
from jaxrobust.lab.summary import Summary

Found = Callable[[], Sequence[Study]]
"""A function that lists the studies; workers import it."""
ERRORS = (ValueError, OSError, MemoryError, StoreError)
"""What gets a line, of a study that does not run to its end."""


def settle() -> None:
    """Switch float64 on, and TF32 off: theory is checked in float64. Before anything is traced."""
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "float32")


def in_turn(
    known: Mapping[str, Study], configs: Mapping[str, Any], options: argparse.Namespace
) -> Iterator[Summary]:
    """Run the studies that have a config in this process; yield what was not skipped."""
    for name, config in configs.items():
        _begin(known[name], options)
        yield from _end(name, _take(known[name], config, options), options)


def side_by_side(
    known: Mapping[str, Study],
    configs: Mapping[str, Any],
    options: argparse.Namespace,
    find: Found,
    jobs: int,
) -> Iterator[Summary]:
    """Run those that want to be alone in this process, then the others in workers.

    Those that cost most come first, lest all wait for one of them at the end. Only this process
    writes files and prints. Workers take preset and seeds from `options`.
    """
    alone = {name: config for name, config in configs.items() if known[name].alone}
    yield from in_turn(known, alone, options)
    rest = sorted(configs.keys() - alone.keys(), key=lambda n: (-known[n].cost, n))
    with closing(crew.run(_Turn(find, options), rest, min(jobs, len(rest)), ERRORS)) as running:
        for name, said in running:
            if said is None:
                _begin(known[name], options)
                continue
            for line in said.text.splitlines():
                print(f"{name}: {line}", file=sys.stderr)
            yield from _end(name, said.value, options)


@dataclass(frozen=True)
class _Turn:
    """What a worker does with the name of a study."""

    find: Found
    options: argparse.Namespace

    def __call__(self, name: str) -> Summary | MissingInput:
        settle()
        study = _by_name(self.find)[name]
        config = replicated(study.presets[self.options.preset], self.options)
        return _take(study, config, self.options)


@cache
def _by_name(find):
    return {study.name: study for study in find()}


def replicated(config: Any, options: argparse.Namespace) -> Any:
    """Return a config with as many replicates as the flag --seeds says."""
    return config if options.seeds is None else dataclasses.replace(config, seeds=options.seeds)


def _take(study, config, options):
    """Run a study; return its summary, or the exception that says what is missing."""
    begun = time.perf_counter()
    store = None if options.store is None else options.store / study.name
    bench = Bench(jax.random.key(options.key), store, not options.quiet)
    try:
        result = conduct(study, config, bench, preset=options.preset)
    except MissingInput as reason:
        return reason
    return summary.of(result, time.perf_counter() - begun)


def _begin(study, options):
    if not options.quiet:
        print(f"{study.name}: {study.title}", file=sys.stderr, flush=True)


def _end(name, made, options):
    """Write the files and say so; yield the summary unless the study was skipped."""
    if isinstance(made, MissingInput):
        print(f"{name}: skipped, {made}", flush=True)
        return
    out = options.out or made.place
    report.write(made.files, out)
    first, second, *_ = made.files
    print(f"{name}: {out / first}, {second} ({made.seconds:.0f} s)", file=sys.stderr, flush=True)
    yield made
