import dataclasses
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust import lab
from jaxrobust.lab import figure, report

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Config:
    shift: float = 0.0
    """How far it is off."""
    seeds: int = 12


def _simulate(config, bench):
    def trial(key, scale):
        return {"x": config.shift + scale * jax.random.normal(key, (200,)).mean()}

    return bench.sweep(trial, {"scale": [1.0, 2.0]}, config.seeds)


def _claims(dataset, config):
    return [
        lab.Claim(
            name="mean is zero",
            statement="E x = 0",
            source="a toy",
            basis="derived",
            test=lab.Expectation(dataset.x, 0.0, resolution=0.3),
            control=lab.Expectation(dataset.x, 1.0, resolution=0.3),
            control_name="mean one",
        )
    ]


def _plot(dataset, config):
    drawn, ax = figure.panels(1, width=figure.COLUMN)
    figure.points(ax, dataset.scale, dataset.x)
    figure.theory(ax, dataset.scale, [0, 0])
    return drawn


def _study(name="toy", plot=_plot, **configs):
    presets = {p: Config(**configs.get(p, {})) for p in ("smoke", "laptop", "gpu")}
    return lab.Study(name, "A toy", "Its caption.", presets, _simulate, _claims, plot)


def _go(study, tmp_path, *arguments):
    return lab.main(study, ["--out", str(tmp_path), "--quiet", *arguments])


def test_exit_status_tells_the_verdict(tmp_path, capsys):
    assert _go(_study(), tmp_path) == 0
    assert _go(_study(), tmp_path, "--shift", "0.5") == 1  # refuted
    assert "cells exclude it" in " ".join(capsys.readouterr().out.split())
    assert _go(_study(), tmp_path, "--shift", "1.0") == 1  # the control is not refuted
    record = json.loads((tmp_path / "toy.json").read_text())
    assert record["claims"][0]["control"]["verdict"] != "refuted"
    assert record["provenance"]["config"]["shift"] == 1.0


def test_flags_reach_the_run(tmp_path):
    assert _go(_study(), tmp_path, "--seeds", "7", "--key", "3", "--preset", "smoke") == 0
    record = json.loads((tmp_path / "toy.json").read_text())
    assert record["provenance"]["seeds"] == 7
    assert record["provenance"]["key"][-1] == 3
    assert record["provenance"]["preset"] == "smoke"


def test_one_named_study_takes_its_own_flags(tmp_path):
    assert _go([_study("one"), _study("two")], tmp_path, "one", "--shift", "0.01") == 0
    assert json.loads((tmp_path / "one.json").read_text())["provenance"]["config"]["shift"] == 0.01


