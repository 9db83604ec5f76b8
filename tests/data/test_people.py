import contextlib
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from jaxrobust import data

PACKED = Path(__file__).parents[3] / "shared" / "data"
KEYS = ("clean_label", "aggre_label", "worse_label", *(f"random_label{i}" for i in (1, 2, 3)))


@pytest.fixture(scope="module")
def arrays():
    """Six label arrays that the reader takes for the official ones."""
    first = [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    left = 5_000 - np.bincount(first, minlength=10)
    clean = np.concatenate([first, np.repeat(np.arange(10), left)])
    return {key: (clean + i) % 10 for i, key in enumerate(KEYS)}


def write(folder, content, name="archive/data.pkl", file="CIFAR-10_human.pt"):
    """Write what torch.save writes: a zip archive, not packed, with a pickle of protocol 2."""
    raw = content if isinstance(content, bytes) else pickle.dumps(content, 2)
    with zipfile.ZipFile(folder / file, "w") as archive:
        archive.writestr(name, raw)
        archive.writestr("archive/version", b"3\n")
    return folder


def test_the_publishers_format_is_read(arrays, tmp_path):
    it = data.cifar10n(write(tmp_path, arrays))
    for read, key in zip(it, KEYS, strict=True):
        np.testing.assert_array_equal(read, arrays[key])
        assert read.dtype == np.int64


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (f"import pathlib; pathlib.Path({str(self.path)!r}).touch()",)


def test_an_archive_that_runs_code_is_refused_and_not_run(arrays, tmp_path):
    mark = tmp_path / "ran"
    folder = write(tmp_path, arrays | {"worse_label": [Touch(mark)]})
    with pytest.raises(ValueError, match=r"was not read \(it asks for '__builtin__.exec'\)") as e:
        data.cifar10n(folder)
    assert "\n" not in str(e.value)
    assert not mark.exists()
    with zipfile.ZipFile(folder / "CIFAR-10_human.pt") as archive:
        pickle.loads(archive.read("archive/data.pkl"))
    assert mark.exists()  # the same bytes do run where they are let


def swapped(arrays):
    clean = arrays["clean_label"].copy()
    clean[[0, 1]] = clean[[1, 0]]
    return arrays | {"clean_label": clean}


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            lambda a: {k: v for k, v in a.items() if k != "random_label3"},
            "no random_label3 of 50,0",
        ),
        (lambda a: a | {"worse_label": a["worse_label"][:-1]}, "has no worse_label of 50,000"),
        (
            lambda a: a | {"worse_label": a["worse_label"] + 1},
            "no worse_label of 50,000 labels 0..9",
        ),
        (
            lambda a: a | {"worse_label": a["worse_label"] / 1},
            "no worse_label of 50,000 labels 0..9",
        ),
        (lambda a: a | {"worse_label": list(range(9))}, "no worse_label of 50,000 labels 0..9"),
        (lambda a: list(a.values()), "no clean_label of 50,000"),
        (lambda a: a | {"clean_label": a["clean_label"] // 9}, "labels of class 0, 5,000 expected"),
        (swapped, "is not in the order of CIFAR-10's files"),
        (lambda a: pickle.dumps(a, 2)[:-9], "was not read (a broken pickle"),
    ],
)
def test_other_archives_get_one_line(arrays, tmp_path, edit, words):
    with pytest.raises(ValueError, match="CIFAR-N repository") as e:
        data.cifar10n(write(tmp_path, edit(arrays)))
    assert words in str(e.value)
    assert "CIFAR-10_human.pt" in str(e.value)
    assert "\n" not in str(e.value)


def test_files_that_are_no_archive_get_one_line(arrays, tmp_path):
    for raw in (b"", b"<html>", pickle.dumps(arrays, 2)):
        (tmp_path / "CIFAR-10_human.pt").write_bytes(raw)
        with pytest.raises(ValueError, match="was not read"):
            data.cifar10n(tmp_path)
    with pytest.raises(ValueError, match="was not read"):
        data.cifar10n(write(tmp_path, arrays, name="labels.pkl"))
    whole = (write(tmp_path, arrays) / "CIFAR-10_human.pt").read_bytes()
    for back in range(1, 23):  # the record at the end, byte by byte
        raw = bytearray(whole)
        raw[-back] ^= 0xFF
        (tmp_path / "CIFAR-10_human.pt").write_bytes(raw)
        with contextlib.suppress(ValueError):  # some of these bytes mean nothing
            data.cifar10n(tmp_path)
    with pytest.raises(data.MissingData, match=r"get CIFAR-10_human\.pt from the CIFAR-N repo"):
        data.cifar10n(tmp_path / "none")


