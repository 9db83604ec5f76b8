"""Every study at smoke scale, through the door that users take."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments import found
from jaxrobust import lab

ROOT = Path(__file__).parents[2]
STUDIES = {study.name: study for study in found()}


@pytest.mark.parametrize("name", STUDIES)
def test_study_runs_and_writes_its_picture_and_verdicts(name, tmp_path):
    status = lab.main(list(STUDIES.values()), [name, "--preset", "smoke", "--out", str(tmp_path)])
    record = json.loads((tmp_path / f"{name}.json").read_text())
    assert status in (0, 1)
    assert status == 1 - record["ok"]
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
        options = ["sop_is_l1", "--preset", "smoke", "--seeds", "3", "--quiet"]
        lab.main(list(STUDIES.values()), [*options, "--out", str(tmp_path / folder)])
        files = sorted((tmp_path / folder).iterdir())
        texts.append([(file.name, file.read_bytes()) for file in files])
    assert texts[0] == texts[1]


@pytest.mark.parametrize("name", STUDIES)
def test_the_committed_gallery_is_that_of_the_committed_studies(name, tmp_path):
    record = json.loads((ROOT / "figures" / f"{name}.json").read_text())
    config = dataclasses.asdict(STUDIES[name].presets["laptop"])
    assert record["provenance"]["preset"] == "laptop"
    assert record["provenance"]["config"] == json.loads(json.dumps(config))
    assert (ROOT / "figures" / f"{name}.png").stat().st_size > 10_000
    text = (ROOT / "figures" / "README.md").read_text()
    for claim in record["claims"]:
        assert claim["name"] in text
