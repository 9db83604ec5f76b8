"""An adversary that searches: which learners it can push above eta, and with what instances."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from jaxrobust import halfspace, lab
from jaxrobust.halfspace import search, targets, theory
from jaxrobust.lab import figure

SOURCE = (
    "Perspectron (arXiv 2501.09851) and its talk: no convex surrogate works; the levels are ours"
)
# Each with a step at which its average converges; the normalized step has that of the theory.
LEARNERS = {"normalized": 0.0, "leaky": 0.03, "logistic": 0.1, "hinge": 0.1, "perceptron": 1.0}
CHOICES = ("last", "average", "mean_iterate", "holdout")
SURROGATES = ["leaky", "logistic", "hinge"]
SMOOTH, SINGLES = ["average", "mean_iterate"], ["last", "holdout"]
SINGLE = jnp.float32  # the scans: a step moves w by at most mu / gamma


@dataclass(frozen=True)
class Config:
    """Numbers of the run; every learner gets the same budget."""

    eta: float = 0.3
    gamma: float = 0.1
    T: int = 8000
    points: int = 3
    population: int = 48
    generations: int = 32
    settle: int = 4
    replicates: int = 16
    snapshots: int = 40
    held: int = 500
    seeds: int = 12

    @property
    def bound(self):
        """Give eta + (1 - eta) / (gamma sqrt T), the bound on the normalized mean iterate."""
        return float(theory.mean_iterate_bound(self.T, self.gamma, self.eta))


def simulate(config: Config, bench: lab.Bench):
    """Search against each learner under each choice of its iterate; a seed is one whole search."""
    sizes = {"steps": config.T, "snapshots": config.snapshots, "held": config.held}
    ours = theory.step_size(config.T, config.gamma, config.eta)

    def trial(key, learner, choice):
        mu = jnp.array([m or ours for m in LEARNERS.values()], SINGLE)[learner]
        rule = halfspace.online.chosen(LEARNERS, learner)
        target = targets.online_learner(rule, choice, among=CHOICES, mu=mu, **sizes)
        found = search.run(
            key,
            targets.harm_of(target, "middle"),
            eta=config.eta,
            gamma=config.gamma,
            points=config.points,
            population=config.population,
            generations=config.generations,
            settle=config.settle,
            replicates=config.replicates,
            dtype=SINGLE,
        )
        atoms = found.atoms
        opt = atoms.weight @ atoms.rate
        return {
            "error": found.harm + (config.eta + opt) / 2,  # on keys that the search has not seen
            "opt": opt,
            "harm": found.info.incumbent,
            "lost": found.info.lost,
            "x": atoms.x,
            "weight": atoms.weight,
            "rate": atoms.rate,
        }

    dims = {
        "harm": ("generation",),
        "lost": ("generation",),
        "x": ("point", "coordinate"),
        "weight": ("point",),
        "rate": ("point",),
    }
    axes = {"learner": list(LEARNERS), "choice": CHOICES}
    return bench.sweep(trial, axes, config.seeds, dims=dims)


def claims(dataset, config: Config):
    """The search breaks the surrogates, and does not break what the theorem protects."""
    error = dataset.error

    def above(level, learners, choices):
        cells = error.sel(learner=learners, choice=choices)
        return lab.Bound(cells, level, side="lower")

    def within(learner):
        cells = error.sel(learner=[learner], choice=["mean_iterate"])
        return lab.Bound(cells, config.bound, side="upper")

    return [
        lab.Claim(
            name="the search breaks every convex surrogate",
            statement=f"on the instance found, at margin {config.gamma:g}, leaky, logistic and "
            "hinge err at least eta + .1 as average and mean iterate (fresh keys)",
            source=SOURCE + "; with the last iterate it was inconclusive in pilots",
            basis="assumed",
            test=above(config.eta + 0.1, SURROGATES, SMOOTH),
            control=above(config.eta + 0.1, ["normalized"], ["mean_iterate"]),
            control_name="the same search against the normalized step's mean iterate",
        ),
        lab.Claim(
            name="their last and hold-out iterates are above eta too",
            statement="leaky, logistic and hinge err more than eta as last and hold-out; a single "
            "iterate fluctuates and now and then is right by luck, so the level is lower",
            source=SOURCE + ", this one after pilots in which eta + .1 was inconclusive",
            basis="assumed",
            test=above(config.eta, SURROGATES, SINGLES),
            control=above(config.eta, ["normalized"], SINGLES),
            control_name="the same search against the normalized step",
        ),
        lab.Claim(
            name="the search breaks the normalized step's average",
            statement="its average weight, about which theory is silent, errs more than eta",
            source="DRAG does so (halfspace.constructions); level ours, after pilots",
            basis="assumed",
            test=above(config.eta, ["normalized"], ["average"]),
            control=above(config.eta, ["normalized"], ["holdout"]),
            control_name="its hold-out",
        ),
        lab.Claim(
            name="the search does not break the normalized mean iterate",
            statement="its error on what was found, mean over searches, is at most "
            f"eta + (1 - eta)/(gamma sqrt T) = {config.bound:.3f}, T = {config.T}",
            source="derived in halfspace.theory",
            basis="derived",
            test=within("normalized"),
            control=within("leaky"),
            control_name="the same search against plain leaky ReLU",
        ),
    ]


_COLOURS = dict(
    zip(
        LEARNERS,
        (figure.BLUE, figure.PURPLE, figure.ORANGE, figure.GREEN, figure.RED),
        strict=True,
    )
)
_MARKS = {"last": "o", "average": "s", "mean_iterate": "D", "holdout": "^"}


def plot(dataset, config: Config):
    """Harm over generations, errors on what was found, and what was found."""
    drawn, axes = figure.panels(3, rows=2, height=2.7)
    _progress(axes[0, 0], dataset, config)
    _errors(axes[0, 1], dataset, config)
    shown = (
        ("leaky", "average"),
        ("logistic", "average"),
        ("hinge", "average"),
        ("perceptron", "average"),
    )
    places = (axes[0, 2], axes[1, 0], axes[1, 1], axes[1, 2])
    dots = None
    for ax, (who, choice) in zip(places, shown, strict=True):
        dots = _instances(ax, dataset.sel(learner=who, choice=choice), config)
        ax.set_title(f"against {who}, {choice}")
    assert dots is not None
    drawn.colorbar(dots, ax=axes[1, 2], label=r"flip rate $\eta(x)$", pad=0.02)
    return drawn


def _progress(ax, dataset, config):
    generation = np.arange(config.generations)
    for who, colour in _COLOURS.items():
        choice = "mean_iterate" if who == "normalized" else "average"
        cells = dataset.harm.sel(learner=who, choice=choice).transpose("seed", "generation")
        values = cells.values[:, : config.generations].astype(float)
        middle, half = values.mean(axis=0), 2 * values.std(axis=0, ddof=1) / config.seeds**0.5
        ax.plot(generation, middle, color=colour, label=f"{who}, {choice.replace('_', ' ')}")
        ax.fill_between(generation, middle - half, middle + half, color=colour, alpha=0.2, lw=0)
    ax.set(xlabel="generation", ylabel="harm of the incumbent", ylim=(-0.25, 1.3))
    ax.set_title(f"the search (n = {config.seeds})")
    ax.legend(loc="upper left", fontsize=6, labelspacing=0.2)


def _errors(ax, dataset, config):
    rows = np.arange(len(LEARNERS))[::-1]
    ax.axvline(config.eta, color=figure.BLACK, lw=1.0)
    ax.axvline(config.bound, color=figure.BLACK, lw=1.0, ls="--")
    for k, (choice, mark) in enumerate(_MARKS.items()):
        cells = dataset.sel(choice=choice).transpose("seed", "learner", ...)
        at = rows + 0.27 - 0.18 * k
        middle, half = cells.error.mean("seed"), 2 * cells.error.std("seed", ddof=1)
        ax.plot(cells.opt.mean("seed"), at, "|", color=figure.GREY, ms=5)
        ax.errorbar(middle, at, xerr=half / config.seeds**0.5, fmt=mark, ms=3.2, elinewidth=0.8,
                    color=(figure.BLUE, figure.ORANGE, figure.GREEN, figure.RED)[k],
                    label=choice.replace("_", " "))  # fmt: skip
    ax.plot([], [], "|", color=figure.GREY, label="OPT")
    ax.set_yticks(rows, list(LEARNERS))
    ax.set(xlabel="error on what was found", xlim=(0, 1.35), ylim=(-0.6, len(LEARNERS) - 0.3))
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1])
    ax.set_title(f"what was found (n = {config.seeds})")
    ax.legend(loc="upper right", fontsize=6, labelspacing=0.2, handletextpad=0.2)


def _instances(ax, found, config):
    """Draw the points of all seeds, mirrored so that the heaviest lies above."""
    x = found.x.transpose("seed", "point", "coordinate").values
    weight, rate = (found[v].transpose("seed", "point").values for v in ("weight", "rate"))
    heaviest = np.take_along_axis(x[..., 1], weight.argmax(axis=1)[:, None], axis=1)
    second = x[..., 1] * np.where(heaviest < 0, -1.0, 1.0)
    angle = np.linspace(-np.pi / 2, np.pi / 2, 400)
    ax.plot(np.cos(angle), np.sin(angle), color=figure.GREY, lw=0.6)
    ax.set_xscale("log")
    ax.set_yscale("symlog", linthresh=config.gamma, linscale=0.7)
    dots = ax.scatter(
        x[..., 0], second, s=90 * weight, c=rate, cmap="viridis", vmin=0, vmax=config.eta,
        alpha=0.75, lw=0.3, edgecolor=figure.BLACK, zorder=3,
    )  # fmt: skip
    ticks = [-1, -config.gamma, 0, config.gamma, 1]
    ax.set_yticks(ticks, [f"{t:g}" for t in ticks])
    ax.set_xticks([config.gamma, 1], [f"{config.gamma:g}", "1"])
    ax.minorticks_off()
    ax.set(xlabel=r"$w^* \cdot x$", xlim=(0.8 * config.gamma, 1.25), ylim=(-1.4, 1.4))
    return dots


study = lab.Study(
    name="adversary_search",
    title="An adversary that searches: it breaks the surrogates, not the normalized mean iterate",
    caption="A population search over three points of the plane at margin gamma = .1, their "
    "weights and their flip rates <= eta = .3, pointed at one learner and one choice of iterate at "
    "a time. It maximises harm = error - (eta + OPT)/2. (a) Harm of the incumbent, measured each "
    "generation on a key on which it was not chosen. (b) Error on the instance found, on fresh "
    "keys, beside its OPT; the line is eta, the dashed one the bound eta + (1 - eta)/(gamma sqrt "
    "T) on the normalized mean iterate. (c)-(f) The instances found, all seeds in one picture: "
    "area is weight, colour is flip rate; both axes are logarithmic away from 0.",
    presets={
        "smoke": Config(T=256, population=16, generations=3, settle=1, replicates=4, snapshots=8,
                        held=100, seeds=3),
        "laptop": Config(),
        "gpu": Config(T=40_000, population=64, generations=60, settle=4, snapshots=40, held=4000,
                      seeds=32),
    },
    simulate=simulate,
    claims=claims,
    plot=plot,
    cost=60,
)  # fmt: skip

if __name__ == "__main__":
    raise SystemExit(lab.main(study))
