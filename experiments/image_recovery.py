"""Pictures under impulse noise: the deep image prior with s = g*g - h*h stop by itself."""

from dataclasses import dataclass

import numpy as np
import xarray

from experiments import _image
from experiments._image_plot import plot
from jaxrobust import lab
from jaxrobust.recovery.image.fit import Plan

PAPER = "You, Zhu, Qu, Ma 2020 (arXiv 2006.08857), figures 3 to 5, there at 512 x 512"
PARTS = {"salt": ("picture", "learner"), "random": ("first", "rival"), "paced": ("rate", "pace")}
PILOT = "direction and level set after pilots with key 1"


@dataclass(frozen=True)
class Config:
    """Numbers of the run."""

    pictures: tuple[str, ...] = ("astronaut", "chelsea", "coffee")
    size: int = 64
    width: int = 16
    scales: int = 4
    steps: int = 1_200
    every: int = 30
    rate: float = 0.5
    """Of corrupt entries."""
    pace: float = 0.018
    """lr_gh over the entries of the picture; lr is 1."""
    l1_steps: tuple[float, ...] = (1.0, 0.3)
    """Step sizes of l1."""
    rates: tuple[float, ...] = (0.1, 0.7)
    """Of corrupt entries, in the sweep of paces."""
    paces: tuple[float, ...] = (0.006, 0.018, 0.054)
    seeds: int = 5

    def plan(self) -> Plan:
        """Give the plan of a run."""
        return Plan(self.steps, self.every)


def simulate(config: Config, bench: lab.Bench):
    """Run all learners on the same noise, weights and inputs, and the classical rivals."""
    square, all_of = ("row", "column", "colour"), _image.cases(config)
    curves = ("psnr", "still", "ssim", "explained", "taken", "lost")
    runs = bench.sweep(
        _image.learned(config),
        {"case": [", ".join(map(str, case)) for case in all_of]},
        config.seeds,
        name="runs",
        width=1,
        dims=dict.fromkeys(curves, ("step",)) | dict.fromkeys(("final", "removed"), square),
        coords={"step": config.every * np.arange(1, config.plan().readings + 1)},
    )
    found = bench.sweep(
        _image.classical(config),
        {"kind": tuple(_image.KINDS), "picture": config.pictures},
        config.seeds,
        name="plain",
        width=1,
        dims={"psnr": ("setting",), "ssim": ("setting",), "truth": square, "noisy": square}
        | {"made": ("setting", *square)},
        coords={"setting": list(_image.SETTINGS)},
    )
    found = found.rename({name: f"plain_{name}" for name in found.data_vars})
    for part, axes in PARTS.items():
        some = [place for place, case in enumerate(all_of) if case[0] == part]
        ways = [list(dict.fromkeys(case[k] for case in all_of if case[0] == part)) for k in (1, 2)]
        table = {}
        for name, column in runs.isel(case=some).drop_vars("case").data_vars.items():
            column = column.transpose("seed", "case", ...)
            shape = (column.sizes["seed"], *map(len, ways), *column.shape[2:])
            dims = ("seed", *axes, *column.dims[2:])
            table[f"{part}_{name}"] = (dims, column.values.reshape(shape))
        coords = dict(zip(axes, ways, strict=True))
        found = found.merge(xarray.Dataset(table, coords | {"step": runs.step}))
    return found


def last(curve):
    """Give the mean of the last three readings."""
    return curve.isel(step=slice(-3, None)).mean("step")


def ends(dataset, learner, name="salt", score="psnr"):
    """Give the score at the end, (seed, picture)."""
    axes = {"salt": ("learner", "picture"), "random": ("rival", "first")}[name]
    found = last(dataset[f"{name}_{score}"].sel({axes[0]: learner}))
    return found.transpose("seed", axes[1]).values


def stopped(dataset, config, name="salt"):
    """Give l1's best reading over all steps and step sizes, by the truth: (seed, picture)."""
    axis, place = {"salt": ("learner", "picture"), "random": ("rival", "first")}[name]
    rows = [_image.l1(lr) for lr in config.l1_steps]
    best = dataset[f"{name}_psnr"].sel({axis: rows}).max(("step", axis))
    return best.transpose("seed", place).values


def best(dataset, family, kind="salt and pepper"):
    """Give a rival's best setting by the truth, (seed, picture)."""
    rows = [name for name in _image.SETTINGS if name.startswith(family)]
    found = dataset.plain_psnr.sel(kind=kind, setting=rows).max("setting")
    return found.transpose("seed", "picture").values


