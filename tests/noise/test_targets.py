import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxrobust import noise

KEY = jax.random.key(4)
N = 100_000
Y = np.random.default_rng(4).normal(size=N)
LAWS = {
    "gaussian": stats.norm(scale=3.0),
    "uniform": stats.uniform(-3.0, 6.0),
}


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("law", LAWS)
def test_magnitudes_on_the_support(law, exact):
    noisy, s = noise.gross_errors(KEY, Y, 0.2, 3.0, law=law, exact=exact)
    np.testing.assert_array_equal(noisy, jnp.asarray(Y) + s)
    s = np.asarray(s)
    assert stats.kstest(s[s != 0], LAWS[law].cdf).pvalue > 1e-4
    # Independent of the target's sign, in support and in size.
    above = Y > 0
    assert stats.ks_2samp(s[(s != 0) & above], s[(s != 0) & ~above]).pvalue > 1e-4
    table = [[np.sum((s != 0)[above == a]), np.sum((s == 0)[above == a])] for a in (True, False)]
    assert stats.chi2_contingency(table).pvalue > 1e-4


def test_signs_have_one_size(p_value):
    _, s = noise.gross_errors(KEY, Y, 0.2, 3.0, law="sign")
    cells = [int(np.sum(np.asarray(s) == v)) for v in (-3.0, 0.0, 3.0)]
    assert sum(cells) == N
    assert p_value(cells, [0.1, 0.8, 0.1]) > 1e-4


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.25, 1.0])
def test_supports(rate):
    _, s = noise.gross_errors(KEY, Y, rate, 3.0, exact=True)
    assert int((s != 0).sum()) == np.ceil(rate * N)
    _, s = noise.gross_errors(KEY, Y, rate, 3.0)
    assert stats.binomtest(int((s != 0).sum()), N, rate).pvalue > 1e-4


def test_matrices_and_dtypes():
    L = np.ones((6, 5), np.float32)
    noisy, s = noise.gross_errors(KEY, L, 0.5, 2.0, exact=True)
    assert noisy.shape == s.shape == (6, 5)
    assert noisy.dtype == s.dtype == np.float32
    assert int((s != 0).sum()) == 15
    half = noise.gross_errors(KEY, L.astype(np.float16), 0.5, 2.0, law="sign")[1]
    assert half.dtype == np.float16
