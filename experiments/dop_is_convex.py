"""Double over-parameterization and the convex program: where they are one, and where they part."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jaxrobust import lab, noise
from jaxrobust.lab import figure
from jaxrobust.recovery.matrix import dop, flow, problem, program

SOURCE = "You, Zhu, Qu, Ma (NeurIPS 2020, arXiv 2006.08857)"
DERIVED = "derived in recovery.matrix.flow"
FACTORS = (1.0, 2.0, 0.5)
NAMES = ("1/alpha", "2/alpha", "1/(2 alpha)")
FAMILIES = ("commuting", "Gaussian")


@dataclass(frozen=True)
class Config:
    """Numbers of the run; the paper's for matrices were not found."""

    n: int = 10
    rank: int = 2
    m: int = 50
    rates: tuple[float, ...] = (0.1, 0.5)
    """Of gross errors: few, where the program recovers X* from Gaussian maps, and many."""
    size: float = 3.0
    alpha: float = 2.0
    gammas: tuple[float, ...] = (1e-1, 1e-2, 1e-3, 1e-4)
    """Of descent."""
    deep: tuple[float, ...] = (1e-1, 1e-2, 1e-4, 1e-8, 1e-16, 1e-32, 1e-64, 1e-100)
    """Of the exact limit."""
    steps: int = 20_000
    tol: float = 1e-5
    """Relative duality gap of the programs."""
    fine: int = 24_000
    """Runge-Kutta steps of the flow itself, from gamma = 0.5."""
    seeds: int = 24


def _problem(key, rate, config: Config):
    """Draw maps of both families with the same X* and errors of the same law."""
    of_A, of_B, of_X, of_s = jax.random.split(key, 4)
    A = problem.gaussian_maps(of_A, config.m, config.n)
    C, B, Q = problem.commuting_maps(of_B, config.m, config.n)
    # Commuting maps see X* on its own eigenvectors only: X* = Q diag(x) Q' there.
    x = jnp.abs(jax.random.normal(of_X, (config.n,))) * (jnp.arange(config.n) < config.rank)
    x = config.n * x / jnp.linalg.norm(x)
    both = []
    for maps in (C, A):
        clean = problem.measure(maps, (Q * x[None, :]) @ Q.T)
        magnitude = config.size * jnp.sqrt(jnp.mean(clean**2))
        both.append(noise.gross_errors(of_s, clean, rate, magnitude, exact=True)[0])
    return (C, A), both, (B, Q), (Q * x[None, :]) @ Q.T


def simulate(config: Config, bench: lab.Bench):
    """Find the programs, the exact limits, the flow's end and descent's."""
    alpha = config.alpha

    def apart(X, s, to):
        size = jnp.sqrt(jnp.sum(to.X**2) + jnp.sum(to.s**2))
        return jnp.sqrt(jnp.sum((X - to.X) ** 2) + jnp.sum((s - to.s) ** 2)) / size

    def excess(X, s, to, factor, gamma):
        """Give the excess of the value over the program's, and what theory allows, relative."""
        w, w_to = (jnp.linalg.eigvalsh((Z + Z.T) / 2) for Z in (X, to.X))
        value = jnp.sum(w) + factor * jnp.sum(jnp.abs(s)) / alpha
        more = flow.remainder(w_to, to.s, alpha, gamma) - flow.remainder(w, s, alpha, gamma)
        return jnp.stack([value - to.value, more / jnp.log(1 / gamma)]) / to.value

    def compare(X, s, programs, gamma):
        away = jax.vmap(lambda q: apart(X, s, q))(programs)
        return away, jax.vmap(lambda q, f: excess(X, s, q, f, gamma))(programs, jnp.array(FACTORS))

    def trial(key, rate):
        maps, ys, (B, Q), truth = _problem(key, rate, config)

        def one(both):
            A, y = both
            factors = jnp.array(FACTORS)
            found = jax.lax.map(
                lambda f: program.solve(
                    A, y, f / alpha, psd=True, tol=config.tol, max_iterations=40_000
                ),
                factors,
            )

            def descend(gamma):
                end = dop.descend(A, y, alpha=alpha, gamma=gamma, steps=config.steps)
                X, s = end.X[-1], end.s[-1]
                return *compare(X, s, found, gamma), end.residual[-1]

            away, above, residual = jax.vmap(descend)(jnp.array(config.gammas))
            recovers = jnp.linalg.norm(found.X[0] - truth) / jnp.linalg.norm(truth)
            return found, {
                "apart": away,
                "excess": above,
                "residual": residual,
                "gap": found.gap,
                "program_status": found.status,
                "recovers": recovers,
            }

        found, out = jax.lax.map(one, (jnp.stack(maps), jnp.stack(ys)))
        programs = jax.tree.map(lambda a: a[0], found)
        C, y = maps[0], ys[0]

        end = dop.descend(
            C, y, alpha=alpha, gamma=0.5, steps=config.fine, tau=dop.stable_step(C, y, alpha) / 6,
            move=dop.flow_step,
        )  # fmt: skip

        def exact(at):
            found = flow.limit(B, y, *at)
            X = (Q * found.x[None, :]) @ Q.T
            off = jnp.maximum(jnp.abs(end.X[-1] - X).max(), jnp.abs(end.s[-1] - found.s).max())
            return *compare(X, found.s, programs, at[1]), found.status, off / jnp.abs(y).max()

        # The limit at every gamma; at the flow's own; and at a wrong alpha.
        alphas = jnp.array([alpha] * len(config.deep) + [alpha, 1.01 * alpha])
        away, above, status, off = jax.lax.map(exact, (alphas, jnp.array([*config.deep, 0.5, 0.5])))
        out |= {"limit_apart": away[:-2], "limit_excess": above[:-2], "limit_status": status}
        out |= {"flow_error": off[-2], "flow_error_wrong": off[-1]}
        return out

    dims = {
        "limit_apart": ("deep", "weight"),
        "limit_excess": ("deep", "weight", "side"),
        "apart": ("family", "gamma", "weight"),
        "excess": ("family", "gamma", "weight", "side"),
        "residual": ("family", "gamma"),
        "gap": ("family", "weight"),
        "program_status": ("family", "weight"),
        "recovers": ("family",),
    }
    coords = {
        "family": list(FAMILIES),
        "gamma": list(config.gammas),
        "deep": list(config.deep),
        "weight": list(NAMES),
        "side": ["measured", "allowed"],
    }
    return bench.sweep(
        trial, {"rate": config.rates}, config.seeds, width=1, dims=dims, coords=coords
    )


