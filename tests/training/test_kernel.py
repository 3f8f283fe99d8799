"""The page on notebooks as its reader has it: executed in a kernel, with what its cells show."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "notebook.md"

INTERRUPTED = """\
import os, signal
def interrupt(rows, state):
    if rows[0]["epoch"] == 2:
        os.kill(os.getpid(), signal.SIGINT)
left = aejax.fit(vary(experiment, {"epochs": 500}), data, observers=[interrupt])
left.history[-1]["epoch"], int(left.state.step)
"""


def shown(cell):
    """What a cell shows, by type: text of streams by the stream's name."""
    found = {}
    for output in cell.outputs:
        assert output.output_type != "error", output
        if output.output_type == "stream":
            found[output.name] = found.get(output.name, "") + output.text
        else:
            found |= output.data
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)  # half a minute of a processor, of which there may be few
def test_cells_show_settings_progress_figures_and_what_an_interrupt_leaves(tmp_path):
    import nbformat
    from nbclient import NotebookClient

    sources = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, [*sources, INTERRUPTED])))
    there = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=250, kernel_name="python3", resources=there).execute()
    settings, training, model, frame, figure, explorer, interrupted = map(shown, notebook.cells)
    assert "but data.name=mnist-5k" in settings["text/plain"]
    assert "<details>" in settings["text/html"]
    assert "5/5" in training["stderr"]  # the bar at its end
    assert "open figures/reconstructions.png first" in training["stdout"]
    assert "<svg" in model["text/html"]
    assert "data:image/png;base64," in model["text/html"]
    assert "<th>validation</th>" in frame["text/html"]
    assert figure["image/png"]
    assert "<iframe" in explorer["text/html"]
    epoch, step = eval(interrupted["text/plain"])
    assert 2 <= epoch < 10
    assert step == epoch * 62
    assert (
        f"interrupted: this is the model after step {step}, epoch {epoch} of 500; the same call with params="
        in (interrupted["stderr"])
    )
