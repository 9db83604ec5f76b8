"""The picture of halfspace_ingredients: which iterate, believed eta, step size, believed gamma."""

import numpy as np

from jaxrobust.halfspace import theory
from jaxrobust.lab import figure

_LOOKS = {
    "last": (figure.BLUE, "o"),
    "average": (figure.ORANGE, "s"),
    "mean_iterate": (figure.GREEN, "D"),
    "holdout": (figure.RED, "^"),
}


def _choices(ax, x, array, over):
    for (choice, (colour, mark)), shift in zip(_LOOKS.items(), (0.95, 1.0, 1.0, 1.05), strict=True):
        values = array.sel(choice=choice).transpose("seed", over).values
        figure.points(ax, np.asarray(x) * shift, values, color=colour, fmt=mark, ms=3,
                      label=choice.replace("_", " "))  # fmt: skip


def plot(dataset, config):
    """DRAG over T; believed eta; step size; believed gamma."""
    drawn, grid = figure.panels(2, rows=2, height=2.4, sharey=True)
    axes = grid.ravel()
    eta, factors = config.eta, np.array(config.factors)
    _choices(axes[0], config.drag_steps, dataset.drag, "T")
    axes[0].set(xscale="log", xlabel="samples T", ylim=(0, 0.9))
    axes[0].set_title("DRAG: which iterate")
    axes[0].legend(loc="upper right", ncols=2)
    lams = np.array(config.believed)
    for (choice, (colour, mark)), shift in zip(_LOOKS.items(), (-0.006, 0, 0, 0.006), strict=True):
        values = dataset.believed_LEVERS.sel(choice=choice).transpose("seed", "believed").values
        figure.points(axes[1], lams + shift, values, color=colour, fmt=mark, ms=3)
    promise = theory.mean_iterate_bound(config.steps, config.gamma("LEVERS"), lams)
    safe = lams >= eta
    figure.theory(
        axes[1],
        lams[safe],
        np.asarray(promise)[safe],
        color=figure.GREEN,
        label="bound on the mean iterate",
    )
    axes[1].axvline(eta, color=figure.GREY, lw=0.8, ls="--")
    axes[1].set(xlabel=r"believed $\eta$ (true .3)")
    axes[1].set_title(f"LEVERS, K = {config.K}: eta")
    axes[1].legend(loc="upper right")
    _choices(axes[2], factors, dataset.step_LEVERS, "step")
    hollow = dataset.step_BASIS.sel(choice="mean_iterate").transpose("seed", "step").values
    figure.points(axes[2], factors, hollow, color=figure.GREEN, fmt="D", ms=3, mfc="none",
                  label=f"mean iterate, BASIS {config.d_basis}")  # fmt: skip
    axes[2].set(xscale="log", xlabel="step over that of theory")
    axes[2].set_title("LEVERS: step size")
    axes[2].legend(handles=[axes[2].containers[-1]], loc="upper right")
    _choices(axes[3], factors, dataset.margin_LEVERS, "margin")
    axes[3].set(xscale="log", xlabel=r"believed $\gamma$ over true")
    axes[3].set_title("LEVERS: gamma in the step")
    for ax in axes:
        ax.axhline(eta, color=figure.BLACK, lw=1.0)
        ax.text(0.99, eta + 0.005, r"$\eta$", transform=ax.get_yaxis_transform(), ha="right",
                va="bottom", size=7)  # fmt: skip
    figure_note = f"n = {config.seeds} seeds"
    axes[0].text(0.02, 0.97, figure_note, transform=axes[0].transAxes, va="top", size=7)
    for ax in grid[:, 0]:
        ax.set_ylabel("error")
    return drawn
