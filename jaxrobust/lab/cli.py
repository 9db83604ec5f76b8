"""The command line: `main(study)` for one file, `main([...])` for a folder of them."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from typing import Any

import jax

from jaxrobust.lab import report, usage
from jaxrobust.lab.store import StoreError
from jaxrobust.lab.study import Bench, MissingInput, Result, Study, conduct


def main(studies: Study | Sequence[Study], arguments: Sequence[str] | None = None) -> int:
    """Run studies as the command line says and give the exit status.

    0: no claim refuted, every control refuted, every reference certified; 1: otherwise; 2: the call
    was wrong. A study that raises `MissingInput` is skipped, and its files in the gallery stay as
    they are: that alone does not change the status, unless no study is left (1). Switches float64
    on. With one study, the fields of its Config are flags too.

    Without --out, a run with another preset, key or number than the gallery's is drawn in the
    folder of drafts, lest it takes the place of a picture that was run in full.
    """
    one = isinstance(studies, Study)
    known = {studies.name: studies} if one else {s.name: s for s in studies}
    parser = usage.parser(known, one)
    options, rest = parser.parse_known_args(arguments)
    names = list(known) if one or not options.names else options.names
    listing = not one and names[:1] == ["list"]
    names = names[1:] if listing else names
    unknown = [n for n in names if n not in known]
    if rest and (len(names) > 1 or unknown):
        parser.error(f"{rest[0]}: unknown, or a flag of one study: name that study alone")
    if unknown:
        parser.error(f"no study {unknown[0]!r}: choose from {', '.join(known)}, or list")
    if options.help:
        if len(names) == 1 and options.preset in known[names[0]].presets:
            parser = usage.of_study(known[names[0]], options.preset, one)
        parser.print_help()
        return 0
    if listing:
        for name in names or known:
            print(f"{name:<24}{known[name].title}")
            if names:
                print(usage.claims(known[name], options.out or report.GALLERY))
        return 0
    lacking = [n for n in names if options.preset not in known[n].presets]
    if lacking and (one or options.names):
        parser.error(f"{lacking[0]} has no preset {options.preset}")
    names = [n for n in names if n not in lacking]
    # Before anything is traced: theory is checked in float64, and never in TF32.
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "float32")
    try:
        configs = {n: _config(known[n], options, rest) for n in names}
        if options.seeds is not None and options.seeds < 1:
            parser.error(f"--seeds must be >= 1, got {options.seeds}")
        bench = Bench(jax.random.key(options.key), options.store, not options.quiet)
        results = [
            result
            for n in names
            if (result := _one(known[n], configs[n], bench, options)) is not None
        ]
    except (ValueError, OSError, MemoryError, StoreError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        kept = f"; --store {options.store} goes on from here" if options.store else ""
        print(f"stopped{kept}", file=sys.stderr)
        return 130
    if not results:
        print("exit status 1 because no study ran")
        return 1
    _table(results)
    failed = [r.study.name for r in results if not r.ok]
    if failed:
        small = "; smoke is too small to judge by" if options.preset == "smoke" else ""
        print(f"exit status 1 because of {', '.join(failed)}, see above{small}")
    drafts = {report.label(r) for r in results if report.is_draft(r)}
    if drafts and options.out is None:
        why = "; ".join(sorted(drafts))
        cure = f"--out {report.GALLERY} would replace its pictures"
        print(f"drawn in {report.DRAFTS} (preset {why}), the gallery is as it was: {cure}")
    return 1 if failed else 0


def _config(study: Study, options: argparse.Namespace, rest: list[str]) -> Any:
    config = study.presets[options.preset]
    if rest:
        import tyro

        config = tyro.cli(
            type(config), default=config, args=rest, prog=study.name, description=study.caption
        )
    return config if options.seeds is None else dataclasses.replace(config, seeds=options.seeds)


def _one(study: Study, config: Any, bench: Bench, options: argparse.Namespace) -> Result | None:
    """Run one study and write what it gave; None where its input is missing."""
    store = None if bench.store is None else bench.store / study.name
    begun = time.perf_counter()
    if not options.quiet:
        print(f"{study.name}: {study.title}", file=sys.stderr)
    own = dataclasses.replace(bench, store=store)
    try:
        result = conduct(study, config, own, preset=options.preset)
    except MissingInput as reason:
        print(f"{study.name}: skipped, {reason}")
        return None
    files = report.write(result, options.out or report.place(result))
    seconds = time.perf_counter() - begun
    print(f"{study.name}: {files[0]}, {files[1].name} ({seconds:.0f} s)", file=sys.stderr)
    return result


def _table(results: list[Result]) -> None:
    from rich.console import Console
    from rich.table import Table

    colours = {"confirmed": "green", "refuted": "red", "inconclusive": "yellow"}
    table = Table("study", "claim", "kind", "measured", "verdict", "control")
    for result in results:
        for v in result.verdicts:
            said, measured = v.main.verdict.value, v.main.measured
            controlled = v.control.verdict.value
            table.add_row(
                result.study.name,
                v.claim.name,
                v.claim.kind,
                "" if measured is None else f"{measured:.3g}",
                f"[{colours.get(said, 'white')}]{said}[/]",
                f"[{'green' if controlled == 'refuted' else 'red'}]{controlled}[/]",
            )
    console = Console()
    console.print(table)
    for result in results:
        for name, lanes in result.uncertified.items():
            if lanes:
                console.print(f"{result.study.name}: {lanes} lanes of {name} are not certified")
        for v in result.verdicts:
            if v.lost:
                console.print(f"{result.study.name} / {v.claim.name}: {v.lost} numbers not finite")
            if not v.ok or v.main.verdict == "inconclusive":
                console.print(f"{result.study.name} / {v.claim.name}: {v.main.detail}")
            if v.control.verdict != "refuted":
                console.print(f"{result.study.name} / {v.claim.name}, control: {v.control.detail}")
