"""The notebook's cells, as they stand, on the CPU and with small settings."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from validation.record import problem_of

pytest.importorskip("transformers")
pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs/notebooks/validate.ipynb"
SMALL = """
DEVICE, PROMPTS, BATCHES, DECODED, NUM_LAYERS, NAME = "cpu", (16,), (2,), 2, 2, "tried"
"""


def script(notebook):
    """The code cells in order; the small settings after the notebook's own."""
    parts = []
    for cell in notebook["cells"]:
        tags = cell["metadata"].get("tags", ())
        if cell["cell_type"] != "code" or "install" in tags:
            continue
        parts += ["".join(cell["source"]), *([SMALL] if "parameters" in tags else ())]
    return "\n".join(parts)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder that the cells ran in, and what they printed."""
    folder = tmp_path_factory.mktemp("notebook")
    done = subprocess.run(
        [sys.executable, "-c", script(json.loads(NOTEBOOK.read_text("utf-8")))],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def test_the_cells_emit_a_complete_record(ran):
    """
    What was measured is exact at both caches, and the record passes its own check.
    """
    folder, _ = ran
    record = json.loads((folder / "records/tried.json").read_text())

    assert problem_of(record) is None
    assert (record["exact"], record["wrong"]) == (2, 0)
    assert {rung["case"]["num_prompt_tokens"] for rung in record["rungs"]} == {16}


def test_a_cpu_is_called_one(ran):
    """
    Host memory is not shown as a GPU's: no calibration is written, and the output says why.
    """
    folder, printed = ran

    assert not (folder / "calibration.json").exists()
    assert "measured on cpu: " in printed
    assert "no GPU was measured" in printed
    assert "recorded tried.json: live-transformers" in printed


def test_the_notebook_is_kept_without_outputs():
    """
    What a machine printed when the notebook was last opened is no part of it.
    """
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]

    assert [cell["id"] for cell in cells if cell.get("outputs")] == []
