"""Augmentation beside Pillow and beside every outcome there can be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from scipy import stats

from jaxrobust.deep import augment, autoaugment
from jaxrobust.deep.method import Task

R = np.random.default_rng(0)
KEY = jax.random.key(0)
N = 2000


def pillow(name, level, sense, x):
    """Apply one operation by Pillow, with the authors' meaning of a level."""
    picture = Image.fromarray(x if x.shape[2] == 3 else x[:, :, 0])
    factor, v = 0.1 + 0.18 * level, sense * 0.3 * level / 10
    affine = {
        "shear_x": (1, v, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, v, 1, 0),
        "translate_x": (1, 0, sense * level, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, sense * level),
    }
    if name in affine:
        out = picture.transform(picture.size, Image.Transform.AFFINE, affine[name])
    elif name == "rotate":
        out = picture.rotate(sense * 3 * level)
    elif name == "solarize":
        out = ImageOps.solarize(picture, 256 - int(level * 256 / 10))
    elif name == "posterize":
        out = ImageOps.posterize(picture, 4 - int(level * 4 / 10))
    elif name in ("autocontrast", "equalize", "invert"):
        out = getattr(ImageOps, name)(picture)
    else:
        out = getattr(ImageEnhance, name.capitalize())(picture).enhance(factor)
    return np.asarray(out).reshape(x.shape)


def pictures(colours):
    """Give a smooth picture that does not use all grey levels, and one without contrast."""
    i, j, c = np.ogrid[:20, :26, :colours]
    smooth = 120 + 60 * np.sin(i / 5 + c) + 30 * np.cos(j / 4 - c) + R.normal(size=(20, 26, 1)) * 8
    return np.stack([smooth, np.full(smooth.shape, 77)]).astype(np.uint8)


@pytest.mark.parametrize("colours", [1, 3])
def test_every_operation_at_every_level_is_pillows(colours):
    x, ops = pictures(colours), np.arange(len(autoaugment.OPERATIONS))
    grid = [a.ravel() for a in np.meshgrid(ops, np.arange(autoaugment.LEVELS), [-1, 1])]
    op, level, sense = (jnp.asarray(a, jnp.int32) for a in grid)
    each = jax.vmap(autoaugment.operate, (None, 0, 0, 0))
    run = jax.jit(jax.vmap(each, (0, None, None, None)))
    got = np.asarray(run(jnp.asarray(x, jnp.int32), op, level, sense > 0))
    changed = set()
    for k in range(len(op)):
        name = autoaugment.OPERATIONS[int(op[k])]
        for ours, before in zip(got[:, k], x, strict=True):
            theirs = pillow(name, int(level[k]), int(sense[k]), before)
            far = np.abs(ours - theirs.astype(int)).max()
            assert far <= (0 if int(op[k]) < 5 else 1), (name, int(level[k]), int(sense[k]))
            changed |= {name} if np.any(theirs != before) else set()
    assert changed == set(autoaugment.OPERATIONS) - ({"color"} if colours == 1 else set())


def test_autoaugment_draws_its_pairs_and_applies_them_in_turn():
    draw = jax.jit(jax.vmap(autoaugment.draw))
    pair, applied, forward = (np.asarray(part) for part in draw(jax.random.split(KEY, 4 * N)))
    assert stats.chisquare(np.bincount(pair, minlength=25)).pvalue > 1e-4
    chance = np.array([[p for _, p, _ in pair] for pair in autoaugment.POLICY])
    # Sums of another copy of the table; operations without a level do not count in the last one.
    assert round(chance.sum(), 1) == 26.5
    assert round(10 * (chance.sum(axis=1) * np.arange(1, 26)).sum()) == 3630
    without = ("invert", "equalize", "autocontrast")
    assert sum(k for two in autoaugment.POLICY for o, _, k in two if o not in without) == 187
    z = (applied - chance[pair]).sum(axis=0) / np.sqrt((chance * (1 - chance))[pair].sum(axis=0))
    assert np.all(np.abs(z) < 4)
    for k, two in enumerate(chance):  # no pair's chances are another one's
        assert np.all(np.abs(applied[pair == k].mean(axis=0) - two) < 0.15)
    assert np.all(np.abs(forward.mean(axis=0) - 0.5) < 4 * 0.5 / np.sqrt(4 * N))

    rows = 40
    x = np.repeat(pictures(3)[:1], rows, axis=0)
    run = jax.jit(augment.autoaugment)
    got = np.asarray(run(KEY, jnp.asarray(x)))
    assert got.dtype == np.uint8
    # A row depends on its place and on nothing else in the batch.
    np.testing.assert_array_equal(run(KEY, jnp.asarray(x).at[1:].set(0))[0], got[0])
    assert not np.array_equal(run(jax.random.key(1), jnp.asarray(x)), got)
    keys = jax.vmap(lambda i: jax.random.fold_in(KEY, i))(jnp.arange(rows, dtype=jnp.uint32))
    pair, applied, forward = (np.asarray(part) for part in draw(keys))
    exact = 0
    for i in range(rows):
        picture = x[i]
        for k, (name, _, level) in enumerate(autoaugment.POLICY[pair[i]]):
            if applied[i, k]:
                picture = pillow(name, level, 2 * int(forward[i, k]) - 1, picture)
        exact += np.mean(np.abs(got[i] - picture.astype(int)) <= 2) > 0.99
    assert exact == rows


