import dataclasses
import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import aejax
from aejax import devices, training
from aejax.cli._sweeps import SweepCommand as Command, SweepShowCommand as Show
from aejax.core import InputError
from aejax.data import DataRecord, again, load
from aejax.experiment import canonical, replace_at
from aejax.sweeps import Objective, Reader, Result, Sweep, claims, plan, run_sweep, summary
from aejax.sweeps.plan import Trial
from aejax.training import SuccessiveHalving, population
from tests.helpers.small import DATASET

ROOT = Path(__file__).parents[2]


def result_of(trial, **metrics):
    return Result(trial.id, trial.settings, failed_at=None, stopped_after=None, seconds=1.0, metrics=metrics)


@pytest.fixture
def data(tmp_path):
    """A file of 40 small images."""
    path = tmp_path / "data.npy"
    np.save(path, np.random.default_rng(0).integers(0, 255, (40, 6), np.uint8))
    return path


@pytest.fixture
def base(tiny, data):
    return replace_at(dataclasses.replace(tiny.experiment, epochs=1), "data", str(data))


def worked(folder, trials, objective=None, **options):
    made = Sweep.create(folder, trials, objective=objective)
    run_sweep(made, **options)
    return made


@pytest.mark.slow
def test_every_trial_leaves_the_result_that_it_has_alone(base, tmp_path):
    trials = plan.grid(base, {"optimizer.learning_rate": [1e-3, 1e-2], "model.latent.size": [1, 2]})
    made = worked(tmp_path / "sweep", trials)
    results = made.results()
    assert set(results) == {trial.id for trial in trials}
    for trial in trials:
        result = results[trial.id]
        alone = aejax.fit(trial.experiment)
        test = load(trial.experiment.data).test
        assert result.metrics["test"]["loss_nats"] == pytest.approx(alone.evaluate(test)["loss_nats"], rel=1e-4)
        assert result.settings == trial.settings
        assert result.curves["train"] == pytest.approx([alone.history[0]["loss_nats"]], rel=1e-4)
    assert not list((tmp_path / "sweep" / "claims").iterdir())


def test_the_data_of_a_sweep_are_compared_once_for_as_long_as_they_are_kept(base, data, tmp_path, monkeypatch):
    records = {canonical(base.data): DataRecord.of(load(base.data))}
    made, read, hashed = Sweep.create(tmp_path / "sweep", plan.grid(base, {"seed": [0, 1]}), records), Reader(), []
    hash_of = again.fingerprint
    monkeypatch.setattr(again, "fingerprint", lambda part: hashed.append(part) or hash_of(part))
    first = made.dataset(base.data, read)
    assert made.dataset(base.data, read) is first
    assert len(hashed) == 3
    np.save(data, np.zeros((40, 6), np.uint8))
    with pytest.raises(InputError, match="is not what was trained on"):
        made.dataset(base.data, Reader())
    read(replace_at(base, "data.validation", 0.5).data)  # in their place
    with pytest.raises(InputError, match="is not what was trained on"):
        made.dataset(base.data, read)


@pytest.mark.slow
def test_a_stopped_sweep_goes_on_and_repeats_nothing(base, tmp_path, monkeypatch):
    trials = plan.grid(base, {"seed": [0, 1, 2, 3]})
    made = Sweep.create(tmp_path / "sweep", trials)
    trained = []
    fit = training.fit_each

    def failing(experiments, **options):
        if trained:
            raise KeyboardInterrupt
        trained.extend(experiments)
        return fit(experiments, **options)

    monkeypatch.setattr(training, "fit_each", failing)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(made, width=2)
    assert len(made.finished()) == 2
    assert not any(made._taken(trial, made._now()) for trial in made.trials)  # given back
    again = []

    def counting(experiments, **options):
        again.extend(experiments)
        return fit(experiments, **options)

    monkeypatch.setattr(training, "fit_each", counting)
    run_sweep(Sweep.open(tmp_path / "sweep"), width=2)
    assert len(made.finished()) == 4
    assert {item.seed for item in trained} | {item.seed for item in again} == {0, 1, 2, 3}
    assert len(again) == 2


