"""The l1 benchmark: what it takes for certified, and what its peers are given."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import l1_cells, l1_ladder, l1_peers, l1_readme, l1_solve, l1_table
from benchmarks.l1_reference import optima, reference


def tiny(kind="single", lanes=1, **more):
    return l1_cells.Cell("tiny", 12, 20, kind, lanes, **more)


@pytest.mark.parametrize("shape", [(12, 20), (20, 8)])
def test_reference_is_the_optimum_that_clarabel_finds(shape):
    rng = np.random.default_rng(0)
    J, y = rng.standard_normal(shape), 3 * rng.standard_normal((2, shape[0]))
    problem = l1_cells.Problem(J, y, np.array([0.5, 2.0]), "shared")
    for lifted in (False, True):
        matrix = J if lifted else J @ J.T
        nu = l1_peers.clarabel(matrix, y, problem.lam, 1e-11, lifted)
        assert np.max(l1_cells.gaps(problem, nu)) < 1e-9
        theta = np.clip(nu, -problem.lam[:, None], problem.lam[:, None]) @ J
        assert np.max(np.abs(l1_cells.excesses(problem, theta, optima(problem)))) < 1e-9


def test_certificate_clips_and_sees_a_wrong_nu():
    J, y = np.eye(2), np.array([0.5, 3.0])
    assert l1_cells.gap(J, y, 1.0, np.array([0.5, 9.0])) == 0
    assert l1_cells.gap(J, y, 1.0, np.array([0.4, 1.0])) > 1e-3
    problem = l1_cells.Problem(J, y[None], np.ones(1), "single")
    assert l1_cells.gaps(problem, np.array([[np.nan, 1.0]])) == np.inf


def test_a_factor_of_low_rank_gives_the_same_optimum():
    cell = tiny(rank=3)
    problem, factor = l1_cells.draw(cell, 1, 0)
    nu = reference(factor, problem.y[0], problem.lam[0])
    assert np.linalg.matrix_rank(problem.J) == 3
    assert l1_cells.gap(problem.J, problem.y[0], problem.lam[0], nu) < 1e-12


@pytest.mark.parametrize(
    "peer", [p for p in l1_peers.PEERS if p.name in ("Clarabel", "LinearSVR")], ids=lambda p: p.name
)
@pytest.mark.parametrize(("kind", "lanes"), [("single", 1), ("shared", 5), ("distinct", 5)])
def test_the_ladder_finds_a_setting_that_reaches_the_target(peer, kind, lanes):
    problem, _ = l1_cells.draw(tiny(kind, lanes), 0, 0)
    one = l1_ladder.choose(peer, problem, optima(problem), 1e-10, np.inf, 5.0)
    assert one.run is not None, one.note
    assert one.run().shape == (lanes, 20 if peer.gives == "theta" else 12)
    assert one.worst <= 1e-10
    assert not one.scaled
    never = l1_ladder.choose(peer, problem, optima(problem), -1.0, np.inf, 5.0)
    assert never.run is None
    assert "at best" in never.note


def test_an_uncertified_lane_that_says_certified_is_counted():
    problem, _ = l1_cells.draw(tiny(), 1, 0)
    optimum = optima(problem)
    nu = reference(problem.J, problem.y[0], problem.lam[0])
    good = type("S", (), {"nu": nu, "theta": problem.J.T @ nu, "status": np.array(0)})
    found = l1_table.Time("ours")
    l1_solve.certify(found, good, problem, optimum)
    assert (found.certified, found.silent) == (1, 0)
    for name in ("nu", "theta"):
        bad = type("S", (good,), {name: getattr(good, name) * 0.99})
        l1_solve.certify(found, bad, problem, optimum)
        assert (found.certified, found.silent) == (0, 1)
    honest = type("S", (good,), {"nu": 0.9 * nu, "status": np.array(2)})
    l1_solve.certify(found, honest, problem, optimum)
    assert (found.certified, found.silent) == (0, 0)


def test_the_table_prints_and_saves(capsys, tmp_path, monkeypatch):
    cells = (tiny(goals=(1.0,) * 3), tiny("shared", 4))
    monkeypatch.setattr(l1_solve, "CELLS", cells)
    out, table = tmp_path / "l1.json", tmp_path / "l1.md"
    config = {"repeats": 2, "peers": ("Clarabel", "LinearSVR"), "out": out, "table": table}
    assert l1_solve.main(l1_solve.Config(cells=("tiny",), **config)) == 0
    assert "lanes above 1e-10 that say CERTIFIED: 0" in capsys.readouterr().out
    rows = json.loads(out.read_text())["rows"]
    assert [row["ours"]["certified"] for row in rows] == [1, 1, 1, 4]
    assert all(row["ours"]["bursts"] == 2 <= row["ours"]["calls"] for row in rows)
    assert table.read_text().count("| tiny |") == 4


def test_a_faster_peer_is_bold_and_a_loose_one_only_kind():
    ours = l1_table.Time("jaxrobust", [2.0, 4.0], [5.0], 1e-12, certified=1)
    peers = [
        l1_table.Time("fast", [1.0], [2.5], 1e-12),
        l1_table.Time("loose", [0.5], [0.5], 1e-7),
        l1_table.Time("slow", [9.0], [9.0], 1e-12),
        l1_table.Time("lost", note="1.0e-03 at best"),
    ]
    row = l1_table.Row("a", "b", 1, 4.0, ours, None, peers, 1e-10)
    text = l1_table.markdown([row])
    assert "**loose 0.50**, **fast 1.00**, slow 9.00, lost: not reached (1.0e-03 at best)" in text
    assert "| 0.33 (0.50) |" in text
    assert row.ratio(ours, kind=True) == pytest.approx(1 / 6)
    assert row.met == "no"
    assert l1_table.Row("a", "b", 1, 0.3, ours, None, peers, 1e-10).met == "yes"


def test_the_readme_has_the_table_of_the_committed_run():
    text = (l1_readme.ROOT / "README.md").read_text()
    assert l1_readme.readme(text) == text, "run python -m benchmarks.l1_readme"
    folder = l1_readme.ROOT / "figures"
    rows = [r for p in folder.glob("benchmark_l1*.json") for r in json.loads(p.read_text())["rows"]]
    longest = max(m["first_call"] for r in rows for m in (r["ours"], r["single"]) if m) / 1e3
    assert f"compilation apart (up to {longest:.0f} s" in " ".join(text.split())


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"out": Path("nowhere/x.json")}, "out = nowhere/x.json: there is no folder nowhere"),
        ({"budget": -1.0}, "budget must be above 0, got -1"),
        ({"cap": float("nan")}, "cap must be above 0, got nan"),
        ({"repeats": 0}, "repeats must be at least 1, got 0"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_timed(wrong, line):
    with pytest.raises(ValueError, match=line):
        l1_solve.Config(**wrong)


def test_the_readmes_table_joins_cases_and_marks_where_a_peer_wins():
    def row(case, ratio, one):
        ratios = {"medians": ratio, "first calls": 2 * ratio, "one thread": one}
        peers = [
            {"name": "A", "median": 2.0, "worst": 1e-12, "once": False},
            {"name": "B", "median": 1.0, "worst": 1e-8},
            {"name": "C", "median": None, "worst": None},
        ]
        about = {"cell": "50x100", "case": case, "goal": 1.0, "target": 1e-10, "peers": peers}
        met = "yes" if ratio >= 1 else "no"
        return about | {"ours": {"median": 0.25}, "ratio": ratios, "met": met}

    both = [row("a", 0.5, None), row("b", 12.0, 3.0)]
    line = l1_readme.table(both, [row("a", 1.5, None)]).splitlines()[-1]
    wanted = (
        "0.25 / 0.25 | A 2.00 / A 2.00 | **0.50** / 12.0 | 1.00 / 24.0 | 1.50 / 3.00 | 1 / 1 ✓ |"
    )
    assert line == f"| 50x100 | {wanted}"
