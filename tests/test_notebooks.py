"""Every notebook runs from the top without an error, and is committed with its outputs."""

import json
import re
import warnings
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests import quick

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks():
    assert NOTEBOOKS


def test_runs_from_the_top(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    with warnings.catch_warnings():
        # The kernel's messaging is third-party; inside the kernel the notebook's own rules hold.
        warnings.simplefilter("ignore")
        client = NotebookClient(
            notebook,
            timeout=300,
            kernel_name="python3",
            resources={"metadata": {"path": str(tmp_path)}},
        )
        # Raises CellExecutionError with the cell's traceback. A notebook that takes minutes may
        # take smaller numbers where JAXROBUST_SMALL is set.
        client.execute(env=quick.environment(JAXROBUST_SMALL="1"))
    kinds = {output.output_type for cell in code_cells(notebook) for output in cell.outputs}
    assert "error" not in kinds
    assert not list(tmp_path.iterdir()), "a notebook leaves no files behind"


def test_is_committed_with_its_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    cells = code_cells(notebook)
    # Run once from the top: every cell counted, in order, without an error.
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [x for x in outputs if x.output_type == "error" or x.get("name") == "stderr"]
    assert any("image/png" in x.get("data", {}) for x in outputs)
    assert path.stat().st_size < 400_000


def test_names_no_machine(path):
    notebook = nbformat.read(path, as_version=4)
    for cell in code_cells(notebook):
        for output in cell.outputs:
            output.get("data", {}).pop("image/png", None)  # base64 may spell anything
    text = json.dumps(notebook)
    found = re.findall(r"(?<![\w.])/(?:home|Users|root|work|tmp|opt|usr|var|mnt)/\S*", text)
    found += re.findall(r"\b[A-Za-z]:\\\\\S*|site-packages|ipykernel_\d+", text)
    assert not found
    for folder in (FOLDER.parent, Path.home()):  # the home folder holds the user's name
        assert str(folder) not in text
