"""Exact recovery over rank and sparsity: the program, SOP, and the theorem's guarantee."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from jaxrobust import lab, sop
from jaxrobust.lab import figure

SOURCE = "SOP (arXiv 2202.14026), k^2 r < N/(4 mu); the constant derived in sop.theory"
METHODS = ("program", "sop", "sop_wrong", "least_squares")


@dataclass(frozen=True)
class Config:
    """Numbers of the run; N is a power of 2, so that J can be as incoherent as possible."""

    N: int = 128
    p: int = 200
    ranks: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 96)
    ks: tuple[int, ...] = (1, 2, 3, 5, 8, 16, 24, 36, 50, 64)
    lam: float = 10.0
    gamma: float = 1e-16
    exact: float = 1e-2  # relative error of theta that counts as recovery
    seeds: int = 12

    def __post_init__(self):
        """Refuse an N without a Hadamard matrix of Sylvester's kind."""
        if self.N < 2 or self.N & (self.N - 1):
            raise ValueError(f"N must be a power of 2, got {self.N}: try 64, 128 or 256")

    @property
    def limits(self):
        """Give sqrt(N / (4 r)) for each rank: the theorem's limit on k at coherence 1."""
        return np.array([float(sop.theory.recovery_limit(1.0, r, self.N)) for r in self.ranks])


def simulate(config: Config, bench: lab.Bench):
    """Solve each instance by the program, by SOP's flow and by least squares."""

    def trial(key, rank, k):
        J, y, theta, _ = sop.draw(key, config.N, config.p, rank=rank, k=k, flat=True)
        program = sop.solve_l1(J, y, config.lam)
        alpha = sop.theory.alpha_for(config.lam, config.gamma)
        flow = sop.flow_limit(J, y, alpha, config.gamma)
        wrong = sop.flow_limit(J, y, 100 * alpha, config.gamma)
        # Minimum-norm least squares: what interpolates, or fits best, without any s.
        plain = jnp.linalg.pinv(J, rtol=1e-10) @ y
        found = zip(METHODS, (program.theta, flow.theta, wrong.theta, plain), strict=True)
        size = jnp.linalg.norm(theta)
        return {who: jnp.linalg.norm(answer - theta) / size for who, answer in found} | {
            "gap": program.gap,
            "coherence": sop.coherence(J, rank),
            "program_status": program.status,
            "flow_status": flow.status,
        }

    axes = {"rank": config.ranks, "k": config.ks}
    return bench.sweep(trial, axes, config.seeds).transpose("seed", "rank", "k")


def largest_k(dataset, config: Config, who: str):
    """Give the largest k up to which every smaller one is recovered too, by seed and rank."""
    recovered = (dataset[who] < config.exact).values
    steps = np.concatenate([[0], np.asarray(config.ks)])
    return steps[np.cumprod(recovered, axis=2).sum(axis=2)]


def claims(dataset, config: Config):
    """The theorem holds, SOP recovers where the program does, and the theorem is conservative."""
    ks = np.asarray(config.ks)
    guaranteed = np.ceil(config.limits) - 1  # the largest whole k below the limit
    ranks = [i for i, k in enumerate(guaranteed) if k >= 1]

    def exact(times):
        cells = ks[None, :] < times * config.limits[:, None]
        return lab.Solver(
            dataset.program, 1e-6, gap=dataset.gap, gap_tolerance=1e-10, in_regime=cells
        )

    def agrees(who):
        differ = (dataset[who] < config.exact) != (dataset.program < config.exact)
        return lab.Bound(differ.mean(["rank", "k"]), 0.05, side="upper")

    def times(who):
        found = largest_k(dataset, config, who)[:, ranks]
        return lab.Bound(found / guaranteed[ranks], 3.0, side="lower")

    return [
        lab.Claim(
            name="the guarantee holds",
            statement=f"wherever k^2 r < N/(4 mu), mu = {float(dataset.coherence.mean()):.3g}, the "
            f"program at lam = {config.lam:g} recovers theta to 1e-6",
            source=SOURCE,
            basis="derived",
            test=exact(1),
            control=exact(20),
            control_name="a limit on k 20 times as large",
        ),
        lab.Claim(
            name="SOP recovers where the program does",
            statement="the share of cells in which only one of the two recovers is below 5 % "
            f"(SOP: the limit of its flow at gamma = {config.gamma:g})",
            source="the two have the same limit, see sop_is_l1; the share is ours",
            basis="assumed",
            test=agrees("sop"),
            control=agrees("sop_wrong"),
            control_name="SOP with alpha 100 times larger",
        ),
        lab.Claim(
            name="the guarantee is conservative",
            statement="at every rank with a guarantee, the program recovers from at least 3 times "
            "as many errors, at random places, as guaranteed for any places",
            source="an ordering fixed before the run",
            basis="assumed",
            test=times("program"),
            control=times("least_squares"),
            control_name="least squares in the program's place",
        ),
    ]