def places(found, all_of_them):
    """Return how often each of the possible pictures was found; fail on another one."""
    index = {picture.tobytes(): k for k, picture in enumerate(all_of_them)}
    assert len(index) == len(all_of_them)
    return np.bincount([index[p.tobytes()] for p in found], minlength=len(index))


def test_crop_flip_and_cutout_give_every_outcome_and_no_other():
    x = R.integers(1, 256, (5, 6, 3), dtype=np.uint8)
    many = jnp.broadcast_to(jnp.asarray(x), (N, 5, 6, 3))
    wide = np.pad(x, ((2, 2), (2, 2), (0, 0)))
    windows = [wide[i : i + 5, j : j + 6] for i in range(5) for j in range(5)]
    crop = jax.jit(augment.crop, static_argnums=2)
    cropped = np.asarray(crop(KEY, many, 2))
    np.testing.assert_array_equal(crop(KEY, many[:9], 2), cropped[:9])  # the first of any batch
    seen = places(cropped, windows)
    assert stats.chisquare(seen).pvalue > 1e-4
    seen = places(np.asarray(jax.jit(augment.flip)(KEY, many)), [x, x[:, ::-1]])
    assert stats.chisquare(seen).pvalue > 1e-4
    holes = []
    for i in range(5):
        for j in range(6):
            hole = x.copy()
            hole[max(i - 1, 0) : i + 1, max(j - 1, 0) : j + 1] = 0
            holes.append(hole)
    seen = places(np.asarray(jax.jit(augment.cutout, static_argnums=2)(KEY, many, 2)), holes)
    assert stats.chisquare(seen).pvalue > 1e-4


def test_the_views_are_those_that_a_task_wants():
    assert Task._fields[4:7] == augment.Views._fields
    x = R.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    plain, weak, strong = augment.views(augment.CIFAR100)
    mean, spread = np.array(augment.CIFAR100.mean), np.array(augment.CIFAR100.spread)
    unit = (x / 255 - mean) / spread
    np.testing.assert_allclose(plain(jnp.asarray(x)), unit, atol=2e-6)
    floats = augment.normalise(jnp.asarray(x / 255), augment.CIFAR100, jnp.float64)
    np.testing.assert_allclose(floats, unit, atol=1e-12)
    white = jnp.full((100, 32, 32, 3), 255, jnp.uint8)  # the border that is cropped into is black
    seen = np.asarray(jax.jit(weak)(KEY, white))
    tone = np.stack([-mean / spread, (1 - mean) / spread])
    for colour in range(3):
        near = np.abs(seen[..., colour, None] - tone[:, colour]).min(axis=-1)
        assert near.max() < 1e-5
    assert len(set((seen < 0).all(axis=3).sum(axis=(1, 2)))) > 5
    cut = np.asarray(jax.jit(strong)(KEY, white) == 0).all(axis=3).sum(axis=(1, 2))
    assert cut.max() == 16 * 16
    assert seen.dtype == np.float32
    assert cut.min() >= 8 * 8


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: augment.autoaugment(KEY, x / 255), "x must be a uint8 picture"),
        (lambda x: augment.autoaugment(KEY, x[..., :2]), "x must be a uint8 picture"),
        (lambda x: augment.flip(KEY, x[..., 0]), "its last axis by x[..., None]"),
        (lambda x: augment.normalise(x[..., :1], augment.CIFAR10), "scale must have 1 means"),
        (lambda x: augment.crop(KEY, x, -1), "pad must be a whole number >= 0"),
        (lambda x: augment.cutout(KEY, x, 1), "size must be a whole number >= 2"),
    ],
)
def test_wrong_arguments_get_one_line(call, words):
    with pytest.raises(ValueError, match="must") as e:
        call(jnp.zeros((2, 8, 8, 3), jnp.uint8))
    assert words in str(e.value)
    assert "\n" not in str(e.value)