def test_store_resumes(tmp_path):
    store = str(tmp_path / "store")
    assert _go(_study(), tmp_path / "a", "--store", store) == 0
    kept = sorted(p.name for p in Path(store).rglob("*"))
    assert _go(_study(), tmp_path / "b", "--store", store) == 0
    assert sorted(p.name for p in Path(store).rglob("*")) == kept
    assert (tmp_path / "a/toy.json").read_bytes() == (tmp_path / "b/toy.json").read_bytes()
    # Another configuration must not mix with it.
    assert _go(_study(), tmp_path / "c", "--store", store, "--shift", "0.1") == 2


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ([], None),
        (["--quiet", "--preset", "laptop", "--seeds", "12"], None),
        (["--key", "1"], "laptop, key=1"),
        (["--seeds", "8", "--shift", "0.01"], "laptop, shift=0.01, seeds=8"),
        (["--preset", "smoke"], "smoke"),
    ],
)
def test_only_the_gallerys_run_is_drawn_in_the_gallery(
    arguments, name, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert lab.main(_study(), [*arguments, "--quiet"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    drawn = sorted(str(p.parent) for p in Path("figures").rglob("toy.*"))
    if name is None:
        assert drawn == ["figures"] * 2
        assert "drafts" not in last
        return
    assert drawn == ["figures/drafts"] * 2
    assert f"drawn in figures/drafts (preset {name}), the gallery is as it was: --out" in last
    # With --out it is drawn where it is told, and says what it is.
    assert lab.main(_study(), [*arguments, "--quiet", "--out", "figures"]) == 0
    assert "drafts" not in capsys.readouterr().out
    assert f"seeds · preset {name}\n" in Path("figures/README.md").read_text()


def test_help_of_a_study_is_one_block_with_its_numbers(tmp_path, capsys):
    for studies, arguments, prog in (
        (_study(), [], "usage: python "),
        ([_study("one"), _study("two")], ["two"], "usage: python -m experiments two "),
    ):
        assert _go(studies, tmp_path, *arguments, "--help") == 0
        text = capsys.readouterr().out
        assert text.count("usage:") == 1
        assert text.startswith(prog)
        assert "A toy\n\nIts caption." in text
        assert text.count("--seeds") == text.count("--shift") == 2  # in the usage, in the list
        assert "How far it is off. (default: 0)" in text
    assert _go([_study("one"), _study("two")], tmp_path, "--help") == 0
    assert "--shift" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "no study 'nonsense': choose from one, two"),
        (["list", "nonsense"], "no study 'nonsense'"),
        (["--preset", "huge"], "invalid choice: 'huge'"),
        (["--seeds", "0"], "--seeds must be >= 1"),
        (["--shift", "1"], "--shift: unknown"),
        (["one", "two", "--shift", "1"], "--shift: unknown"),
    ],
)
def test_wrong_calls_get_one_line_and_status_2(arguments, words, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        _go([_study("one"), _study("two")], tmp_path, *arguments)
    assert stop.value.code == 2
    assert words in capsys.readouterr().err


def test_list_names_every_study(tmp_path, capsys):
    assert _go([_study("one"), _study("two")], tmp_path, "list") == 0
    assert capsys.readouterr().out.split() == ["one", "A", "toy", "two", "A", "toy"]


def test_list_of_a_study_says_what_it_claims(tmp_path, capsys):
    studies = [_study("one"), _study("two")]
    assert _go(studies, tmp_path, "list", "two") == 0
    said = capsys.readouterr().out
    assert "Its caption." in said
    assert "no " + str(tmp_path / "two.json") in said
    assert "run it first" in said
    _go(studies, tmp_path, "two")
    capsys.readouterr()
    assert _go(studies, tmp_path, "list", "two") == 0
    assert "- mean is zero: E x = 0 (expectation; confirmed)" in capsys.readouterr().out


def test_a_failed_run_leaves_the_previous_files(tmp_path, capsys):
    assert _go(_study(), tmp_path) == 0
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def broken(dataset, config):
        raise ValueError("no picture today")

    assert _go(_study(plot=broken), tmp_path) == 2
    assert capsys.readouterr().err.strip().endswith("error: no picture today")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def _reads(data, name="reader"):
    """A study that reads a file, as one that wants a data set does."""

    def simulate(config, bench):
        if not data.exists():
            raise lab.MissingInput("no file: get it from the publisher")
        return _simulate(config, bench)

    return dataclasses.replace(_study(name), simulate=simulate)


def test_a_study_whose_input_is_missing_is_skipped(tmp_path, capsys):
    data, out = tmp_path / "data", tmp_path / "figures"
    reader = _reads(data)
    data.write_text("")
    assert _go(reader, out) == 0
    before = {name: (out / name).read_bytes() for name in ("reader.png", "reader.json")}
    data.unlink()
    capsys.readouterr()
    # The others decide the status, and the gallery keeps what it had.
    assert _go([reader, _study("one")], out) == 0
    said = capsys.readouterr().out
    assert "reader: skipped, no file: get it from the publisher\n" in said
    assert {name: (out / name).read_bytes() for name in before} == before
    assert "reader.png" in (out / "README.md").read_text()
    assert "one.png" in (out / "README.md").read_text()
    assert _go([reader, _study("bad")], out, "bad", "--shift", "0.5") == 1
    assert _go([reader, _study("one")], out, "reader", "one", "--seeds", "12") == 0


def test_skipping_every_study_is_a_failure(tmp_path, capsys):
    first, second = (_reads(tmp_path / "data", name) for name in ("first", "second"))
    assert _go([first, second], tmp_path / "out") == 1
    said = capsys.readouterr().out
    assert said.count("skipped, no file") == 2
    assert "exit status 1 because no study ran" in said
    assert not (tmp_path / "out").exists()
    assert _go(first, tmp_path / "out") == 1


def test_out_that_is_a_file_gets_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert _go(_study(), tmp_path / "file") == 2
    assert "is a file: give a folder" in capsys.readouterr().err


def test_records_hold_no_nan_and_the_gallery_lists_all(tmp_path):
    assert _go(_study("one"), tmp_path) == 0
    assert _go(_study("two"), tmp_path) == 0
    text = report.gallery(tmp_path)
    assert text.count("## A toy") == 2
    assert "one.png" in text
    json.loads((tmp_path / "one.json").read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "two words"}, "one word"),
        ({"presets": {"smoke": Config()}}, "lack laptop, gpu"),
        ({"presets": dict.fromkeys(("smoke", "laptop", "gpu"), 3)}, "a dataclass with seeds"),
    ],
)
def test_malformed_studies_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(_study(), **change)


def test_points_draws_means_with_intervals():
    with figure.style():
        drawn, ax = figure.panels(1)
        figure.points(ax, [1, 2], np.array([[1.0, 0.0], [3.0, 4.0]]))
        figure.points(ax, [1, 2], np.array([[1.0, 0.0], [100.0, 4.0]]), log=True)
        first, second = (c.lines[0].get_ydata() for c in ax.containers)
        np.testing.assert_allclose(first, [2.0, 2.0])
        np.testing.assert_allclose(second[0], 10.0)
        assert figure.png(drawn) == figure.png(drawn)


def test_importing_is_quick_and_light():
    code = (
        "import sys, time; t = time.perf_counter(); import jaxrobust; "
        "seconds = time.perf_counter() - t; "
        "heavy = {'flax', 'matplotlib', 'xarray'} & set(sys.modules); "
        "import jaxrobust.noise, jaxrobust.sop; "
        "heavy |= {'flax', 'matplotlib', 'xarray'} & set(sys.modules); print(seconds, heavy)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, heavy = done.stdout.split(maxsplit=1)
    assert float(seconds) < 1
    assert heavy.strip() == "set()"


def test_the_walls_stand():
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([tool], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_traced_constants_are_checked_too():
    from jaxrobust import noise

    with pytest.raises(ValueError, match="rate must lie in"):
        jax.jit(lambda key: noise.flip(key, jnp.ones(3), 1.5))(jax.random.key(0))
