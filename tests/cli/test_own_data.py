"""Commands know the data that a run was trained on: none measures, fits or goes on with others in silence."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

import aejax
from aejax.core import InputError
from aejax.data import Data
from aejax.losses import Gaussian, Loss
from aejax.models import Plain

rng = np.random.default_rng(0)
ROWS = np.clip(rng.poisson(4, (120, 5)) * np.arange(1, 6), 0, 255).astype(np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run on rows of numbers that holds out a validation part, with its file beside it."""
    folder = tmp_path_factory.mktemp("made")
    np.save(folder / "x.npy", ROWS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        aejax.fit(experiment(0.2), folder="runs", figures=False)
    return folder


def experiment(validation):
    base, data = aejax.get("ae-keras"), Data("x.npy", validation=validation)
    model = base.model.clone(latent=Plain(2))
    return dataclasses.replace(base, model=model, loss=Loss(Gaussian()), data=data, epochs=1, batch_size=32)


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """A copy of it, in which the file lies where the run says that it lay; the present folder is another."""
    copy = shutil.copytree(made, tmp_path / "made")
    (run_,) = (copy / "runs" / "ae-keras").iterdir()
    content = json.loads((run_ / "experiment.json").read_text())
    content["data"]["path"] = str(copy / "x.npy")
    (run_ / "experiment.json").write_text(json.dumps(content))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return copy


def path(folder):
    (found,) = (folder / "runs" / "ae-keras").iterdir()
    return found


def scores(command, folder, x):
    np.save("given.npy", x)
    code, out, err = command(
        "score", path(folder), "--data", "given.npy", "--threshold", "quantile=0.9", "--out", "scores.npy"
    )
    assert code == 0, err
    return np.load("scores.npy"), out


@pytest.mark.slow
def test_the_same_rows_in_any_type_get_the_same_scores_and_flags(folder, command):
    expected, said = scores(command, folder, ROWS)
    assert len(expected) == 120
    for dtype in (np.uint8, np.int64, np.float64, ">f4"):
        found, out = scores(command, folder, ROWS.astype(dtype))
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert out == said


def test_a_file_of_that_name_in_another_folder_is_not_taken_for_the_run_s(folder, command):
    _, said, _ = command("eval", path(folder))
    np.save("x.npy", ROWS[::-1] * 3)
    assert command("eval", path(folder))[1] == said


USES = [
    ["score", "--data", "given.npy", "--threshold", "quantile=0.9", "--out", "out.npy"],
    ["compress", "--data", "given.npy", "--out", "out.aej"],
    ["sample", "--from", "posterior", "--out", "out.npy"],
    ["figures"],
    ["probe"],
    ["eval"],
]


@pytest.mark.parametrize("use", USES, ids=lambda use: use[0])
def test_a_file_that_was_replaced_is_refused_wherever_a_run_reads_its_own(folder, command, use):
    np.save("given.npy", ROWS)
    np.save(folder / "x.npy", np.concatenate([ROWS, ROWS[:10]]))
    code, _, err = command(use[0], path(folder), *use[1:])
    assert code == 2
    assert "is not what was trained on, it holds 130 examples where there were 120" in err
    assert ("--data PATH" if use[0] == "eval" else "--trained-on PATH") in err


@pytest.mark.parametrize("use", USES[:3], ids=lambda use: use[0])
def test_moved_data_are_named_and_known_by_their_content(folder, command, use):
    np.save("given.npy", ROWS)
    (folder / "x.npy").rename("moved.npy")
    code, _, err = command(use[0], path(folder), *use[1:])
    assert code == 2
    assert "x.npy, which was trained on: say by --trained-on PATH" in err
    code, _, err = command(use[0], path(folder), *use[1:], "--trained-on", "moved.npy")
    assert code == 0, err


def test_moved_data_are_measured_as_before_and_others_as_what_they_are(folder, command):
    _, said, _ = command("eval", path(folder))
    (folder / "x.npy").rename("moved.npy")
    assert command("eval", path(folder), "--data", "moved.npy")[1] == said
    np.save("other.npy", np.concatenate([ROWS, ROWS[:10]]))
    code, out, _ = command("eval", path(folder), "--data", "other.npy")
    assert code == 0
    assert "all of other.npy" in out
    assert "test" not in out
    code, _, err = command("eval", path(folder), "--data", "other.npy", "--split", "test")
    assert code == 2
    assert "is not divided into parts" in err


def test_training_goes_on_with_the_same_data_alone(folder):
    own = aejax.load(path(folder)).run.experiment

    def resume(epochs, **changes):
        longer = dataclasses.replace(own, epochs=epochs, **changes)
        return aejax.fit(longer, resume=path(folder), figures=False)

    resume(2)
    (folder / "x.npy").rename("moved.npy")
    with pytest.raises(InputError, match=r"there is no .*x.npy, .*--data PATH"):
        resume(3)
    moved = dataclasses.replace(own.data, name="moved.npy")
    assert resume(3, data=moved).run.data.path.endswith("elsewhere/moved.npy")
    assert aejax.load(path(folder)).run.data.path.endswith("elsewhere/moved.npy")
    np.save("moved.npy", ROWS[::-1])
    with pytest.raises(InputError, match=r"moved.npy is not what was trained on, .* other values"):
        resume(4, data=moved)


@pytest.mark.slow
def test_a_sweep_goes_on_with_the_same_data_alone(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", ROWS)
    axes = ["data=x.npy", "epochs=1", "batch-size=32", "loss.likelihood=gaussian", "data.validation=0.2", "seed=0"]
    assert command("sweep", "ae-keras", *axes)[0] == 0
    assert command("sweep", "ae-keras", *axes)[0] == 0
    np.save("x.npy", ROWS[::-1])
    code, out, err = command("sweep", "ae-keras", *axes)
    assert code == 2
    assert "was begun with other data, x.npy holds as many examples with other values" in err
    assert "have a result" not in out


def test_a_run_without_validation_names_the_setting(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", ROWS)
    found = aejax.fit(experiment(0.0), folder="runs", figures=False).run.path
    code, out, _ = command("score", found, "--data", "x.npy", "--out", "s.npy")
    assert code == 0
    assert "no threshold: 0 validation examples are too few for fpr=0.01" in out
    assert np.load("s.npy").shape == (len(ROWS),)
    code, _, err = command("score", found, "--data", "x.npy", "--out", "s.npy", "--threshold", "fpr=0.01")
    assert code == 2
    assert "--data.validation 0.1" in err
    code, _, err = command("eval", found, "--split", "validation")
    assert code == 2
    assert "no validation part of x.npy is held out" in err


def test_a_run_of_an_older_version_loads_and_says_once_what_cannot_be_told(folder, command, caplog):
    content = json.loads((path(folder) / "experiment.json").read_text())
    del content["data"]
    (path(folder) / "experiment.json").write_text(json.dumps(content))
    np.save("x.npy", ROWS)
    assert command("eval", path(folder))[0] == 0
    assert sum("keeps no record of its data" in message for message in caplog.messages) == 1
