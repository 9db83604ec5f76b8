"""The comparison of slam_distillation on pictures: Fashion-MNIST, or CIFAR-10 on a GPU."""

import functools
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from experiments import _slam_plot
from experiments import _slam_trials as trials
from experiments._reading import read
from experiments.slam_distillation import common
from jaxrobust import data, lab


@dataclass(frozen=True)
class Config:
    """Numbers of the run."""

    data: Literal["fashion_mnist", "cifar10"] = "fashion_mnist"
    folder: str = ""
    """Where the pictures are; default: the environment variable JAXROBUST_DATA."""
    labelled: tuple[int, ...] = (100, 300, 1000)
    """Pictures that the teacher is trained on, a tenth of each class."""
    validation: int = 200
    pool: int = 8_000
    """Training pictures in all, drawn anew for every seed; those without a label are U."""
    tests: int = 10_000
    components: int = 64
    filters: int = 256
    """Random patches that CIFAR-10 is seen through."""
    hidden: int = 64
    steps: int = 1_500
    batch: int = 64
    rates: tuple[float, float] = (0.05, 0.2)
    """First step sizes: gentle, and such that students fit most labels."""
    seeds: int = 6


@functools.lru_cache(maxsize=1)
def pictures(name, folder, components, filters, tests):
    """Give (x, y, test x, test y): principal components of the training pictures, no label used.

    Fashion-MNIST: of the pixels; CIFAR-10: of frozen random-patch features. Scaled as a whole so
    that the first component has variance 1.
    """
    found = getattr(data, name)(folder)
    x, test = found.x, found.test_x[:tests]
    if name == "cifar10":
        seen = data.random_patches(jax.random.key(0), x, filters=filters)
        x, test = np.asarray(seen(x)), np.asarray(seen(test))
    x, test = (a.reshape(len(a), -1).astype(np.float32) for a in (x, test))
    mean = x.mean(axis=0)
    x, test = x - mean, test - mean
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    basis = vectors[:, ::-1][:, :components] / np.sqrt(values[-1])
    single = functools.partial(jnp.asarray, dtype=trials.SINGLE)
    whole = functools.partial(jnp.asarray, dtype=jnp.int32)
    return single(x @ basis), whole(found.y), single(test @ basis), whole(found.test_y[:tests])


def simulate(config: Config, bench: lab.Bench):
    """Draw a pool, run every teacher and student of `_slam_trials`, score on the test set."""
    options = (config.components, config.filters, config.tests)
    x, y, *test = read(pictures, config.data, config.folder, *options)

    def trial(key, labelled, rate):
        first, rest = jax.random.split(key)
        pool = jax.random.permutation(first, len(y))[: config.pool]
        sizes = (labelled, config.validation)
        settings = trials.settings(config) | {"rate": rate}
        return trials.trial(rest, x[pool], y[pool], tuple(test), 10, *sizes, settings)

    return bench.sweep(
        trial,
        {"labelled": [float(n) for n in config.labelled], "rate": config.rates},
        config.seeds,
        width=1,
        dims={"student": ("learner",), "held": ("learner",), "teacher": ("taught",)},
        coords={"learner": trials.STUDENTS, "taught": ("A", "A and V")},
    )


def claims(dataset, config: Config):
    """The claims of slam_distillation for students that fit; what gentle training does instead."""
    where = {"fashion_mnist": "Fashion-MNIST"}.get(config.data, "CIFAR-10")
    gentle, strong = (dataset.sel(rate=rate) for rate in config.rates)

    # Each student with the step that does better on V, seed by seed and size by size.
    better = dataset.held.argmax("rate")
    own = dataset.student.isel(rate=better).transpose("seed", "labelled", "learner")

    def at_most(one):
        gain = own.sel(learner=one) - own.sel(learner="hard")
        return lab.Bound(gain.values, 0.01, events=False)

    return [
        *common(strong, f"{where}, the larger step", (gentle, "with the smaller step")),
        lab.Claim(
            name="each with its own step, no more than a point",
            statement=f"{where}: SLaM and hard labels, each with the step that is better on V, "
            "differ by one point at most in SLaM's favour, at every size of A",
            source="ours, after runs at another key",
            basis="assumed",
            test=at_most("SLaM"),
            control=at_most("oracle filter"),
            control_name="the oracle's filter",
        ),
    ]


def plot(dataset, config: Config):
    """Curves against labels and paired gains, for both step sizes."""
    name = {"fashion_mnist": "Fashion-MNIST"}.get(config.data, "CIFAR-10")
    return _slam_plot.steps(dataset, config, name)


study = lab.Study(
    name="slam_fashion",
    title="Distillation from a noisy teacher on Fashion-MNIST",
    caption="As slam_distillation, on Fashion-MNIST: 64 principal components of the pictures, "
    "8,000 of them drawn anew for every seed, V of 200; accuracy on the official test set; every "
    "network trained with a small and with a large first step. SLaM is above hard labels with the "
    "large step, where the student copies more of the teacher's errors (titles), and below them "
    "with the small one: what is compared depends on it. Bars: 95 % over draws from one data set.",
    presets={
        "smoke": Config(
            labelled=(100, 300), pool=600, tests=500, components=16, hidden=16, steps=60, seeds=3
        ),
        "laptop": Config(),
        "gpu": Config(
            data="cifar10",
            labelled=(500, 1_000, 2_500, 5_000),
            validation=500,
            pool=50_000,
            components=512,
            filters=512,
            hidden=512,
            steps=20_000,
            batch=128,
            seeds=32,
        ),
    },
    simulate=simulate,
    claims=claims,
    plot=plot,
    cost=80,
)

if __name__ == "__main__":
    raise SystemExit(lab.main(study))