@pytest.mark.slow
def test_what_a_dead_worker_was_at_work_on_goes_on_where_it_was(base, tmp_path, monkeypatch):
    trials = plan.grid(dataclasses.replace(base, epochs=5), {"seed": [0, 1, 2]})
    undisturbed = worked(tmp_path / "undisturbed", trials).results()
    monkeypatch.setattr(population, "SAVE_EVERY", 0.0)
    before, after = [], []

    def dying(rows, state):
        before.extend(row["trial"] for row in rows if row["split"] == "train")
        if len(before) > 4 * len(trials) // 2:
            raise KeyboardInterrupt

    made = Sweep.create(tmp_path / "sweep", trials)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(made, observers=[dying])
    assert list((tmp_path / "sweep" / "training").iterdir())
    run_sweep(made, observers=[lambda rows, state: after.extend(rows)])
    ids = {trial.id for trial in trials}
    assert {*before, *(row["trial"] for row in after)} == ids
    assert {row["trial"] for row in after if row["split"] == "test"} == ids
    assert len(before) + sum(row["split"] == "train" for row in after) < 2 * 5 * len(trials)
    assert not (tmp_path / "sweep" / "training").exists()
    for id, result in made.results().items():
        assert result.metrics == undisturbed[id].metrics  # to the last bit
        assert result.curves == undisturbed[id].curves


@pytest.mark.slow
def test_where_measuring_is_stopped_training_stops_too_and_is_kept(base, tmp_path, monkeypatch):
    monkeypatch.setattr(population, "SMALL", 0.0)
    monkeypatch.setattr(devices, "lanes", lambda: 2)

    def measure(trained, part):
        raise KeyboardInterrupt

    made = Sweep.create(tmp_path / "sweep", plan.grid(dataclasses.replace(base, epochs=500), {"seed": [0, 1, 2, 3]}))
    with pytest.raises(KeyboardInterrupt):
        run_sweep(made, measure=measure)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("members")]
    assert list((tmp_path / "sweep" / "training").iterdir())


def test_trials_that_were_claimed_together_are_taken_over_together(base, tmp_path):
    made = Sweep.create(tmp_path / "sweep", plan.grid(base, {"seed": [0, 1, 2, 3, 4]}))
    first, second = made.claim("one", 2), made.claim("two", 2)
    assert made.record("one", first[0], result_of(first[0], test={}))
    for worker, trials in (("one", first), ("two", second)):
        made.release(worker, trials)
    assert made.claim("another", 5) == first[1:]
    assert made.claim("another", 5) == second
    assert made.claim("another", 5) == made.trials[4:]


def test_a_claim_keeps_others_away_until_its_worker_is_dead(base, tmp_path, monkeypatch):
    made = Sweep.create(tmp_path / "sweep", plan.grid(base, {"seed": [0, 1, 2]}))
    mine = made.claim("me", 2)
    theirs = made.claim("they", 5)
    assert [trial.settings["seed"] for trial in mine] == [0, 1]
    assert [trial.settings["seed"] for trial in theirs] == [2]
    assert made.claim("another", 5) == []
    long_ago = time.time() - claims.LEASE - 1
    for trial in mine:
        os.utime(made._claim(trial), (long_ago, long_ago))
    assert made.claim("another", 5) == mine
    result = result_of(mine[0], test={})
    assert not made.record("me", mine[0], result)  # it was taken over
    assert made.record("another", mine[0], result)
    assert not made.record("another", mine[0], result)  # once is enough


