"""Sub-gradients from a small start with far too many columns: what helps, the start or the end."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jaxrobust import lab
from jaxrobust.lab import figure
from jaxrobust.recovery.matrix import problem, subgradient, theory

SOURCE = "Ma and Fattahi (2022, arXiv 2202.08788); constants ours"
PILOT = "level set after a pilot with another key"


@dataclass(frozen=True)
class Config:
    """Numbers of the run."""

    n: int = 15
    rank: int = 2
    few: int = 110
    """Measurements, less than the n (n + 1) / 2 = 120 numbers of X."""
    many: int = 300
    rate: float = 0.2
    size: float = 3.0
    eta: float = 0.3
    scales: tuple[float, ...] = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
    rhos: tuple[float, ...] = (0.98, 0.99, 0.995, 0.998)
    dense: tuple[float, ...] = (0.01, 0.03, 0.1)
    """Of Gaussian noise on every measurement, over the clean ones' root mean square."""
    steps: int = 3_000
    seeds: int = 12


def _trial(config: Config, m: int, read: int):
    """Give the trial for m measurements: errors after each of `read` parts of the run."""

    def trial(key, columns, scale, rho, dense):
        of_problem, of_noise, of_start = jax.random.split(key, 3)
        wrong = problem.draw(of_problem, config.n, config.rank, config.rate, m=m, size=config.size)
        level = jnp.sqrt(jnp.mean(problem.measure(wrong.A, wrong.X) ** 2))
        y = wrong.y + dense * level * jax.random.normal(of_noise, (m,))
        X = subgradient.descend(
            of_start,
            wrong.A,
            y,
            k=config.n,
            used=columns,
            scale=scale,
            rule=subgradient.geometric(config.eta, rho),
            steps=config.steps // read,
            snapshots=read,
        )
        error = jnp.linalg.norm(X - wrong.X[None, :, :], axis=(1, 2)) / jnp.linalg.norm(wrong.X)
        w = jnp.linalg.eigvalsh(wrong.X)
        smallest = w[config.n - config.rank]
        # M of the k = n start: the signal's share of |M|_F, by the formula of the mean.
        phi = theory.sign_slope(wrong.s * jnp.sqrt(m), jnp.linalg.norm(wrong.X))
        share = phi / jnp.sqrt(phi**2 + config.n * (config.n + 1) / (2 * m))
        need = theory.travel(smallest, jnp.linalg.norm(wrong.X), scale, share)
        return {"error": error, "need": need}

    return trial