def claims(dataset, config: Config):
    """Where maps commute the limit is the program's; where they do not it need not be."""
    d = dataset
    few, many = d.rate.values[0], d.rate.values[-1]
    least = d.gamma.values[-1]

    def over(excess):
        """Give by how much the value is above the program's more than theory allows."""
        return (excess.sel(side="measured") - excess.sel(side="allowed")).transpose("seed", ...)

    def limit(weight):
        beyond = np.maximum(over(d.limit_excess.sel(weight=weight)).values, 0.0)
        return lab.Identity(beyond, 2 * config.tol)

    def near(weight):
        at = d.limit_apart.isel(deep=-1).sel(weight=weight, rate=many)
        return lab.Bound(at.values[:, None], 0.1, events=False)

    def descent(family, weight, rate):
        at = d.apart.sel(family=family, rate=rate, weight=weight).isel(gamma=-1)
        return lab.Bound(at.values[:, None], 0.1, events=False)

    def parts(family):
        at = d.excess.sel(family=family, rate=many, weight="1/alpha").isel(gamma=-1)
        return lab.Bound(over(at).values[:, None], 0.005, side="lower", events=False)

    return [
        lab.Claim(
            name="the flow ends where the dual says, at any gamma",
            statement="commuting maps, gamma = .5: X and s of the flow (Runge-Kutta) are those of "
            "its convex dual to 1e-8 of max|y|",
            source=DERIVED,
            basis="derived",
            test=lab.Identity(d.flow_error.values, 1e-8),
            control=lab.Identity(d.flow_error_wrong.values, 1e-8),
            control_name="alpha larger by 1 %",
        ),
        lab.Claim(
            name="commuting: the limit's value is the program's, to 1/log(1/gamma)",
            statement="tr X + |s|_1/alpha exceeds the certified minimum by at most "
            "(R(X*, s*) - R(X, s)) / log(1/gamma), at every gamma and for every problem (what is "
            "beyond that is 0 to twice the program's own tolerance)",
            source=f"{DERIVED}; lam = 1/alpha and the limit: {SOURCE}",
            basis="derived",
            test=limit("1/alpha"),
            control=limit("2/alpha"),
            control_name="lam = 2/alpha",
        ),
        lab.Claim(
            name="commuting: as gamma vanishes it is the program",
            statement=f"the exact limit at gamma = {d.deep.values[-1]:g} is within 10 % (mean over "
            "seeds, of X and s together) of the program with lam = 1/alpha, many errors",
            source=f"{SOURCE}; the size is ours: programs whose optimum is nearly not unique are "
            "met last",
            basis="quoted",
            test=near("1/alpha"),
            control=near("1/(2 alpha)"),
            control_name="lam = 1/(2 alpha)",
        ),
        lab.Claim(
            name="Gaussian maps, few errors: both find X*",
            statement=f"gradient descent from gamma = {least:g} is within 10 % of the program with "
            "lam = 1/alpha where that recovers X*",
            source=SOURCE,
            basis="assumed",
            test=descent("Gaussian", "1/alpha", few),
            control=descent("Gaussian", "1/(2 alpha)", few),
            control_name="lam = 1/(2 alpha)",
        ),
        lab.Claim(
            name="Gaussian maps, many errors: they part",
            statement=f"at gamma = {least:g} descent's value exceeds the program's by .5 % more "
            "than theory allows where maps commute: without that the theorem does not hold",
            source="found here; level and direction set after a pilot with other keys",
            basis="assumed",
            test=parts("Gaussian"),
            control=parts("commuting"),
            control_name="commuting maps",
        ),
    ]


