"""The command that trains an experiment says all of its settings: parsed, it gives the experiment again."""

import dataclasses
import shlex
import sys

import pytest

import aejax
from aejax.cli import _entry, _training
from aejax.experiment import registry, train_command
from aejax.losses import CodeL1, Reconstruction
from aejax.sweeps import plan


class Parsed(Exception):  # noqa: N818 - it carries what was parsed out of the command line
    pass


@pytest.fixture
def parsed(monkeypatch):
    """Returns the experiment that a command of the command line would train."""

    def stop(command, options, experiment, arguments):
        raise Parsed(parse(command, options, experiment, arguments))

    parse = _training._parse
    monkeypatch.setattr(_training, "_parse", stop)

    def parsed(command):
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        with pytest.raises(Parsed) as caught:
            _entry.main()
        return _training._experiment(caught.value.args[0].experiment)

    return parsed


@pytest.mark.parametrize(
    ("name", "axes"),
    [
        ("vae-flax", {"data": ["mnist-5k"], "loss.terms.kl.weight": [0.25, 1.0], "seed": [0, 3]}),
        ("ae-keras", {"optimizer": ["sgd"], "optimizer.learning_rate": [1e-30], "optimizer.schedule": ["cosine"]}),
        ("ae-deep", {"model.encoder.hidden": [[64, 32]], "loss.likelihood": ["gaussian"], "steps": [100]}),
        ("ae-keras", {"experiment": ["vae-flax"], "model.remat": [True], "optimizer.clip_norm": [1.5], "epochs": [2]}),
        ("ae-keras", {"data": ["a b.csv"], "data.label": ["the label"], "data.drop": [["x", "y"]],
                      "data.preprocess": ["standardise"], "data.preprocess.clip": [3.0]}),
    ],
)  # fmt: skip
def test_a_trial_s_command_trains_that_trial(parsed, name, axes):
    for trial in plan.grid(aejax.get(name), axes):
        assert plan.identity(parsed(trial.command)) == trial.id


def test_the_command_of_a_registered_experiment_is_its_name():
    for name in ("ae-keras", "vae-flax", "dae-gaussian"):
        assert train_command(registry.get(name)) == f"aejax train {name}"


def test_a_term_that_was_added_is_a_flag_and_one_that_was_removed_has_none(parsed):
    base = aejax.get("vae-flax")
    terms = base.loss.terms | {"sparsity": CodeL1(0.25)}
    added = dataclasses.replace(base, loss=dataclasses.replace(base.loss, terms=terms))
    flags = "--loss.terms.sparsity code-l1 --loss.terms.sparsity.weight 0.25"
    assert train_command(added) == f"aejax train vae-flax {flags}"
    assert parsed(train_command(added)) == added
    alone = {"reconstruction": Reconstruction()}
    assert train_command(dataclasses.replace(base, loss=dataclasses.replace(base.loss, terms=alone))) is None
    assert train_command(dataclasses.replace(base, name="of my own")) is None


def test_own_code_is_imported_by_the_command(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import aejax\naejax.register('ae-mine', 'my own', lambda: aejax.get('ae-keras'))\n"
    )
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    aejax.experiment.import_code(str(tmp_path / "mine.py"))
    assert train_command(aejax.get("ae-mine")) == f"aejax train ae-mine --import {tmp_path / 'mine.py'}"
