"""A picture in every usual form is read to the same numbers; the rest is refused in a line."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxrobust.recovery.image import pictures

RNG = np.random.default_rng(7)
GREY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
ALPHA = np.full((5, 7, 1), 255, np.uint8)
ALPHA[2, 3] = 51  # a fifth


def written(path, array, mode=None, **options):
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def refused(source, *words, **options):
    with pytest.raises(ValueError, match=words[0]) as caught:
        pictures.read(source, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 260
    for word in words[1:]:
        assert word in text


@pytest.mark.parametrize("array", [GREY, COLOUR], ids=["grey", "colour"])
def test_arrays_and_files_read_alike(array, tmp_path):
    want = array / 255
    deep = array.astype(np.uint16) * 257  # 255 * 257 = 65535
    same = [array, deep, want, jnp.asarray(want), want.tolist(), Image.fromarray(array)]
    same += [written(tmp_path / "a.png", array), str(written(tmp_path / "a.tif", array))]
    same += (
        [written(tmp_path / "a.webp", array, lossless=True)]
        if array.ndim == 3
        else [
            array[..., None],
            written(tmp_path / "deep.png", deep),
            written(tmp_path / "deep.tif", deep.astype(">u2")),
        ]
    )
    for source in same:
        got = pictures.read(source)
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-15)
    single = pictures.read(jnp.asarray(want, jnp.bfloat16))
    np.testing.assert_allclose(single, want, atol=2**-8)


def test_bits_tables_and_floats(tmp_path):
    bits = GREY > 127
    assert np.array_equal(pictures.read(bits), bits)
    assert np.array_equal(pictures.read(written(tmp_path / "bits.png", bits)), bits)
    floats = written(tmp_path / "floats.tif", (GREY / 255).astype(np.float32))
    np.testing.assert_allclose(pictures.read(floats), GREY / 255, atol=1e-7)
    table = Image.fromarray(COLOUR).quantize(9)
    table.save(tmp_path / "table.png")
    got = pictures.read(tmp_path / "table.png")
    assert np.array_equal(got, np.asarray(table.convert("RGB")) / 255)
    table.save(tmp_path / "clear.png", transparency=int(np.asarray(table)[0, 0]))
    refused(tmp_path / "clear.png", "alpha")
    behind = pictures.read(tmp_path / "clear.png", background=(1.0, 0.0, 0.5))
    clear = np.asarray(table) == np.asarray(table)[0, 0]
    assert np.all(behind[clear] == [1.0, 0.0, 0.5])
    assert np.all(behind[~clear] == got[~clear])


def test_a_photograph_is_turned_as_it_was_held(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise
    got = pictures.read(written(tmp_path / "held.png", COLOUR, exif=exif))
    assert np.array_equal(got, np.rot90(COLOUR, -1) / 255)


@pytest.mark.parametrize("array", [GREY[..., None], COLOUR], ids=["grey", "colour"])
def test_alpha(array, tmp_path):
    clear = np.concatenate([array, ALPHA], axis=2)
    for source in (clear, written(tmp_path / "alpha.png", clear)):
        refused(source, "alpha channel", "3% of it", "background=1.0 for white")
        got = pictures.read(source, background=1.0).reshape(array.shape)
        want = array / 255
        want[2, 3] = 0.2 * want[2, 3] + 0.8
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-15)
    opaque = np.concatenate([array, np.full_like(ALPHA, 255)], axis=2)
    assert np.array_equal(pictures.read(opaque).reshape(array.shape), array / 255)
    refused(clear, "background must lie in", background=-1.0)
    refused(clear, "background must be one number", background=(0.1, 0.2))
    refused(array, "background must be one number", background=(0.1, 0.2))


def test_frames(tmp_path):
    stack = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    stack[0].save(tmp_path / "two.tif", save_all=True, append_images=stack[1:])
    refused(tmp_path / "two.tif", "picture two.tif has 2 frames", "frame=0")
    for k, array in enumerate((GREY, 255 - GREY)):
        assert np.array_equal(pictures.read(tmp_path / "two.tif", frame=k), array / 255)
    refused(tmp_path / "two.tif", "frame must be a whole number in 0..1", frame=2)
    refused(GREY, "frame is for files", frame=0)
    stack[0].save(tmp_path / "two.gif", save_all=True, append_images=stack[1:])
    refused(tmp_path / "two.gif", "2 frames")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (np.full((3, 4), 1.5), ("must lie in", "1.5", "np.clip")),
        (np.full((3, 4), -0.5), ("must lie in", "-0.5")),
        (GREY.astype(float), ("must lie in", "divide it by 255")),
        (np.array([[0.1, np.nan]]), ("1 non-finite of 2 entries",)),
        (np.zeros((0, 4)), ("is empty", "(0, 4)")),
        (np.zeros(4), ("shape", "(4,)")),
        (np.zeros((3, 8, 9)), ("channels come last", "moveaxis")),
        (np.zeros((4, 8, 5)), ("at most 4", "where they are first")),
        (None, ("must be a path", "NoneType")),
        (b"abc", ("must be a path", "bytes")),
        (np.zeros((6, 8, 9)), ("one picture of a stack",)),
        (np.zeros((2, 8, 9, 3)), ("one picture of a stack",)),
        (GREY.astype(np.int64), ("int64", "astype")),
        (GREY.astype(complex), ("complex128",)),
        (np.array([[None]]), ("dtype object",)),
        ([[0.1, 0.2], [0.3]], ("not an array of numbers",)),
        ("nowhere/picture.png", ("picture.png is not in nowhere", "check the path")),
    ],
)
def test_refusals(source, words):
    refused(source, *words)


def test_broken_files_and_strange_modes(tmp_path):
    refused(tmp_path, "is a folder")
    np.save(tmp_path / "array.npy", GREY)
    refused(tmp_path / "array.npy", "array.npy is not a picture", "numpy.load")
    whole = written(tmp_path / "whole.png", RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    (tmp_path / "torn.png").write_bytes(whole.read_bytes()[:3000])
    refused(tmp_path / "torn.png", "torn.png cannot be decoded", "save it anew")
    refused(written(tmp_path / "print.jpg", COLOUR, "CMYK"), "mode CMYK", "convert")


def test_saved_is_read_again_and_whole_or_not_at_all(tmp_path, monkeypatch):
    for array in (GREY, COLOUR, GREY > 127):
        path = pictures.save(tmp_path / "out.png", array)
        assert np.array_equal(pictures.read(path), pictures.read(array))
    assert np.all(pictures.read(pictures.save(path, np.full((2, 2), 0.498))) == 127 / 255)
    before = path.read_bytes()

    def full(self, file, **_):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(ValueError, match=r"out.png cannot be written: No space left"):
        pictures.save(path, COLOUR)
    assert [p.name for p in tmp_path.iterdir()] == ["out.png"]
    assert path.read_bytes() == before
    with pytest.raises(ValueError, match=r"must end in .png, got 'out.jpg'"):
        pictures.save(tmp_path / "out.jpg", COLOUR)
    with pytest.raises(ValueError, match="cannot be written"):
        pictures.save(tmp_path / "nowhere" / "out.png", COLOUR)


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (8, 16, 3), (2, 9, 3), (1, 6)])
def test_any_size_fits_and_comes_back(shape):
    picture = RNG.random(shape)
    fitted = pictures.fit_to(picture, 8)
    H, W = -(-shape[0] // 8) * 8, -(-shape[1] // 8) * 8
    assert fitted.shape == (H, W, *shape[2:])
    more = [(0, H - shape[0]), (0, W - shape[1])] + [(0, 0)] * (len(shape) - 2)
    assert np.array_equal(fitted, np.pad(picture, more, mode="reflect"))
    assert np.array_equal(pictures.crop_to(fitted, shape), picture)


def test_crop_to_refuses_what_is_not_there():
    with pytest.raises(ValueError, match=r"shape must be a whole number in 1..4, got 5"):
        pictures.crop_to(np.zeros((4, 4)), (5, 4))
    with pytest.raises(ValueError, match="shape must begin with height and width"):
        pictures.crop_to(np.zeros((4, 4)), (4,))


def test_samples():
    for name in pictures.SAMPLES:
        picture = pictures.sample(name, 8)
        assert picture.shape in ((8, 8), (8, 8, 3))
        assert 0 <= picture.min() < picture.max() <= 1
    face, man = (pictures.sample(name, None) for name in ("astronaut", "camera"))
    whole = pictures.sample("astronaut", None, whole=True)
    assert (face.shape, man.shape, whole.shape) == ((256, 256, 3), (256, 256), (512, 512, 3))
    assert np.array_equal(face, whole[:256, 96:352])
    # Anti-aliased: an eighth of the size has nearly the mean of every 8 x 8 block.
    small = pictures.sample("astronaut", 32)
    blocks = face.reshape(32, 8, 32, 8, 3).mean(axis=(1, 3))
    assert np.abs(small - blocks).mean() < 0.02  # .012; .029 without
    with pytest.raises(ValueError, match="name must be one of astronaut, brick, camera"):
        pictures.sample("lena")
    with pytest.raises(ValueError, match=r"size must be a whole number in 1..256, got 257"):
        pictures.sample("astronaut", 257)


def test_the_light_half_comes_without_flax():
    code = (
        "import sys\n"
        "from jaxrobust.recovery import image\n"
        "image.median, image.pictures.read\n"
        "assert not {'flax', 'optax', 'skimage.transform', 'matplotlib'} & set(sys.modules)\n"
        "assert callable(image.clean) and callable(image.fit.fit) and 'flax' in sys.modules\n"
        "assert all(hasattr(image, name) for name in dir(image))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
