"""Every study at smoke scale, through the door that users take: `python -m experiments`."""

import dataclasses
import json
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from experiments import found
from tests import quick

ROOT = Path(__file__).parents[2]
STUDIES = {study.name: study for study in found()}
PICTURES = ("human_noise", "human_massart", "cifar10n")  # on those of CIFAR-10

# The command line of `experiments/__main__.py`, call after call in one process: what all studies
# import and compile is paid once. A line in: arguments and data; a line out: status and outputs.
CALLS = """
import contextlib, io, json, os, sys, traceback, warnings
from experiments import found
from jaxrobust.lab import main
reply = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for line in sys.stdin:
    arguments, os.environ["JAXROBUST_DATA"] = json.loads(line)
    out, err = io.StringIO(), io.StringIO()
    redirected = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with redirected[0], redirected[1], warnings.catch_warnings():  # which forgets what it showed
        try:
            status = main(found(), arguments)
        except SystemExit as stop:
            status = stop.code
        except BaseException:
            traceback.print_exc()
            status = -1
    print(json.dumps([status, out.getvalue(), err.getvalue()]), file=reply, flush=True)
"""


def arguments_of(name, out):
    return [name, "--preset", "smoke", "--out", str(out), "--quiet"]


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    """Give call(name, out, folder) -> (returncode, stdout, stderr); a lost process is replaced."""
    errors = tmp_path_factory.mktemp("errors") / "stderr"
    processes = []

    def start():
        with open(errors, "w") as file:
            return subprocess.Popen(
                [sys.executable, "-c", CALLS], cwd=ROOT, env=quick.environment(), text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file,
            )  # fmt: skip

    def go(name, out, folder):
        if not processes or processes[-1].poll() is not None:
            processes.append(start())
        process, heard = processes[-1], errors.stat().st_size
        alarm = threading.Timer(300, process.kill)
        alarm.start()
        print(json.dumps([arguments_of(name, out), str(folder)]), file=process.stdin, flush=True)
        line = process.stdout.readline()
        alarm.cancel()
        unheard = errors.read_text()[heard:]  # of XLA and of the interpreter, past sys.stderr
        if not line:
            pytest.fail(f"{name} ended its process, status {process.wait()}: {unheard}")
        status, said, told = json.loads(line)
        return SimpleNamespace(returncode=status, stdout=said, stderr=told + unheard)

    yield go
    for process in processes:
        with process:  # closes its pipes, at which it ends, and waits for it
            pass


@pytest.mark.parametrize("name", STUDIES)
def test_study_runs_and_writes_its_picture_and_verdicts(name, call, tmp_path, request):
    wanted = "real_images" if name in PICTURES else "real_data"
    done = call(name, tmp_path, request.getfixturevalue(wanted) or "")
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


def test_a_process_of_its_own_draws_the_same_bytes(call, tmp_path):
    name, alone = "massart_inequality", tmp_path / "alone"
    done = subprocess.run(
        [sys.executable, "-m", "experiments", *arguments_of(name, alone)],
        cwd=ROOT, env=quick.environment(), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    again = call(name, tmp_path / "again", "")
    assert (done.returncode, done.stdout) == (again.returncode, again.stdout)
    texts = [
        [(file.name, file.read_bytes()) for file in sorted((tmp_path / folder).iterdir())]
        for folder in ("alone", "again")
    ]
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
