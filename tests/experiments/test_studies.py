"""Every study at smoke scale, through the door that users take: a process of its own."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments import found

ROOT = Path(__file__).parents[2]
STUDIES = {study.name: study for study in found()}


def run(*arguments, folder=""):
    # Compiling is most of the time at this scale: compile less.
    quick = os.environ | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "JAXROBUST_DATA": str(folder)}
    command = [sys.executable, "-m", "experiments", *map(str, arguments), "--quiet"]
    return subprocess.run(
        command, cwd=ROOT, env=quick, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize("name", STUDIES)
def test_study_runs_and_writes_its_picture_and_verdicts(name, tmp_path, real_data):
    done = run(name, "--preset", "smoke", "--out", tmp_path, folder=real_data or "")
    if f"{name}: skipped" in done.stdout:
        assert done.returncode == 1
        pytest.skip(done.stdout.splitlines()[0])
    assert done.returncode in (0, 1), done.stderr
    assert "Warning" not in done.stderr
    record = json.loads((tmp_path / f"{name}.json").read_text())
    assert done.returncode == 1 - record["ok"]
    assert not any(record["uncertified"].values())
    assert record["claims"]
    for claim in record["claims"]:
        assert claim["verdict"] in ("confirmed", "refuted", "inconclusive", "out_of_regime")
        assert {"name", "verdict"} <= claim["control"].keys()
        assert claim["n"] >= 1
    provenance = record["provenance"]
    assert provenance["dtype"] == "float64"
    assert provenance["config"]["seeds"] == provenance["seeds"]
    picture = np.asarray(Image.open(tmp_path / f"{name}.png").convert("L"))
    assert picture.std() > 5, "the picture is blank"
    assert name in (tmp_path / "README.md").read_text()


def test_drawing_twice_gives_the_same_bytes(tmp_path):
    texts = []
    for folder in ("a", "b"):
        out = tmp_path / folder
        run("sop_recovery", "--preset", "smoke", "--seeds", 3, "--out", out)
        texts.append([(file.name, file.read_bytes()) for file in sorted(out.iterdir())])
    assert len(texts[0]) == 3
    assert texts[0] == texts[1]


@pytest.mark.parametrize("name", STUDIES)
def test_the_committed_gallery_is_that_of_the_committed_studies(name):
    record = json.loads((ROOT / "figures" / f"{name}.json").read_text())
    config = dataclasses.asdict(STUDIES[name].presets["laptop"])
    assert record["provenance"]["preset"] == "laptop"
    assert record["provenance"]["config"] == json.loads(json.dumps(config))
    assert (ROOT / "figures" / f"{name}.png").stat().st_size > 10_000
    text = (ROOT / "figures" / "README.md").read_text()
    for claim in record["claims"]:
        assert claim["name"] in text
