"""The five human label sets of CIFAR-10N: what people's errors cost a linear probe."""

from dataclasses import dataclass
from functools import partial

import jax
import numpy as np

from experiments import _probe as probe
from experiments._probe import KINDS, LABELS, METHODS, SOURCES
from jaxrobust import lab
from jaxrobust.lab import figure


@dataclass(frozen=True)
class Config:
    """Numbers of the run; `train`, `test` and `filters` as in human_noise, which shares them."""

    folder: str = ""
    """With CIFAR-10 and CIFAR-10N; default: the environment variable JAXROBUST_DATA."""
    train: int = 50_000
    test: int = 10_000
    filters: int = 128
    components: int = 256
    rows: int = 8_000
    """Training pictures of a seed, drawn anew for each; `held` more choose the epoch."""
    held: int = 2_000
    epochs: int = 16
    batch: int = 200
    every: int = 4
    warm: int = 6
    """Epochs before T is estimated."""
    seeds: int = 8


def simulate(config: Config, bench: lab.Bench):
    """Train every method on every set of labels, with settings chosen on other draws."""
    seed = int(jax.random.key_data(bench.key).ravel()[-1])
    seen = probe.features(config, seed)
    return bench.sweep(
        partial(probe.trial, config, seen),
        {"labels": LABELS},
        config.seeds,
        dims=probe.SHAPE | {"right": ("image",), "confusion": ("true", "given")},
        coords={"learner": METHODS},
        width=len(LABELS),
    )


def at(dataset, what, labels, learner="cross-entropy"):
    """Give an output (seed, labels) of one method, for labels of these names."""
    part = dataset[what].sel(labels=list(labels)).sel({"learner": learner})
    return part.transpose("seed", "labels").values.astype(float)


def named(kind, sources=SOURCES):
    """Give the names of the labels of a kind."""
    return [f"{source}, {kind}" for source in sources]


def claims(dataset, config: Config):
    """What people's errors do that drawn ones do not."""
    human, dealt = (at(dataset, "last", named(kind)) for kind in KINDS[:2])
    true = at(dataset, "last", ["true"])
    confusion = dataset.confusion.transpose("seed", "labels", "true", "given")
    apart = {k: confusion.sel(labels=named(k)).values for k in KINDS}
    agreed = {k: at(dataset, "agreed", named(k)) for k in KINDS}
    found = "the direction was found on draws by another key"
    right = dataset.right.transpose("seed", "labels", "image")
    right = [right.sel(labels=named(k)).values.mean(axis=(0, 1)) for k in KINDS[:2]]
    error = (right[0] - right[1]).std() / right[0].size ** 0.5

    def gain(labels):
        return at(dataset, "last", labels, "SOP") - at(dataset, "last", labels)

    def follows(kind):
        return (agreed[kind] - agreed["shuffled"]).mean(axis=1)

    worst = ["worse, human"]
    less = gain(["worse, symmetric"]) - gain(worst)
    none = gain(["true"]) - gain(worst)
    best = at(dataset, "best", LABELS) - at(dataset, "last", LABELS)
    return [
        lab.Claim(
            name="shuffled labels have the human confusion matrix",
            statement="dealt out anew within each true class, people's labels keep every entry of "
            "P(given | true) on the training pictures",
            source="derived: a permutation within a class keeps its counts",
            basis="derived",
            test=lab.Identity(apart["shuffled"] - apart["human"], 0.0),
            control=lab.Identity(apart["symmetric"] - apart["human"], 0.0),
            control_name="symmetric labels of the same flip rate",
        ),
        lab.Claim(
            name="people's errors cost no more than shuffled ones",
            statement="cross-entropy on human labels is at least as accurate as on the same labels "
            "shuffled within each class, on average over the five sets",
            source=f"ours; {found}. Seeds share one test set: its sampling error, {error:.4f}, is "
            "not in the interval",
            basis="assumed",
            test=lab.Bound((human - dealt).mean(axis=1), 0.0, side="lower"),
            control=lab.Bound((dealt - human).mean(axis=1), 0.0, side="lower"),
            control_name="the order reversed",
        ),
        lab.Claim(
            name="people's errors follow the picture",
            statement="of held-out pictures with a wrong human label the probe gives that very "
            "label to a larger share, by .02 at least, than of those with a shuffled one, on "
            "average over the five sets",
            source=f"ours; {found}. First asked of every set, which left some of them open",
            basis="assumed",
            test=lab.Bound(follows("human"), 0.02, side="lower"),
            control=lab.Bound(follows("symmetric"), 0.02, side="lower"),
            control_name="symmetric in the place of human labels",
        ),
        lab.Claim(
            name="a probe has nothing to stop early for",
            statement="cross-entropy's best epoch, chosen on the test set, is at most .01 above "
            "its last, with every set of labels",
            source=f"ours: 256 features memorize little of 8,000 pictures; {found}",
            basis="assumed",
            test=lab.Bound(best, 0.01, events=False),
            control=lab.Bound(true - at(dataset, "last", LABELS[1:]), 0.01, events=False),
            control_name="the ceiling, true labels, in the place of the best epoch",
        ),
        lab.Claim(
            name="SOP gains less on people's errors",
            statement="with the worst labels SOP's gain over cross-entropy is smaller on human "
            "than on symmetric ones of the same rate",
            source=f"ours; {found}",
            basis="assumed",
            test=lab.Bound(less[:, 0], 0.0, side="lower"),
            control=lab.Bound(none[:, 0], 0.0, side="lower"),
            control_name="true in the place of symmetric labels",
        ),
    ]


