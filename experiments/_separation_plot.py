"""The picture of halfspace_separation: a column of learners for each instance, and LEVER over d."""

import numpy as np

from jaxrobust import halfspace
from jaxrobust.halfspace import population
from jaxrobust.lab import figure

SURROGATES = ("leaky 0.03", "logistic 0.1", "hinge 0.1")  # at steps at which the average converges


def population_errors(config):
    """Give err of the certified minimisers of the three surrogates on LEVER."""
    it = halfspace.lever(eta=config.eta)
    losses = [name.split()[0] for name in SURROGATES]
    return np.array([float(it.error(population.population_optimum(it, x).w)) for x in losses])


_LOOKS = (
    ("last", figure.BLUE, "o"),
    ("average", figure.ORANGE, "s"),
    ("mean_iterate", figure.GREEN, "D"),
    ("holdout", figure.RED, "^"),
    ("holdout_average", figure.PURPLE, "v"),
)


def plot(dataset, config):
    """Errors by learner and choice on five instances, and LEVER over the dimension."""
    drawn, axes = figure.panels(3, rows=2, height=3.9)
    titles = {
        "LEVERS": f"{config.K} LEVER planes",
        "MIX": "LEVER + BASIS",
        "SCALES": "two sizes + BASIS",
        "Gaussian": "control: Gaussian",
        "LEVER 2": "LEVER, one plane",
    }
    for ax, (name, title) in zip(axes.flat, titles.items(), strict=False):
        _dots(ax, dataset.sel(instance=name, batch_instance=name), config)
        ax.set_title(title, pad=12)
        if ax not in axes[:, 0]:
            ax.set_yticklabels([])
    drawn.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=5,
        title=f"returned iterate (n = {config.seeds}; FilterTron, list: {config.batch_seeds})",
        title_fontsize=7.5,
    )
    _dimensions(axes[1, 2], dataset, config)
    return drawn


def _dots(ax, found, config):
    names = [*found.learner.values, *found.batch_learner.values, "decision list"]
    rows = np.arange(len(names))[::-1]
    ax.axvline(config.eta, color=figure.BLACK, lw=1.0)
    ax.axvline(float(found.opt), color=figure.BLACK, lw=1.0, ls=":")
    for k, (choice, colour, mark) in enumerate(_LOOKS):
        parts = [
            found.error.sel(choice=choice).transpose("seed", "learner").values,
            found.batch_error.sel(choice=choice).transpose("batch_seed", "batch_learner").values,
        ]
        if choice in found.list_choice.values:
            parts.append(found.list_error.sel(list_choice=choice).values[:, None])
        first = 0
        for part in parts:
            at = rows[first : first + part.shape[1]] + 0.3 - 0.15 * k
            first += part.shape[1]
            figure.points(
                ax, at, part, across=True, fmt=mark, color=colour, ms=2.4, elinewidth=0.6,
                capsize=0, label=choice.replace("_", " ") if part is parts[0] else None,
            )  # fmt: skip
    ax.set_yticks(rows, names, fontsize=6)
    ax.set(xlabel="error", ylim=(-0.7, len(names) - 0.4), xlim=(0, 0.75))
    top = {"va": "bottom", "size": 6.5}
    ax.text(config.eta, len(names) - 0.4, r"$\eta$", ha="left", **top)
    ax.text(float(found.opt) + 0.01, len(names) - 0.4, "OPT", ha="right", **top)


def _dimensions(ax, dataset, config):
    d = np.array(config.dims)
    names = [f"LEVER {k}" for k in config.dims]
    found = dataset.error.sel(instance=names, choice="average")
    looks = zip(
        ("normalized", *SURROGATES, "perceptron"),
        (figure.BLUE, figure.PURPLE, figure.ORANGE, figure.GREEN, figure.RED),
        ("o", "v", "s", "^", "D"),
        (1.0, 0.94, 1.06, 1.0, 1.0),
        strict=True,
    )
    figure.theory(ax, d, np.full(d.size, config.eta), lw=1.0)
    figure.theory(ax, d, np.full(d.size, float(dataset.opt.sel(instance=names[0]))), ls=":")
    figure.theory(ax, d, np.full(d.size, population_errors(config)[1]), ls="--",
                  label="population optimum")  # fmt: skip
    for who, colour, mark, shift in looks:
        values = found.sel(learner=who).transpose("seed", "instance").values
        figure.points(ax, d * shift, values, color=colour, fmt=mark, label=who)
    ax.set(xscale="log", xlabel="dimension d", ylabel="error of the average", ylim=(0, 1.05))
    ax.set_xticks(d, [str(k) for k in d])
    ax.minorticks_off()
    ax.set_title("LEVER in d dimensions", pad=12)
    ax.legend(loc="upper left", ncols=2, fontsize=6, columnspacing=0.8)