@pytest.mark.slow
def test_further_values_and_seeds_are_added_and_only_they_are_trained(base, tmp_path, monkeypatch):
    rate, size = "optimizer.learning_rate", "model.latent.size"
    made = worked(tmp_path / "sweep", plan.grid(base, {rate: [1e-3]}))  # of the experiment's own seed
    (old,) = made.results().values()
    again, fit = [], training.fit_each

    def counting(experiments, **options):
        again.extend(experiments)
        return fit(experiments, **options)

    monkeypatch.setattr(training, "fit_each", counting)
    wider = {rate: [1e-3, 1e-2], "seed": [0, 1], size: [base.model.latent.size]}
    worked(tmp_path / "sweep", plan.grid(base, wider))
    assert sorted((item.optimizer.learning_rate, item.seed) for item in again) == [(1e-3, 1), (1e-2, 0), (1e-2, 1)]
    joined = Sweep.open(tmp_path / "sweep")
    assert joined.results()[old.id] == old
    assert {tuple(trial.settings) for trial in joined.trials} == {(rate, "seed", size)}
    assert [len(row.values) for row in summary.summarise(joined).rows] == [2, 2]
    assert [entry["trials"] for entry in joined.made] == [1, 3]
    again.clear()
    worked(tmp_path / "sweep", plan.grid(base, {rate: [1e-2, 1e-3]}))  # the first command's values, and no fewer trials
    assert not again
    assert len(Sweep.open(tmp_path / "sweep").trials) == 4


@pytest.mark.slow
def test_a_worker_of_the_shorter_plan_leaves_what_others_are_training(base, tmp_path):
    made = Sweep.create(tmp_path / "sweep", plan.grid(base, {"seed": [0]}))
    Sweep.create(tmp_path / "sweep", plan.grid(base, {"seed": [0, 1]}))
    (tmp_path / "sweep" / "training").mkdir()
    run_sweep(made)
    assert len(made.finished()) == 1
    assert (tmp_path / "sweep" / "training").exists()


@pytest.mark.slow
def test_a_sweep_of_an_older_version_is_shown_and_gone_on_with(base, tmp_path):
    """Without the metric that it is compared by, and with a loss that cannot compare its trials."""
    path = "loss.terms.reconstruction.weight"
    trials = plan.grid(base, {path: [0.5, 1.0]})
    made = worked(tmp_path / "sweep", trials, objective=Objective("squared_error"))
    content = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    (tmp_path / "sweep" / "sweep.json").write_text(json.dumps({name: content[name] for name in ("trials", "data")}))
    older = Sweep.open(tmp_path / "sweep")
    assert older.results() == made.results()
    assert summary.summarise(older).metric == "squared_error"
    by_loss = summary.summarise(older, "loss_nats")
    assert by_loss.best is None
    assert f"loss_nats has another meaning at each {path}" in by_loss.unranked
    assert [row.settings[path] for row in by_loss.rows] == [0.5, 1.0]
    assert len(worked(tmp_path / "sweep", trials, objective=Objective("squared_error")).results()) == 2


def test_before_the_first_result_it_is_said_what_trains_the_trials(base, tmp_path):
    made = Sweep.create(tmp_path / "sweep", plan.grid(base, {"seed": [0, 1]}), command="aejax sweep tiny seed=0,1")
    with pytest.raises(InputError, match=r"none of the 2 trials of .*sweep has ended yet: `aejax sweep tiny seed=0,1`"):
        summary.summarise(made)
    (trial,) = made.claim("me", 1)
    failed = dataclasses.replace(result_of(trial, validation={}, test={}), failed_at=3)
    assert made.record("me", trial, failed)
    (row,) = summary.summarise(made).rows
    assert (row.values, row.failed, row.missing) == ([], 1, 1)


def test_without_validation_nothing_is_the_best_and_it_is_said_why(base, tmp_path, capsys):
    made = Sweep.create(tmp_path / "sweep", plan.grid(base, {"optimizer.learning_rate": [1e-3, 1e-2]}))
    for trial, value in zip(made.claim("me", 2), (2.0, 1.0), strict=True):
        assert made.record("me", trial, result_of(trial, train={"loss_nats": value}, test={"loss_nats": value}))
    found = summary.summarise(made)
    assert [row.mean for row in found.rows] == [2.0, 1.0]  # the plan's order
    summary.show(found)
    shown = capsys.readouterr().out
    assert "no setting is called the best: the data hold no validation part out" in shown
    assert "┃ best" not in shown
    with pytest.raises(InputError, match="is the best: the data hold no validation part out"):
        found.best_trial  # noqa: B018


