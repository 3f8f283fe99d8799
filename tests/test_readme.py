import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import pytest

from aejax.cli import main
from aejax.cli._commands import SWEEP_COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]

TRAINS = """
import numpy as np
from aejax.core import Examples
from aejax.data import Dataset

images = Examples(np.random.default_rng(0).integers(0, 256, (16, 4, 4, 1), np.uint8))
experiment = dataclasses.replace(aejax.get("ae-wide"), epochs=1, batch_size=8)
trained = aejax.fit(experiment, folder="runs", dataset=Dataset("noise", images, images, images))
assert trained.history[0]["code_l2_nats"] > 0
assert aejax.load(trained.run.path).experiment.model.encoder == Wide()
"""


@pytest.mark.slow
def test_the_readme_s_python_runs_as_it_stands(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 4
    (tmp_path / "blocks.py").write_text("\n".join(blocks) + TRAINS)
    done = subprocess.run(
        [sys.executable, "blocks.py"], cwd=tmp_path, capture_output=True, text=True, env=os.environ, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert 60 < float(done.stdout.split()[0]) < 100


@pytest.mark.slow
@pytest.mark.timeout(900)  # a minute of a processor, of which there may be few
def test_the_python_of_the_page_on_estimators_runs_and_comes_to_what_it_says(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "estimators.md").read_text(), re.DOTALL)
    (tmp_path / "blocks.py").write_text("\n".join(blocks))
    done = subprocess.run(
        [sys.executable, "blocks.py"], cwd=tmp_path, capture_output=True, text=True, env=os.environ, timeout=800
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    search, roc_auc, share = done.stdout.splitlines()[:3]
    assert search.startswith("{'autoencodertransformer__n_components': 16} 0.8")
    assert float(roc_auc) > 0.9
    assert float(share) == pytest.approx(0.1, abs=0.003)
    assert 0.8 < float(done.stdout.splitlines()[-1]) < 1


def test_every_extra_that_the_readme_names_is_one_and_those_for_accelerators_are_jax_s():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = set(re.findall(r'"\.\[(\w+)\]"', README))
    assert {"cuda", "cuda12", "tpu"} <= named <= extras.keys()
    asked = {jaxs for name in named for jaxs in re.findall(r"^jax\[(\w+)\]", " ".join(extras[name]))}
    assert len(asked) == 3
    assert asked <= set(metadata("jax").get_all("Provides-Extra"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_or_links_to_is_there(page):
    text = page.read_text()
    named = re.findall(r"`((?:aejax|scripts|experiments)/[\w/]+\.\w+)`", text) if page.name != "CHANGELOG.md" else []
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert not [path for path in named if not (ROOT / path).exists()]
    assert not [path for path in linked if not (page.parent / path).exists()]


@pytest.mark.parametrize("line", sorted(set(re.findall(r"`(aejax [a-z][^`]*)`", README))))
def test_every_command_in_the_readme_is_one_with_flags_that_exist(line, capsys, monkeypatch):
    words = line.split()
    nested = words[1] in ("data", "train", "bench") or (words[1] == "sweep" and words[2] in SWEEP_COMMANDS)
    depth = 3 if nested else 2
    monkeypatch.setattr(sys, "argv", [*words[:depth], "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    shown = capsys.readouterr()
    assert ended.value.code == 0, shown.err
    flags = {word.split("=")[0] for word in words if word.startswith("--")}
    assert all(flag in shown.out for flag in flags)
