"""The picture of early_learning."""

import numpy as np

from jaxrobust.deep import theory
from jaxrobust.lab import figure

COLOURS = (figure.ORANGE, figure.SKY, figure.PURPLE, figure.GREEN, figure.BLUE)
MARKS = "os^Dv"


def _curves(ax, dataset, config, name, other):
    """One curve a lam, against steps; dashed another output, of the least and the largest lam."""
    steps = np.array(config.times[1:], float)
    for lam, colour, mark in zip(config.lams, COLOURS, MARKS, strict=True):
        found = dataset[name].sel(lam=lam).transpose("seed", "step").values[:, 1:]
        label = "cross-entropy" if lam == 0 else rf"ELR, $\lambda$ = {lam:g}"
        ax.plot(steps, found.mean(axis=0), color=colour, lw=0.9)
        figure.points(ax, steps, found, color=colour, fmt=mark, ms=3, label=label)
        if lam in (min(config.lams), max(config.lams)):
            dashed = dataset[other].sel(lam=lam).mean("seed").values[1:]
            ax.plot(steps, dashed, color=colour, lw=0.9, ls="--")
    ax.set(xscale="log", xlabel="steps", xlim=(0.8, 1.3 * steps[-1]))


def plot(dataset, config):
    """Accuracy on wrong labels and AUC over steps, one step, separability."""
    drawn, axes = figure.panels(2, rows=2, height=2.6)
    ax = axes[0, 0]
    _curves(ax, dataset, config, "wrong", "test")
    ax.set(ylabel="share classed correctly", ylim=(-0.03, 1.03))
    ax.set_title(f"wrong labels: learned, then memorized (n = {config.seeds})")
    ax.legend(loc="lower left")

    ax = axes[0, 1]
    _curves(ax, dataset, config, "el2n", "grand")
    ax.axhline(0.5, color=figure.BLACK, lw=0.8, ls=":")
    ax.text(1, 0.51, "chance", fontsize=6.5)
    ax.set(ylabel="AUC of EL2N", ylim=(0.48, 1.02))
    ax.set_title("wrong labels stand out early")

    ax = axes[1, 0]
    dense = np.linspace(6, 1.15 * max(config.one_p), 30).astype(int)
    a = 1 - 2 * np.arange(config.one_n + 1) / config.one_n
    places = np.array(config.one_p) / config.one_n
    looks = (("accuracy", False, "o", "-"), ("auc", True, "s", "--"))
    for i, ((sigma, Delta), colour) in enumerate(
        zip(config.one_at, (figure.BLUE, figure.ORANGE), strict=True)
    ):
        share = np.bincount(dataset.flips.values[:, i], minlength=config.one_n + 1)
        for name, pair, mark, dash in looks:
            line = [
                share @ theory.one_step_mean(a, sigma, p, config.one_n, pair) / share.sum()
                for p in dense
            ]
            figure.theory(ax, dense / config.one_n, line, ls=dash, lw=1.0)
            said = "accuracy" if name == "accuracy" else "AUC of EL2N"
            figure.points(
                ax, places, dataset[name].isel(setting=i).values, color=colour, fmt=mark,
                label=rf"{said}, $\sigma$ = {sigma:g}, $\Delta$ = {Delta:g}",
            )  # fmt: skip
    ax.set(xlabel="p / n", ylabel="after one step", ylim=(0.4, 1.0))
    ax.set_title(f"one step from zero; lines: theory (n = {config.draws:,})")
    ax.legend(loc="lower right", fontsize=6, ncol=2)

    ax = axes[1, 1]
    dense = np.linspace(0.01, 0.5, 50)
    for i, (sigma, colour) in enumerate(
        zip(config.sigmas, (figure.BLUE, figure.ORANGE), strict=True)
    ):
        figure.theory(ax, dense, theory.separable_from(dense, sigma), color=colour)
        found = dataset.threshold.isel(sigma=i).values
        figure.points(
            ax, config.shares, found, color=colour, fmt="os"[i], label=rf"$\sigma$ = {sigma:g}"
        )
    figure.theory(ax, dense, 1 - dense, ls="--", label="Theorem 6 (sufficient)")
    figure.theory(ax, dense, 0 * dense + 0.5, ls=":", lw=1.0, label="no signal (Cover)")
    ax.set(xlabel="share of wrong labels", ylabel="least p / n that fits all", ylim=(0, 1))
    ax.set_title(f"who can memorize; lines: theory (n = {config.bisections})")
    ax.legend(loc="upper right", bbox_to_anchor=(1.0, 0.3), ncol=2)
    return drawn
