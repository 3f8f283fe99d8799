"""A saved model is the model: its codes are the same bits; no more is in the files; the hub is one folder more."""

import dataclasses
import functools
import json
import os
import shutil
import stat
import sys
import types

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

import aejax
from aejax.core import Adam, ExponentialAverage, InputError
from aejax.data import Data, load, load_again, read_examples
from aejax.experiment import vary
from aejax.runs import read_experiment
from tests.helpers.small import DATASET, EXPERIMENT

X = DATASET.test.x


@functools.cache
def trained():
    averaged = dataclasses.replace(EXPERIMENT, optimizer=Adam(average=ExponentialAverage(0.5)), epochs=1)
    return aejax.fit(averaged, DATASET)


@pytest.fixture
def saved(tmp_path):
    return trained().save(tmp_path / "model", test=DATASET.test)


def test_it_comes_back_with_the_same_bits_and_without_the_optimiser(saved):
    back = aejax.load(saved)
    np.testing.assert_array_equal(back.encode(X), trained().encode(X))
    np.testing.assert_array_equal(back.reconstruct(X), trained().reconstruct(X))
    assert back.given == trained().given != back.experiment
    assert back.experiment == trained().experiment
    assert not back.state.opt_state
    assert back.data == trained().data
    names = load_file(saved / "model.safetensors").keys()  # another library reads it
    assert names
    assert not [name for name in names if "opt_state" in name]
    assert {path.name for path in saved.iterdir()} == {
        *("model.safetensors", "experiment.json", "result.json", "README.md", "picture.png")
    }


def test_saved_again_it_is_the_same_files(saved, tmp_path):
    again = aejax.load(saved).save(tmp_path / "again")
    for name in ("model.safetensors", "result.json", "picture.png", "README.md"):
        assert (again / name).read_bytes() == (saved / name).read_bytes(), name
    trained().save(saved, test=DATASET.test)  # over itself


def test_the_files_have_the_modes_that_umask_gives(tmp_path):
    before = os.umask(0o027)
    try:
        folder = trained().save(tmp_path / "model", test=DATASET.test)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o640}


def test_the_card_says_what_was_measured_and_the_picture_shows_it(saved):
    card, measured = (saved / "README.md").read_text(), trained().evaluate(DATASET.test)
    assert card.startswith("---\nlibrary_name: aejax\n")
    for name, value in measured.items():
        assert f"| {name} ↓ | {value:.4f} |" in card
    assert f"On {len(DATASET.test)} examples" in card
    assert "![Examples above their reconstructions](picture.png)" in card
    assert f"`x` is [n, {', '.join(map(str, X.shape[1:]))}]" in card
    shown = np.asarray(Image.open(saved / "picture.png"))
    side = 4 * X.shape[1]
    np.testing.assert_array_equal(shown[2 : 2 + side : 4, 2 : 2 + side : 4], X[0, ..., 0])
    made = trained().reconstruct(X[:1])[0, ..., 0]
    np.testing.assert_allclose(shown[side + 6 : 2 * side + 6 : 4, 2 : 2 + side : 4], 255 * made, atol=0.51)


def test_without_a_run_and_examples_nothing_is_claimed(tmp_path):
    folder = trained().save(tmp_path / "model")
    assert "Nothing was measured" in (folder / "README.md").read_text()
    assert {path.name for path in folder.iterdir()} == {"model.safetensors", "experiment.json", "README.md"}


def test_a_run_gives_its_result_and_its_figure(tmp_path):
    given = dataclasses.replace(EXPERIMENT, epochs=1)
    run = aejax.fit(given, DATASET, folder=tmp_path, figures=False).run
    (run.path / "figures").mkdir()
    Image.new("L", (3, 3)).save(run.path / "figures" / "reconstructions.png")
    folder = aejax.load(run.path).save(tmp_path / "model")
    result = json.loads((run.path / "result.json").read_text())
    assert json.loads((folder / "result.json").read_text()) == result
    assert f"{result['test']['loss_nats']:.4f}" in (folder / "README.md").read_text()
    assert (folder / "picture.png").exists()
    assert read_experiment(folder) == read_experiment(run.path)
    with pytest.raises(InputError, match=r"cannot be resumed|began with params"):
        aejax.fit(given, DATASET, resume=folder)


