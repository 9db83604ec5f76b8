"""The figure of why_not_l1_penalty."""

import numpy as np

from experiments import _penalty
from jaxrobust.lab import figure

PLACES = (
    ("solved", "probabilities", "s added to p, solved", figure.BLUE, "o", 0.95),
    ("logits", "logits", "s added to logits", figure.ORANGE, "s", 1.05),
)


def plot(dataset, config):
    """Accuracy and memorization over the weight; accuracy and s over time."""
    drawn, axes = figure.panels(2, rows=2, height=2.4)
    n, usual = config.seeds, config.plan().readings - 1
    weights = np.asarray(config.weights)
    for ax, name, title in zip(
        axes[0], ("test", "memorized"), ("Test accuracy", "Wrong labels memorized"), strict=True
    ):
        for what, _, label, colour, marker, shift in PLACES:
            seen = dataset[f"{what}_{name}"].isel({f"epoch_{what}": -1})
            rows = 100 * seen.values[:, : len(weights)]
            figure.points(ax, weights * shift, rows, color=colour, fmt=marker, ls="-", lw=0.5,
                          label=label)  # fmt: skip
        slow = [i for i, row in enumerate(_penalty.OTHERS) if row[2] < 1]
        rows = 100 * dataset[f"solved_{name}"].isel(epoch_solved=-1).values
        at = [_penalty.OTHERS[i][0] for i in slow]
        some = rows[:, [len(weights) + i for i in slow]]
        figure.points(ax, at, some, color=figure.SKY, fmt="^", label="s added to p, slow")
        sop = 100 * dataset[f"sop_{name}"].isel(epoch_sop=usual).values
        ax.axhline(sop.mean(), color=figure.BLACK, lw=0.8, ls="--")
        figure.points(ax, [weights[-1] * 2.5], sop[:, None], color=figure.BLACK, fmt="D",
                      label="SOP")  # fmt: skip
        ax.set(xscale="log", xlabel="weight of the penalty, w1", ylabel="%", ylim=(-3, 103))
        ax.set_title(f"{title}, {config.epochs} epochs (n = {n})")
    axes[0, 1].legend(loc="center left")

    ax, epochs = axes[1, 0], dataset.epoch_long.values
    colours = (figure.GREEN, figure.PURPLE, figure.BLUE, figure.RED)
    shown = list(zip(config.kept, colours, "v^os", strict=False))
    for k, (w1, colour, marker) in enumerate(shown):
        rows = 100 * dataset.long_test.isel(kept=k).values
        figure.points(ax, epochs, rows, color=colour, fmt=marker, ls="-", lw=0.5, ms=3,
                      label=f"w1 = {w1:g}, s in p")  # fmt: skip
    figure.points(ax, epochs, 100 * dataset.sop_test.values, color=figure.BLACK, fmt="D", ls="-",
                  lw=0.5, ms=3, label="SOP")  # fmt: skip
    ax.axvline(config.epochs, color=figure.GREY, lw=0.8, ls=":")
    ax.set(xlabel="epochs", ylabel="%")
    ax.set_ylim(bottom=max(0, ax.get_ylim()[0]))
    ax.set_title(f"Test accuracy, longer (n = {n})")
    ax.legend(loc="lower right")

    ax = axes[1, 1]
    for k, (_, colour, _) in enumerate(shown):
        for name, style in (("s_wrong", "-"), ("s_right", "--")):
            mean = dataset[f"long_{name}"].isel(kept=k).mean("seed")
            ax.plot(epochs, mean, color=colour, ls=style)
    for name, style, label in (("s_wrong", "-", "wrong"), ("s_right", "--", "right")):
        mean = dataset[f"sop_{name}"].mean("seed")
        ax.plot(epochs, mean, color=figure.BLACK, ls=style, label=f"on {label} labels")
    ax.set(xlabel="epochs", ylabel=r"mean $|s_i|_1$", ylim=(0, 2.2))
    ax.set_title("How much s explains, colours as in (c)")
    ax.legend(loc="upper right", ncols=2)
    return drawn
