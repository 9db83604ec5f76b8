"""The trials of image_recovery: pictures with impulses, the deep image prior, classical rivals."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrobust import noise
from jaxrobust.recovery.image import fill, fit, median, network, pictures, psnr, ssim
from jaxrobust.recovery.image import total_variation as smooth
from jaxrobust.recovery.image.measure import scored

SINGLE = jnp.float32
KINDS = {"salt and pepper": noise.salt_and_pepper, "random-valued": noise.random_impulses}
WINDOWS = (3, 5, 7)
WEIGHTS = (0.5, 0.7, 1.0, 1.4)
"""Of total variation."""


def stacked(config):
    """Give the pictures, (picture, height, width, 3)."""
    found = [pictures.sample(name, config.size) for name in config.pictures]
    return jnp.asarray(np.stack(found), SINGLE)


def learners(config):
    """Give the rates of the learners, {name: rates}."""
    entries = config.size**2 * 3
    named = {"DOP": fit.dop(entries, config.pace), "l2": fit.least_squares()}
    return named | {l1(lr): fit.least_absolute(lr) for lr in config.l1_steps}


def l1(lr):
    """Give the name of l1 with a step size."""
    return f"l1, lr {lr:g}"


def cases(config):
    """Give every run: {(part, what, what): (kind, picture, rate of corruption, rates)}."""
    known, entries = learners(config), config.size**2 * 3
    found = {
        ("salt", picture, name): (0, k, config.rate, rates)
        for k, picture in enumerate(config.pictures)
        for name, rates in known.items()
    }
    first = config.pictures[0]
    found |= {
        ("random", first, name): (1, 0, config.rate, rates)
        for name, rates in known.items()
        if name != "l2"
    }
    return found | {
        ("paced", rate, pace): (0, 0, rate, fit.dop(entries, pace))
        for rate in config.rates
        for pace in config.paces
    }


def corrupted(config, kind, key, picture, rate):
    """Draw what a run sees: the truth, the corrupted picture, and the key of the run."""
    told, run = jax.random.split(key)
    x, rate = stacked(config)[picture], jnp.asarray(rate).astype(SINGLE)
    y = jnp.stack([draw(told, x, rate).astype(SINGLE) for draw in KINDS.values()])
    return x, y[kind], run


def learned(config):
    """Give the trial of all runs with a network."""
    kinds, places, shares, rates = zip(*cases(config).values(), strict=True)
    kinds, places, shares = (jnp.asarray(np.asarray(x)) for x in (kinds, places, shares))
    columns = [jnp.asarray(np.asarray(column)) for column in zip(*rates, strict=True)]

    def trial(key, case):
        x, y, run = corrupted(config, kinds[case], key, places[case], shares[case])
        return watched(config, x, y, run, fit.Rates(*(column[case] for column in columns)))

    return trial


def watched(config, x, y, key, rates):
    """Run; give PSNR, SSIM and what g, h explain at every reading, and the pictures at the end."""
    prior = network.prior(x.shape, width=config.width, scales=config.scales)
    score = scored(x, y)

    def measure(seen):
        return *score(seen), ssim(seen.picture, x)

    _, seen, readings = fit.fit(key, y, rates, config.plan(), prior, measure)
    psnr, still, explained, taken, similar = readings.measured
    return {
        "psnr": psnr,
        "still": still,
        "ssim": similar,
        "explained": explained,
        "taken": taken,
        "lost": readings.lost,
        "final": seen.picture,
        "removed": seen.corruption,
    }


def classical(config):
    """Give the trial of the rivals without a network, all settings, with what they made."""

    def trial(key, kind, picture):
        x, y, _ = corrupted(config, kind, key, picture, config.rate)
        weights = jnp.asarray(WEIGHTS, SINGLE)
        tv = jax.lax.map(lambda w: smooth(y, w, tol=1e-3, steps=1_000).x, weights)
        made = jnp.stack([y, fill(y), *(median(y, size) for size in WINDOWS), *tv])
        return {
            "psnr": jax.lax.map(lambda one: psnr(one, x), made),
            "ssim": jax.lax.map(lambda one: ssim(one, x), made),
            "truth": x,
            "noisy": y,
            "made": made,
        }

    return trial


SETTINGS = (
    "noisy",
    "fill",
    *(f"median {size}" for size in WINDOWS),
    *(f"TV {weight:g}" for weight in WEIGHTS),
)