def simulate(config: Config, bench: lab.Bench):
    """Sweep the start and the schedule at both sizes; dense noise at a few."""
    both = {"columns": (config.rank, config.n)}
    grid = both | {"scale": config.scales, "rho": config.rhos, "dense": (0.0,)}
    parts = []
    for what, m in (("few", config.few), ("many", config.many)):
        found = bench.sweep(
            _trial(config, m, 1), grid, config.seeds, name=what, dims={"error": ("part",)}
        )
        parts.append(found.isel(part=0, dense=0, drop=True).rename(error=what, need=f"need_{what}"))
    usual = (config.rhos[1], config.rhos[-1])
    noisy = both | {"scale": config.scales[2:3], "rho": usual, "dense": config.dense}
    found = bench.sweep(
        _trial(config, config.many, 1), noisy, config.seeds, name="dense", dims={"error": ("part",)}
    )
    found = found.isel(part=0, scale=0, drop=True).rename(error="noisy", rho="path_rho")
    parts.append(found.drop_vars("need"))
    read = 30 if config.steps >= 1000 else 4
    path = bench.sweep(
        _trial(config, config.few, read),
        both | {"scale": config.scales[2:3], "rho": usual, "dense": (0.0,)},
        config.seeds,
        name="path",
        dims={"error": ("t",)},
        coords={"t": (np.arange(1, read + 1) * (config.steps // read)).tolist()},
    )
    path = path.isel(scale=0, dense=0, drop=True).drop_vars("need")
    parts.append(path.rename(error="path", rho="path_rho"))
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.merge(part, join="exact", combine_attrs="drop")
    return whole


def reaches(dataset, config: Config, m):
    """Give reach / travel for every cell and seed: above 1 the weakest direction arrives."""
    reach = np.array([subgradient.reach(config.eta, float(rho)) for rho in dataset.rho.values])
    need = dataset[f"need_{m}"].transpose("seed", "columns", "scale", "rho").values
    return reach / need


def claims(dataset, config: Config):
    """A geometric schedule has a reach, and its end is an early stop."""
    d = dataset
    n, r = config.n, config.rank
    slow, usual = d.rho.values[-1], d.rho.values[min(1, d.rho.size - 1)]
    start = d.scale.values[min(2, d.scale.size - 1)]

    def at(m, columns, scale, rho):
        return d[m].sel(columns=columns, scale=scale, rho=rho).values

    def told(short):
        """Give errors with the rank told, where the steps' sum is short or ample everywhere."""
        ratio = reaches(d, config, "many")[:, 0].reshape(config.seeds, -1)
        errors = d.many.sel(columns=r).transpose("seed", "scale", "rho").values
        chosen = ratio.max(axis=0) < 0.5 if short else ratio.min(axis=0) > 1.5
        if not chosen.any():  # smoke
            chosen[0] = True
        return errors.reshape(config.seeds, -1)[:, chosen]

    def ends(m, columns):
        gain = at(m, columns, start, slow) - at(m, columns, start, usual)
        return lab.Bound(gain[:, None], 0.1, side="lower", events=False)

    def starts(rho):
        ratio = at("few", n, start, rho) / at("few", n, d.scale.values[0], rho)
        return lab.Bound(ratio[:, None], 0.5, events=False)

    def noisy(rho):
        errors, told_rank = (
            d.noisy.sel(columns=columns, path_rho=rho).isel(dense=-1) for columns in (n, r)
        )
        return lab.Bound((errors / told_rank).values[:, None], 1.5, events=False)

    return [
        lab.Claim(
            name="the steps' sum decides whether it arrives",
            statement=f"rank told, {config.many} measurements: where eta/(1 - rho) exceeds the "
            "travel by half in every seed the relative error is below .1 (control: where it is "
            "below half of the travel)",
            source=f"recovery.matrix.theory.travel, derived here; {PILOT}",
            basis="derived",
            test=lab.Bound(told(False), 0.1, events=False),
            control=lab.Bound(told(True), 0.1, events=False),
            control_name="reach below half of the travel",
        ),
        lab.Claim(
            name="a smaller start helps the over-specified rank",
            statement=f"k = n, {config.few} measurements, rho = {usual:g}: the error from alpha_0 "
            f"= {start:g} is at most half of that from {d.scale.values[0]:g}",
            source=f"{SOURCE}; {PILOT}",
            basis="quoted",
            test=starts(usual),
            control=starts(slow),
            control_name=f"rho = {slow:g}",
        ),
        lab.Claim(
            name="the schedule's end is an early stop",
            statement=f"k = n, {config.few} measurements (fewer than n (n + 1) / 2), alpha_0 = "
            f"{start:g}: rho = {slow:g}, which goes on for longer, ends .1 worse than rho = "
            f"{usual:g}",
            source=f"found here; {PILOT}",
            basis="assumed",
            test=ends("few", n),
            control=ends("few", r),
            control_name="rank told",
        ),
        lab.Claim(
            name="with dense noise it costs less than half as much again",
            statement=f"k = n, {config.many} measurements, dense noise of {config.dense[-1]:g}, "
            f"alpha_0 = {start:g}, rho = {usual:g}: the error is at most 1.5 times that with the "
            "rank told",
            source=f"{SOURCE}; foreseen the other way, at the same level, before a pilot with "
            "another key",
            basis="quoted",
            test=noisy(usual),
            control=noisy(slow),
            control_name=f"rho = {slow:g}",
        ),
    ]


def plot(dataset, config: Config):
    """Draw the error over the start at each schedule, over time, and with dense noise."""
    drawn, axes = figure.panels(4, rows=1, height=2.6)
    colours = (figure.GREY, figure.BLUE, figure.GREEN, figure.ORANGE)
    marks = ("v", "o", "^", "s")
    for ax, m, title in (
        (axes[0], "few", f"k = n, m = {config.few}"),
        (axes[1], "many", f"k = n, m = {config.many}"),
    ):
        for rho, colour, mark in zip(dataset.rho.values, colours, marks, strict=False):
            samples = dataset[m].sel(columns=config.n, rho=rho)
            label = rf"$\rho$ = {rho:g}"
            figure.points(
                ax, dataset.scale, samples, log=True, color=colour, fmt=mark, ls="-", lw=0.7,
                label=label,
            )  # fmt: skip
        told = dataset[m].sel(columns=config.rank, rho=dataset.rho.values[-1])
        figure.points(
            ax, dataset.scale, told, log=True, color=figure.BLACK, fmt="x", label="rank told"
        )
        ax.set(xscale="log", yscale="log", xlabel=r"start $\alpha_0$")
        ax.set_title(title)
    axes[0].set_ylabel("relative error of $X$")
    axes[0].legend(loc="lower left", fontsize=6, ncols=2, columnspacing=0.8)
    for ax in axes[:2]:
        ax.set_ylim(1e-9, 3)
    ends = list(zip(dataset.path_rho.values, (figure.BLUE, figure.ORANGE), "os", strict=True))
    ax = axes[2]
    for rho, colour, mark in ends:
        samples = dataset.path.sel(columns=config.n, path_rho=rho).transpose("seed", "t")[:, ::4]
        x = dataset.t.values[::4]
        figure.points(ax, x, samples, color=colour, fmt=mark, ls="-", lw=0.7)
    ax.set(xlabel="steps", title=rf"m = {config.few}, $\alpha_0$ = {config.scales[2]:g}")
    ax.set_ylim(0, None)
    ax = axes[3]
    for rho, colour, mark in ends:
        samples = dataset.noisy.sel(columns=config.n, path_rho=rho)
        figure.points(ax, dataset.dense, samples, log=True, color=colour, fmt=mark)
    samples = dataset.noisy.sel(columns=config.rank, path_rho=ends[0][0])
    figure.points(ax, dataset.dense, samples, log=True, color=figure.BLACK, fmt="x")
    ax.set(xscale="log", yscale="log", xlabel="dense noise", title=f"m = {config.many}")
    ax.set_xticks(dataset.dense.values, [f"{x:g}" for x in dataset.dense.values])
    ax.minorticks_off()
    return drawn


study = lab.Study(
    name="small_initialization",
    title="Sub-gradients with too many columns: a small start, and a schedule that stops in time",
    caption="Sub-gradient descent on the l1 loss with U of k = n = 15 columns for a matrix of rank "
    "2, steps .3 rho^t over |M|_F from U of size alpha_0; 20 % of m measurements grossly wrong. "
    "(a) Fewer measurements than X has numbers (120): a smaller start helps until the steps' sum "
    ".3/(1 - rho) is too short to leave it; slower schedules need smaller starts. Crosses: told "
    "the rank, rho = .998, exact but for the steps that are left. (b) More measurements than "
    "numbers: a schedule that goes on does no harm, for this is a plain l1 regression. (c) Over "
    "time, m = 110: with rho = .99 the steps end where X* is found; those that go on pass at a "
    "distance and end at another matrix that fits. The geometric schedule is an early stop. (d) "
    "Dense Gaussian noise besides, over the clean measurements' root mean square. Bars: 95 % over "
    "problems, n = 12 (geometric means but in (c)).",
    presets={
        "smoke": Config(
            n=5, few=12, many=30, scales=(1e-1, 1e-2, 1e-3, 1e-4), rhos=(0.8, 0.9, 0.95), steps=80,
            seeds=2,
        ),
        "laptop": Config(),
        "gpu": Config(seeds=128),
    },
    simulate=simulate,
    claims=claims,
    plot=plot,
    cost=60,
)  # fmt: skip

if __name__ == "__main__":
    raise SystemExit(lab.main(study))
