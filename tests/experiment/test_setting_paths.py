"""Paths of settings are the same words everywhere, joined by - or _, and settings go from a run to a new one."""

import dataclasses
import json

import pytest

import aejax
from aejax.cli import _training
from aejax.core import InputError, setting_path
from aejax.experiment import dumps, from_json, replace_at, to_json, vary
from aejax.runs import Run, read_experiment
from aejax.sweeps import grid, parse_axis
from aejax.sweeps.space import parse_search_axis

BASE = aejax.get("ae-keras")
CHANGED = dataclasses.replace(BASE, optimizer=dataclasses.replace(BASE.optimizer, learning_rate=0.5))


@pytest.mark.parametrize("path", ["optimizer.learning-rate", "optimizer.learning_rate"])
def test_a_path_is_understood_however_its_words_are_joined(path):
    assert setting_path(path) == "optimizer.learning_rate"
    assert replace_at(BASE, path, 0.5) == CHANGED
    (trial,) = grid(BASE, {path: [0.5]})
    assert (trial.experiment, trial.settings) == (CHANGED, {"optimizer.learning_rate": 0.5})
    assert parse_axis(f"{path}=0.5") == ("optimizer.learning_rate", [0.5])
    assert parse_search_axis(f"{path}=1:2:lin")[0] == "optimizer.learning_rate"
    content = to_json(BASE)
    del content["optimizer"]["learning_rate"]
    content["optimizer"][path.rpartition(".")[2]] = 0.5
    assert from_json(content).optimizer.learning_rate == 0.5


def test_settings_of_a_run_or_of_a_file_begin_a_new_run(tmp_path):
    run = Run.create(tmp_path, CHANGED, (28, 28, 1), 234).path
    (tmp_path / "shown.json").write_text(dumps(CHANGED).replace("learning_rate", "learning-rate"))
    for source in (run, run / "experiment.json", tmp_path / "shown.json"):
        assert read_experiment(source) == CHANGED
        for arguments in (["--config", str(source), "--epochs", "3"], ["ae-keras", f"--config={source}"]):
            base, left = _training._base(arguments)
            assert base == CHANGED
            assert left == [word for word in arguments if word != "ae-keras"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "should hold a JSON object"),
        ("{}", "holds no experiment"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_holds_no_settings_is_refused(tmp_path, content, said):
    if content is not None:
        (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError, match=said):
        read_experiment(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["vae-flax", "--config", "RUN"], "is of ae-keras, not of vae-flax"),
        (["--config", "RUN", "--resume", "RUN"], "give one of them"),
        (["--epochs", "3"], "an experiment's name comes before --epochs"),
        (["ae-kears", "--config", "RUN"], "did you mean ae-keras"),
    ],
)
def test_settings_that_two_places_give_are_refused(tmp_path, arguments, said):
    run = Run.create(tmp_path, CHANGED, (28, 28, 1), 234).path
    with pytest.raises(InputError, match=said):
        _training._base([str(run) if word == "RUN" else word for word in arguments])


def test_an_experiment_of_the_command_line_is_the_registered_one():
    settings = _training._settings()(**vars(BASE))
    assert _training._experiment(settings) == BASE
    assert json.loads(dumps(_training._experiment(settings))) == json.loads(dumps(BASE))
    assert _training._experiment(dataclasses.replace(settings, epochs=1)).expected is None
    assert _training._experiment(dataclasses.replace(settings, seed=1)).expected == BASE.expected


@pytest.mark.parametrize("path", ["data", "data.name"])
@pytest.mark.parametrize(("more", "held_out"), [({}, 0.1), ({"data.validation": 0.0}, 0.0)])
def test_own_data_hold_out_validation_by_either_path(path, more, held_out):
    base = aejax.get("ae-keras")
    assert base.data.validation == 0
    for settings in ({**more, path: "own.npy"}, {path: "own.npy", **more}):
        varied = vary(base, settings).data
        assert (varied.name, varied.validation) == ("own.npy", held_out)
    assert vary(base, {path: "mnist-5k"}).data.validation == 0


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("epochs.x", "no setting 'epochs.x'"),
        ("data.name.x", "no setting 'data.name.x'"),
        ("loss.terms.reconstructon.weight", "did you mean loss.terms.reconstruction.weight"),
        ("loss.terms", "no setting 'loss.terms': "),
        ("optimizer.weight_decay", "optimizer adam-w has it"),
    ],
)
def test_a_path_that_leads_nowhere_is_one_sentence(path, said):
    with pytest.raises(InputError) as told:
        replace_at(BASE, path, 1)
    assert said in str(told.value)
    assert "loss loss has it" not in str(told.value)
