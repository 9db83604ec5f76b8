"""Several studies at once, each in the turn of a process of its own."""

import os
import signal
import threading

import pytest

from jaxrobust import _machine, lab
from jaxrobust.lab import crew, memory
from tests.lab import toys


def gone(folder):
    with pytest.raises(ProcessLookupError):
        os.kill(int((folder / "pid").read_text()), 0)


def test_workers_run_at_once_on_cores_of_their_own(tmp_path):
    before = _machine.affinity()
    heard = list(crew.run(toys.Meet(tmp_path), ["a", "b", "c"], 2))
    assert [name for name, said in heard if said is None] == ["a", "b", "c"]
    said = {name: said for name, said in heard if said}
    assert [said[name].text for name in "abc"] == [f"{name} was here\n" for name in "abc"]
    places = {said[name].value for name in "abc"}
    assert len(places) == 2, "a worker takes the next task when it is free"
    assert os.getpid() not in dict(places)
    assert sorted(cores for _, cores in places) == sorted(crew.shares(2))
    assert _machine.affinity() == before


def test_cores_are_shared_out_while_there_are_enough(monkeypatch):
    monkeypatch.setattr(crew, "affinity", lambda: (0, 2, 4, 6, 8))
    assert crew.shares(2) == [(0, 4, 8), (2, 6)]
    assert crew.shares(5) == [(0,), (2,), (4,), (6,), (8,)]
    assert crew.shares(6) == [(0, 2, 4, 6, 8)] * 6
    monkeypatch.setattr(crew, "affinity", lambda: ())
    assert crew.shares(2) == [(), ()]


@pytest.mark.parametrize(
    ("free", "workers"), [(None, 6), (3.9, 1), (0.1, 1), (8.1, 2), (11.9, 2), (1000, 6)]
)
def test_workers_fit_into_cores_and_memory(free, workers, monkeypatch):
    monkeypatch.setattr(crew, "cores", lambda: 6)
    monkeypatch.setattr(memory, "available", lambda: None if free is None else int(free * 2**30))
    assert crew.usual() == workers


@pytest.mark.parametrize(
    ("way", "error", "words"),
    [
        ("killed", crew.WorkerError, "^killed: its process was killed by SIGKILL, .* fewer --jobs"),
        ("refused", crew.WorkerError, "^refused: no such number$"),
        ("broken", RuntimeError, r"(?s)^broken failed in its process:\nTraceback.*KeyError"),
    ],
)
def test_a_worker_that_fails_ends_the_run_in_one_line(way, error, words, tmp_path):
    with pytest.raises(error, match=words):
        list(crew.run(toys.Fail(tmp_path), [way], 1, (ValueError,)))
    gone(tmp_path)


def test_ctrl_c_ends_the_workers_at_once(tmp_path):
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("the system gives Ctrl-C to the main thread")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(crew.run(toys.Fail(tmp_path), ["stopped"], 1))
    finally:
        signal.signal(signal.SIGINT, before)
    gone(tmp_path)


def test_side_by_side_gives_what_one_after_another_does(tmp_path, monkeypatch, capsys):
    logs, said = {}, {}
    for jobs in ("1", "2"):
        out, log = tmp_path / jobs, tmp_path / f"log{jobs}"
        log.mkdir()
        monkeypatch.setenv("TOYS", str(log))
        assert lab.main(toys.found, ["--jobs", jobs, "--out", str(out)]) == 0
        said[jobs] = capsys.readouterr()
        lines = [line.split() for line in (log / "log").read_text().splitlines()]
        logs[jobs] = {name: tuple(map(float, rest)) for name, *rest in lines}
    # The same files, the same table, in the order of the studies, and the same skip.
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / j).iterdir()} for j in "12")
    assert one == two
    assert sorted(two) == sorted(
        [
            "README.md",
            *(f"{n}.{end}" for n in ("cheap", "dear", "timed") for end in ("png", "json")),
        ]
    )
    assert sorted(said["1"].out.splitlines()) == sorted(said["2"].out.splitlines())
    assert "lacking: skipped, no file: get it from the publisher\n" in said["2"].out
    table = said["2"].out[said["2"].out.index("verdict") :]
    assert table.index("dear") < table.index("cheap") < table.index("timed")
    # Each is announced once, in the order in which they begin, and what it says has its name.
    begun = [line[:-7] for line in said["2"].err.splitlines() if line.endswith(": A toy")]
    assert begun == ["timed", "dear", "cheap", "lacking"]
    for name in ("cheap", "dear"):
        assert f"{name}: {name} is not finite\n" in said["2"].err
        assert f"{name}: {tmp_path / '2' / name}.png, {name}.json (" in said["2"].err
    # One process at first; then two, after the study that is to be alone.
    assert {where for *_, where in logs["1"].values()} == {os.getpid()}
    assert logs["2"]["timed"][2] == os.getpid()
    assert len({where for *_, where in logs["2"].values()}) == 3
    end = logs["2"].pop("timed")[1]
    assert all(begin >= end for begin, *_ in logs["2"].values())


def test_what_workers_do_decides_the_status(monkeypatch, capsys, tmp_path):
    def dies(*args):
        raise crew.WorkerError("dear: its process was killed")
        yield

    def stopped(*args):
        raise KeyboardInterrupt
        yield

    call = ["cheap", "dear", "--jobs", "2", "--out", str(tmp_path)]
    monkeypatch.setattr(crew, "run", dies)
    assert lab.main(toys.found, call) == 2
    assert capsys.readouterr().err == "error: dear: its process was killed\n"
    monkeypatch.setattr(crew, "run", stopped)
    assert lab.main(toys.found, [*call, "--store", "kept"]) == 130
    assert capsys.readouterr().err == "stopped; --store kept goes on from here\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "arguments", "jobs"),
    [
        (toys.found, [], 3),  # as many as the machine has room for
        (toys.found, ["cheap", "dear"], 2),
        (toys.found, ["--jobs", "2"], 2),
        (toys.found, ["--jobs", "1"], None),
        (toys.found, ["cheap", "--jobs", "4"], None),
        (toys.found(), [], None),  # another process could not find them
    ],
)
def test_how_many_run_at_once(given, arguments, jobs, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(crew, "usual", lambda: 3)
    turns = lab.cli.turns
    monkeypatch.setattr(turns, "in_turn", lambda *args: iter(()))
    monkeypatch.setattr(turns, "side_by_side", lambda *args: iter(asked.append(args[-1]) or ()))
    lab.main(given, arguments)
    assert asked == ([] if jobs is None else [jobs])


@pytest.mark.parametrize(
    ("given", "jobs", "words"),
    [
        (toys.found, "0", "--jobs must be >= 1, got 0"),
        (toys.found(), "2", "--jobs 2: only where main is given a function"),
    ],
)
def test_wrong_numbers_of_jobs_get_one_line_and_status_2(given, jobs, words, capsys):
    with pytest.raises(SystemExit) as stop:
        lab.main(given, ["--jobs", jobs])
    assert stop.value.code == 2
    assert words in capsys.readouterr().err
