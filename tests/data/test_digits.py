import numpy as np
import pytest
from sklearn.datasets import load_digits

from jaxrobust import data


def test_two_digits_with_their_pictures():
    pictures, digit = load_digits(return_X_y=True)
    for first, second in ((4, 9), (3, 0)):
        x, y = data.digits((first, second))
        assert x.min() == 0
        assert x.max() == 1
        for sign, which in ((1, first), (-1, second)):
            np.testing.assert_array_equal(x[y == sign] * 16, pictures[digit == which])
        assert x.shape == (int(np.isin(digit, (first, second)).sum()), 64)
        # In the order of the source, not sorted by class.
        assert np.any(np.diff(y) > 0)
        assert np.any(np.diff(y) < 0)


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ((4, 4), "two different digits, got 4 twice"),
        ((4, 10), "pair must be a whole number in 0..9, got 10"),
        ((4,), r"pair must be two digits, such as \(4, 9\), got \(4,\)"),
        (3, r"pair must be two digits, such as \(4, 9\), got 3"),
        ((4, 2.5), "pair must be a whole number"),
    ],
)
def test_wrong_pairs_get_one_line(pair, words):
    with pytest.raises(ValueError, match=words):
        data.digits(pair)
