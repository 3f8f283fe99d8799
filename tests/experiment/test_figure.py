"""A published figure belongs to the settings that are registered: nothing else inherits it."""

import dataclasses
import json

import pytest

import aejax
from aejax.core import Adam
from aejax.data import Data
from aejax.experiment import Expected, from_json, registry, to_json
from aejax.runs import Run, read_experiment
from aejax.sweeps import grid
from tests.helpers.small import DATASET

BASE = aejax.get("ae-keras")
OWN = Expected("loss_nats", 3.0, source="here")


@pytest.mark.parametrize(
    ("changes", "stands"),
    [
        ({}, True),
        ({"seed": 3}, True),
        ({"epochs": BASE.epochs}, True),
        ({"epochs": 1}, False),
        ({"steps": 5}, False),
        ({"batch_size": 7}, False),
        ({"name": "mine"}, False),
        ({"data": Data("mnist-5k")}, False),
        ({"optimizer": Adam(2e-3)}, False),
        ({"epochs": 1, "expected": BASE.expected}, False),
        ({"epochs": 1, "expected": OWN}, True),
    ],
)
def test_any_change_of_a_setting_drops_the_figure_and_a_seed_does_not(changes, stands):
    assert (dataclasses.replace(BASE, **changes).expected is not None) is stands


def test_what_only_the_data_can_say_is_no_change():
    tiny = dataclasses.replace(BASE, data=Data("generated"), batch_size=8, expected=OWN)
    resolved = tiny.resolve(DATASET)
    assert resolved.model.shape == (4, 4, 1)
    assert resolved.expected == OWN
    assert dataclasses.replace(resolved, epochs=1).expected is None


def test_an_axis_of_a_sweep_drops_the_figure():
    trials = grid(BASE, {"seed": [0, 1], "epochs": [1, BASE.epochs]})
    assert [trial.experiment.expected is not None for trial in trials] == [False, True, False, True]


@pytest.mark.parametrize(("epochs", "stands"), [(1, False), (None, False)])
def test_an_experiment_that_is_registered_does_not_inherit_the_figure_it_was_made_of(monkeypatch, epochs, stands):
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))

    def build():
        base = aejax.get("ae-keras")
        return base if epochs is None else dataclasses.replace(base, epochs=epochs)

    registry.register("wide", "made of another", build)
    registry.register("own", "has its own", lambda: dataclasses.replace(build(), name="unnamed", expected=OWN))
    assert aejax.get("wide").expected is None
    assert aejax.get("own").expected == OWN


def test_a_file_of_an_older_version_or_one_that_was_edited_has_no_other_s_figure(tmp_path):
    run = Run.create(tmp_path, BASE, (28, 28, 1), 234)
    assert Run(run.path).experiment.expected == BASE.expected
    file = run.path / "experiment.json"
    content = json.loads(file.read_text())
    content["experiment"]["epochs"] = 1
    del content["changed"]
    file.write_text(json.dumps(content))
    assert Run(run.path).experiment.expected is None
    assert read_experiment(file).expected is None


def test_the_figure_survives_its_way_through_json():
    again = from_json(json.loads(json.dumps(to_json(BASE))))
    assert again == BASE
    assert dataclasses.replace(again, epochs=1).expected is None


def test_settings_are_named_by_what_is_not_their_default():
    """Results are kept under this name: a new field with a default must not change it."""
    assert aejax.get("ae-keras").expected.settings == "ae-keras@c680e6cc6f712be9"
