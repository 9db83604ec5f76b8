"""The mixture of two Gaussians beside scikit-learn's, and its start beside every other cut."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from jaxrobust.deep import gmm


def theirs(l, start, tol):
    """Give scikit-learn's posterior of the lower component, from the same start."""
    mixture = GaussianMixture(
        2,
        max_iter=10,
        tol=tol,
        reg_covar=5e-4,
        weights_init=np.asarray(start.weight),
        means_init=np.asarray(start.mean)[:, None],
        precisions_init=1 / np.asarray(start.variance)[:, None, None],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(l[:, None])
    lower = np.argmin(np.ravel(mixture.means_))
    return mixture.predict_proba(l[:, None])[:, lower], mixture.n_iter_


@jax.jit
def posterior(l, start, tol):
    return gmm.low(l, gmm.fit(l, start, tol=tol))


def test_mixture_is_scikit_learns_and_stops_where_it_stops():
    R = np.random.default_rng(0)
    l = np.concatenate([R.beta(1, 8, 60), R.beta(4, 3, 40)])
    start = gmm.maximise(jnp.asarray(l), gmm.two_means(jnp.asarray(l)))
    took = set()
    for tol in (1e-2, 1e-3, 0.0):
        w, iterations = theirs(l, start, tol)
        took.add(iterations)
        np.testing.assert_allclose(posterior(l, start, tol), w, atol=1e-9)
    assert 10 in took  # and one that stopped before
    assert len(took) > 1
    swapped = gmm.Mixture(*(z[::-1] for z in start))  # the lower one is found, whatever its place
    np.testing.assert_allclose(posterior(l, swapped, 0.0), w, atol=1e-9)


def test_two_means_beats_every_other_cut():
    for seed in range(5):
        l = np.round(np.random.default_rng(seed).gamma(1.0, size=12), 1)  # with ties

        def inside(lower, l=l):
            return sum(((part - part.mean()) ** 2).sum() for part in (l[lower], l[~lower]))

        best = min(inside(l <= cut) for cut in np.unique(l)[:-1])
        found = np.asarray(gmm.two_means(jnp.asarray(l))[0], bool)
        assert inside(found) == pytest.approx(best)
        assert l[found].max() < l[~found].min()


def test_equal_losses_are_all_kept():
    l = gmm.normalise(jnp.full(100, 0.7))
    start = gmm.maximise(l, gmm.two_means(l))
    np.testing.assert_allclose(posterior(l, start, 1e-2), 1.0, atol=1e-12)
    assert float(gmm.two_means(jnp.ones(1))[0, 0]) == 1.0
