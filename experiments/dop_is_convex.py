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
    turns: tuple[float, ...] = (0.0, 0.03, 0.1, 0.3, 1.0)
    """How far each map's eigenvectors are turned from those that all maps share at 0."""
    turned_steps: int = 20_000
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

    def convex(A, y, factor, tol):
        return program.solve(A, y, factor / alpha, psd=True, tol=tol, max_iterations=40_000)

    def compare(X, s, programs, gamma):
        away = jax.vmap(lambda q: apart(X, s, q))(programs)
        return away, jax.vmap(lambda q, f: excess(X, s, q, f, gamma))(programs, jnp.array(FACTORS))

    def trial(key, rate):
        maps, ys, (B, Q), truth = _problem(key, rate, config)

        def one(both):
            A, y = both
            found = jax.lax.map(lambda f: convex(A, y, f, config.tol), jnp.array(FACTORS))

            def descend(gamma):
                end = dop.descend(A, y, alpha=alpha, gamma=gamma, steps=config.steps)
                X, s = end.X[-1], end.s[-1]
                return compare(X, s, found, gamma)[0], end.residual[-1], wrong(X)

            def wrong(X):
                return jnp.linalg.norm(X - truth) / jnp.linalg.norm(truth)

            away, residual, error = jax.vmap(descend)(jnp.array(config.gammas))
            return found, {
                "apart": away,
                "error": error,
                "residual": residual,
                "gap": found.gap,
                "program_status": found.status,
                "program_error": jax.vmap(wrong)(found.X),
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
        "error": ("family", "gamma"),
        "residual": ("family", "gamma"),
        "gap": ("family", "weight"),
        "program_status": ("family", "weight"),
        "program_error": ("family", "weight"),
    }
    coords = {
        "family": list(FAMILIES),
        "gamma": list(config.gammas),
        "deep": list(config.deep),
        "weight": list(NAMES),
        "side": ["measured", "allowed"],
    }
    found = bench.sweep(
        trial, {"rate": config.rates}, config.seeds, name="whole", width=1, dims=dims, coords=coords
    )

    def turned(key, turn):
        (C, _), (y, _), (B, Q), truth = _problem(key, config.rates[-1], config)
        s = y - problem.measure(C, truth)
        G = jax.random.normal(jax.random.fold_in(key, 1), C.shape) / jnp.sqrt(2 * config.n)
        R = jax.vmap(jax.scipy.linalg.expm)(turn * (G - G.transpose(0, 2, 1))) @ Q
        A = (R * B[:, None, :]) @ R.transpose(0, 2, 1)
        y = problem.measure(A, truth) + s
        best = convex(A, y, 1.0, config.tol)

        def descend(gamma):
            end = dop.descend(A, y, alpha=alpha, gamma=gamma, steps=config.turned_steps)
            X = end.X[-1]  # with the s that makes it feasible, converged or not
            value = jnp.trace(X) + jnp.sum(jnp.abs(y - problem.measure(A, X))) / alpha
            return value / best.value - 1, end.residual[-1]

        excess, residual = jax.vmap(descend)(jnp.array(config.gammas[1::2]))
        return {"turned": excess, "turned_residual": residual, "turned_status": best.status}

    dims = dict.fromkeys(("turned", "turned_residual"), ("few_gamma",))
    coords = {"few_gamma": list(config.gammas[1::2])}
    more = bench.sweep(
        turned, {"turn": config.turns}, config.seeds, name="turned", width=1, dims=dims,
        coords=coords,
    )  # fmt: skip
    return found.merge(more, join="exact", combine_attrs="drop")


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
        return lab.Identity(beyond, 1e-7)

    def near(weight):
        at = d.limit_apart.isel(deep=-1).sel(weight=weight, rate=many)
        return lab.Bound(at.values[:, None], 0.1, events=False)

    def recovers(weight):
        at = {"family": "Gaussian", "rate": few}
        errors = [d.error.sel(at).isel(gamma=-1), d.program_error.sel(at).sel(weight=weight)]
        return lab.Bound(np.stack([e.values for e in errors], axis=1), 0.1, events=False)

    def parts(turn):
        at = d.turned.sel(turn=turn).transpose("seed", "few_gamma").values
        rise = at[:, -1] - at[:, 0]
        return lab.Bound(
            np.stack([at[:, -1] - 0.005, rise], axis=1), 0.0, side="lower", events=False
        )

    return [
        lab.Claim(
            name="the flow ends where its dual says",
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
            "(R(X*, s*) - R(X, s)) / log(1/gamma), at every gamma and for every problem: a check "
            "of the derivation, beyond which there is nothing to 1e-7",
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
            statement=f"descent from gamma = {least:g} and the program with lam = 1/alpha are both "
            "within 10 % of X*, on average",
            source=SOURCE,
            basis="assumed",
            test=recovers("1/alpha"),
            control=recovers("1/(2 alpha)"),
            control_name="the program with lam = 1/(2 alpha)",
        ),
        lab.Claim(
            name="maps that do not commute: they part",
            statement="with the same spectra and each map's eigenvectors turned by a matrix "
            f"exponential of size {d.turn.values[-1]:g}, the value that descent reaches from gamma "
            f"= {d.few_gamma.values[-1]:g} exceeds the program's by .5 % or more, and by more than "
            f"from gamma = {d.few_gamma.values[0]:g}: the theorem's conclusion fails",
            source="found here; level and direction set after pilots with other keys",
            basis="assumed",
            test=parts(d.turn.values[-1]),
            control=parts(d.turn.values[0]),
            control_name="not turned: they commute",
        ),
    ]


