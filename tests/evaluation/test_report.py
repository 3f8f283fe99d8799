"""A published figure stands beside what was measured on the same data, by the same settings, and nowhere else."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

import aejax
from aejax.core import Examples
from aejax.data import Data
from aejax.evaluation import _variational, report
from aejax.experiment import Expected


@pytest.mark.parametrize(
    ("changes", "stands"),
    [
        ({}, True),
        ({"seed": 3}, True),
        ({"epochs": 1}, False),
        ({"name": "mine"}, True),
        ({"name": "mine", "epochs": 1}, False),
        ({"name": "mine", "data": Data("mnist-5k")}, False),
        ({"name": "mine", "epochs": 1, "expected": Expected("loss_nats", 3.0, source="here")}, True),
    ],
)
def test_a_figure_is_that_of_an_experiment_with_its_settings_under_any_name(changes, stands):
    experiment = dataclasses.replace(aejax.get("ae-keras"), **changes)
    assert report.published(experiment) == (experiment.expected if stands else None)


@pytest.mark.parametrize(
    ("part", "own", "stands"), [("test", True, True), ("test", False, False), ("all of x.npy", False, False)]
)
def test_no_verdict_is_given_on_other_data(part, own, stands, capsys):
    trained = SimpleNamespace(experiment=aejax.get("ae-keras"))
    report.show(trained, {trained.experiment.expected.metric: 0.05}, part, own=own)
    out = capsys.readouterr().out
    assert ("baseline" in out, ": reached" in out) == (stands, stands)
    assert part in out


@pytest.mark.parametrize(
    ("name", "measured", "words"),
    [
        ("vae-flax", 103.0, ["published", "104: reached"]),
        ("vae-flax", 104.3, ["104: not reached, by 0.3, within the tolerance of 0.5"]),
        ("vae-flax", 120.0, ["104: not reached, by 16"]),
        ("dae-tabular", 0.9, ["0.923: not reached, by 0.023"]),
    ],
)
def test_a_verdict_says_by_how_much_a_figure_is_missed(name, measured, words, capsys):
    experiment = aejax.get(name)
    report.show(SimpleNamespace(experiment=experiment), {experiment.expected.metric: measured}, "test")
    out = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert all(word in out for word in words)


def test_one_example_does_not_say_which_units_are_active(monkeypatch, caplog):
    values = {"mean": np.zeros((1, 2)), "rate_nats": np.ones(1)}
    monkeypatch.setattr(_variational, "outputs", lambda trained, part: values)
    trained = SimpleNamespace(experiment=aejax.get("vae-iwae-k1"))  # its terms are not the bound's parts
    assert _variational.measure(trained, Examples(np.zeros((1, 4)))) == {"rate_nats": 1}
    assert not any("collapse" in message for message in caplog.messages)
