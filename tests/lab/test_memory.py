import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrobust.lab import memory
from jaxrobust.lab.sweep import sweep


def greedy(n):
    """A trial that holds n numbers, sorted, so that no fusion can save it from it."""

    def trial(key):
        return {"x": jnp.sort(jax.random.normal(key, (n,)))[0]}

    return trial


def run(n, seeds, **options):
    return sweep(greedy(n), {}, seeds, key=jax.random.key(0), progress=False, **options)


def test_a_block_that_does_not_fit_is_refused_with_the_width_to_try():
    with pytest.raises(MemoryError, match="one lane does not fit, make the trial smaller") as one:
        run(10**13, 1, width=1)
    assert "a block of 1 lane needs" in str(one.value)
    assert "\n" not in str(one.value)


def test_the_width_that_is_named_fits_and_threads_are_taken_back(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 40_000_000)
    with pytest.raises(
        MemoryError, match=r"a block of 8 lanes needs 64 MB memory, 40 MB is free: try width=\d$"
    ) as e:
        run(500_000, 8)
    width = int(str(e.value).rpartition("=")[2])
    assert 1 <= width < 8
    assert np.isfinite(run(500_000, 8, width=width, threads=8).x).all()


def test_fewer_blocks_at_once_where_memory_is_short(monkeypatch):
    compiled = jax.jit(jax.vmap(greedy(1000))).lower(jax.random.split(jax.random.key(0))).compile()
    plan = compiled.memory_analysis()
    needed = plan.temp_size_in_bytes + plan.output_size_in_bytes
    assert needed >= 2 * 8 * 1000
    for free, threads in ((needed, 1), (3 * needed, 3), (100 * needed, 8), (None, 8)):
        monkeypatch.setattr(memory, "available", lambda free=free: free)
        assert memory.threads_for(compiled, 8, 2) == threads


def test_results_that_do_not_fit_are_refused_before_anything_runs(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1000)
    with pytest.raises(MemoryError, match="the results take 8 kB and 1 kB are free: ask for fewer"):
        run(10, 1000)


def test_xla_out_of_memory_is_one_line_where_nothing_was_known_before(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: None)
    with pytest.raises(MemoryError, match="needs more memory, less is free: try width=4"):
        run(10**12, 8)


def test_available_is_a_number_that_makes_sense():
    free = memory.available()
    assert free is None or 10**6 < free < 10**15


def test_control_groups_are_heeded(tmp_path):
    assert memory._left_in(tmp_path) == []
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._left_in(tmp_path) == []
    for name, text in (("max", "1000"), ("current", "700"), ("stat", "anon 5\ninactive_file 200")):
        (tmp_path / f"memory.{name}").write_text(text + "\n")
    assert memory._left_in(tmp_path) == [500]
