"""Folders that an older version has written still load and go on: `written/VERSION.tar.xz` holds small ones.

Each has a run of two epochs, a file of codes that it compressed, a sweep of four trials of which one is finished and
one was left in training after its first epoch, and the data of all, which is noise.
"""

import dataclasses
import json
import sys
import tarfile
from pathlib import Path

import jax
import numpy as np
import pytest

import aejax
from aejax.core import InputError
from aejax.runs import Saving, validation_losses
from aejax.sweeps import Sweep, run_sweep
from aejax.trained import decompress


@pytest.fixture(params=sorted((Path(__file__).parent / "written").glob("*.tar.xz")), ids=lambda path: path.name)
def folder(request, tmp_path, monkeypatch):
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)  # the experiments name their data by a relative path
    return tmp_path


def test_a_run_loads_and_encodes_as_it_did(folder):
    (run,) = (folder / "run" / "small").iterdir()
    trained = aejax.load(run)
    assert [row["epoch"] for row in trained.history if row["split"] == "train"] == [1, 2]
    codes = trained.encode(np.full((5, 4, 4, 1), 7, np.uint8))
    np.testing.assert_allclose(codes, np.load("bits.npz")["codes"], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_run_goes_on_to_where_it_would_have_come_without_a_stop(folder):
    """To the bits of the machine that wrote it, but for the rounding of another processor."""
    (run,) = (folder / "run" / "small").iterdir()
    longer = dataclasses.replace(aejax.load(run).run.experiment, epochs=4)
    state = aejax.fit(longer, resume=run, figures=False).state
    stored = np.load("bits.npz")
    for number, leaf in enumerate(jax.tree.leaves(state)):
        np.testing.assert_allclose(leaf, stored[str(number)], rtol=1e-3, atol=1e-5)


def test_a_file_of_codes_decodes_to_what_it_did(folder):
    (run,) = (folder / "run" / "small").iterdir()
    decoded = decompress(aejax.load(run), Path("codes.aej").read_bytes())
    np.testing.assert_allclose(decoded, np.load("bits.npz")["decoded"], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_resumed_run_adds_files_to_its_folders_and_none_is_lost(folder):
    (run,) = (folder / "run" / "small").iterdir()
    before = json.loads((run / "experiment.json").read_text())
    opened = aejax.load(run).run
    assert opened.checkpoints.steps() == [10]
    files = {path: path.read_bytes() for path in (run / "checkpoints" / "10").rglob("*") if path.is_file()}
    aejax.fit(dataclasses.replace(opened.experiment, epochs=3), resume=run, figures=False)
    assert opened.checkpoints.steps() == [10, 15]
    assert {path: path.read_bytes() for path in (run / "checkpoints" / "10").rglob("*") if path.is_file()} == files
    assert [int(aejax.load(run / "checkpoints" / which).state.step) for which in ("10", "15")] == [10, 15]
    provenance = json.loads((run / "experiment.json").read_text())["provenance"]
    assert provenance[0] == {"step": 0} | {name: before[name] for name in ("versions", "hardware", "commit")}
    # Where the new one is damaged, the older one is used; it goes once it is neither among the newest nor the best.
    newest = run / "checkpoints" / "15.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    again = aejax.fit(
        dataclasses.replace(opened.experiment, epochs=4), resume=run, saving=Saving(keep=1), figures=False
    ).run
    losses = validation_losses(again.rows())
    assert set(again.checkpoints.steps()) == {20, min((10, 15, 20), key=losses.__getitem__)}
    assert not list((run / "checkpoints").glob(".*"))


@pytest.mark.slow
def test_only_an_older_run_needs_orbax(folder, monkeypatch):
    (run,) = (folder / "run" / "small").iterdir()
    experiment = aejax.load(run).run.experiment
    for name in ("orbax", "orbax.checkpoint"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match="no checkpoint that can be loaded"):
        aejax.load(run)
    new = aejax.fit(dataclasses.replace(experiment, epochs=1), folder=folder, figures=False).run.path
    aejax.fit(experiment, resume=new, figures=False)
    assert int(aejax.load(new).state.step) == 10


@pytest.mark.slow
def test_a_sweep_keeps_its_result_and_what_was_in_training_goes_on_from_its_second_epoch(folder):
    sweep = Sweep.open(Path("sweep"))
    (done,) = sweep.results().values()
    assert np.isfinite(done.metrics["test"]["loss_nats"])
    epochs = []
    run_sweep(sweep, width=1, observers=[lambda rows, state: epochs.extend(r for r in rows if r["split"] == "train")])
    assert len(sweep.results()) == 4
    assert len(epochs) == 2 + 1 + 2
