import gzip
import pickle

import numpy as np
import pytest

from jaxrobust import data
from jaxrobust.data import cifar

DIGITS = {
    "train": (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    "t10k": (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
}


def idx(*shape):
    return bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Files in MNIST's format and of its sizes: picture k is of one grey level, 3 * its label."""
    folder = tmp_path_factory.mktemp("synthetic") / "mnist"
    folder.mkdir()
    for split, counts in DIGITS.items():
        y = np.repeat(np.arange(10, dtype=np.uint8), counts)[::-1]
        x = np.repeat(3 * y, 28 * 28)
        pictures, labels = (folder / f"{split}-{k}-ubyte" for k in ("images-idx3", "labels-idx1"))
        pictures.write_bytes(idx(y.size, 28, 28) + x.tobytes())
        labels.write_bytes(idx(y.size) + y.tobytes())
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):  # two packed, two not
        packed = gzip.compress((folder / name).read_bytes(), compresslevel=1)
        (folder / f"{name}.gz").write_bytes(packed)
        (folder / name).unlink()
    return folder


def test_idx_files_are_read_packed_or_not(digits):
    it = data.mnist(digits.parent)
    assert it.classes == tuple("0123456789")
    for x, y, split in ((it.x, it.y, "train"), (it.test_x, it.test_y, "t10k")):
        assert x.shape == (y.size, 28, 28)
        assert x.dtype == np.uint8
        assert y.dtype == np.int64
        np.testing.assert_array_equal(y, np.repeat(np.arange(10), DIGITS[split])[::-1])
        np.testing.assert_array_equal(x[:, 3, 27], 3 * y)


@pytest.mark.parametrize(
    ("name", "edit", "words"),
    [
        ("train-labels-idx1-ubyte", lambda raw: raw[:-3], "holds 60,005 bytes, 60,008 expected"),
        ("train-labels-idx1-ubyte", lambda raw: raw + b"0", "holds more bytes, 60,008 expected"),
        (
            "train-labels-idx1-ubyte",
            lambda raw: raw[4:],
            "does not begin as an idx file of 60000 b",
        ),
        (
            "train-labels-idx1-ubyte",
            lambda raw: raw[:9] + bytes(59_999),
            "labels of class 0, 5,923",
        ),
        ("train-labels-idx1-ubyte", lambda raw: raw[:-1] + b"\x0a", "holds the label 10, 0..9 exp"),
        ("t10k-labels-idx1-ubyte.gz", lambda raw: raw[:-9], "cannot be unpacked"),
        ("t10k-labels-idx1-ubyte.gz", lambda raw: raw[:-6] + bytes(6), "cannot be unpacked"),
        ("t10k-labels-idx1-ubyte.gz", lambda raw: b"<html>", "cannot be unpacked"),
        (
            "t10k-images-idx3-ubyte.gz",
            lambda raw: gzip.compress(b""),
            "file of 10000 x 28 x 28 byt",
        ),
    ],
)
def test_damaged_idx_files_get_one_line(digits, tmp_path, name, edit, words):
    for path in digits.iterdir():
        (tmp_path / path.name).hardlink_to(path)
    (tmp_path / name).unlink()
    (tmp_path / name).write_bytes(edit((digits / name).read_bytes()))
    with pytest.raises(ValueError, match=r"MNIST site, https://") as e:
        data.mnist(tmp_path)
    assert words in str(e.value)
    assert name in str(e.value)
    assert "\n" not in str(e.value)


def test_fashion_mnist(real_files, monkeypatch):
    it = data.fashion_mnist(real_files)
    assert it.x.shape == (60_000, 28, 28)
    assert it.test_x.shape == (10_000, 28, 28)
    assert it.y[:8].tolist() == [9, 0, 0, 3, 0, 2, 7, 2]
    assert [it.classes[k] for k in it.test_y[:3]] == ["Ankle boot", "Pullover", "Trouser"]
    packed = gzip.decompress((real_files / "fashion-mnist/t10k-images-idx3-ubyte.gz").read_bytes())
    assert it.test_x.tobytes() == packed[16:]
    # The files of another set in the same format are told by their classes.
    with pytest.raises(ValueError, match="6,000 labels of class 0, 5,923 expected: it is not"):
        data.mnist(real_files / "fashion-mnist")
    monkeypatch.delenv(data.FOLDER, raising=False)
    with pytest.raises(data.MissingData, match=r"get train-images-idx3-ubyte\.gz and train-labels"):
        data.fashion_mnist()


def python_2(rows, y=None, **labels):
    """Return a batch as Python 2 pickled it: bytes are text of one byte a letter."""
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01M"
    array += len(rows).to_bytes(2, "little") + b"M\x00\x0c\x86"
    array += b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff"
    array += b"\xffJ\xff\xff\xff\xffK\x00tb\x89T" + rows.size.to_bytes(4, "little")
    lists = b""
    for name, listed in (labels or {"labels": y}).items():
        lists += b"U" + bytes([len(name)]) + name.encode()
        lists += b"](" + b"".join(b"K" + bytes([k]) for k in listed) + b"e"
    return b"\x80\x02}(U\x04data" + array + rows.tobytes() + b"tb" + lists + b"u."


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """CIFAR-10 with made-up pictures in both versions; all files but the first are the same."""
    root = tmp_path_factory.mktemp("synthetic")
    left = 1_000 - np.bincount(cifar.FIRST, minlength=10)
    first = np.concatenate([cifar.FIRST, np.repeat(range(10), left)]).astype(np.uint8)
    others = np.tile(np.arange(10, dtype=np.uint8), 1_000)
    x = np.random.default_rng(0).integers(0, 256, (10_000, 32, 32, 3), dtype=np.uint8)
    rows = x.transpose(0, 3, 1, 2).reshape(10_000, -1)
    for version, end in (("bin", ".bin"), ("py", "")):
        folder = root / f"cifar-10-batches-{version}"
        folder.mkdir()
        names = [*(f"data_batch_{b}{end}" for b in range(1, 6)), f"test_batch{end}"]
        for name, y, part in zip(names[:2], (first, others), (rows, rows[::-1]), strict=True):
            binary = np.concatenate([y[:, None], part], axis=1).tobytes
            (folder / name).write_bytes(binary() if end else python_2(part, y))
        for name in names[2:]:
            (folder / name).hardlink_to(folder / names[1])
    return root, x, np.concatenate([first, *[others] * 5])


@pytest.mark.parametrize("version", ["bin", "py"])
def test_cifar10_in_both_versions(colours, version):
    root, x, y = colours
    it = data.cifar10(root / f"cifar-10-batches-{version}")
    assert it.x.shape == (50_000, 32, 32, 3)
    assert it.x.dtype == np.uint8
    np.testing.assert_array_equal(np.concatenate([it.y, it.test_y]), y)
    np.testing.assert_array_equal(it.x[:10_000], x)
    np.testing.assert_array_equal(it.x[40_003], x[-4])
    np.testing.assert_array_equal(it.test_x, x[::-1])
    assert it.classes[3] == "cat"


def test_other_files_in_cifar10s_place_get_one_line(colours, tmp_path):
    root, x, y = colours
    rows = x.reshape(10_000, -1)
    packed = (root / "cifar-10-batches-py" / "data_batch_1").read_bytes()
    plain = (root / "cifar-10-batches-bin" / "data_batch_2.bin").read_bytes()
    for path in (*root.glob("*-py/*"), *root.glob("*-bin/*")):
        (tmp_path / path.name).hardlink_to(path)
    for name, raw, words in (
        ("data_batch_1.bin", plain, "begin [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [6, 9, 9, 4"),
        ("data_batch_1.bin", b"", "holds 0 bytes, 30,730,000 expected"),
        ("data_batch_1.bin", None, ""),
        ("data_batch_1", b"cos\nsystem\n(Vtouch ran\ntR.", "not read, for it asks for 'os.system'"),
        ("data_batch_1", pickle.dumps({"data": [1], "labels": [1]}), "no data of 10,000 x 3,072"),
        ("data_batch_1", pickle.dumps([1]), "has no data of 10,000 x 3,072 bytes"),
        ("data_batch_1", packed[:-20], "was not read, for"),
        ("data_batch_1", python_2(rows, y[:9_999]), "has no list of 10,000 labels"),
        ("data_batch_1", python_2(rows, y[:10_000] + 1), "has labels outside 0..9"),
    ):
        (tmp_path / name).unlink()
        if raw is None:
            continue
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(ValueError, match=r"CIFAR site, https://") as e:
            data.cifar10(tmp_path)
        assert words in str(e.value)
        assert f"{name} " in str(e.value)
        assert "\n" not in str(e.value)
    with pytest.raises(data.MissingData, match=r"get data_batch_1\.bin and .* from the CIFAR site"):
        data.cifar10(tmp_path / "none")


def test_cifar100_in_both_versions(tmp_path):
    folder, other = tmp_path / "cifar-100-binary", tmp_path / "cifar-100-python"
    folder.mkdir()
    table = np.zeros((50_000, 2 + 3 * 32 * 32), np.uint8)
    table[:, 1] = np.arange(50_000) % 100
    table[:, 0] = table[:, 1] // 5
    table[:, 2 + 1024 + 32 * 7 + 9] = table[:, 1]  # green, row 7, column 9
    table.tofile(folder / "train.bin")
    table[:10_000].tofile(folder / "test.bin")
    names = "".join(f"fine_{k}\n" for k in range(100))
    for level in ("fine", "coarse"):
        (folder / f"{level}_label_names.txt").write_text(names)
    it = data.cifar100(tmp_path)
    np.testing.assert_array_equal(it.y, table[:, 1])
    np.testing.assert_array_equal(it.test_y, it.y[:10_000])
    assert it.classes[99] == "fine_99"
    np.testing.assert_array_equal(it.x[:, 7, 9, 1], table[:, 1])
    assert int(it.x[:100].sum()) == sum(range(100))
    with pytest.raises(ValueError, match="names 100 classes, 20 expected"):
        data.cifar100(tmp_path, coarse=True)

    (folder / "test.bin").unlink()
    with pytest.raises(data.MissingData, match=r"no test\.bin in .*cifar-100-binary"):
        data.cifar100(tmp_path)
    other.mkdir()
    for name, rows in (("train", table), ("test", table[:10_000])):
        lists = {"fine_labels": rows[:, 1], "coarse_labels": rows[:, 0]}
        (other / name).write_bytes(python_2(rows[:, 2:], **lists))
    meta = {f"{level}_label_names": names.split() for level in ("fine", "coarse")}
    meta["coarse_label_names"] = meta["coarse_label_names"][:20]
    (other / "meta").write_bytes(pickle.dumps(meta, 2))
    again = data.cifar100(tmp_path)
    for ours, theirs in zip(again[:4], it[:4], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert again.classes == it.classes
    (other / "train").unlink()
    (other / "train").hardlink_to(other / "test")
    with pytest.raises(ValueError, match=r"train has no data of 50,000 x 3,072 bytes"):
        data.cifar100(tmp_path)
    with pytest.raises(ValueError, match=r"has fine_labels outside 0\.\.9: .*CIFAR site"):
        cifar._python(other / "test", 10_000, "fine_labels", 10)
    for raw, words in (
        (pickle.dumps(meta | {"fine_label_names": 7}, 2), "names 0 classes, 100 expected"),
        (pickle.dumps([meta], 2), "names 0 classes, 100 expected"),
        (b"cos\nsystem\n(Vtouch ran\ntR.", "not read, for it asks for 'os.system'"),
    ):
        (other / "meta").write_bytes(raw)
        with pytest.raises(ValueError, match=r"CIFAR site, https://") as e:
            data.cifar100(tmp_path)
        assert words in str(e.value)
