"""The command line: `main(study)` for one file, `main(found)` for a folder of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import jax

from jaxrobust.lab import crew, report, summary, turns, usage
from jaxrobust.lab.study import Study
from jaxrobust.lab.summary import Summary
from jaxrobust.lab.turns import Found


def main(studies: Study | Sequence[Study] | Found, arguments: Sequence[str] | None = None) -> int:
    """Run studies as the command line says and give the exit status.

    0: no claim refuted, every control refuted, every reference certified; 1: otherwise; 2: the call
    was wrong, or a worker died. A study that raises `MissingInput` is skipped, and its files in the
    gallery stay as they are: that alone does not change the status, unless no study is left (1).
    Switches float64 on. With one study, the fields of its Config are flags too.

    Given as a function that returns them and that can be imported, several studies run side by
    side: in as many processes as --jobs says, each on cores of its own, those of most `cost` first.
    Those that are to be `alone` run before all others, one after another, in this process.

    Without --out, a run with another preset, key or number than the gallery's is drawn in the
    folder of drafts, lest it takes the place of a picture that was run in full.
    """
    one = isinstance(studies, Study)
    find = studies if callable(studies) else None
    if callable(studies):
        studies = studies()
    known = {s.name: s for s in ([studies] if isinstance(studies, Study) else studies)}
    parser = usage.parser(known, one)
    options, rest = parser.parse_known_args(arguments)
    names = list(known) if one or not options.names else list(dict.fromkeys(options.names))
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
    for flag in ("seeds", "jobs"):
        number = getattr(options, flag)
        if number is not None and number < 1:
            parser.error(f"--{flag} must be >= 1, got {number}")
    if find is None and (options.jobs or 1) > 1:
        parser.error(f"--jobs {options.jobs}: only where main is given a function that lists them")
    turns.settle()
    try:
        configs = {n: _config(known[n], options, rest) for n in names}
        if find is not None and (jobs := _jobs(options, len(names))) > 1:
            ran = list(turns.side_by_side(known, configs, options, find, jobs))
        else:
            ran = list(turns.in_turn(known, configs, options))
    except (*turns.ERRORS, crew.WorkerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        kept = f"; --store {options.store} goes on from here" if options.store else ""
        print(f"stopped{kept}", file=sys.stderr)
        return 130
    return _conclude(sorted(ran, key=lambda made: names.index(made.study)), options)


def _config(study: Study, options: argparse.Namespace, rest: list[str]) -> Any:
    config = study.presets[options.preset]
    if rest:
        import tyro

        config = tyro.cli(
            type(config), default=config, args=rest, prog=study.name, description=study.caption
        )
    return turns.replicated(config, options)


def _jobs(options: argparse.Namespace, studies: int) -> int:
    """Return how many studies run at once: one on an accelerator, whose memory each would take."""
    jobs = options.jobs or (crew.usual() if jax.default_backend() == "cpu" else 1)
    return min(jobs, studies)


def _conclude(ran: list[Summary], options: argparse.Namespace) -> int:
    """Print the table and what decides the exit status; return that."""
    if not ran:
        print("exit status 1 because no study ran")
        return 1
    summary.show(ran)
    failed = [made.study for made in ran if not made.ok]
    if failed:
        small = "; smoke is too small to judge by" if options.preset == "smoke" else ""
        print(f"exit status 1 because of {', '.join(failed)}, see above{small}")
    drafts = {made.draft for made in ran if made.draft}
    if drafts and options.out is None:
        why = "; ".join(sorted(drafts))
        cure = f"--out {report.GALLERY} would replace its pictures"
        print(f"drawn in {report.DRAFTS} (preset {why}), the gallery is as it was: {cure}")
    return 1 if failed else 0