def claims(dataset, config: Config):
    """DOP keeps what it reaches; who is above it; where corruption is not visible; one ratio."""
    d, quick = dataset, _image.l1(config.l1_steps[0])
    dop, l2, l1 = (ends(d, name) for name in ("DOP", "l2", quick))
    hidden = "random-valued"
    rival = np.maximum(best(d, "median", hidden), best(d, "TV", hidden))[:, :1]

    def above(*gaps, level=0.0):
        return lab.Bound(np.concatenate(gaps, axis=1), level, side="lower", events=False)

    def fall(name):
        curve = d.salt_psnr.sel(learner=name)
        gap = curve.max("step") - last(curve)
        return lab.Bound(gap.transpose("seed", "picture").values, 1.0, events=False)

    def short(pace):
        end = last(d.paced_psnr).transpose("seed", "rate", "pace")
        top = end.isel(pace=end.mean("seed").argmax("pace"))
        return lab.Bound((top - end.sel(pace=pace)).values, 1.0, events=False)

    return [
        lab.Claim(
            name="DOP ends above l2 and l1",
            statement="PSNR at the end, on each picture, all with lr 1",
            source=PAPER,
            basis="quoted",
            test=above(dop - l2, dop - l1),
            control=above(l2 - l1),
            control_name="l2 in DOP's place",
        ),
        lab.Claim(
            name="DOP needs no stopping",
            statement="it ends at most 1 dB below its own peak, on each picture",
            source=PAPER,
            basis="quoted",
            test=fall("DOP"),
            control=fall(quick),
            control_name=quick,
        ),
        lab.Claim(
            name="an oracle makes l1 as good",
            statement="l1 with its step size chosen and stopped by the truth is at most 1 dB below "
            "DOP's end, on each picture: what DOP saves is the choice of when to stop",
            source=f"against the paper's figures, where l1 has one step size; {PILOT}",
            basis="assumed",
            test=above(stopped(d, config) - dop, level=-1.0),
            control=above(l1 - dop, level=-1.0),
            control_name=f"{quick}, at its end",
        ),
        lab.Claim(
            name="DOP ends above medians and total variation",
            statement="PSNR at the end, on each picture; their window and weight by the truth",
            source=PILOT,
            basis="assumed",
            test=above(dop - np.maximum(best(d, "median"), best(d, "TV"))),
            control=above(l2 - np.maximum(best(d, "median"), best(d, "TV"))),
            control_name="l2",
        ),
        lab.Claim(
            name="where corruption is visible, filling it beats DOP",
            statement="a Gaussian average of the entries that are neither 0 nor 1 is 1 dB or more "
            "above DOP's end, on each picture",
            source=PILOT,
            basis="assumed",
            test=above(best(d, "fill") - dop, level=1.0),
            control=above(best(d, "median") - dop, level=1.0),
            control_name="the best median",
        ),
        lab.Claim(
            name="where it is not visible, DOP ends above all classical rivals",
            statement="under random-valued impulses, where nothing can be filled, by .5 dB or more "
            "above the best of medians and total variation, on the first picture",
            source=PILOT,
            basis="assumed",
            test=above(ends(d, "DOP", "random") - rival, level=0.5),
            control=above(best(d, "fill", hidden)[:, :1] - rival, level=0.5),
            control_name="filling what is 0 or 1",
        ),
        lab.Claim(
            name="one pace for all shares of corruption",
            statement=f"lr_gh / N = {config.pace:g} ends at most 1 dB below the best of "
            f"{', '.join(f'{pace:g}' for pace in config.paces)} at each share",
            source=f"{PAPER}; {PILOT}",
            basis="quoted",
            test=short(config.pace),
            control=short(config.paces[0]),
            control_name=f"lr_gh / N = {config.paces[0]:g}",
        ),
    ]  # fmt: skip


study = lab.Study(
    name="image_recovery",
    title="Pictures under impulse noise: the deep image prior without stopping",
    caption="Half of the entries of three photographs (64 x 64, colour) are set to 0 or 1; one "
    "network is trained on each corrupt picture alone. (a): PSNR against step, mean over pictures "
    "and seeds (noise, first weights). Fitted by l2 or l1 the network learns the corruption too, "
    "and only an oracle knows when to stop; with g*g - h*h beside it (DOP), one ratio of step "
    "sizes, it keeps what it reaches: about what l1 reaches where the truth chooses its step size "
    "and stops it. (b): all rivals, their settings chosen by the truth: filling the visible 0s and "
    "1s from their neighbours is better than DOP on this noise. (c): one pace lr_gh / N over "
    "shares of corruption. (d): impulses of random value, which nobody sees. Below: one picture, "
    "at the end unless said otherwise.",
    presets={
        "smoke": Config(
            pictures=("astronaut",), size=8, width=2, scales=1, steps=4, every=1, rates=(0.3,),
            paces=(0.006, 0.018), l1_steps=(1.0,), seeds=2,
        ),
        "laptop": Config(),
        "gpu": Config(size=512, width=128, scales=5, steps=20_000, every=500, pace=0.006, seeds=5),
        "long": Config(
            width=32, steps=3_000, l1_steps=(1.0, 0.3, 0.1), rates=(0.1, 0.3, 0.5, 0.7),
            paces=(0.006, 0.009, 0.012, 0.018, 0.027, 0.036, 0.054), seeds=8,
        ),
    },
    simulate=simulate,
    claims=claims,
    plot=plot,
)  # fmt: skip

if __name__ == "__main__":
    raise SystemExit(lab.main(study))
