"""Census incomes when everyone outside one group is flipped: who still sees the group's own."""

import functools
from dataclasses import dataclass

import numpy as np
import xarray

from experiments import _adult as a
from experiments._reading import read
from jaxrobust import data, lab
from jaxrobust.lab import figure

PAPER = "Chen, Koehler, Moitra, Yau (NeurIPS 2020, arXiv 2006.04787)"


@dataclass(frozen=True)
class Config:
    """Numbers of the run; rows are drawn anew for every seed."""

    folder: str = ""
    """With adult.data and adult.test; default: the environment variable JAXROBUST_DATA."""
    train: int = 29_300
    held: int = 9_771
    test: int = 9_771
    snapshots: int = 10
    batch: int = 1_000
    """Training rows that FilterTron sees at a step, drawn anew for each."""
    steps: int = 600
    seeds: int = 12


def simulate(config: Config, bench: lab.Bench):
    """Split, flip, train every learner with its eight settings, choose on noisy rows, score."""
    adult = read(data.adult, config.folder)
    online, batch = a.trials(adult, config)
    axes = {"world": a.WORLDS, "learner": a.ONLINE}
    width = len(a.WORLDS) * len(a.ONLINE)
    first = bench.sweep(online, axes, config.seeds, name="online", width=width)
    worlds = {"world": a.WORLDS[:-1]}
    second = bench.sweep(batch, worlds, config.seeds, name="batch", width=len(a.WORLDS))
    both = [first, second.expand_dims(learner=["FilterTron"])]
    return xarray.concat(both, "learner", join="outer", combine_attrs="drop")


def claims(dataset, config: Config):
    """All but one fixed before the run, from the paper's figures; the levels are ours."""
    get = functools.partial(a.along, dataset)
    small = ("Black", "non-US")

    def falls(worlds):
        logistic = dataset.sel(learner="logistic").transpose("seed", "world")
        pairs = [
            logistic[g].sel(world=["clean", w]).values for g, w in zip(small, worlds, strict=True)
        ]
        return lab.Shape(np.stack(pairs, axis=1), lambda m: bool(np.all(m[:, 1] < m[:, 0] - 0.2)))

    def above(who, groups, rate, side="lower"):
        gain = [(get(who, "target", g) - get("logistic", "target", g))[:, rate] for g in groups]
        return lab.Bound(np.stack(gain, axis=1), 0.1, side=side)

    def published(score):
        found = np.stack([get("logistic", score, g)[:, 1:] for g in a.GROUPS], axis=1)
        table = np.array(a.OVERALL["logistic"])[:, 1:]
        return lab.Expectation(found, table, resolution=0.02, tolerance=0.02)

    def no_worse(score):
        gain = [get("normalized", score, g) - get("logistic", "noisy", g) for g in a.GROUPS]
        return lab.Bound(np.stack(gain, axis=1), -0.02, side="lower")

    return [
        lab.Claim(
            name="logistic regression loses the target group",
            statement="its accuracy on the target group's high incomes falls by more than .2 from "
            "eta = 0 to .4, for Black and for non-US",
            source=f"{PAPER}: .43 to .00 and .59 to .07; the level is ours",
            basis="quoted",
            test=falls([f"{g} {a.RATES[-1]:g}" for g in small]),
            control=falls([a.WORLDS[-1]] * 2),
            control_name="everyone flipped at rate .4, the group too",
        ),
        lab.Claim(
            name="the normalized step keeps more of the non-US group",
            statement="at eta = .4 its target accuracy there is at least .1 above logistic "
            "regression's",
            source="the level is ours, fixed before the run, then for Black in the same claim and "
            "with eta = 0 as control; no theorem speaks of a group",
            basis="assumed",
            test=above("normalized", small[1:], -1),
            control=above("hinge", small[1:], -1),
            control_name="hinge in its place",
        ),
        lab.Claim(
            name="but not of the Black group",
            statement="at eta = .4 its target accuracy there is less than .1 above logistic "
            "regression's",
            source="found by the run: the claim fixed before it asked for .1 above for Black as "
            "for non-US, and was refuted here",
            basis="assumed",
            test=above("normalized", small[:1], -1, side="upper"),
            control=above("FilterTron", small[:1], -1, side="upper"),
            control_name="FilterTron in its place",
        ),
        lab.Claim(
            name="FilterTron keeps more of all three",
            statement="at eta = .4 its target accuracy is at least .1 above logistic regression's, "
            "in all three groups",
            source=f"{PAPER}: by .21, .41 and .46; the level is ours",
            basis="quoted",
            test=above("FilterTron", a.GROUPS, -1),
            control=above("FilterTron", a.GROUPS, 0),
            control_name="at eta = 0",
        ),
        lab.Claim(
            name="the published overall accuracy is that on noisy labels",
            statement="our logistic regression, scored on noisy labels, is within .02 of the "
            "published overall accuracy in all groups at eta = .1 to .4",
            source=f"{PAPER}, repository; that the labels are noisy is read from their code",
            basis="assumed",
            test=published("noisy"),
            control=published("clean"),
            control_name="scored on clean labels",
        ),
        lab.Claim(
            name="overall it costs little",
            statement="the normalized step's overall accuracy on noisy labels is at most .02 below "
            "logistic regression's, in every group at every eta",
            source="ours, fixed before the run",
            basis="assumed",
            test=no_worse("noisy"),
            control=no_worse("constant"),
            control_name="always at most 50,000 dollars",
        ),
    ]


