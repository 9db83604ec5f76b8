"""The benchmarks run at a tiny size and their methods agree; how fast they are is not tested."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import descent_sweep

ROOT = Path(__file__).parents[1]
TINY = {"runs": 8, "steps": 50, "rates": 2, "alphas": 2, "N": 10, "p": 20, "repeats": 1, "timed": 3}


def test_prints_the_table_and_agrees(capsys):
    assert descent_sweep.main(descent_sweep.Config(**TINY)) == 0
    printed = capsys.readouterr().out
    for name in ("NumPy loop, theta-space", "NumPy loop, N-space", "NumPy side by side"):
        assert f"{name}, 1 BLAS thread" in printed
    for word in ("jaxrobust, compilation apart", "of peak", "a loop times 3 runs", "0 not finite"):
        assert word in printed
    assert "agreement within 1e-09: yes" in printed


@pytest.mark.parametrize("spoil", [1e-6, np.nan])
def test_disagreement_and_lost_lanes_are_seen(spoil):
    lanes = np.arange(3)
    ours = descent_sweep.Found(lanes, np.zeros((3, 4)), np.zeros((3, 2)), 1.0, 0.0, 1.0)
    theirs = ours._replace(s=np.array([[0.0, 0.0], [0.0, spoil], [0.0, 0.0]]))
    assert descent_sweep.compare("peer", ours, ours)[1]
    line, good = descent_sweep.compare("peer", theirs, ours)
    assert not good
    assert f"{int(np.isnan(spoil))} not finite" in line
    assert not descent_sweep.compare("peer", ours, theirs)[1]


def test_is_one_command():
    options = [f"--{name}={value}" for name, value in TINY.items()]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.descent_sweep", *options],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "agreement within 1e-09: yes" in done.stdout


def test_refuses_runs_that_are_no_whole_seeds():
    with pytest.raises(ValueError, match="multiple of 4"):
        descent_sweep.Config(**{**TINY, "runs": 9})
