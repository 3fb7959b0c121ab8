"""The notebooks run from start to end; what they are committed with is what they print."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def text_of(notebook):
    """What each cell printed, without pictures and tables, which other versions of libraries draw otherwise."""
    streams = [[out.text for out in cell.get("outputs", []) if out.output_type == "stream" and out.name == "stdout"]
               for cell in notebook.cells]
    return ["".join(texts) for texts in streams]


def pictures(notebook):
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    return sum("image/jpeg" in out.get("data", {}) for out in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_prints_what_it_is_committed_with(path):
    committed = nbformat.read(path, as_version=4)
    run = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(run, timeout=300, kernel_name="python3", resources={"metadata": {"path": EXAMPLES}})
    client.execute()
    assert text_of(run) == text_of(committed)
    assert pictures(committed) == pictures(run) >= 1, "a reader on a code host sees pictures"


def test_there_is_a_notebook_for_each_thing_that_people_begin_with():
    assert {path.stem for path in NOTEBOOKS} == {
        "compare-trackers", "first-look", "line-count", "lines-and-zones", "migrate", "retrack-refine"
    }