def plot(dataset, config: Config):
    """Distance to the program over gamma: exact limit as a line, descent as points."""
    drawn, axes = figure.panels(4, height=2.4)
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
        ax.plot(
            -np.log10(deep), np.maximum(mean, config.tol), color=colour, label=rf"$\lambda=${label}"
        )
    mean = dataset.limit_excess.sel(rate=many, weight=NAMES[0], side="allowed").mean("seed")
    ax.plot(
        -np.log10(deep), np.maximum(mean, config.tol), color=figure.BLACK, ls="--", label="allowed"
    )
    ax.set(yscale="log", xscale="log", xlabel=r"$\log_{10}(1/\gamma)$", ylabel="excess value")
    ax.set_ylim(0.02 * config.tol, None)
    ax.set_title("Commuting: limit")
    ax.legend(loc="lower left", fontsize=5.5, borderaxespad=0.1)
    highest = 1.9 * float(dataset.apart.sel(rate=many).mean("seed").max())
    for ax, family in zip(axes[1:3], FAMILIES, strict=True):
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
        ax.set_title(f"{family.capitalize()}: descent")
        ax.legend(loc="upper right", fontsize=5.5, handletextpad=0.3)
    ax = axes[3]
    places = np.arange(dataset.turn.size)
    pairs = zip(dataset.few_gamma.values, (figure.SKY, figure.BLUE), "ov", strict=False)
    for start, colour, marker in pairs:
        samples = dataset.turned.sel(few_gamma=start).transpose("seed", "turn")
        label = rf"$\gamma = 10^{{{np.log10(start):.0f}}}$"
        figure.points(ax, places, samples, color=colour, fmt=marker, label=label)
    ax.set_xticks(places, [f"{t:g}" for t in dataset.turn.values])
    ax.set(xlabel="turn", ylabel="excess value", ylim=(0, None))
    ax.set_title(f"Turned (n = {config.seeds})")
    ax.legend(loc="upper left", fontsize=6)
    return drawn


study = lab.Study(
    name="dop_is_convex",
    title="Double over-parameterization is a convex program where maps commute",
    caption="Gradient descent on 1/4 |A(UU') + g*g - h*h - y|^2 with steps alpha = 2 times larger "
    "for g and h, from U = gamma I, g = h = gamma; X* (10 x 10, rank 2) is >= 0, 50 measurements, "
    "half of them grossly wrong. The program is min tr X + lam |y - A(X)|_1 over X >= 0, certified "
    "to 1e-5. (a) Maps that commute, the flow's exact limit: its value over the program's minimum, "
    "relative, for lam = 1/alpha and for twice and half of it; dashed: what theory allows for the "
    "first (the axis ends at the program's own gap). (b) The distance of X and s to each program, "
    "relative: descent (points) lies on the exact limit (lines). (c) Gaussian maps, which do not "
    "commute: with 10 % of the measurements wrong the program recovers X* and descent goes there "
    "too (hollow); with half of them it does not, and a smaller gamma brings descent no nearer to "
    "any of the three. (d) The maps of (b), each with its eigenvectors turned on its own: "
    "descent's value over the program's minimum falls with gamma at 0 and rises beyond it, so "
    "commuting is what the theorem needs. Bars: 95 % over problems.",
    presets={
        "smoke": Config(
            n=4, rank=1, m=12, gammas=(1e-1, 1e-2), deep=(1e-2, 1e-8), steps=50,
            fine=50, turns=(0.0, 1.0), turned_steps=50,
            seeds=2,
        ),
        "laptop": Config(),
        "gpu": Config(seeds=128),
    },
    simulate=simulate,
    claims=claims,
    plot=plot,
    cost=80,
)  # fmt: skip

if __name__ == "__main__":
    raise SystemExit(lab.main(study))