def test_no_file_says_where_on_this_machine_it_was_trained(tmp_path, monkeypatch):
    np.save(tmp_path / "secret.npy", X)
    made = aejax.fit(vary(dataclasses.replace(EXPERIMENT, epochs=1), {"data": str(tmp_path / "secret.npy")}))
    folder = made.save(tmp_path / "model", test=read_examples(str(tmp_path / "secret.npy")))
    for path in folder.iterdir():
        assert str(tmp_path).encode() not in path.read_bytes()
    assert "of secret.npy, uint8 from" in (folder / "README.md").read_text()
    again = aejax.load(folder)  # whoever has the data beside it need not say where they are
    with pytest.raises(InputError, match=r"there is no secret.npy, which was trained on: say by --trained-on PATH"):
        load_again(again.experiment.data, again.data)
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(load_again(again.experiment.data, again.data).test.x, made_on(tmp_path).test.x)


def made_on(folder):
    return load(Data(str(folder / "secret.npy"), validation=EXPERIMENT.data.validation))


@pytest.mark.slow
def test_of_a_detector_the_rows_go_with_it_and_the_card_says_so(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    small = vary(aejax.get("dae-tabular"), {"steps": 2, "model.latent.size": 4, "detector.rows": 16})
    made = aejax.fit(small, x)
    folder = made.save(tmp_path / "model")
    np.testing.assert_array_equal(aejax.load(folder).score(x), made.score(x))
    assert "holds 16 rows of the training data" in (folder / "README.md").read_text()


def test_a_folder_of_other_files_and_damage_are_refused(saved, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="holds other files"):
        trained().save(tmp_path / "other")
    with pytest.raises(InputError, match="cannot be saved"):
        trained().save(tmp_path / "other" / "thesis.tex")
    content = bytearray((saved / "model.safetensors").read_bytes())
    content[-3] ^= 1
    (saved / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors is damaged \(its checksum does not match\)"):
        aejax.load(saved)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A stand-in for the functions of huggingface_hub, which keeps repositories as folders; for the real ones, see
    test_hub.py."""
    stub, asked = types.ModuleType("huggingface_hub"), []

    def create_repo(repo_id, *, private, exist_ok):
        asked.append((repo_id, private, exist_ok))

    def upload_folder(*, repo_id, folder_path, commit_message, delete_patterns):
        shutil.copytree(folder_path, tmp_path / "hub" / repo_id)
        return f"https://hub/{repo_id}"

    def snapshot_download(repo_id, *, revision, allow_patterns):
        asked.append((repo_id, revision))
        assert {path.name for path in (tmp_path / "hub" / repo_id).iterdir()} <= set(allow_patterns)
        return str(tmp_path / "hub" / repo_id)

    stub.create_repo, stub.upload_folder, stub.snapshot_download = create_repo, upload_folder, snapshot_download
    errors = types.SimpleNamespace(HTTPError=(), HFValidationError=(), LocalEntryNotFoundError=())
    monkeypatch.setitem(sys.modules, "huggingface_hub", stub)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", errors)
    return asked


def test_what_is_pushed_to_the_hub_is_loaded_from_there(hub):
    assert trained().push("owner/digits", test=DATASET.test, private=True) == "https://hub/owner/digits"
    back = aejax.load("hf:owner/digits@v1")
    np.testing.assert_array_equal(back.encode(X), trained().encode(X))
    assert hub == [("owner/digits", True, True), ("owner/digits", "v1")]


@pytest.mark.parametrize("name", ["hf:digits", "hf:a/b/c", "hf:/b", "hf:a/"])
def test_a_name_of_another_form_is_refused(name, hub):
    with pytest.raises(InputError, match="names no model of the hub"):
        aejax.load(name)


def test_without_the_hub_s_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r'pip install "aejax\[hub\]"'):
        aejax.load("hf:owner/digits")