@pytest.mark.slow
def test_a_living_worker_s_claims_do_not_grow_old(base, tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "LEASE", 0.6)
    made = Sweep.create(tmp_path / "sweep", plan.grid(base, {"seed": [0]}))
    mine = made.claim("me", 1)
    with made.touching("me", mine):
        time.sleep(1.5)
        assert made.claim("they", 1) == []
    assert made.claim("they", 1) == mine


def test_no_clock_but_the_disk_s_decides_whether_a_worker_lives(base, tmp_path, monkeypatch):
    made = Sweep.create(tmp_path / "sweep", plan.grid(base, {"seed": [0, 1]}))
    assert len(made.claim("alive", 9)) == 2
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + 2 * claims.LEASE)
    assert made.claim("fast", 9) == []
    dead = clock() - claims.LEASE - 1
    for trial in made.trials:
        os.utime(made._claim(trial), (dead, dead))
    monkeypatch.setattr(time, "time", lambda: clock() - 2 * claims.LEASE)
    assert len(made.claim("slow", 9)) == 2


@pytest.mark.slow
def test_a_failed_trial_is_recorded_and_named(base, tmp_path):
    trials = plan.grid(base, {"optimizer": ["sgd"], "optimizer.learning_rate": [1e30, 1e-3], "epochs": [2]})
    made = worked(tmp_path / "sweep", trials)
    rows = summary.summarise(made).rows
    assert [row.failed for row in rows] == [0, 1]
    assert math.isnan(rows[1].mean)
    failed = made.results()[trials[0].id]
    assert (failed.metrics["validation"], failed.metrics["test"]) == (
        {},
        {},
    )  # its parameters stand still, and are no result


def test_means_and_intervals_over_seeds(base, tmp_path):
    made = Sweep.create(tmp_path / "sweep", plan.grid(base, {"seed": [0, 1, 2, 3], "epochs": [1, 2]}))
    for trial in made.trials[:7]:
        made.claim("me", 1)
        value = 1.0 + trial.settings["seed"] + 10 * trial.settings["epochs"]
        validation = {"loss_nats": value, "accuracy": value}
        made._claim(trial).write_text("me")
        assert made.record("me", trial, result_of(trial, validation=validation, test={"loss_nats": -value}))
    best, other = summary.summarise(made).rows
    assert [row.mean for row in summary.summarise(made, "accuracy").rows] == [other.mean, best.mean]
    by_test = summary.summarise(made, part="test").rows
    assert [row.settings for row in by_test] == [best.settings, other.settings]  # the plan's order, not the best's
    assert by_test[0].mean == -best.mean > by_test[1].mean
    assert best.values == [11, 12, 13, 14]
    assert best.mean == 12.5
    assert best.half_width == pytest.approx(3.182 * np.std(best.values, ddof=1) / 2, rel=1e-3)
    assert (other.missing, len(other.values)) == (1, 3)
    with pytest.raises(InputError, match=r"the metric 'mig' of validation: it has accuracy, loss_nats"):
        summary.summarise(made, "mig", "validation")


@pytest.mark.parametrize(("metric", "best", "worst"), [("loss_nats", "11.00", "14.00"), ("accuracy", "14.00", "11.00")])
def test_the_best_seed_is_shown_beside_the_mean(base, tmp_path, metric, best, worst, capsys):
    made = Sweep.create(tmp_path / "sweep", plan.grid(base, {"seed": [0, 1, 2]}))
    for trial, value in zip(made.claim("me", 3), (11.0, 12.0, 14.0), strict=True):
        assert made.record("me", trial, result_of(trial, validation={metric: value}, test={}))
    found = summary.summarise(made, metric)
    assert found.best_trial.settings["seed"] == (0 if metric == "loss_nats" else 2)
    summary.show(found)
    cells = [cell.strip() for cell in capsys.readouterr().out.split("│")]
    assert {"12.33", "3.795", best} <= set(cells)
    assert worst not in cells


