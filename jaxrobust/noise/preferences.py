"""Noise on preferences: pairs of a winner and a loser."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Num, PRNGKeyArray

from jaxrobust import _check
from jaxrobust.noise import _draw, _input
from jaxrobust.noise._input import Values


def _pair(names: tuple[str, str], first: Values, second: Values) -> tuple[Array, Array]:
    """Return the two sides of a comparison: same shape, same dtype, one row a pair."""
    a, b = _input.items(names[0], first), _input.items(names[1], second)
    if a.shape != b.shape or a.dtype != b.dtype:
        raise ValueError(
            f"{names[0]} and {names[1]} must agree in shape and dtype, "
            f"got {a.shape} {a.dtype} and {b.shape} {b.dtype}"
        )
    return a, b


def _swap(hit: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Exchange the rows of a and b where hit."""
    wide = hit.reshape(hit.shape + (1,) * (a.ndim - 1))
    wide = jnp.broadcast_to(wide, a.shape)
    return jnp.where(wide, b, a), jnp.where(wide, a, b)


def flip_preferences(
    key: PRNGKeyArray, winners: Values, losers: Values, rate: Values
) -> tuple[Num[Array, "n ..."], Num[Array, "n ..."]]:
    """Exchange winner and loser independently with probability `rate`.

    Given the pair, P(exchanged) = rate. If the order came from a Bradley-Terry model, where a
    beats b with probability sigmoid(r_a - r_b), then after the flips a stands first with
    probability rate + (1 - 2 rate) sigmoid(r_a - r_b) (Chowdhury et al. 2024, arXiv 2403.00409).

    `winners` and `losers` hold one row a pair, shape (n, ...): ids, tokens, features or rewards of
    one dtype, which is kept. `rate` is one number or has shape (n,).

    >>> winners, losers = flip_preferences(jax.random.key(0), [4, 7], [5, 9], [0.0, 1.0])
    >>> print(winners, losers)
    [4 9] [5 7]
    """
    winners, losers = _pair(("winners", "losers"), winners, losers)
    n = winners.shape[0]
    return _swap(_draw.hits(key, _input.rates("rate", rate, n), (n,)), winners, losers)


def bradley_terry(
    key: PRNGKeyArray, first: Values, second: Values, gap: Values
) -> tuple[Num[Array, "n ..."], Num[Array, "n ..."]]:
    """Compare pairs once: P(first wins) = sigmoid(gap), gap = r_first - r_second.

    Independent over pairs; returns winners and losers, rows as in `flip_preferences`. `gap` has
    shape (n,) or is one number (Bradley & Terry 1952).

    >>> winners, losers = bradley_terry(jax.random.key(0), [4, 7], [5, 9], [99.0, -99.0])
    >>> print(winners, losers)
    [4 9] [5 7]
    """
    first, second = _pair(("first", "second"), first, second)
    n = first.shape[0]
    gap = _input.one_or_each("gap", _input.full(_check.real("gap", gap)), n)
    return _swap(_draw.hits(key, jax.nn.sigmoid(-gap), (n,)), first, second)
