"""From a sweep to a model: the best trial's state is kept or trained again, and becomes an ordinary run."""

import dataclasses
import json
import math

import jax
import numpy as np
import pytest

import aejax
from aejax.core import InputError
from aejax.data import load
from aejax.evaluation import report
from aejax.experiment import replace_at
from aejax.sweeps import Objective, Sweep, best_run, models, plan, run_sweep, summary
from aejax.training import EarlyStopping

RATE = "optimizer.learning_rate"


@pytest.fixture
def base(tiny, tmp_path):
    """The tiny experiment on 60 images in a file, of which some are held out."""
    parts = {f"x_{name}": getattr(tiny.dataset, name).x for name in ("train", "validation", "test")}
    np.savez(tmp_path / "data.npz", **parts)
    return replace_at(tiny.experiment, "data", str(tmp_path / "data.npz"))


@pytest.fixture
def drawn(monkeypatch):
    """The runs of which figures were to be drawn, which here takes no time."""
    runs = []
    monkeypatch.setattr(report, "draw", lambda trained, dataset, folder, shown: runs.append(folder.parent) or [])
    return runs


def worked(folder, base, axes, **options):
    made = Sweep.create(folder, plan.grid(base, axes))
    run_sweep(made, **options)
    return made


@pytest.mark.slow
def test_the_best_trial_becomes_a_run_from_its_kept_state(base, tmp_path, drawn):
    made = worked(tmp_path / "sweep", base, {RATE: [1e-4, 1e-2, 1e-3]})
    best = summary.summarise(made).best_trial
    assert best.settings[RATE] == 1e-2
    assert [path.stem for path in (made.folder / "models").glob("*.safetensors")] == [best.id]
    trained = best_run(made, tmp_path / "runs")
    assert drawn == [trained.run.path]
    again = aejax.load(trained.run.path)
    result, dataset = made.result_of(best), load(base.data)
    for part in ("validation", "test"):
        assert again.evaluate(dataset.part(part))["loss_nats"] == result.metrics[part]["loss_nats"]  # to the last bit
    assert [row["loss_nats"] for row in again.history if row["split"] == "validation"] == result.curves["validation"]
    content = json.loads((trained.run.path / "result.json").read_text())
    assert content["test"]["loss_nats"] == pytest.approx(result.metrics["test"]["loss_nats"])
    (made_with,) = again.run.provenance
    assert made_with["trial"] == best.id
    longer = aejax.fit(dataclasses.replace(best.experiment, epochs=3), resume=trained.run.path)
    assert int(longer.state.step) == 3 * trained.run.steps_per_epoch


@pytest.mark.slow
def test_what_was_not_kept_is_trained_again_and_that_is_said(base, tmp_path, drawn, caplog):
    made = worked(tmp_path / "sweep", base, {RATE: [1e-2, 1e-3]}, keep=0)
    assert not (made.folder / "models").exists()
    best = summary.summarise(made).best_trial
    trained = best_run(made, tmp_path / "runs")
    assert f"the state of trial {best.id} was not kept: it is trained again" in caplog.text
    test = trained.evaluate(load(base.data).test)["loss_nats"]
    assert test == pytest.approx(made.result_of(best).metrics["test"]["loss_nats"], rel=1e-5)
    assert not list(made.folder.glob("again/*"))


@pytest.mark.slow
def test_a_damaged_state_is_trained_again(base, tmp_path, caplog):
    made = worked(tmp_path / "sweep", base, {RATE: [1e-2]})
    (path,) = (made.folder / "models").glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-9] + bytes(9))
    assert models.kept_model(made, made.trials[0]) is None
    assert "is damaged" in caplog.text


@pytest.mark.slow
def test_a_trial_that_ended_early_is_trained_again_to_where_it_ended(base, tmp_path):
    axes = {RATE: [1e-30], "epochs": [9]}  # which changes nothing
    made = worked(tmp_path / "sweep", base, axes, selection=EarlyStopping(2), keep=0)
    (trial,) = made.trials
    stopped = made.result_of(trial).stopped_after
    assert stopped == 3
    trained = models.train_again(made, trial)
    assert [row["epoch"] for row in trained.history if row["split"] == "train"] == [1, 2, 3]


@pytest.mark.slow
def test_the_best_so_far_are_kept_by_the_metric_of_the_sweep(base, tmp_path):
    made = worked(tmp_path / "sweep", base, {RATE: [1e-4, 1e-3, 3e-3, 1e-2, 3e-4]}, keep=2, width=1)
    results = made.results()
    ranked = sorted(results, key=lambda id: results[id].metrics["validation"]["loss_nats"])
    kept = {path.stem for path in (made.folder / "models").glob("*.safetensors")}
    assert kept == {*ranked[:2]}
    by_another = Sweep.create(made.folder, made.trials, objective=Objective("squared_error"))
    trial = next(trial for trial in made.trials if trial.id == ranked[-1])
    trained = models.train_again(made, trial)
    models.keep_best(by_another, trial, trained, results[trial.id], 2)
    assert {path.stem for path in (made.folder / "models").glob("*.safetensors")} == {trial.id}
    failed = dataclasses.replace(results[ranked[0]], failed_at=3)
    models.keep_best(by_another, made.trials[0], trained, failed, 2)
    lost = dataclasses.replace(results[ranked[0]], metrics={"validation": {"squared_error": math.nan}})
    models.keep_best(by_another, made.trials[0], trained, lost, 2)
    assert {path.stem for path in (made.folder / "models").glob("*.safetensors")} == {trial.id}


@pytest.mark.slow
def test_without_validation_there_is_no_best_to_make_a_run_of(base, tmp_path):
    np.savez(tmp_path / "two.npz", x_train=load(base.data).train.x, x_test=load(base.data).test.x)
    two = replace_at(replace_at(base, "data", str(tmp_path / "two.npz")), "data.validation", 0.0)
    made = worked(tmp_path / "sweep", two, {RATE: [1e-2, 1e-3]})
    assert not (made.folder / "models").exists()
    with pytest.raises(InputError, match="is the best: the data hold no validation part out"):
        best_run(made, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_every_array_of_a_kept_state_is_the_one_of_training(base, tmp_path):
    made = worked(tmp_path / "sweep", base, {RATE: [1e-2]})
    kept = models.kept_model(made, made.trials[0])
    alone = models.train_again(made, made.trials[0])
    jax.tree.map(np.testing.assert_array_equal, kept.state, alone.state)
    assert kept.experiment == alone.experiment