def test_cifar100n(tmp_path):
    clean = np.arange(50_000) % 100
    noisy = (clean + (np.arange(50_000) % 5 < 2)) % 100
    made = {"clean_label": clean, "noisy_label": noisy, "noisy_coarse_label": noisy // 5}
    (tmp_path / "cifar-100n").mkdir()
    write(tmp_path / "cifar-100n", made, file="CIFAR-100_human.pt")
    it = data.cifar100n(tmp_path)
    np.testing.assert_array_equal(it.clean, clean)
    np.testing.assert_array_equal(it.noisy, noisy)
    assert it.noisy.dtype == np.int64
    for edit, words in (
        ({"noisy_label": noisy + 1}, "has no noisy_label of 50,000 labels 0..99"),
        ({"clean_label": clean // 2}, "labels of class 0, 500 expected"),
        ({"noisy_label": [Touch(tmp_path / "ran")]}, "was not read (it asks for"),
    ):
        write(tmp_path / "cifar-100n", made | edit, file="CIFAR-100_human.pt")
        with pytest.raises(ValueError, match="CIFAR-N repository") as e:
            data.cifar100n(tmp_path)
        assert words in str(e.value)
        assert "\n" not in str(e.value)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(data.MissingData, match=r"get CIFAR-100_human\.pt from the CIFAR-N repo"):
        data.cifar100n(tmp_path / "none")


def test_the_real_labels(real_files):
    it = data.cifar10n(real_files)
    rates = [round(100 * float(np.mean(given != it.clean)), 2) for given in it]
    assert rates == [0, 9.01, 40.21, 17.23, 18.12, 17.64]
    wrong = np.stack([it.random1, it.random2, it.random3]) != it.clean
    np.testing.assert_array_equal(it.worse != it.clean, wrong.any(axis=0))
    with np.load(PACKED / "cifar10_part1.npz") as part:  # the labels of the pictures themselves
        np.testing.assert_array_equal(it.clean[:30_000], part["y_train"][:30_000])


def test_the_real_counts(real_files, tmp_path):
    counts = data.cifar10h(real_files)
    assert counts.dtype == np.int64
    answers = counts.sum(axis=1)
    assert (answers.min(), answers.max(), answers.sum()) == (47, 63, 511_000)
    with np.load(PACKED / "cifar10_part2.npz") as part:
        assert round(float(np.mean(counts.argmax(axis=1) == part["y_test"])), 4) == 0.9921
    path = shutil.copyfile(real_files / "cifar10h-counts.npy", tmp_path / "cifar10h-counts.npy")
    for edit, words in (
        (counts[:-1], "no table of 10,000 x 10 counts"),
        (counts / 1.0, "must hold counts, got dtype float64"),
        (counts - 1, "must hold counts"),
        (np.roll(counts, 1) * 2, "answers a picture, 47 to 63 expected"),
        (counts + (np.arange(10) == 3), "48 to 64 answers a picture"),
        (np.where(answers[:, None] == 50, counts[0], counts), "answers, 511,000 expected"),
        (counts.astype(object), "was not read"),
    ):
        np.save(path, edit, allow_pickle=True)
        with pytest.raises(ValueError, match="CIFAR-10H repository") as e:
            data.cifar10h(tmp_path)
        assert words in str(e.value)
    np.save(path, counts)
    raw = path.read_bytes()
    for damaged in (
        raw[:1000],
        raw.replace(b"(10000, 10)", b"(10000, 10,"),
        raw[:8] + b"\xff\xff" + raw[10:],  # numpy's own message has lines
    ):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="was not read") as e:
            data.cifar10h(tmp_path)
        assert "\n" not in str(e.value)
    path.write_bytes(raw[:1000])
    with pytest.raises(ValueError, match="was not read"):
        data.cifar10h(tmp_path)
