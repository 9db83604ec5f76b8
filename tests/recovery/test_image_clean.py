"""The front door: any size, the same bits after a stop, one line where it goes wrong."""

import jax
import numpy as np
import pytest

from jaxrobust.recovery.image import long, pictures

R = np.random.default_rng(0)
SMALL = {"steps": 9, "every": 3, "width": 4, "scales": 1}


def noisy(shape=(10, 9)):
    picture = np.full(shape, 0.5)
    picture[R.uniform(size=shape) < 0.2] = 1.0
    return picture


def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path):
    picture, told = noisy(), []
    plain = long.clean(picture, **SMALL)

    def stop(done, whole, so_far):
        told.append((done, whole, so_far.shape))
        if done == 6:
            raise KeyboardInterrupt

    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        long.clean(picture, folder=folder, progress=stop, **SMALL)
    found = long.clean(picture, folder=folder, progress=stop, **SMALL)
    assert told == [(3, 9, (10, 9)), (6, 9, (10, 9)), (9, 9, (10, 9))]
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(found), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(found.before, picture)
    assert found.after.shape == found.removed.shape == (10, 9)
    assert found.readings.loss.shape == (3,)
    before, after, removed = (
        pictures.read(folder / f"{name}.png") for name in ("before", "after", "removed")
    )
    assert np.abs(before - picture).max() <= 0.5 / 255 + 1e-9
    assert np.abs(after - found.after).max() <= 0.5 / 255 + 1e-6
    assert np.abs(removed - 0.5).max() <= 1 / 255  # nothing yet is grey

    again = long.clean(picture, folder=folder, **SMALL)  # a run that has ended
    np.testing.assert_array_equal(again.after, found.after)
    with pytest.raises(ValueError, match="another run's, pace differs"):
        long.clean(picture, folder=folder, pace=0.02, **SMALL)
    with pytest.raises(ValueError, match="another run's, picture differs"):
        long.clean(1 - picture, folder=folder, **SMALL)
    with pytest.raises(ValueError, match="another run's, key differs"):
        long.clean(picture, folder=folder, key=jax.random.key(1), **SMALL)


def test_mistakes_and_divergence_are_told_in_a_line():
    for change, words in (
        ({"pace": 0.0}, "pace must lie in"),
        ({"lr": -1.0}, "lr must lie in"),
        ({"width": 0}, "width must be a whole number"),
        ({"every": 4}, "every must divide the 9 steps"),
        ({"scales": 4}, "picture has height 10, and 4 scales need more than 16: take fewer scales"),
        ({"pace": 1e30}, "not finite after 3 steps: take a smaller lr than 1"),
    ):
        with pytest.raises(ValueError, match=words) as e:
            long.clean(noisy(), **(SMALL | change))
        assert "\n" not in str(e.value)
    key = jax.random.key(0)
    long._told(jax.random.PRNGKey(0), "run", print)
    for told, words in (
        ((3, None, None), "key must be one key, got int"),
        ((jax.random.split(key), None, None), "key must be one key, got key<fry> of shape"),
        ((key, 3, None), "folder must be a path, got 3"),
        ((key, None, True), "progress must be a function of .*, got True"),
    ):
        with pytest.raises(ValueError, match=words):
            long._told(*told)
