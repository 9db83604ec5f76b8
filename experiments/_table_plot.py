"""The picture and the full table of method_table."""

import numpy as np

from experiments import _lineup
from jaxrobust.lab import figure
from jaxrobust.lab.stats import mean_interval

# Test accuracy in %, CIFAR-10, ResNet-34, symmetric 20/40/60/80 counted with the true class among
# the redrawn: ELR's Table 1 (arXiv 2007.00151); SOP's means are second-hand.
CIFAR10 = {
    "cross-entropy": (86.98, 81.88, 74.14, 53.82),
    "forward, T estimated": (87.99, 83.25, 74.96, 54.64),
    "GCE": (89.83, 87.13, 82.54, 64.07),
    "symmetric CE": (89.83, 87.13, 82.81, 68.12),
    "ELR": (91.16, 89.15, 86.12, 73.86),
    "SOP": (93.18, 90.09, 86.76, 68.32),
}


def marked(name):
    """Give a name, with a star where the noise is told, two dots where there are two networks."""
    entry = _lineup.METHODS[name]
    return name + (" *" if entry.told else "") + (" :" if entry.networks == 2 else "")


def draw(dataset, config):
    """Draw the last epoch's accuracies as a table, and what the choice of the epoch does."""
    dataset = dataset.sel(learner=list(config.methods))
    order = dataset.last.mean(["seed", "kind"]).argsort().values[::-1]
    shown = dataset.isel(learner=order)
    names = [marked(str(name)) for name in shown.learner.values]
    kinds = [str(kind) for kind in shown.kind.values]
    drawn, (left, right) = figure.panels(
        2, height=0.9 + 0.19 * len(names), width_ratios=(0.58 + 0.06 * len(kinds), 1)
    )
    mean = 100 * shown.last.mean("seed").transpose("learner", "kind").values
    left.imshow(mean, cmap="cividis", aspect="auto", vmin=min(40, mean.min()), vmax=100)
    for (i, j), value in np.ndenumerate(mean):
        dark = value < 72
        left.text(
            j, i, f"{value:.1f}", ha="center", va="center", fontsize=6,
            color="white" if dark else "black",
        )  # fmt: skip
    short = [k.replace("symmetric", "sym").replace("asymmetric", "asym") for k in kinds]
    short = [k.replace("asymm", "asym").replace("instance", "inst.") for k in short]
    left.set_xticks(range(len(kinds)), short, rotation=35, ha="right", fontsize=6.5)
    left.set_yticks(range(len(names)), names, fontsize=6.5)
    left.grid(False)
    for ax in (left, right):
        ax.texts[0].set_y(1.035)  # the letters: these axes are tall
    left.set_title(f"Last epoch, % (n = {config.seeds})")

    kind = "symmetric 40" if "symmetric 40" in kinds else kinds[0]
    at = shown.sel(kind=kind)
    places = np.arange(len(names), dtype=float)
    looks = (
        ("best", "best on the test set", figure.GREY, "|", -0.2),
        ("noisy", "chosen on noisy validation", figure.BLUE, "o", 0.0),
        ("last", "last epoch", figure.ORANGE, "s", 0.2),
    )
    for score, label, colour, marker, shift in looks:
        samples = 100 * at[score].transpose("seed", "learner").values
        figure.points(
            right, places + shift, samples, across=True, color=colour, fmt=marker, ms=3, label=label
        )
    right.set_yticks(places, [""] * len(names))
    right.set_ylim(len(names) - 0.4, -0.6)
    right.set_xlabel("test accuracy, %")
    right.set_title(f"Which epoch, {kind} %")
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), fontsize=6.5, ncols=1)
    return drawn


def table(dataset, config):
    """Write every number: four choices of the epoch, memorized, corrected, realised flip rate."""
    dataset, many = dataset.sel(learner=list(config.methods)), f"{config.seeds} seeds"
    papers = config.data == "cifar10"
    lines = [
        f"{config.data}, {many}; test accuracy in %, mean and half of the 95 % interval. last: "
        "last epoch; noisy, clean: chosen by validation labels as given, or true; best: by the "
        "test set. memorized, corrected: shares of the wrongly labelled training examples that the "
        "last network predicts as given, or truly. *: told T or the rate; two dots: two networks. "
        "Symmetric rates leave out the true class.",
    ]
    for kind in dataset.kind.values:
        at = dataset.sel(kind=kind)
        flipped = 100 * float(at.flipped.mean())
        last = " papers |" if papers else ""
        lines += [
            f"\n## {kind} % ({flipped:.1f} % of the training labels are wrong)\n",
            f"| method | setting | last | noisy | clean | best | memorized | corrected |{last}",
            "|---|---|---|---|---|---|---|---|" + ("---|" if papers else ""),
        ]
        for name in at.learner.values:
            cells = [_cell(at[s].sel(learner=name).values) for s in SCORES]
            numbers = _lineup.numbers(config, str(name))
            place = list(config.kinds).index(str(kind))
            setting = ", ".join(f"{k} {float(v[place]):g}" for k, v in numbers.items())
            extra = f" {_paper(str(name), str(kind))} |" if papers else ""
            row = " | ".join([marked(str(name)), setting, *cells])
            lines.append(f"| {row} |{extra}")
    return "\n".join(lines) + "\n"


SCORES = ("last", "noisy", "clean", "best", "memorized", "corrected")


def _cell(samples):
    found = mean_interval(samples)
    middle, half = float(found.estimate), float(found.high - found.low) / 2
    return f"{100 * middle:.1f}" + (f" ± {100 * half:.1f}" if np.isfinite(half) else "")


def _paper(name, kind):
    places = {f"symmetric {r}": i for i, r in enumerate((20, 40, 60, 80))}
    known = name in CIFAR10 and kind in places
    return f"{CIFAR10[name][places[kind]]:.2f}" if known else ""