def plot(dataset, config: Config):
    """Distance to the program over gamma: exact limit as a line, descent as points."""
    drawn, axes = figure.panels(3, height=2.6)
    looks = list(
        zip(
            NAMES,
            (r"$1/\alpha$", r"$2/\alpha$", r"$1/(2\alpha)$"),
            (figure.BLUE, figure.ORANGE, figure.GREEN),
            ("o", "s", "^"),
            strict=True,
        )
    )
    many, few = dataset.rate.values[-1], dataset.rate.values[0]
    gamma, deep = dataset.gamma.values, dataset.deep.values
    ax = axes[0]
    for name, label, colour, _ in looks:
        mean = dataset.limit_excess.sel(rate=many, weight=name, side="measured").mean("seed")
        ax.plot(-np.log10(deep), np.maximum(mean, 1e-6), color=colour, label=rf"$\lambda=${label}")
    mean = dataset.limit_excess.sel(rate=many, weight=NAMES[0], side="allowed").mean("seed")
    ax.plot(-np.log10(deep), np.maximum(mean, 1e-6), color=figure.BLACK, ls="--", label="allowed")
    ax.set(yscale="log", xscale="log", xlabel=r"$\log_{10}(1/\gamma)$", ylabel="excess value")
    ax.set_title(f"Commuting: limit ({many:.0%} wrong)")
    ax.legend(loc="lower left")
    highest = 1.55 * float(dataset.apart.sel(rate=many).mean("seed").max())
    for ax, family in zip(axes[1:], FAMILIES, strict=True):
        for name, label, colour, marker in looks:
            if family == "commuting":
                line = dataset.limit_apart.sel(rate=many, weight=name).mean("seed")
                kept = deep >= gamma.min()
                figure.theory(ax, -np.log10(deep[kept]), line.values[kept], color=colour)
            samples = dataset.apart.sel(family=family, rate=many, weight=name)
            figure.points(
                ax, -np.log10(gamma), samples, color=colour, fmt=marker,
                label=rf"{label}, {many:.0%} wrong",
            )  # fmt: skip
        if family == "Gaussian":
            samples = dataset.apart.sel(family=family, rate=few, weight=NAMES[0])
            figure.points(
                ax, -np.log10(gamma), samples, color=figure.BLUE, mfc="white", ls=":",
                label=rf"$1/\alpha$, {few:.0%} wrong",
            )  # fmt: skip
        ax.set(xlabel=r"$\log_{10}(1/\gamma)$", ylim=(0, highest), xticks=-np.log10(gamma))
        ax.set_ylabel("distance to program")
        ax.set_title(f"{family.capitalize()}: descent (n = {config.seeds})")
        ax.legend(loc="upper right", fontsize=6)
    return drawn


study = lab.Study(
    name="dop_is_convex",
    title="Double over-parameterization is a convex program where maps commute",
    caption="Gradient descent on 1/4 |A(UU') + g*g - h*h - y|^2 with steps alpha = 2 times larger "
    "for g and h, from U = gamma I, g = h = gamma; X* (10 x 10, rank 2) is >= 0, 50 measurements, "
    "half of them grossly wrong. The program is min tr X + lam |y - A(X)|_1 over X >= 0, certified "
    "to 1e-5. (a) Maps that commute, the flow's exact limit: its value over the program's minimum, "
    "relative, for lam = 1/alpha and for twice and half of it; dashed: what theory allows for the "
    "first. (b) The distance of X and s to each program, relative: descent (points) lies on the "
    "exact limit (lines). (c) Gaussian maps, which do not commute: with 10 % of the measurements "
    "wrong the program recovers X* and descent goes there too (hollow); with half of them it does "
    "not, and a smaller gamma brings descent no nearer to any of the three: without commuting maps "
    "the theorem does not hold. Bars: 95 % over problems.",
    presets={
        "smoke": Config(
            n=4, rank=1, m=12, gammas=(1e-1, 1e-2, 1e-3), deep=(1e-2, 1e-8), steps=200, fine=200,
            seeds=2,
        ),
        "laptop": Config(),
        "gpu": Config(seeds=128),
    },
    simulate=simulate,
    claims=claims,
    plot=plot,
)  # fmt: skip

if __name__ == "__main__":
    raise SystemExit(lab.main(study))