@pytest.mark.parametrize("metric", ["dci_disentanglement", "perplexity", "dci_completeness"])
def test_the_highest_is_the_first_where_higher_is_better(base, tmp_path, metric, capsys):
    made = Sweep.create(tmp_path / "sweep", plan.grid(base, {"epochs": [1, 2]}))
    for value in (0.1, 0.9):
        (trial,) = made.claim("me", 1)
        assert made.record("me", trial, result_of(trial, validation={metric: value}, test={}))
    assert [row.mean for row in summary.summarise(made, metric).rows] == [0.9, 0.1]
    Show(made.folder, metric)()
    shown = capsys.readouterr().out
    assert "↑" in shown
    assert shown.index("0.9") < shown.index("0.1")


def test_a_metric_that_nobody_knows_asks_for_its_direction(base, tmp_path, capsys):
    made = Sweep.create(tmp_path / "sweep", plan.grid(base, {"epochs": [1, 2]}))
    for value in (0.1, 0.9):
        (trial,) = made.claim("me", 1)
        assert made.record("me", trial, result_of(trial, validation={"sharpness": value}, test={}))
    with pytest.raises(InputError, match=r"the metric sharpness is not known: give --minimize or --maximize"):
        summary.summarise(made, "sharpness", "validation")
    for better, means in (("lower", [0.1, 0.9]), ("higher", [0.9, 0.1])):
        assert [row.mean for row in summary.summarise(made, "sharpness", "validation", better).rows] == means
    Show(made.folder, "sharpness", maximize=True)()
    assert "sharpness ↑" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(InputError, match="contradict each other"):
        Show(made.folder, "sharpness", maximize=True, minimize=True)()


def test_a_number_is_found_by_both_of_its_names(base, tmp_path):
    made = Sweep.create(tmp_path / "sweep", plan.grid(base, {"epochs": [1, 2]}))
    for name in ("distortion_nats", "reconstruction_nats"):  # as an older version wrote it, and this one
        (trial,) = made.claim("me", 1)
        assert made.record("me", trial, result_of(trial, validation={name: 3.0}, test={}))
    for name in ("distortion_nats", "reconstruction_nats"):
        assert [row.values for row in summary.summarise(made, name).rows] == [[3.0], [3.0]]


def test_results_that_are_no_numbers_are_null_on_disk(base, tmp_path):
    made = Sweep.create(tmp_path / "sweep", plan.grid(base, {"epochs": [1]}))
    (trial,) = made.claim("me", 1)
    odd = dataclasses.replace(result_of(trial, test={"loss_nats": math.nan}), curves={"train": [1.0, math.inf]})
    assert made.record("me", trial, odd)
    text = made._result(trial).read_text()
    assert json.loads(text, parse_constant=pytest.fail)["test"] == {"loss_nats": None}
    read = made.result_of(trial)
    assert math.isnan(read.metrics["test"]["loss_nats"])
    assert read.curves["train"][0] == 1
    assert math.isnan(read.curves["train"][1])
    (row,) = summary.summarise(made).rows
    assert (row.values, row.failed, row.missing) == ([], 1, 0)
    made._result(trial).write_text(text.replace("null}", "NaN}"))  # as an older version wrote it
    assert math.isnan(made.result_of(trial).metrics["test"]["loss_nats"])


