"""The trials of image_recovery: pictures with impulses, the deep image prior, classical rivals."""

import jax
import jax.numpy as jnp
import numpy as np
import xarray

from jaxrobust import noise
from jaxrobust.recovery.image import fill, fit, median, network, pictures, psnr, ssim
from jaxrobust.recovery.image import total_variation as smooth
from jaxrobust.recovery.image.measure import scored

SINGLE = jnp.float32
QUICK = "l1, lr 1"
"""l1 with the step size of DOP."""
KINDS = {"salt and pepper": noise.salt_and_pepper, "random-valued": noise.random_impulses}
PARTS = {
    "salt": ("picture", "learner"),
    "same": ("picture", "equal"),
    "random": ("picture", "learner"),
    "wide": ("first", "learner"),
    "paced": ("rate", "pace"),
}
WINDOWS = (3, 5, 7)
WEIGHTS = (0.7, 1.0, 1.2, 1.4, 2.0)
"""Of total variation, all channels in one norm: 1 to 2 dB better than channel by channel."""


def stacked(config):
    """Give the pictures, (picture, height, width, 3)."""
    found = [pictures.sample(name, config.size) for name in config.pictures]
    return jnp.asarray(np.stack(found), SINGLE)


def slow(config):
    """Give the name of l1 with the step size that pilots chose for it by the truth."""
    return f"l1, lr {config.l1_step:g}"


def cases(config):
    """Give every run: {(part, what, what): (width, kind, picture, rate of corruption, rates)}."""
    entries, first, width, rate = config.size**2 * 3, config.pictures[0], config.width, config.rate
    dop, l1 = fit.dop(entries, config.pace), fit.least_absolute(config.l1_step)
    tuned, equal = {"DOP": dop, slow(config): l1}, {"l2": fit.least_squares()}
    equal[QUICK] = fit.least_absolute()
    found = {
        (part, picture, name): (width, kind, k, rate, rates)
        for part, kind, named in (("salt", 0, tuned), ("same", 0, equal), ("random", 1, tuned))
        for k, picture in enumerate(config.pictures)
        for name, rates in named.items()
    }
    for name, rates in (("DOP", dop), (slow(config), l1)):
        found["wide", first, name] = (config.wide, 0, 0, rate, rates)
    return found | {
        ("paced", share, pace): (width, 0, 0, share, fit.dop(entries, pace))
        for share in config.rates
        for pace in config.paces
    }


def corrupted(config, kind, key, picture, rate):
    """Draw what a run sees: the truth, the corrupted picture, and the key of the run."""
    told, run = jax.random.split(key)
    x, rate = stacked(config)[picture], jnp.asarray(rate).astype(SINGLE)
    y = jnp.stack([draw(told, x, rate).astype(SINGLE) for draw in KINDS.values()])
    return x, y[kind], run


def learned(config, runs):
    """Give the trial of runs, values of `cases` that share the width of the network."""
    (width, *_), kinds, places, shares, rates = zip(*runs, strict=True)
    kinds, places, shares = (jnp.asarray(np.asarray(x)) for x in (kinds, places, shares))
    columns = [jnp.asarray(np.asarray(column)) for column in zip(*rates, strict=True)]

    def trial(key, case):
        x, y, run = corrupted(config, kinds[case], key, places[case], shares[case])
        return watched(config, width, x, y, run, fit.Rates(*(column[case] for column in columns)))

    return trial


def networks(config, bench, width, some):
    """Run the cases of one width."""
    curves = ("psnr", "still", "ssim", "explained", "taken", "lost")
    square = ("row", "column", "colour")
    return bench.sweep(
        learned(config, list(some.values())),
        {"case": [", ".join(map(str, case)) for case in some]},
        config.seeds,
        name=f"width{width}",
        width=1,
        dims=dict.fromkeys(curves, ("step",)) | dict.fromkeys(("final", "removed"), square),
        coords={"step": config.every * np.arange(1, config.plan().readings + 1)},
    )


def grid(runs, some, part):
    """Lay the runs of a part out along its two axes."""
    axes, places = PARTS[part], [k for k, case in enumerate(some) if case[0] == part]
    ways = [list(dict.fromkeys(some[k][axis] for k in places)) for axis in (1, 2)]
    table = {}
    for name, column in runs.isel(case=places).drop_vars("case").data_vars.items():
        column = column.transpose("seed", "case", ...)
        shape = (column.sizes["seed"], *map(len, ways), *column.shape[2:])
        table[f"{part}_{name}"] = (
            ("seed", *axes, *column.dims[2:]),
            column.values.reshape(shape),
        )
    coords = dict(zip(axes, ways, strict=True))
    return xarray.Dataset(table, coords | {"step": runs.step})


def watched(config, width, x, y, key, rates):
    """Run; give PSNR, SSIM and what g, h explain at every reading, and the pictures at the end."""
    prior = network.prior(x.shape, width=width, scales=config.scales)
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
        tv = jax.lax.map(lambda w: smooth(y, w, vectorial=True, tol=1e-3, steps=1_000), weights)
        made = jnp.stack([y, fill(y), *(median(y, size) for size in WINDOWS), *tv.x])
        return {
            "psnr": jax.lax.map(lambda one: psnr(one, x), made),
            "ssim": jax.lax.map(lambda one: ssim(one, x), made),
            "truth": x,
            "noisy": y,
            "made": made,
            "tv_status": tv.status,
        }

    return trial


SETTINGS = (
    "noisy",
    "fill",
    *(f"median {size}" for size in WINDOWS),
    *(f"TV {weight:g}" for weight in WEIGHTS),
)
