"""Choose every method's setting by noisy validation alone: `python -m experiments._choose`.

The setting with the highest mean accuracy, at the last epoch and over seeds, on validation examples
whose labels are as noisy as the training ones. No true label is looked at. The key is another than
those of the studies; digits are split anew by every key, so that a study's test pictures may have
been among those trained on here, with noisy labels. Writes what it chose to `_chosen.json`.
"""

import argparse
import functools
import json
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from experiments import _bed, _lineup
from experiments.method_table import study
from jaxrobust import lab

KEY = 71
KINDS = ("symmetric 40", "asymmetric 40", "pair 40", "instance 40")
"""All symmetric rates take the choice at 40 %."""


def held(config, name, key, setting, kind):
    """Run one setting; give its accuracy on noisy validation labels at the last epoch."""
    entry = _lineup.METHODS[name]
    columns = {k: jnp.asarray([row[k] for row in entry.grid], _bed.SINGLE) for k in entry.grid[0]}
    mine = {k: column[setting] for k, column in columns.items()}
    bed, plan = _bed.BEDS[config.data](config), config.plan(last=True)
    make = functools.partial(_lineup.build, name, plan, mine)
    met = _bed.meet(bed, key, jnp.asarray([_bed.KINDS.index(k) for k in KINDS])[kind])
    found = _bed.run(bed, plan, met, make, _lineup.schedule(config, mine["rate"]))
    return {"held": jax.tree.map(lambda column: column[-1], found[1]).held_noisy}


def choose(config, seeds, names, store=None):
    """Give {method: {kind: position in its grid}}, and the accuracies behind it."""
    chosen, behind = {}, {}
    for name in names:
        begun = time.perf_counter()
        dataset = lab.sweep(
            functools.partial(held, config, name),
            {"setting": np.arange(len(_lineup.METHODS[name].grid)), "kind": KINDS},
            seeds,
            key=jax.random.key(KEY),
            width=1,
            store=None if store is None else store / name.replace(" ", "_"),
            progress=False,
        )
        mean = dataset.held.mean("seed").transpose("kind", "setting").values
        best = [int(k) for k in mean.argmax(axis=1)]
        chosen[name] = dict(zip(KINDS, best, strict=True))
        told = [[round(float(a), 4) for a in row] for row in mean]
        behind[name] = dict(zip(KINDS, told, strict=True))
        seconds = time.perf_counter() - begun
        print(f"{name}: {best} ({seconds:.0f} s)", file=sys.stderr, flush=True)
    return chosen, behind


def main():
    """Choose, and write what was chosen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--store", type=Path, help="folder that makes it resumable")
    parser.add_argument("--methods", nargs="*", default=list(_lineup.METHODS))
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    path = _lineup.CHOSEN
    old = json.loads(path.read_text()) if path.exists() else {"chosen": {}, "held": {}}
    chosen, behind = choose(study.presets["laptop"], options.seeds, options.methods, options.store)
    kept = {"chosen": old["chosen"] | chosen, "held": old["held"] | behind}
    path.write_text(json.dumps({"key": KEY, "seeds": options.seeds, **kept}, indent=1) + "\n")


if __name__ == "__main__":
    main()