def test_trials_without_the_metric_have_no_mean(base, tmp_path):
    made = Sweep.create(tmp_path / "sweep", plan.grid(base, {"epochs": [1, 2]}))
    for test in ({}, {"kl_nats": 3.0}):
        (trial,) = made.claim("me", 1)
        assert made.record("me", trial, result_of(trial, validation={"loss_nats": 1.0} | test, test={}))
    best, other = summary.summarise(made, "kl_nats").rows
    assert best.mean == 3
    assert (other.values, other.failed, other.missing) == ([], 0, 0)


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_a_damaged_result_is_named(base, tmp_path, content):
    made = Sweep.create(tmp_path / "sweep", plan.grid(base, {"seed": [0, 1]}))
    (tmp_path / "sweep" / "results" / f"{made.trials[0].id}.json").write_text(content)
    with pytest.raises(InputError, match=rf"{made.trials[0].id}.json is damaged.*: remove it"):
        summary.summarise(made, "loss_nats", "validation")


@pytest.mark.parametrize(
    "broken", [3, {}, {"rows": {}}, {"low": "a"}, {"columns": [5]}, {"shape": "ab"}, {"fingerprints": {"train": "0"}}]
)
def test_a_damaged_record_of_its_data_is_told_when_it_is_opened(base, tmp_path, broken):
    record = DataRecord.of(DATASET)
    Sweep.create(tmp_path / "sweep", plan.grid(base, {"seed": [0, 1]}), {"generated": record})
    content = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    assert Sweep.open(tmp_path / "sweep").records == {"generated": record}
    content["data"]["generated"] = record.to_json() | broken if broken and isinstance(broken, dict) else broken
    (tmp_path / "sweep" / "sweep.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"sweep is no sweep \(.+\): give a folder that `aejax sweep` has made$"):
        Sweep.open(tmp_path / "sweep")


def test_a_folder_of_another_sweep_or_of_none_is_refused(base, tmp_path):
    Sweep.create(tmp_path / "sweep", plan.grid(base, {"seed": [0, 1]}))
    Sweep.create(tmp_path / "sweep", plan.grid(base, {"seed": [1, 0]}))  # the same trials: it is joined
    for other in (dataclasses.replace(base, batch_size=4), aejax.get("ae-keras")):
        with pytest.raises(InputError, match="a sweep of other settings: choose another --out"):
            Sweep.create(tmp_path / "sweep", plan.grid(other, {"seed": [0, 2]}))
    content = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    for number, trial in enumerate(content["trials"]):
        trial["id"] = f"{number:016x}"  # as an older version may have it
    (tmp_path / "sweep" / "sweep.json").write_text(json.dumps(content))
    joined = Sweep.create(tmp_path / "sweep", plan.grid(base, {"seed": [0, 1]}))
    assert [trial.id for trial in joined.trials] == [f"{0:016x}", f"{1:016x}"]
    with pytest.raises(InputError, match="is no sweep"):
        Sweep.open(tmp_path)
    (tmp_path / "sweep" / "sweep.json").write_text(json.dumps({"trials": [content["trials"][0] | {"experiment": 5}]}))
    with pytest.raises(InputError, match="is no sweep"):
        Sweep.open(tmp_path / "sweep")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot hold a sweep"):
        Sweep.create(tmp_path / "file", [Trial({}, base, "a")])


WORKER = """
import sys, time
from pathlib import Path
from aejax import training
from aejax.sweeps import Sweep, claims, run_sweep
claims.LEASE = 1.0

def fit(experiments, **options):  # as long as training, and as ready to be killed
    time.sleep(0.03 * len(experiments))
    return [Outcome(Path(sys.argv[2]), experiment.seed) for experiment in experiments]

class Outcome:
    failed_at = stopped_after = state = preprocess = reference = None
    shape = ()
    def __init__(self, log, seed):
        self.trained, self.history = self, [{"split": "train", "loss_nats": 0.0}]
        self.seed = seed

def measure(trained, part):
    return {"loss_nats": float(trained.seed)}

training.fit_each = fit
run_sweep(Sweep.open(Path(sys.argv[1])), width=4, measure=measure)
"""


@pytest.mark.slow
def test_two_workers_killed_at_random_moments_lose_nothing_and_do_nothing_twice(base, tmp_path):
    trials = plan.grid(base, {"seed": list(range(200))})
    folder = tmp_path / "sweep"
    made = Sweep.create(folder, trials)
    rng = random.Random(0)
    command = [sys.executable, "-c", WORKER, str(folder), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}

    def start():
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    workers, kills, written = [start(), start()], 0, {}
    deadline = time.time() + 240
    while len(made.finished()) < 200:
        assert time.time() < deadline
        time.sleep(0.05)
        for path in (folder / "results").glob("[!.]*.json"):
            stamp = path.stat().st_mtime_ns
            assert written.setdefault(path.name, stamp) == stamp  # no result is ever written again
        if kills < 5 and len(made.finished()) > 30 * kills + 5:
            time.sleep(rng.uniform(0, 0.3))
            victim = workers.pop(0)
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            workers.append(start())
            kills += 1
    for worker in workers:
        assert worker.wait(60) == 0
    assert kills == 5
    results = made.results()
    assert sorted(result.metrics["test"]["loss_nats"] for result in results.values()) == list(range(200))
    assert len({result.provenance["worker"] for result in results.values()}) >= 3


def test_a_model_that_cannot_be_made_is_refused_before_any_trial_trains(data):
    axes = (f"data={data}", "batch-size=8", "model.encoder=mlp-encoder", "model.decoder=mlp-decoder", "seed=0,1")
    with pytest.raises(InputError, match=r"VectorQuantised has slots=49.*slots divide the features"):
        Command("vq-vae-mnist", axes, plan=True)()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"patience": 3, "halving": (5,)}, "in two ways"),
        ({"patience": 0}, "count epochs"),
        ({"halving": (5, -1)}, "count epochs"),
        ({"width": 0}, "at least 1 trial"),
        (
            {"halving": (5, 50)},
            "could end early, as trials of 50 epochs have ended at the comparison after 50",
        ),
        ({"halving": (5,), "width": 1}, r"no trial could end early, as a trial .* is compared with none"),
        ({"patience": 49}, "a patience of 49 epochs cannot end a training of 50 before its end"),
    ],
)
def test_flags_out_of_range_are_refused(data, flags, message):
    with pytest.raises(InputError, match=message):
        Command("ae-keras", (f"data={data}", "batch-size=8", "seed=0,1"), plan=True, **flags)()