def plot(dataset, config: Config):
    """Two phase diagrams and the largest recovered k over rank."""
    drawn, axes = figure.panels(3, height=2.8)
    ranks, ks = np.asarray(config.ranks), np.asarray(config.ks)
    mesh = None
    for ax, who, title in zip(
        axes, ("program", "sop"), ("Program", "SOP (flow limit)"), strict=False
    ):
        share = (dataset[who] < config.exact).mean("seed").transpose("k", "rank").values
        mesh = ax.pcolormesh(
            np.arange(ranks.size + 1), np.arange(ks.size + 1), share, cmap="cividis", vmin=0, vmax=1
        )
        ax.set_xticks(np.arange(ranks.size) + 0.5, ranks)
        ax.set_yticks(np.arange(ks.size) + 0.5, ks)
        ax.set(xlabel="rank r of J", ylabel="corrupted examples k")
        ax.set_title(f"{title} (n = {config.seeds})")
        ax.grid(visible=False)
        guaranteed = ks[:, None] < config.limits[None, :]
        for row, column in zip(*np.nonzero(guaranteed), strict=True):
            ax.text(column + 0.5, row + 0.5, "G", ha="center", va="center", size=6)
    assert mesh is not None
    drawn.colorbar(mesh, ax=axes[1], label="share of seeds that recover", pad=0.02)
    ax = axes[2]
    looks = zip(
        ("program", "sop", "least_squares"),
        ("program", "SOP (flow limit)", "least squares"),
        (figure.BLUE, figure.ORANGE, figure.GREEN),
        ("o", "s", "^"),
        (0.94, 1.06, 1.0),  # side by side
        strict=True,
    )
    for who, label, colour, marker, shift in looks:
        found = largest_k(dataset, config, who)
        figure.points(ax, ranks * shift, found, color=colour, fmt=marker, label=label)
    some = config.limits > 1
    figure.theory(ax, ranks[some], config.limits[some], label=r"$\sqrt{N/(4\mu r)}$, guarantee")
    ax.set(xscale="log", xlabel="rank r of J", ylabel="largest k recovered")
    ax.set_yscale("symlog", linthresh=1)
    ax.set_yticks([0, 1, 3, 10, 30], [0, 1, 3, 10, 30])
    ax.set_ylim(-0.2, 30_000)
    ax.set_title(f"Largest k (n = {config.seeds})")
    ax.legend(loc="upper right", labelspacing=0.25)
    return drawn


study = lab.Study(
    name="sop_recovery",
    title="When SOP and its program recover the truth",
    caption="(a), (b): the share of seeds in which theta is recovered (relative error below 1 %) "
    "over the rank of J and the number k of grossly corrupted examples. J has coherence 1, the "
    "theorem's best case; G marks the cells that k^2 r < N/(4 mu) guarantees, for any places and "
    "signs of the errors. (c): the largest k recovered when places and signs are random: far more "
    "than guaranteed.",
    presets={
        "smoke": Config(N=64, p=80, ranks=(1, 8, 40), ks=(1, 2, 8, 30), seeds=6),
        "laptop": Config(),
        "gpu": Config(ranks=tuple(range(1, 100, 3)), ks=tuple(range(1, 66, 2)), seeds=64),
    },
    simulate=simulate,
    claims=claims,
    plot=plot,
)

if __name__ == "__main__":
    raise SystemExit(lab.main(study))
