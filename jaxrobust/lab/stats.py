"""Intervals over seeds: Student's t, skewed seeds, exact proportions, a bootstrap, many cells.

Samples have shape (seed, *cells): replicates on axis 0, one interval for each cell. `level` is
the confidence of an interval (0.95), `alpha` the chance of an error (0.05). Whatever cannot be
told (one seed, a non-finite sample) gets an infinite interval, never a NaN that compares as False.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from scipy import special
from scipy.stats import bootstrap

from jaxrobust._check import count
from jaxrobust.lab.judgement import by_seed, fraction, numbers

_BATCH = 2**22  # numbers held at once by the bootstrap


class Interval(NamedTuple):
    """An estimate with its lower and upper limit, each of shape (*cells)."""

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def half(self) -> np.ndarray:
        """Return half the width, (high - low) / 2."""
        return np.asarray((self.high - self.low) / 2)


def mean_interval(samples: Any, level: float = 0.95, axis: int = 0) -> Interval:
    """Return Student's t interval of the mean over seeds, for every cell.

    mean +- t_{(1 + level)/2, n - 1} * sd / sqrt(n). Exact for Gaussian samples at any n >= 2.
    For skewed samples and few seeds it covers too little: for 10 log-normal (sigma = 1) samples the
    95 % interval holds the mean about 84 % of the time. Equal samples give zero width, which is
    right for a deterministic quantity and wrong for a rare event that no seed has seen.

    One seed gives (-inf, inf); so does a cell with a non-finite sample, its estimate being NaN.

    >>> iv = mean_interval([1.0, 2.0, 3.0])
    >>> f"{iv.estimate:.1f} in [{iv.low:.3f}, {iv.high:.3f}]"
    '2.0 in [-0.484, 4.484]'
    """
    fraction("level", level)
    x = by_seed("samples", samples) if axis == 0 else numbers("samples", samples)
    x = np.moveaxis(np.asarray(x, dtype=float), axis, 0)
    n, finite = len(x), np.all(np.isfinite(x), axis=0)
    x = np.where(finite, x, 0.0)
    constant = np.all(x == x[0], axis=0)
    mean = np.where(constant, x[0], np.mean(x, axis=0))
    if n > 1:
        with np.errstate(over="ignore"):
            error = np.std(x, axis=0, ddof=1) / np.sqrt(n)
        half = np.where(constant, 0.0, -special.stdtrit(n - 1, (1 - level) / 2) * error)
    else:
        half = np.full_like(mean, np.inf)
    mean = np.where(finite, mean, np.nan)
    low, high = np.where(finite, mean - half, -np.inf), np.where(finite, mean + half, np.inf)
    return Interval(mean, low, high)


def skewness(samples: Any) -> np.ndarray:
    """Return m_3 / m_2^(3/2) of the samples over seeds; 0 where they are all equal or non-finite.

    >>> bool(skewness([0.0, 0.0, 3.0]).round(3) == 0.707)
    True
    """
    x = by_seed("samples", samples).astype(float)
    varied = np.all(np.isfinite(x), axis=0) & np.any(x != x[0], axis=0)
    x = np.where(varied, x, 0.0)
    x = x - x.mean(axis=0)
    x = x / np.where(varied, np.max(np.abs(x), axis=0), 1.0)  # so that no power underflows
    return np.asarray(np.mean(x**3, axis=0) / np.where(varied, np.mean(x**2, axis=0), 1.0) ** 1.5)


def skew_interval(samples: Any, level: float = 0.95) -> Interval:
    """Return Student's t interval of the mean, widened on the side of the seeds' long tail.

    The studentised mean S = sqrt(n) (mean - mu) / sd of samples of skewness g is skewed the other
    way: P(S <= x) = Phi(x) + g (2 x^2 + 1) phi(x) / (6 sqrt(n)) + O(1/n), so its quantiles are
    those of t less g (2 t^2 + 1) / (6 sqrt(n)) (Cornish-Fisher; N. J. Johnson, "Modified t tests
    and confidence intervals for asymmetrical populations", JASA 73, 1978). Both limits should move
    by that much of sd / sqrt(n) towards the long tail; here only the outer one does, for g is
    estimated. Symmetric samples give Student's t.

    Open and zero-width cells as in `mean_interval`.

    >>> iv = skew_interval([1.0, 1.0, 1.0, 5.0])
    >>> bool(iv.high - iv.estimate > iv.estimate - iv.low)
    True
    """
    t, g, n = mean_interval(samples, level), skewness(samples), len(by_seed("samples", samples))
    if n == 1:
        return t
    quantile = -special.stdtrit(n - 1, (1 - level) / 2)
    error = np.where(np.isfinite(t.low), t.half, 0.0) / quantile
    shift = error * g * (2 * quantile**2 + 1) / (6 * np.sqrt(n))
    return Interval(t.estimate, t.low + np.minimum(shift, 0), t.high + np.maximum(shift, 0))


def proportion_interval(hits: Any, n: int, level: float = 0.95) -> Interval:
    """Return the exact interval (Clopper-Pearson) of the probability of an event.

    hits: how many of n seeds saw the event, any shape. Beta quantiles at (1 - level)/2 on each
    side: covers at least at its level for every probability and every n, also where no seed (or
    every seed) saw it: then one limit is 0 (1) and the other 1 - ((1 - level)/2)^(1/n) (its
    complement).

    >>> iv = proportion_interval(0, 16)
    >>> f"{iv.estimate:.1f} in [{iv.low:.3f}, {iv.high:.3f}]"
    '0.0 in [0.000, 0.206]'
    """
    tail, n = (1 - fraction("level", level)) / 2, count("n", n)
    k = numbers("hits", hits).astype(float)
    if not np.all((k >= 0) & (k <= n) & (k == np.round(k))):
        raise ValueError(f"hits must be whole numbers in 0..{n}, got {k.flat[0]:g} ...")
    low = special.betaincinv(np.maximum(k, 1), n - k + 1, tail)
    high = special.betaincinv(k + 1, np.maximum(n - k, 1), 1 - tail)
    return Interval(k / n, np.where(k == 0, 0.0, low), np.where(k == n, 1.0, high))


def deciding_interval(
    samples: np.ndarray, values: np.ndarray, level: float, events: bool | None
) -> tuple[Interval, np.ndarray]:
    """Return the limits of the mean that a test decides by, and which cells got exact ones.

    Those of `skew_interval`; Clopper-Pearson where a cell is a proportion: its samples
    are all 0 or 1 and `events` is True, or is None and 0 < values < 1 (else they may be counts).
    """
    n, iv = len(samples), skew_interval(samples, level)
    binary = np.all((samples == 0) | (samples == 1), axis=0)
    chance = (values > 0) & (values < 1)  # elsewhere it may be a count that was never above 1
    share = binary & (chance if events is None else bool(events))
    exact = proportion_interval(np.where(share, np.nansum(samples, axis=0), 0), n, level)
    low, high = np.where(share, exact.low, iv.low), np.where(share, exact.high, iv.high)
    return Interval(iv.estimate, low, high), share


def generator(key: Any) -> np.random.Generator:
    """Return a NumPy generator seeded with the bits of one JAX key, typed or old-style."""
    try:
        bits = np.asarray(jax.random.key_data(key))
    except TypeError:
        raise ValueError(f"key must be a key such as jax.random.key(0), got {key!r:.40}") from None
    if bits.ndim != 1:
        raise ValueError(f"key must be one key, got a batch of shape {bits.shape[:-1]}: pick one")
    return np.random.default_rng(bits.tolist())


def bootstrap_interval(
    key: Any,
    samples: Any,
    statistic: Callable[..., Any] = np.mean,
    level: float = 0.95,
    resamples: int = 9999,
) -> Interval:
    """Return the BCa bootstrap interval of a statistic over seeds, for every cell.

    Seeds are resampled, the same ones in every cell, so that a cell's interval does not depend on
    which cells stand beside it. `statistic` reduces one axis: f(x, axis=0), or f(1-d array).
    BCa corrects bias and skewness to second order but keeps the narrowness of small samples: with
    10 Gaussian seeds a 95 % interval of the mean holds it about 90 % of the time.

    Where BCa is undefined (a median that no single seed moves) the percentile interval stands in;
    equal samples give zero width; one seed, or a non-finite sample, gives (-inf, inf).

    >>> iv = bootstrap_interval(jax.random.key(0), [1.0, 2.0, 3.0, 6.0], resamples=999)
    >>> bool(1.0 <= iv.low < iv.estimate < iv.high <= 6.0)
    True
    """
    fraction("level", level)
    x = np.asarray(by_seed("samples", samples), dtype=float)
    n, cells = len(x), x.shape[1:]
    rng, resamples = generator(key), count("resamples", resamples)
    f = statistic
    if "axis" not in inspect.signature(statistic).parameters:

        def f(x, axis):
            return np.apply_along_axis(statistic, axis, x)

    x = x.reshape(n, -1).T  # (cell, seed): the layout that scipy resamples fastest
    finite = np.all(np.isfinite(x), axis=1)
    estimate = np.full(len(x), np.nan)
    if finite.any():
        estimate[finite] = f(x[finite], axis=-1)
    low, high = np.where(finite, estimate, -np.inf), np.where(finite, estimate, np.inf)
    if n == 1:
        low, high = np.full_like(low, -np.inf), np.full_like(high, np.inf)
    varying = finite & np.any(x != x[:, :1], axis=1)
    if varying.any():
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            result = bootstrap(
                (x[varying],),
                f,
                n_resamples=resamples,
                batch=max(1, _BATCH // x[varying].size),
                vectorized=True,
                axis=-1,
                confidence_level=level,
                method="BCa",
                rng=rng,
            )
        tails = [(1 - level) / 2, (1 + level) / 2]
        percentile = np.quantile(result.bootstrap_distribution, tails, axis=-1)
        bca = np.stack(result.confidence_interval)
        low[varying], high[varying] = np.where(np.isfinite(bca).all(axis=0), bca, percentile)
    return Interval(*(a.reshape(cells) for a in (estimate, low, high)))


def cell_alpha(
    alpha: float, cells: int, method: Literal["bonferroni", "sidak"] = "bonferroni"
) -> float:
    """Return the chance of an error to spend on each of many cells, so that all share alpha.

    Bonferroni alpha / m holds under any dependence. Sidak 1 - (1 - alpha)^(1/m) is exact for
    independent cells and safe for two-sided Gaussian intervals; it gains under 3 % of alpha = 0.05.

    >>> [round(cell_alpha(0.05, 10, method), 6) for method in ("bonferroni", "sidak")]
    [0.005, 0.005116]
    """
    fraction("alpha", alpha)
    count("cells", cells)
    if method == "bonferroni":
        return alpha / cells
    if method == "sidak":
        return float(-np.expm1(np.log1p(-alpha) / cells))
    raise ValueError(f"method must be 'bonferroni' or 'sidak', got {method!r}")