def test_a_halving_that_ends_nobody_is_refused_and_one_that_ends_some_said(base, caplog):
    trials = plan.grid(base, {"model.latent.size": [1, 2, 3], "epochs": [3], "seed": [0]})
    with pytest.raises(InputError, match="no trial could end early, as a trial that is claimed without another"):
        plan.check(trials, SuccessiveHalving((1, 2)))
    more = [*trials, *plan.grid(base, {"model.latent.size": [1], "epochs": [3], "seed": [1]})]
    plan.check(more, SuccessiveHalving((1, 2)))
    assert "2 of 4 trials never end early, as a trial that is claimed without another" in caplog.text


@pytest.mark.slow
def test_the_command_shows_the_plan_trains_and_shows_the_outcome(data, tmp_path):
    def run(*arguments):
        command = [sys.executable, "-m", "aejax", *arguments]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=250)

    axes = ["ae-keras", f"data={data}", "epochs=1", "batch-size=8", "seed=0..1", "model.latent.size=1,2"]
    done = run("sweep", *axes, "--out", "out")
    assert done.returncode == 0, done.stderr
    assert "4 of 4 trials have a result" in done.stdout
    assert len(json.loads((tmp_path / "out" / "sweep.json").read_text())["trials"]) == 4
    shown = run("sweep", "show", "out")
    assert shown.returncode == 0, shown.stderr
    assert "size" in shown.stdout
    refused = run("sweep", "ae-keras", f"data={data}", "batch-size=4000", "seed=0..1")
    said = [line for line in refused.stderr.splitlines() if "held out" not in line]
    assert (refused.returncode, len(said)) == (2, 1)
    assert "batch_size is 4000" in refused.stderr