_LOOKS = {
    "normalized": (figure.BLUE, "o", -0.015),
    "FilterTron": (figure.GREEN, "P", -0.009),
    "leaky": (figure.SKY, "v", -0.003),
    "logistic": (figure.ORANGE, "s", 0.003),
    "hinge": (figure.PURPLE, "D", 0.009),
    "perceptron": (figure.GREY, "^", 0.015),
}


def plot(dataset, config: Config):
    """Overall accuracy on clean and on noisy labels; below, on the group's high incomes."""
    drawn, axes = figure.panels(3, rows=2, height=2.5, sharex=True, sharey="row")
    rates = np.array(a.RATES)
    for column, group in enumerate(a.GROUPS):
        top, bottom = axes[:, column]
        for who, (colour, mark, shift) in _LOOKS.items():
            for ax, score in ((top, "clean"), (top, "noisy"), (bottom, "target")):
                figure.points(
                    ax, rates + shift, a.along(dataset, who, score, group), color=colour, fmt=mark,
                    markersize=3, label=who if ax is axes[1, 0] else None,
                )  # fmt: skip
        for ax, table in ((top, a.OVERALL), (bottom, a.TARGET)):
            for who, rows in table.items():
                label = f"{who}, Chen et al. 2020" if ax is axes[1, 0] else None
                colour = _LOOKS[who][0]
                figure.theory(ax, rates, rows[column], color=colour, lw=0.9, ls="--", label=label)
        top.set_title(f"all but {group} flipped (n = {config.seeds})")
        bottom.set(xlabel=r"flip rate $\eta$", xticks=rates)
        top.text(0.41, 0.87, "scored on clean labels", ha="right", fontsize=7)
        top.text(-0.01, 0.64, "scored on\nnoisy labels", ha="left", fontsize=7)
    axes[0, 0].set(ylabel="overall accuracy", ylim=(0.52, 0.9))
    axes[1, 0].set(ylabel="accuracy on the high\nincomes of the group")
    handles, labels = axes[1, 0].get_legend_handles_labels()
    ours = [*labels[len(a.TARGET) :], *labels[: len(a.TARGET)]]
    found = dict(zip(labels, handles, strict=True))
    drawn.legend([found[o] for o in ours], ours, loc="outside upper center", ncol=5)
    return drawn


study = lab.Study(
    name="halfspace_adult",
    title="Census incomes when everyone outside one group is flipped",
    caption="UCI Adult, one-hot, standardised by the training rows, a constant added, rows of "
    "length 1. An adversary flips everyone outside one group with probability eta. (a)-(c): "
    "overall accuracy, on clean and on noisy labels, the latter in closed form from the "
    "rates. (d)-(f): accuracy on the clean labels of the group's high incomes. Every "
    "learner has eight settings (step; leakage and gamma too, where it has them; the "
    "perceptron has none) and returns the halfspace, of all settings and of ten snapshots "
    "of the weights and of their average, that errs least on held-out noisy rows; eta is "
    "known to those with a leakage, no clean label to any. The online learners pass once "
    "over 29,300 rows; FilterTron takes 600 steps on 1,000 rows each. A seed is a random "
    "split of all 48,842 rows, 60 : 20 : 20, with random flips: bars tell the spread over "
    "splits of one data set. Dashed: the means that Chen et al. (2020) publish; they train "
    "on 80 % of the rows, and their overall accuracy looks scored on noisy labels. Adult is "
    "out of the theorem's regime: there is no margin, and even at eta = 0 the halfspaces "
    "err on 15 %. On noisy labels all but the leaky ReLU do about equally well; FilterTron "
    "alone keeps most of the high incomes of all three groups.",
    presets={
        "smoke": Config(
            train=1_000, held=1_000, test=8_000, snapshots=5, batch=200, steps=20, seeds=3
        ),
        "laptop": Config(),
        "gpu": Config(seeds=64, batch=4_000, steps=2_000),
    },
    simulate=simulate,
    claims=claims,
    plot=plot,
    cost=90,
)

if __name__ == "__main__":
    raise SystemExit(lab.main(study))
