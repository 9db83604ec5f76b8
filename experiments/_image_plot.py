"""The figure of image_recovery."""

import numpy as np

from experiments import _image
from jaxrobust.lab import figure

COLOURS = (figure.ORANGE, figure.GREY, figure.BLUE, figure.SKY, figure.PURPLE)


def plot(dataset, config):
    """Curves, rivals, the sweep of paces, unseen impulses; then one picture."""
    drawn, axes = figure.panels(4, rows=3, height=1.9, width=figure.PAGE)
    for ax in axes.flat:
        ax.tick_params(labelsize=6)
    n, colours = config.seeds, dict(zip(_image.learners(config), COLOURS, strict=False))
    _curves(axes[0, 0], dataset.salt_psnr, "learner", "picture", "50 % set to 0, 1", colours)
    axes[0, 0].legend(fontsize=5.5, ncols=2, loc="lower center")
    axes[0, 0].set_ylim(bottom=axes[0, 0].get_ylim()[0] - 6)
    _rivals(axes[0, 1], dataset, config)
    ax = axes[0, 2]
    end = dataset.paced_psnr.isel(step=slice(-3, None)).mean("step")
    for k, rate in enumerate(config.rates):
        rows = end.sel(rate=rate).transpose("seed", "pace").values
        figure.points(ax, config.paces, rows, color=COLOURS[k % 5], fmt="o-", ms=3,
                      label=f"{100 * rate:g} % corrupt")  # fmt: skip
    ax.set(xscale="log", xlabel="lr_gh / N", ylabel="PSNR, dB")
    ax.set_xticks(config.paces, [f"{pace:g}" for pace in config.paces])
    ax.minorticks_off()
    ax.set_title(f"One ratio (n = {n})", fontsize=7)
    ax.legend(fontsize=5.5, loc="lower center")
    _curves(axes[0, 3], dataset.random_psnr, "rival", "first", "50 % at random", colours)
    _rows(axes[1:], dataset, config)
    return drawn


def _curves(ax, psnr, learner, place, title, colours):
    """Draw PSNR over steps, means over pictures first, then over seeds."""
    for name in psnr[learner].values:
        rows = psnr.sel({learner: name}).mean(place).transpose("seed", "step")
        every = max(1, rows.sizes["step"] // 12)
        figure.points(ax, rows.step.values[::every], rows.values[:, ::every], ms=2, fmt="o-",
                      color=colours[name], label=str(name))  # fmt: skip
    ax.set(xlabel="step", ylabel="PSNR, dB")
    ax.set_title(f"{title} (n = {psnr.sizes['seed']})", fontsize=7)


def _rivals(ax, dataset, config):
    """Draw everybody's end, settings by the truth."""
    plain = dataset.plain_psnr.sel(kind="salt and pepper")
    rows = {"noisy": plain.sel(setting="noisy")}
    for family in ("median", "TV", "fill"):
        some = [name for name in _image.SETTINGS if name.startswith(family)]
        rows[family] = plain.sel(setting=some).max("setting")
    ends = dataset.salt_psnr.isel(step=slice(-3, None)).mean("step")
    slow = [_image.l1(lr) for lr in config.l1_steps]
    rows["l2"] = ends.sel(learner="l2")
    rows["l1"] = ends.sel(learner=slow[0])
    rows["l1, stopped\nby the truth"] = dataset.salt_psnr.sel(learner=slow).max(("step", "learner"))
    rows["DOP"] = ends.sel(learner="DOP")
    samples = np.stack([row.mean("picture").values for row in rows.values()], axis=1)
    figure.points(ax, np.arange(len(rows)), samples, across=True, color=figure.BLACK, ms=3)
    ax.set_yticks(range(len(rows)), list(rows), fontsize=5.5)
    ax.set_xlabel("PSNR, dB")
    ax.set_title("All rivals, the end", fontsize=7)


def _rows(axes, dataset, config):
    """Show the first picture of the first seed."""
    here = {"seed": 0, "picture": 0}
    plain = dataset.isel(here).sel(kind="salt and pepper")
    runs = dataset.isel(here)
    quick = _image.l1(config.l1_steps[0])
    shown = (
        ("truth", plain.plain_truth),
        ("noisy", plain.plain_noisy),
        ("fill of 0 and 1", plain.plain_made.sel(setting="fill")),
        ("best median", _chosen(plain, "median")),
        ("l2", runs.salt_final.sel(learner="l2")),
        (quick, runs.salt_final.sel(learner=quick)),
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
    some = [name for name in _image.SETTINGS if name.startswith(family)]
    found = plain.plain_psnr.sel(setting=some)
    return plain.plain_made.sel(setting=some[int(np.argmax(found.values))])