_LOOKS = {
    "human": (figure.BLUE, "o"),
    "shuffled": (figure.ORANGE, "s"),
    "symmetric": (figure.GREEN, "^"),
}
_WHO = (
    (figure.ORANGE, "s"), (figure.GREEN, "^"), (figure.BLUE, "o"), (figure.PURPLE, "D"),
    (figure.SKY, "v"),
)  # fmt: skip


def plot(dataset, config: Config):
    """Accuracy by set and kind; wrong labels said again; every method on the worst labels."""
    drawn, axes = figure.panels(3, height=3.0, width_ratios=(1.1, 1.0, 1.2))
    kept = dataset.confusion.sel(labels=named("human")).transpose("labels", "seed", "true", "given")
    flips = 100 * (1 - np.einsum("lsii->l", kept.values) / kept.shape[1] / kept.shape[2])
    short = [source.replace("random", "rand ") for source in SOURCES]
    ticks = [f"{name}\n{rate:.0f} %" for name, rate in zip(short, flips, strict=True)]
    place, true = np.arange(len(SOURCES)), at(dataset, "last", ["true"])
    axes[0].axhline(100 * true.mean(), color=figure.BLACK, lw=0.9, ls="--", label="true labels")
    for shift, (kind, (colour, mark)) in zip((-0.2, 0, 0.2), _LOOKS.items(), strict=True):
        first = kind == "human"
        for ax, what, label, fill in (
            (axes[0], "last", kind, colour),
            (axes[1], "memorized", "training" if first else None, colour),
            (axes[1], "agreed", "held out" if first else None, "none"),
        ):
            seen, x = 100 * at(dataset, what, named(kind)), place + shift
            figure.points(ax, x, seen, color=colour, mfc=fill, fmt=mark, label=label)
    axes[0].set(ylabel="test accuracy, %", title=f"cross-entropy (n = {config.seeds})")
    axes[1].set(ylabel="share of wrong labels, %", title="wrong labels it gives")
    axes[1].set_ylim(0, 1.2 * axes[1].get_ylim()[1])
    for ax, loc in ((axes[0], "lower left"), (axes[1], "upper right")):
        ax.set_xticks(place, ticks, fontsize=5.5)
        ax.legend(loc=loc, ncol=2 if ax is axes[1] else 1)
    names = ("true", *(f"worse, {kind}" for kind in KINDS))
    base = at(dataset, "last", names)
    for shift, who, (colour, mark) in zip(
        np.linspace(-0.3, 0.3, len(_WHO)), METHODS[1:], _WHO, strict=True
    ):
        gained = 100 * (at(dataset, "last", names, who) - base)
        figure.points(
            axes[2], np.arange(4) + shift, gained, color=colour, fmt=mark, ms=3, label=who
        )
    axes[2].axhline(0, color=figure.BLACK, lw=0.9)
    axes[2].set_xticks(range(4), ["true", *(f"worse,\n{kind}" for kind in KINDS)], fontsize=6)
    axes[2].set(ylabel="gain, points", title="over cross-entropy, last epoch")
    low, high = axes[2].get_ylim()
    axes[2].set_ylim(low, high + 0.6 * (high - low))
    axes[2].legend(loc="upper left", fontsize=5.5)
    return drawn


study = lab.Study(
    name="cifar10n",
    title="The five human label sets of CIFAR-10N on a linear probe",
    caption="Linear probes on 256 principal components of frozen features (sums over quadrants of "
    "random patches as filters), each of variance 1; 8,000 training pictures drawn anew for every "
    "seed, 16 epochs, accuracy on the official test set at the last one. Human labels; the same "
    "labels dealt out anew within each true class, which keeps their confusion matrix and lets "
    "them know nothing of the picture; symmetric ones, as many wrong. At the same confusion matrix "
    "people's errors cost the probe less than shuffled ones, and what is gained by GCE and SOP is "
    "less with them than with symmetric ones. (b) Of the wrongly labelled pictures the share to "
    "which the probe gives that very wrong label: on training pictures it also remembers, held-out "
    "ones it has not seen, so that these tell how far an error can be guessed from the picture. "
    "(c) Forward correction is told the confusion matrix, which nobody has; estimated from "
    "anchors it gains nothing. One step size and one number a method for all labels, chosen on "
    "noisy held-out labels of other draws, no true label used (with true labels, forward is "
    "cross-entropy with forward's step). ELR gains nothing: little is memorized that it could "
    "forget. Bars: 95 % over draws from one data set, with one set of features and one test set. "
    "Networks that do memorize are another matter.",
    presets={
        "smoke": Config(
            train=1_500, test=500, filters=8, components=16, rows=400, held=100, epochs=4, batch=50,
            every=2, warm=2, seeds=3,
        ),
        "laptop": Config(),
        "gpu": Config(filters=512, components=1_024, rows=40_000, held=10_000, epochs=60, seeds=32),
    },
    simulate=simulate,
    claims=claims,
    plot=plot,
)  # fmt: skip

if __name__ == "__main__":
    raise SystemExit(lab.main(study))
