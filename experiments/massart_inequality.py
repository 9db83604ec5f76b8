"""The inequality behind the normalized step, at millions of random points and its tight corners."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jaxrobust import lab
from jaxrobust.halfspace import theory
from jaxrobust.lab import figure

SOURCE = "derived here, in halfspace.theory; the step is that of arXiv 2501.09851"
BELIEVED = ("eta", "over", "under")
FORMS = ("sum", "max")
# Denominators that do not look at w.x, as a step size may be: powers of the margin.
CONSTANTS = {"1": 0.0, "sqrt gamma": 0.5, "gamma": 1.0}
DENOMINATORS = (*FORMS, *CONSTANTS)
TOLERANCE = 1e-12  # both sides are of size 1 to 100


@dataclass(frozen=True)
class Config:
    """Numbers of the run."""

    n: int = 100_000  # draws a seed
    d: int = 4
    shown: int = 60  # of them in the picture
    seeds: int = 64


def draws(key, n, d):
    """Draw (w, w*, x, rate, eta, gamma, on_margin), each case and corner with a share of its own.

    |x| in [.1, 1], |w*.x| log-uniform in [.01, 1] |x|; gamma is |w*.x| itself (on the margin, one
    half of the draws) or down to a hundredth of it. w: 0 (one in 16), or in the unit ball, or 10
    times as long; for half of the draws w.x is then moved to +-r gamma, r log-uniform in .01..100.
    eta(x) is 0, eta, or between, a third each.
    """
    keys = jax.random.split(key, 12)

    def uniform(i, low=0.0, high=1.0):
        return jax.random.uniform(keys[i], (n,), minval=low, maxval=high)

    def logarithmic(i, low, high):
        return jnp.exp(uniform(i, float(np.log(low)), float(np.log(high))))

    def unit(v):
        return v / jnp.linalg.norm(v, axis=1, keepdims=True)

    along, across, w = jax.random.normal(keys[0], (3, n, d))
    along = unit(along)
    x = uniform(1, 0.1)[:, None] * along
    cosine = logarithmic(2, 0.01, 1.0) * jax.random.rademacher(keys[3], (n,), x.dtype)
    across = unit(across - jnp.sum(across * along, axis=1, keepdims=True) * along)
    w_star = cosine[:, None] * along + jnp.sqrt(1 - cosine**2)[:, None] * across
    on_margin = uniform(4) < 0.5
    # From w*.x as it is computed, so that the assumption holds to the last bit.
    reached = jnp.abs(jax.vmap(jnp.dot)(x, w_star))
    gamma = reached * jnp.where(on_margin, 1.0, logarithmic(5, 0.01, 1.0))
    kind = uniform(6)
    w = unit(w) * (uniform(7) * jnp.where(kind < 0.75, 1.0, 10.0))[:, None]
    target = gamma * logarithmic(8, 0.01, 100.0) * jnp.where(uniform(9) < 0.5, 1.0, -1.0)
    square = jnp.sum(x * x, axis=1)
    moved = w + ((target - jnp.sum(w * x, axis=1)) / square)[:, None] * x
    w = jnp.where((jnp.arange(n) % 2 == 0)[:, None], moved, w)
    w = jnp.where((kind < 1 / 16)[:, None], 0.0, w)
    eta = uniform(10, 0.0, 0.5)
    part = uniform(11, -1.0, 2.0)
    return w, w_star, x, eta * jnp.clip(part, 0.0, 1.0), eta, gamma, on_margin


def sides(draw, lam):
    """Give advantage (denominator, n) and excess (n,), with lam believed for eta."""
    w, w_star, x, rate, _, gamma, _ = draw

    def one(w, w_star, x, rate, lam, gamma):
        args = (w, w_star, x, rate)
        by = {f: theory.advantage(*args, eta=lam, gamma=gamma, form=f) for f in theory.FORMS}
        flat = [by["none"] / gamma**power for power in CONSTANTS.values()]
        return jnp.stack([by[f] for f in FORMS] + flat), theory.excess(*args, lam)

    left, right = jax.vmap(one)(w, w_star, x, rate, lam, gamma)
    return left.T, right


def simulate(config: Config, bench: lab.Bench):
    """Give the worst violation and the distance from the least slack, and some draws to show."""

    def trial(key, believed):
        first, second = jax.random.split(key)
        draw = draws(first, config.n, config.d)
        w, w_star, x, rate, eta, gamma, on_margin = draw
        part = jax.random.uniform(second, (config.n,))
        lam = jnp.stack([eta, eta + part * (0.5 - eta), part * eta])[believed]
        advantage, excess = sides(draw, lam)
        slack = advantage - excess[None, :]
        z, z_star = (jax.vmap(jnp.dot)(x, v) for v in (w, w_star))
        right = (z >= 0) == (z_star >= 0)
        unit, ratio = jnp.where(right, lam - rate, 1 - lam - rate), jnp.abs(z) / gamma
        least = [jnp.where(right, *theory.least_slack(ratio, form)) for form in FORMS]
        least = unit[None, :] * jnp.stack(least)
        size = 1 + jnp.abs(excess) + jnp.abs(advantage[:2])

        def off(formula):
            far = jnp.abs(slack[:2] - formula) / size
            return jnp.max(jnp.where(on_margin[None, :], far, 0.0), axis=1)

        some = slice(config.shown)
        scale = jnp.where(unit > 0.01, unit, jnp.nan)  # a slack of 0 x anything shows nothing
        return {
            "violation": jnp.maximum(jnp.max(-slack, axis=1), 0.0),
            "violated": jnp.mean((slack < -TOLERANCE).astype(slack.dtype), axis=1),
            "off_least": off(least),
            "off_swapped": off(least[::-1]),
            "advantage": advantage[:, some],
            "excess": excess[some],
            "in_units": jnp.nan_to_num(slack / scale[None, :], nan=-1.0)[:2, some],
            "ratio": ratio[some],
            "right": right[some].astype(slack.dtype),
            "on_margin": on_margin[some].astype(slack.dtype),
        }

    dims = dict.fromkeys(("off_least", "off_swapped"), ("form",))
    dims |= dict.fromkeys(("violation", "violated"), ("denominator",))
    dims |= dict.fromkeys(("excess", "ratio", "right", "on_margin"), ("draw",))
    dims |= {"advantage": ("denominator", "draw"), "in_units": ("form", "draw")}
    return bench.sweep(
        trial,
        {"believed": BELIEVED},
        config.seeds,
        width=len(BELIEVED),  # one seed: its draws are shared
        dims=dims,
        coords={"form": FORMS, "denominator": DENOMINATORS},
    )


def claims(dataset, config: Config):
    """The inequality holds, survives an over-estimated eta, and cannot be improved."""

    def violation(believed, denominators):
        return dataset.violation.sel(believed=believed, denominator=list(denominators))

    n = f"{config.n * config.seeds:,} draws"
    return [
        lab.Claim(
            name="the inequality",
            statement="E[g.(w - w*) | x] >= err(w, x) - eta at every point with |w*.x| >= gamma "
            f"and eta(x) <= eta, for both forms of the step ({n}; any |w|)",
            source=SOURCE,
            basis="derived",
            test=lab.Identity(violation("eta", FORMS), TOLERANCE),
            control=lab.Identity(violation("eta", CONSTANTS).min("denominator"), TOLERANCE),
            control_name="the leaky ReLU over the best constant of 1, sqrt gamma, gamma",
        ),
        lab.Claim(
            name="over-estimates of eta are safe",
            statement="the same with any lam in [eta, 1/2) in the place of eta, on both sides",
            source=SOURCE,
            basis="derived",
            test=lab.Identity(violation("over", FORMS), TOLERANCE),
            control=lab.Identity(violation("under", FORMS), TOLERANCE),
            control_name="lam in [0, eta)",
        ),
        lab.Claim(
            name="the inequality is tight",
            statement="at |w*.x| = gamma the slack is what theory.least_slack gives for "
            "|w.x| / gamma, which has zeros for either form (relative to the two sides)",
            source=SOURCE,
            basis="derived",
            test=lab.Identity(dataset.off_least.sel(believed="eta"), TOLERANCE),
            control=lab.Identity(dataset.off_swapped.sel(believed="eta"), TOLERANCE),
            control_name="the least slack of the other form",
        ),
    ]


def plot(dataset, config: Config):
    """Advantage over excess with and without the denominator, and the slack of both forms."""
    drawn, axes = figure.panels(2, rows=2, height=2.7)
    at_eta = dataset.sel(believed="eta")
    excess = at_eta.excess.values.ravel()
    titles = ("normalized by |w.x| + $\\gamma$", "not normalized")
    for ax, who, title in zip(axes[0], ("sum", "1"), titles, strict=True):
        advantage = at_eta.advantage.sel(denominator=who).values.ravel()
        below = advantage < excess - TOLERANCE
        share = float(at_eta.violated.sel(denominator=who).mean())
        for some, colour in ((~below, figure.BLUE), (below, figure.RED)):
            ax.scatter(excess[some], advantage[some], s=5, lw=0, color=colour, alpha=0.35)
        figure.theory(ax, [-0.5, 1], [-0.5, 1], label="advantage = excess", zorder=4)
        ax.set_yscale("symlog", linthresh=1)
        ax.set_ylim(-12, 120)
        ax.set_yticks([-10, -1, 0, 1, 10, 100], ["-10", "-1", "0", "1", "10", "100"])
        ax.set_xlabel(r"excess err(w, x) $-\,\eta$")
        ax.set_title(f"{title}: {share:.0%} of draws below")
    axes[0, 0].set_ylabel(r"advantage E[g.(w $-$ w*) | x]")
    axes[0, 0].legend(loc="upper left")
    ratio = at_eta.ratio.values.ravel()
    right, margin = (at_eta[v].values.ravel() > 0 for v in ("right", "on_margin"))
    r = np.geomspace(0.01, 100, 400)
    titles = (r"|w.x| + $\gamma$", r"max(|w.x|, $\gamma$)")
    for ax, form, title in zip(axes[1], FORMS, titles, strict=True):
        slack = at_eta.in_units.sel(form=form).values.ravel()
        lines = [np.asarray(v) for v in theory.least_slack(r, form)]
        known = (slack >= 0) & (ratio > 0)
        for side, line, colour, unit in (
            (right, lines[0], figure.BLUE, r"right, in $\eta - \eta(x)$"),
            (~right, lines[1], figure.ORANGE, r"wrong, in $1 - \eta - \eta(x)$"),
        ):
            off, on = known & side & ~margin, known & side & margin
            look = {"s": 5, "lw": 0, "color": colour}
            ax.scatter(ratio[off], slack[off], alpha=0.15, **look)
            ax.scatter(ratio[on], slack[on], alpha=0.8, label=unit, **look)
            figure.theory(ax, r, line, lw=0.9, zorder=4)
        ax.set(xscale="log", xlabel=r"|w.x| / $\gamma$", xlim=(0.01, 100), ylim=(-0.1, 3))
        ax.set_title(f"slack, {title}")
    axes[1, 0].set_ylabel(r"advantage $-$ excess")
    axes[1, 0].legend(loc="upper right", markerscale=2)
    drawn.suptitle(
        f"n = {config.n * config.seeds:,} random (w, w*, x, $\\eta$(x), $\\eta$, $\\gamma$); "
        f"{config.shown * config.seeds:,} drawn",
        size=8,
    )
    return drawn


study = lab.Study(
    name="massart_inequality",
    title="The inequality at each point that makes the normalized step work",
    caption="Each dot is a random point x with weights w, flip rate eta(x) <= eta and margin "
    "|w*.x| >= gamma. (a): the expected progress towards w* of the normalized leaky-ReLU step is "
    "never less than the excess error at x, the line. (b): without the normalization it is "
    "(orange), at wrong points with |w.x| + |w*.x| < 1 and, where w is longer than 1, at right "
    "points with |w.x| - |w*.x| > 1; dividing by gamma or its root, as a step size may, does not "
    "mend it. (c), (d), cut at 3: what is left between the two sides, in units of eta - eta(x) "
    "where w is right and of 1 - eta - eta(x) where it is wrong. Strong dots have |w*.x| = gamma "
    "and lie on the lines, the least slack of the theory; faint ones have more. With |w.x| + gamma "
    "every wrong point on the margin is met with equality, with the maximum only those where "
    "w.x = 0.",
    presets={
        "smoke": Config(n=2000, seeds=6),
        "laptop": Config(),
        "gpu": Config(n=400_000, seeds=256),
    },
    simulate=simulate,
    claims=claims,
    plot=plot,
)

if __name__ == "__main__":
    raise SystemExit(lab.main(study))
