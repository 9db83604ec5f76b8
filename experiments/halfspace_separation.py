"""Where the normalized step reaches eta + eps, and perceptron, logistic, hinge and leaky do not."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments import _massart as m
from experiments._separation import instances, simulate
from experiments._separation_plot import SURROGATES, plot, population_errors
from jaxrobust import halfspace, lab
from jaxrobust.halfspace import theory

SOURCE = "Perspectron (arXiv 2501.09851); the instances and levels are ours, halfspace.mixtures"
CHOICES = halfspace.CHOICES
HARD = ("LEVERS", "MIX", "SCALES")
KNOWN = ("leaky 0.03", "logistic 0.1", "logistic 1", "hinge 0.1", "perceptron")


@dataclass(frozen=True)
class Config:
    """Numbers of the run: the steps T on each instance."""

    eta: float = 0.3
    K: int = 40
    steps_levers: int = 200_000
    steps_mix: int = 60_000
    steps_scales: int = 1_000_000
    steps_plane: int = 40_000
    snapshots: int = 400
    dims: tuple[int, ...] = (2, 20, 100, 300)
    d_gaussian: int = 20
    batch: int = 8000
    """Examples of FilterTron and of the decision list, which read them again and again."""
    batch_steps: int = 500
    batch_seeds: int = 8
    seeds: int = 32


def claims(dataset, config: Config):
    """The normalized step reaches eta + eps everywhere; the others do not where they are hurt."""
    eta, ours = config.eta, "normalized"
    small, others = [m.label(s) for s in m.SMALL], list(m.LABELS[1:])
    single = ["last", "mean_iterate", "holdout"]

    def err(instance, learner, choice):
        return dataset.error.sel(instance=instance, learner=learner, choice=choice)

    def above(instance, learner, choice, level: Any = eta):
        return lab.Bound(err(instance, learner, choice), level, side="lower")

    def below(instance, learner, choice, level: Any = eta):
        return lab.Bound(err(instance, learner, choice), level, side="upper")

    def lead(instance, side):
        ahead = err(instance, small, list(CHOICES)) - err(instance, ours, list(CHOICES))
        return lab.Bound(ahead, 0.1, side=side)

    def filtered(learner, level):
        found = dataset.batch_error.rename(batch_seed="seed")
        found = found.sel(batch_instance=list(HARD), batch_learner=learner)
        return lab.Bound(found.sel(choice=["last", "holdout"]), level, side="upper")

    limits = dict(zip(CHOICES, (0.07, 0.07, 0.10, 0.07, 0.07), strict=True))
    chosen = [c for c in CHOICES if c != "mean_iterate"]
    weights = below("LEVERS", ours, list(CHOICES), np.array([limits[c] for c in CHOICES]))
    names = list(dataset.instance.values)
    lengths = np.array([instances(config)[n][1] for n in names])
    gamma = dataset.gamma.sel(instance=names).values.astype(float)
    bound = theory.mean_iterate_bound(lengths, gamma, eta)

    def bounded(learner):
        return lab.Bound(
            err(names, learner, "mean_iterate"), bound, side="upper", in_regime=bound < 0.5
        )

    planes = [f"LEVER {d}" for d in config.dims]
    optimum = population_errors(config)
    on_plane = err("LEVER 2", list(SURROGATES), "average")
    return [
        lab.Claim(
            name="LEVERS: the normalized step reaches OPT",
            statement=f"on {config.K} orthogonal LEVER planes its error is within .01 of OPT = .06 "
            f"as {', '.join(chosen)}, and its mean iterate's at most .10",
            source=SOURCE,
            basis="assumed",
            test=weights,
            control=below("LEVERS", "leaky 0.03", list(CHOICES), weights.bound),
            control_name="without the normalization",
        ),
        lab.Claim(
            name="LEVERS: surrogates stay above eta under every choice",
            statement=f"{', '.join(small)} err more than eta as last, average, mean iterate and "
            "both hold-outs (leaky 1, whose average converges too, has a hold-out near eta)",
            source=SOURCE,
            basis="assumed",
            test=above("LEVERS", small, list(CHOICES)),
            control=above("LEVERS", ours, list(CHOICES)),
            control_name="the normalized step",
        ),
        lab.Claim(
            name="the adversary makes the difference",
            statement="on LEVERS each of them errs at least .1 more than the normalized step, "
            "choice by choice",
            source=SOURCE,
            basis="assumed",
            test=lead("LEVERS", "lower"),
            control=lead("Gaussian", "lower"),
            control_name="Gaussian data with random classification noise",
        ),
        lab.Claim(
            name="without it nothing separates",
            statement="on Gaussian data with random classification noise none of them errs .1 more "
            "than the normalized step, choice by choice",
            source="the Gaussian is the benign case of halfspaces under random noise; level ours",
            basis="assumed",
            test=lead("Gaussian", "upper"),
            control=lead("LEVERS", "upper"),
            control_name="LEVERS",
        ),
        lab.Claim(
            name="MIX: the normalized step is below eta",
            statement="as last, mean iterate and hold-out, gamma = "
            f"{float(dataset.gamma.sel(instance='MIX')):.3f}, T = {config.steps_mix}",
            source=SOURCE,
            basis="assumed",
            test=below("MIX", ours, single),
            control=below("MIX", "perceptron", single),
            control_name="the perceptron",
        ),
        lab.Claim(
            name="MIX: the others are above eta",
            statement=f"{', '.join(KNOWN)}, as last, average and mean iterate (rescued: hinge .1, "
            ".3 and logistic 1 by hold-out, logistic 10, 100 and hinge 1, 10 by their average)",
            source=SOURCE,
            basis="assumed",
            test=above("MIX", list(KNOWN), ["last", "average", "mean_iterate"]),
            control=above("MIX", ours, ["last", "average", "mean_iterate"]),
            control_name="the normalized step",
        ),
        lab.Claim(
            name="SCALES: everyone else is above eta under every choice",
            statement="perceptron, leaky ReLU (steps .001 to 1), logistic (.01 to 1000) and hinge "
            f"(.01 to 1000), all five choices, T = {config.steps_scales:g}",
            source=SOURCE + "; found on pilots with root key 0",
            basis="assumed",
            test=above("SCALES", others, list(CHOICES)),
            control=above("SCALES", ours, list(CHOICES)),
            control_name="the normalized step",
        ),
        lab.Claim(
            name="SCALES: the normalized step is below eta",
            statement=f"as last, mean iterate and hold-out, T = {config.steps_scales:g} (its "
            "average is not there yet: a step 3 times larger would do)",
            source=SOURCE + "; found on pilots with root key 0",
            basis="assumed",
            test=below("SCALES", ours, single),
            control=below("SCALES", "leaky 0.03", single),
            control_name="without the normalization",
        ),
        lab.Claim(
            name="the mean iterate respects its bound",
            statement="eta + (1 - eta)/(gamma sqrt T) on every instance where that is below 1/2",
            source="derived in halfspace.theory",
            basis="derived",
            test=bounded(ours),
            control=bounded("leaky 0.03"),
            control_name="without the normalization",
        ),
        lab.Claim(
            name="LEVER: the normalized step reaches OPT",
            statement="in every dimension it errs at most .07 as last, average and hold-out "
            "(OPT = .06); in the plane the averaged perceptron errs .66",
            source=SOURCE,
            basis="assumed",
            test=below(planes, ours, ["last", "average", "holdout"], 0.07),
            control=below(["LEVER 2"], "perceptron", ["average"], 0.07),
            control_name="the averaged perceptron",
        ),
        lab.Claim(
            name="the rivals with a guarantee keep it",
            statement="FilterTron with a large step and, in the picture, the decision list err at "
            "most eta + .05 on LEVERS, MIX and SCALES, as last and hold-out",
            source="Chen et al. (2020), Diakonikolas et al. (2019), eta + eps; the level is ours",
            basis="assumed",
            test=filtered(["FilterTron 3"], eta + 0.05),
            control=filtered(["FilterTron 0.05"], eta + 0.05),
            control_name="FilterTron with its authors' step, in as few steps",
        ),
        lab.Claim(
            name="the population optimum predicts the failure",
            statement="on LEVER the averages of leaky ReLU, logistic and hinge err as the "
            "certified minimisers of their losses (tolerance .01)",
            source="certified minimisers, halfspace.population",
            basis="derived",
            test=lab.Expectation(on_plane, optimum, resolution=0.02, tolerance=0.01),
            control=lab.Expectation(on_plane, eta, resolution=0.02, tolerance=0.01),
            control_name="eta",
        ),
    ]


study = lab.Study(
    name="halfspace_separation",
    title="Adversarial flips: the normalized step against everything else",
    caption="Error of every learner under five choices of the returned iterate: the last, the "
    "average weight, the mean error over iterates, the best on 4,000 noisy held-out examples, and "
    "the best running average on them. eta = .3 is what theory promises as T grows, OPT what is "
    "possible. (a) LEVERS: surrogates with small steps are lost under every choice; a run of "
    "large steps is noise that smooths the loss, and its average is partly right; the "
    "perceptron's hold-out too, for a fluctuating iterate is right now and then. (b) MIX: points "
    "on a basis hold single iterates above eta; averages of large steps are still right. (c) "
    "SCALES: planes of two sizes leave no such step: everyone else is above eta under every "
    "choice. The normalized step's average is not there after these steps either; a step three "
    "times larger would do. (d) Without an adversary averages and small steps do not separate; "
    "single iterates of large steps stay noisy. (e), (f) LEVER in one plane and with more "
    "dimensions. FilterTron and the decision list have guarantees of their own, by other means. "
    "They ran on 8,000 examples, 8 seeds, at lam = eta + .05: FilterTron for 500 steps, a quarter "
    "of its authors' number, with their step and with a larger one that keeps the guarantee; the "
    "list errs no more than the normalized step here, on far fewer examples. Numbers behind a "
    "name are step sizes.",
    presets={
        "smoke": Config(
            K=4, steps_levers=2000, steps_mix=2000, steps_scales=2000, steps_plane=2000,
            snapshots=40, dims=(2,), batch=500, batch_steps=20, batch_seeds=3, seeds=3,
        ),
        "laptop": Config(),
        "gpu": Config(seeds=256),
    },
    simulate=simulate,
    claims=claims,
    plot=plot,
    cost=230,
)  # fmt: skip

if __name__ == "__main__":
    raise SystemExit(lab.main(study))
