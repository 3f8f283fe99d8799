import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import pytest

from aejax import losses, metrics, models, trained
from aejax.cli import main
from aejax.cli._commands import SWEEP_COMMANDS
from aejax.experiment import names

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [*ROOT.glob("*.md"), *DOCS]
SAYS = {path.name: path.read_text() for path in [ROOT / "README.md", *DOCS]}
"""The text of README and of each page of the documentation."""


def python(*names):
    return "\n".join(block for name in names for block in re.findall(r"```python\n(.*?)```", SAYS[name], re.DOTALL))


def commands():
    """The commands in the text and in the blocks of all pages, but those with COMMAND in place of one."""
    found = set()
    for text in SAYS.values():
        found |= set(re.findall(r"`(aejax [a-z][^`]*)`", text))
        for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
            lines = block.replace("\\\n", " ").splitlines()
            found |= {re.split(r"\s+#", line)[0] for line in lines if line.startswith("aejax ")}
    return sorted(found)


TRAINS = """
import numpy as np
from aejax.core import Examples
from aejax.data import Dataset

images = Examples(np.random.default_rng(0).integers(0, 256, (16, 4, 4, 1), np.uint8))
experiment = dataclasses.replace(aejax.get("ae-wide"), epochs=1, batch_size=8)
trained = aejax.fit(experiment, folder="runs", dataset=Dataset("noise", images, images, images))
assert trained.history[0]["code_length_nats"] > 0
assert aejax.load(trained.run.path).experiment.model.encoder == Wide()
"""


TRACKED = """
import dataclasses
import aejax
from aejax.data import Data

experiment = dataclasses.replace(aejax.get("ae-keras"), data=Data("mnist-5k"), epochs=1, batch_size=2000)
trained = aejax.fit(experiment, folder="runs", track=[Printed()], figures=False)
print("again")
aejax.tracking.replay(trained.run.path, [Printed()])
"""


EXPORTS = """
import subprocess
import sys

subprocess.run([sys.executable, "-m", "aejax", "export", "digits", "--out", "programs"], check=True)
"""


def run(program, folder, timeout=200):
    (folder / "blocks.py").write_text(program)
    command = [sys.executable, "blocks.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_page_with_python_is_run_by_one_of_the_tests_below():
    assert {name for name, text in SAYS.items() if "```python" in text} == {
        *("README.md", "use.md", "data.md", "own.md", "export.md", "families.md", "estimators.md", "notebook.md"),
        "tracking.md",
    }


@pytest.mark.slow
def test_the_python_of_the_pages_runs_as_it_stands(tmp_path):
    out = run(python("README.md", "use.md", "data.md", "own.md") + TRAINS, tmp_path)
    assert 60 < float(out.split()[0]) < 100


@pytest.mark.slow
def test_the_python_of_the_page_on_trackers_runs(tmp_path):
    """It is one class: a run is sent to it."""
    program = python("tracking.md") + TRACKED
    live, later = run(program, tmp_path).split("again\n")
    assert live == later
    assert live.splitlines()[0] == "ae-keras 0.001"
    assert live.splitlines()[-1] == "done"
    assert [line.split()[0] for line in live.splitlines()[1:-2]] == ["train", "validation", "test"]


@pytest.mark.slow
def test_the_python_of_the_page_on_files_and_programs_runs(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", SAYS["export.md"], re.DOTALL)
    run(EXPORTS.join(blocks) + "assert codes.shape == (5, 32)", tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)  # a minute and more of a processor, of which there may be few
def test_the_python_of_the_page_on_the_families_runs(tmp_path):
    """On less data and for an epoch: what it prints in full, the page says beside it."""
    (tmp_path / "page.py").write_text(python("families.md"))
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.helpers.briefly", "page.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=env, timeout=800)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 + 20


@pytest.mark.slow
@pytest.mark.timeout(900)  # a minute of a processor, of which there may be few
def test_the_python_of_the_page_on_estimators_runs_and_comes_to_what_it_says(tmp_path):
    out = run(python("estimators.md"), tmp_path, timeout=800)
    search, roc_auc, share = out.splitlines()[:3]
    assert search.startswith("{'autoencodertransformer__n_components': 16} 0.8")
    assert float(roc_auc) > 0.9
    assert float(share) == pytest.approx(0.1, abs=0.003)
    assert 0.8 < float(out.splitlines()[-1]) < 1


def test_every_extra_that_a_page_names_is_one_and_those_for_accelerators_are_jax_s():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {one for several in re.findall(r'"\.\[([\w,]+)\]"', "".join(SAYS.values())) for one in several.split(",")}
    assert {"cuda", "cuda12", "tpu", "wandb", "mlflow"} <= named <= extras.keys()
    asked = {jaxs for name in named for jaxs in re.findall(r"^jax\[(\w+)\]", " ".join(extras[name]))}
    assert len(asked) == 3
    assert asked <= set(metadata("jax").get_all("Provides-Extra"))


def test_every_mark_for_aejax_beside_other_libraries_has_a_part_and_a_test_behind_it():
    rows = [line.split("|")[2:4] for line in SAYS["compared.md"].splitlines() if line.startswith("|")][2:]
    parts = {name for face in (losses, metrics, models, trained) for name in dir(face)}
    for named, test in ([re.findall(r"`(.+?)`", cell) for cell in row] for row in rows):
        assert set(named) <= parts
        assert len(test) == bool(named)
        for file, function in (each.split("::") for each in test):
            assert f"\ndef {function}(" in (ROOT / "tests" / file).read_text(), function


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_or_links_to_is_there(page):
    text = page.read_text()
    named = re.findall(r"`((?:aejax|scripts|experiments)/[\w/]+\.\w+)`", text) if page.name != "CHANGELOG.md" else []
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert not [path for path in named if not (ROOT / path).exists()]
    assert not [path for path in linked if not (page.parent / path).exists()]


@pytest.mark.parametrize("line", commands())
def test_every_command_in_a_page_is_one_with_flags_that_exist(line, capsys, monkeypatch):
    words = line.split()
    words += ["ae-keras"] if words[1:] in (["train"], ["bench"]) else []
    if words[1] in ("train", "bench") and words[2] not in names():  # NAME, or what another block of the page registers
        words[2] = "ae-keras"
    nested = words[1] in ("data", "train", "bench") or (words[1] == "sweep" and words[2] in SWEEP_COMMANDS)
    depth = 3 if nested else 2
    monkeypatch.setattr(sys, "argv", [*words[:depth], "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    shown = capsys.readouterr()
    assert ended.value.code == 0, shown.err
    flags = {word.split("=")[0] for word in words if word.startswith("--")} - {"--import"}  # of every command
    assert all(flag in shown.out for flag in flags)
