"""What the README shows runs as it stands."""

import re
import subprocess
import sys
from pathlib import Path

from tests import quick

TEXT = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(pattern):
    return re.search(pattern, TEXT, re.DOTALL)[1]


def test_the_study_runs_from_anywhere(tmp_path):
    source = blocks(r"<!-- my_study.py.*?-->\n```python\n(.*?)```")
    assert len(source.splitlines()) < 60
    (tmp_path / "my_study.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "my_study.py", "--preset", "smoke", "--quiet"],
        cwd=tmp_path,
        env=quick.environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    names = {p.name for p in (tmp_path / "figures/drafts").iterdir()}  # smoke is no gallery
    assert names == {"panel_vote.png", "panel_vote.json", "README.md"}


def test_the_first_example_runs(capsys):
    block = blocks(r"## Use it\n\n```python\n(.*?)```")
    exec(compile(block.replace("seeds=256", "seeds=4"), "README", "exec"), {})
    assert "CERTIFIED" in capsys.readouterr().out


def test_the_halfspace_example_says_what_it_says():
    block = blocks(r"Halfspaces under \*\*Massart.*?```python\n(.*?)```")
    names = {}
    exec(compile(block.replace("seeds=8", "seeds=2"), "README", "exec"), names)
    mean = names["found"].mean("seed")
    assert (mean.sel(rule="normalized").to_array() < 0.1).all()
    assert (mean.sel(rule="logistic").to_array() > 0.3).all()


def test_the_examples_on_teachers_and_annotators_run(capsys):
    teacher = blocks(r"true labels how often.*?```python\n(.*?)```")
    exec(compile(teacher, "README", "exec"), {})
    people = blocks(r"counts of wrong answers:\n\n```python\n(.*?)```")
    names = {}
    exec(compile(people, "README", "exec"), names)
    assert 0 <= names["law"].gap < 1e-3
    assert "Interval" in capsys.readouterr().out


def test_the_estimator_example_runs():
    block = blocks(r"worth a grid search:\n\n```python\n(.*?)```")
    X, labels = (
        [[0.0, 1.0], [0.1, 0.9], [0.2, -1.0], [0.0, -0.8]] * 5,
        ["up", "up", "down", "down"] * 5,
    )
    names = {"X": X, "labels": labels}
    exec(compile(block, "README", "exec"), names)
    assert names["model"].score(X, labels) > 0.9


def test_the_example_on_networks_says_what_it_says(capsys):
    block = blocks(r"which labels look wrong:.*?```python\n(.*?)```")
    names = {}
    exec(compile(block, "README", "exec"), names)
    told = dict(re.findall(r"(\S+): test ([\d.]+)", capsys.readouterr().out))
    assert float(told["cross-entropy"]) < 0.8
    assert min(float(told["ELR"]), float(told["SOP"])) > 0.9
    wrong = names["y"][:1200] != names["truth"][:1200]
    assert wrong[names["suspect"][:400]].mean() > 0.9


def test_the_example_on_matrices_runs():
    block = blocks(r"neither the rank nor the share.*?```python\n(.*?)```")
    names = {}
    exec(compile(block, "README", "exec"), names)
    truth = names["wrong"].X
    assert abs(names["found"].X - truth).max() < 1e-5
    assert ((names["ours"].X[-1] - truth) ** 2).mean() < 0.1**2 * (truth**2).mean()
    assert 0 <= names["found"].gap < 1e-8
