"""Code of a user's own is imported when the user names it, is recorded, and is asked for where it is missing."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest

import aejax
from aejax.core import InputError, settings
from aejax.experiment import from_json, import_code, origins, registry, require_code, to_json
from aejax.runs import Run
from aejax.sweeps import Sweep, plan
from tests.helpers.small import DATASET, EXPERIMENT

WIDE = """
import dataclasses
import aejax
import flax.linen as nn
from aejax.models import Encoder
from {helper} import WIDTH

@aejax.known
class {cls}(Encoder):
    width: int = WIDTH

    @nn.compact
    def __call__(self, x, train=False):
        return nn.relu(nn.Dense(self.width)(x.reshape(x.shape[0], -1)))

def build():
    base = aejax.get("ae-keras")
    return dataclasses.replace(base, model=base.model.clone(encoder={cls}()), expected=None)

aejax.register("own-{cls}", "a wide encoder", build)
"""


@pytest.fixture
def forgotten(monkeypatch):
    """What the test imports and registers is gone after it."""
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    monkeypatch.setattr(settings, "_KNOWN", dict(settings._KNOWN))
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if "own_test" in name:
            del sys.modules[name]


@pytest.fixture
def file(tmp_path, forgotten):
    (tmp_path / "own_test_helper.py").write_text("WIDTH = 6\n")
    path = tmp_path / "own_test_wide.py"
    path.write_text(WIDE.format(cls="OwnTestWide", helper="own_test_helper"))
    return path


def forget(cls):
    del settings._KNOWN[cls]


def test_a_file_finds_its_neighbours_and_what_it_registers_is_known(file):
    import_code(str(file))
    import_code(str(file))  # again changes nothing
    experiment = registry.get("own-OwnTestWide")
    assert experiment.model.encoder.width == 6
    assert from_json(to_json(experiment)) == experiment
    assert origins(experiment) == {"OwnTestWide": str(file)}


def test_a_module_is_found_in_the_working_directory(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    import_code(file.stem)
    assert "own-OwnTestWide" in registry.names()


def test_an_experiment_of_aejax_alone_needs_no_code():
    assert origins(registry.get("vae-conv")) == {}


def test_a_run_records_where_its_classes_are_and_asks_for_them(file, tmp_path):
    import_code(str(file))
    experiment = dataclasses.replace(registry.get("own-OwnTestWide"), name="own")
    path = Run.create(tmp_path / "runs", experiment, (4, 4, 1), 5).path
    assert json.loads((path / "experiment.json").read_text())["code"] == {"OwnTestWide": str(file)}
    assert Run(path).experiment == experiment
    forget("OwnTestWide")
    with pytest.raises(InputError, match=f"made with the class OwnTestWide of .*: give --import {file}"):
        Run(path)


def test_a_saved_model_names_the_file_of_its_classes_without_a_path(file, tmp_path):
    import_code(str(file))
    experiment = dataclasses.replace(registry.get("own-OwnTestWide"), data=EXPERIMENT.data, batch_size=8, epochs=1)
    folder = aejax.fit(experiment, DATASET).save(tmp_path / "given")
    assert not [path for path in folder.rglob("*") if path.is_file() and str(tmp_path).encode() in path.read_bytes()]
    card = (folder / "README.md").read_text()
    assert "Before loading, import own_test_wide.py, which this folder does not hold" in card
    assert aejax.load(folder).experiment.model == experiment.model.clone(shape=DATASET.train.x.shape[1:])


def test_a_class_of_a_script_or_a_package_has_its_name(monkeypatch):
    owner = dataclasses.make_dataclass("Owner", [("value", int)])
    monkeypatch.setattr(owner, "__module__", "numpy.linalg")
    assert origins(owner(1)) == {"Owner": "numpy.linalg"}
    monkeypatch.setattr(owner, "__module__", "a_notebook")
    assert origins([{"a": (owner(1),)}]) == {"Owner": "a_notebook"}


def test_what_a_package_declares_is_listed_and_imported_for_its_runs(file, monkeypatch):
    site = file.parent
    info = site / "own_test-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-test\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[aejax.experiments]\nown-declared = own_test_wide:build\nae-keras = own_test_wide:build\n"
    )
    monkeypatch.syspath_prepend(str(site))
    assert registry.names()["own-declared"] == "of the package own-test"
    assert registry.names()["ae-keras"] != "of the package own-test"  # aejax's names stay
    assert "own_test_wide" not in sys.modules
    require_code({"OwnTestWide": "own_test_wide"}, "a run")
    assert registry.get("own-declared").model.encoder.width == 6


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("own_test_none.py", None, "there is no file .*own_test_none.py to import"),
        ("own_test_none", None, "there is no module 'own_test_none' to import"),
        ("own_test_bad.py", "x = 1\ny = 1 / 0\n", r"ZeroDivisionError: division by zero \(.*own_test_bad.py:2\)"),
        ("own_test_bad", "import own_test_missing\n", r"No module named 'own_test_missing' \(.*own_test_bad.py:1\)"),
        ("own_test_bad.py", "x = (\n", "SyntaxError"),
        ("json.py", "", "there is another module named json; rename the file"),
    ],
)
def test_what_cannot_be_imported_says_why(name, text, message, tmp_path, monkeypatch, forgotten):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / f"{name.removesuffix('.py')}.py").write_text(text)
    with pytest.raises(InputError, match=message):
        import_code(name)
    assert "own_test_bad" not in sys.modules


@pytest.mark.slow
def test_the_command_line_trains_and_loads_it(file, tmp_path):
    def aejax(*arguments, **environment):
        command = [sys.executable, "-m", "aejax", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=280, env=os.environ | environment)

    small = ["--data", "mnist-5k", "--epochs", "1", "--out", tmp_path / "runs"]
    unknown = aejax("train", "own-OwnTestWide", *small)
    assert unknown.returncode == 2
    done = aejax("train", "own-OwnTestWide", *small, "--import", file)
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs" / "own-OwnTestWide").iterdir()
    refused = aejax("eval", run)
    assert refused.returncode == 2
    assert f"give --import {file}" in refused.stderr
    assert aejax("eval", run, f"--import={file}").returncode == 0
    assert aejax("eval", run, AEJAX_IMPORT=str(file)).returncode == 0


def test_a_class_without_a_name_is_refused_before_a_folder_is_made(file, tmp_path):
    import_code(str(file))
    experiment = dataclasses.replace(registry.get("own-OwnTestWide"), name="own")
    forget("OwnTestWide")
    with pytest.raises(InputError, match=f"the class OwnTestWide of {file} has no name .*: write @aejax.known above"):
        Run.create(tmp_path / "runs", experiment, (4, 4, 1), 5)
    assert not (tmp_path / "runs").exists()


def test_a_sweep_asks_for_its_classes_and_its_commands_import_them(file, tmp_path):
    import_code(str(file))
    experiment = registry.get("own-OwnTestWide")
    assert registry.with_imports("aejax eval x", experiment.name) == f"aejax eval x --import {file}"
    assert registry.with_imports("aejax eval x", "ae-keras") == "aejax eval x"
    Sweep.create(tmp_path / "sweep", plan.grid(experiment, {"seed": [0, 1]}))
    assert len(Sweep.open(tmp_path / "sweep").trials) == 2
    forget("OwnTestWide")
    with pytest.raises(InputError, match=f"sweep was made with the class OwnTestWide of .*: give --import {file}"):
        Sweep.open(tmp_path / "sweep")
