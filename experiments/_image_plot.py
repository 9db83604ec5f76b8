"""The figure of image_recovery."""

import numpy as np

from experiments import _image
from jaxrobust.lab import figure

KINDS = {"salt and pepper": "salt", "random-valued": "random"}
COLOURS = (figure.ORANGE, figure.GREY, figure.BLUE, figure.SKY, figure.PURPLE)


def plot(dataset, config):
    """Curves, rivals, the sweep of paces, unseen impulses; then one picture."""
    drawn, axes = figure.panels(4, rows=3, height=1.9, width=figure.PAGE)
    for ax in axes.flat:
        ax.tick_params(labelsize=6)
    n = config.seeds
    _curves(axes[0, 0], dataset, config)
    axes[0, 0].legend(fontsize=5.5, ncols=2, loc="lower center")
    axes[0, 0].set_ylim(bottom=axes[0, 0].get_ylim()[0] - 6)
    _rivals(axes[0, 1], dataset, config)
    ax = axes[0, 2]
    end = _end(dataset.paced_psnr)
    for k, rate in enumerate(config.rates):
        rows = end.sel(rate=rate).transpose("seed", "pace").values
        figure.points(ax, config.paces, rows, color=COLOURS[k % 5], fmt="o-", ms=3,
                      label=f"{100 * rate:g} % corrupt")  # fmt: skip
    ax.set(xscale="log", xlabel="lr_gh / N", ylabel="PSNR, dB")
    ax.set_xticks(config.paces, [f"{pace:g}" for pace in config.paces])
    ax.minorticks_off()
    ax.set_title(f"One ratio (n = {n})", fontsize=7)
    ax.legend(fontsize=5.5, loc="lower center")
    _against(axes[0, 3], dataset, config)
    _rows(axes[1:], dataset, config)
    return drawn


def _curves(ax, dataset, config):
    """Draw PSNR over steps on the first picture."""
    first, slow = dataset.isel(picture=0), _image.slow(config)
    drawn = {"DOP": first.salt_psnr.sel(learner="DOP")}
    for name in ("l2", _image.QUICK):
        drawn[name] = first.same_psnr.sel(equal=name)
    drawn[slow] = first.salt_psnr.sel(learner=slow)
    for color, (name, curve) in zip(COLOURS, drawn.items(), strict=False):
        rows = curve.transpose("seed", "step")
        every = max(1, rows.sizes["step"] // 12)
        figure.points(ax, rows.step.values[::every], rows.values[:, ::every], ms=2, fmt="o-",
                      color=color, label=name)  # fmt: skip
    ax.set(xlabel="step", ylabel="PSNR, dB")
    ax.set_title(f"{100 * config.rate:g} % set to 0, 1 (n = {config.seeds})", fontsize=7)


def _rivals(ax, dataset, config):
    """Draw everybody's end on the first picture, settings by the truth."""
    plain = dataset.plain_psnr.isel(picture=0).sel(kind="salt and pepper")
    rows = {"noisy": plain.sel(setting="noisy")}
    for family in ("median", "TV", "fill"):
        rows[family] = plain.sel(setting=_family(family)).max("setting")
    salt, wide = dataset.salt_psnr.isel(picture=0), dataset.wide_psnr.isel(first=0)
    for name in ("l2", _image.QUICK):
        rows[name] = _end(dataset.same_psnr.isel(picture=0).sel(equal=name))
    for psnr, width in ((salt, config.width), (wide, config.wide)):
        rows[f"l1 stopped, w {width}"] = psnr.sel(learner=_image.slow(config)).max("step")
        rows[f"DOP, w {width}"] = _end(psnr.sel(learner="DOP"))
    samples = np.stack([row.values for row in rows.values()], axis=1)
    places = np.arange(len(rows))
    figure.points(ax, places, samples, across=True, color=figure.BLACK, ms=3)
    ax.set_yticks(places, list(rows), fontsize=5.5)
    ax.set_xlabel("PSNR, dB")
    ax.set_title(f"All rivals (n = {config.seeds})", fontsize=7)


def _against(ax, dataset, config):
    """Draw DOP's end less the best total variation, picture by picture."""
    places = np.arange(len(config.pictures))
    for k, (kind, part) in enumerate(KINDS.items()):
        name = {"salt": {"learner": "DOP"}, "random": {"learner": "DOP"}}[part]
        rival = dataset.plain_psnr.sel(kind=kind, setting=_family("TV")).max("setting")
        gap = (_end(dataset[f"{part}_psnr"].sel(name)) - rival).transpose("seed", "picture")
        figure.points(ax, places + 0.2 * k - 0.1, gap.values, across=True, ms=3,
                      color=COLOURS[2 * k], label=("0 or 1", "random")[k])  # fmt: skip
    ax.axvline(0, color=figure.GREY, lw=0.6)
    ax.set_yticks(places, list(config.pictures), fontsize=5.5, rotation=90, va="center")
    ax.set_xlabel("DOP less TV, dB")
    ax.set_title(f"Against TV (n = {config.seeds})", fontsize=7)
    ax.legend(fontsize=5.5)


def _end(curve):
    """Give the mean of the last three readings."""
    return curve.isel(step=slice(-3, None)).mean("step")


def _family(name):
    """Give the settings of a classical rival."""
    return [setting for setting in _image.SETTINGS if setting.startswith(name)]


def _rows(axes, dataset, config):
    """Show the first picture of the first seed."""
    here = {"seed": 0, "picture": 0}
    runs = dataset.isel(here)
    plain = runs.sel(kind="salt and pepper")
    same, quick = dataset.isel(seed=0, picture=0), _image.QUICK
    shown = (
        ("truth", plain.plain_truth),
        ("noisy", plain.plain_noisy),
        ("fill of 0 and 1", plain.plain_made.sel(setting="fill")),
        ("best median", _chosen(plain, "median")),
        ("l2", same.same_final.sel(equal="l2")),
        (quick, same.same_final.sel(equal=quick)),
        ("DOP", runs.salt_final.sel(learner="DOP")),
        ("removed by DOP", (runs.salt_removed.sel(learner="DOP") + 1) / 2),
    )
    for ax, (name, picture) in zip(axes.flat, shown, strict=True):
        ax.imshow(np.clip(picture.values, 0, 1), interpolation="nearest")
        ax.set(xticks=[], yticks=[])
        ax.grid(visible=False)
        ax.set_title(name, fontsize=7)


def _chosen(plain, family):
    """Give the picture of a family's best setting."""
    some = _family(family)
    found = plain.plain_psnr.sel(setting=some)
    return plain.plain_made.sel(setting=some[int(np.argmax(found.values))])
