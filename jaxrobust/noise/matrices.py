"""Transition matrices T[i, j] = P(noisy label = j | true label = i) of the usual class noises."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxrobust import _check
from jaxrobust.noise import _input
from jaxrobust.noise._input import Values

# airplane automobile bird cat deer dog frog horse ship truck: truck -> automobile,
# bird -> airplane, deer -> horse, cat <-> dog; the other five classes stay.
CIFAR10_TARGETS = (0, 1, 0, 5, 7, 3, 6, 7, 8, 1)

# MNIST's digits: 7 -> 1, 2 -> 7, 3 -> 8, 5 <-> 6 (Patrini et al. 2017); used for other digits too.
MNIST_TARGETS = (0, 1, 7, 8, 4, 6, 5, 1, 8, 9)

# The next class, circular, inside each block of 5 consecutive ids. The ids are alphabetical, so
# that the blocks are not the 20 superclasses.
CIFAR100_TARGETS = tuple(5 * (i // 5) + (i + 1) % 5 for i in range(100))


def symmetric_matrix(classes: int, rate: Values, *, inclusive: bool) -> Float[Array, "c c"]:
    """Return the matrix of symmetric noise in the convention that `inclusive` names.

    - exclusive (`inclusive=False`): a label is replaced with probability `rate` by one of the
      other classes: T_ii = 1 - rate, T_ij = rate / (C - 1). The share of wrong labels is rate.
    - inclusive (`inclusive=True`): it is redrawn with probability `rate` among all C classes,
      its own too: T_ii = 1 - rate + rate / C, T_ij = rate / C. The share of wrong labels is
      rate (C - 1) / C.

    The conventions meet at rate_exclusive = rate_inclusive (C - 1) / C. Co-teaching and its
    followers count exclusively; ELR, DivideMix and SOP inclusively.

    >>> print(symmetric_matrix(4, 0.5, inclusive=True)[0])
    [0.625 0.125 0.125 0.125]
    """
    classes = _check.count("classes", classes, 2)
    rate = _input.rate("rate", rate)
    wrong = rate / (classes if inclusive else classes - 1)
    kept = 1.0 - rate + wrong if inclusive else 1.0 - rate
    return jnp.where(jnp.eye(classes, dtype=bool), kept, wrong)


def asymmetric_matrix(targets: Values, rate: Values) -> Float[Array, "c c"]:
    """Return the matrix of class-dependent noise: class i becomes targets[i] at the given rate.

    T[i, targets[i]] = rate and T_ii = 1 - rate; a class that is its own target stays (T_ii = 1).
    `targets` has one entry a class, shape (C,) (Patrini et al. 2017, arXiv 1609.03683).

    >>> print(asymmetric_matrix([1, 1, 0], 0.25))
    [[0.75 0.25 0.  ]
     [0.   1.   0.  ]
     [0.25 0.   0.75]]
    """
    classes = _check.real("targets", targets, (None,)).shape[0]
    if classes < 2:
        raise ValueError("targets must name a class for each of at least 2 classes, got 1")
    targets = _input.labels("targets", targets, classes).astype(jnp.int32)
    rate = _input.rate("rate", rate)
    ids = jnp.arange(classes, dtype=jnp.int32)
    moved = jnp.where(targets == ids, 0.0, rate)
    return jnp.diag(1.0 - moved).at[ids, targets].add(moved)


def pair_matrix(classes: int, rate: Values) -> Float[Array, "c c"]:
    """Return the matrix of pair flips: T_ii = 1 - rate, T[i, (i + 1) mod C] = rate.

    Below rate 1/2 the true class stays the likeliest; 0.45 is the usual hard case
    (Han et al. 2018, Co-teaching, arXiv 1804.06872).

    >>> print(pair_matrix(3, 0.25))
    [[0.75 0.25 0.  ]
     [0.   0.75 0.25]
     [0.25 0.   0.75]]
    """
    classes = _check.count("classes", classes, 2)
    return asymmetric_matrix(np.roll(np.arange(classes), -1), rate)


def cifar10_matrix(rate: Values) -> Float[Array, "10 10"]:
    """Return the asymmetric noise of CIFAR-10; with balanced classes rate / 2 of all labels flip.

    truck -> automobile, bird -> airplane, deer -> horse, cat <-> dog. Some public code flips class
    after class in place, so that a cat turned dog may turn again; this is the matrix itself.

    >>> print(cifar10_matrix(0.25)[9])
    [0.   0.25 0.   0.   0.   0.   0.   0.   0.   0.75]
    """
    return asymmetric_matrix(np.asarray(CIFAR10_TARGETS), rate)


def cifar100_matrix(rate: Values) -> Float[Array, "100 100"]:
    """Return the asymmetric noise of CIFAR-100: every class to the next of its block of 5 ids.

    Ids 5b, .., 5b + 4 form block b, and 5b + 4 goes to 5b. All classes flip, so that the share of
    wrong labels is `rate` (the SOP repository swaps one random pair a block: 0.4 rate).

    >>> [int(j) for j in cifar100_matrix(0.25)[9].nonzero()[0]]
    [5, 9]
    """
    return asymmetric_matrix(np.asarray(CIFAR100_TARGETS), rate)
