"""Runs are listed and compared by what their folders say, without JAX."""

import ast
import csv
import dataclasses
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import aejax
from aejax.core import DivergedError, InputError, Stopped
from aejax.experiment import replace_at
from aejax.runs import Notes, Run, add_notes, read_notes
from aejax.runs.lines import write_lines
from aejax.runs.listing import as_lines, differences, find_runs, ordered, select
from aejax.runs.status import read_state
from aejax.training import fit, loop
from tests.helpers.small import DATASET, EXPERIMENT, stop_after

KERAS, FLAX = aejax.get("ae-keras"), aejax.get("vae-flax")


def row(split, step, loss, **rest):
    timed = {"seconds": 1.5, "examples_per_second": 9.0} if split == "train" else {}
    return {"epoch": step // 5, "step": step, "split": split, "loss_nats": loss, **rest, **timed}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Four runs: two of one experiment, one of another that failed, and one that is not registered."""
    tmp_path = tmp_path_factory.mktemp("made")
    fast = replace_at(replace_at(KERAS, "optimizer.learning-rate", 1e-2), "data", "mnist-5k")
    several = {
        "done": (replace_at(KERAS, "data", "mnist-5k"), Notes("small", ("a", "b"), "a remark")),
        "stopped": (fast, Notes(tags=("a",))),
        "failed": (FLAX, Notes()),
        "other": (dataclasses.replace(KERAS, name="mine"), Notes()),
    }
    for number, (name, (experiment, notes)) in enumerate(several.items()):
        run = Run.create(tmp_path / "runs" / name, experiment, (28, 28, 1), 5, notes=notes)
        rows = [row("train", 5, 9.0), row("validation", 5, 8.0)]
        rows += [row("train", 10, 7.0 - number), row("validation", 10, 6.0 - number)]
        (run.path / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
        if name == "done":
            test = {"loss_nats": 6.5, "squared_error": None, "mutual_information_nats": 2.2}
            run.write_result({"test": test, "at_ceiling": {"mutual_information_nats": 2.3}})
    failed = next((tmp_path / "runs" / "failed").rglob("experiment.json")).parent
    with pytest.raises(DivergedError), Run(failed).writing():
        raise DivergedError("kl_nats became nan\nand more")
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("given", "offered"),
    [
        ("runs/mnst-vae", "runs/mnist-vae/2 or runs/mnist-vae/1"),
        ("runs/mnst-vae/1", "runs/mnist-vae/1"),
        ("runs/mnist-vae/", "runs/mnist-vae/2 or runs/mnist-vae/1"),
        ("run/mnist-vae", "runs/mnist-vae/2 or runs/mnist-vae/1"),
        ("runs", "runs/mnist-vae/2 or runs/mnist-vae/1 or runs/deep/1"),
        ("elsewhere/1", None),
        (".", None),
    ],
)
def test_a_mistyped_run_offers_those_that_are_there(given, offered, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for age, run in enumerate(["mnist-vae/2", "mnist-vae/1", "deep/1"]):
        (file := Path("runs", run, "experiment.json")).parent.mkdir(parents=True)
        file.write_text("{")
        os.utime(file, (100 - age, 100 - age))
    with pytest.raises(InputError) as error:
        Run(Path(given))
    said = "give a folder like runs/NAME/ID" if offered is None else f"did you mean {offered}?"
    assert str(error.value).endswith(said)


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "runs")


def named(runs):
    return {run.path.parent.parent.name: run for run in runs}


def test_a_run_says_how_it_stands_what_it_is_called_and_what_it_came_to(folder):
    found = named(find_runs(folder))
    assert {name: run.state for name, run in found.items()} == {
        "done": "done",
        "stopped": "stopped",
        "failed": "failed",
        "other": "stopped",
    }
    done, failed = found["done"], found["failed"]
    assert failed.error == "kl_nats became nan"
    assert done.notes == Notes("small", ("a", "b"), "a remark")
    assert (done.value("loss_nats"), done.value("validation.loss_nats"), done.value("test.loss_nats")) == (
        6.0,
        6.0,
        6.5,
    )
    assert math.isnan(done.value("test.squared_error"))
    assert (done.value("epoch"), done.value("step"), done.value("seconds")) == (2, 10, 3.0)
    assert (done.value("epochs"), done.value("optimizer"), done.value("data")) == (KERAS.epochs, "adam", "mnist-5k")
    assert failed.value("test.loss_nats") is None
    assert (done.shown("mutual_information_nats"), done.shown("loss_nats")) == ("≥ 2.2", "6")


def test_what_differs_from_the_registered_experiment_is_said_once(folder):
    found = named(find_runs(folder))
    assert found["failed"].changed == {}
    assert found["other"].changed is None
    assert found["stopped"].changed == {"data.name": "mnist-5k", "optimizer.learning_rate": 1e-2}
    shared, each = differences([found["done"], found["stopped"]])
    assert (shared, each) == ("data=mnist-5k", ["", "optimizer.learning_rate=0.01"])
    assert differences([found["done"], found["other"]])[1] == ["data=mnist-5k", "not registered"]


def test_of_an_older_run_the_same_is_found_out(folder):
    for path in folder.rglob("experiment.json"):
        content = json.loads(path.read_text())
        path.write_text(json.dumps({name: value for name, value in content.items() if name != "changed"}))
    found = named(find_runs(folder))
    assert found["stopped"].changed == {"data.name": "mnist-5k", "optimizer.learning_rate": 1e-2}
    assert found["other"].changed is None


@pytest.mark.parametrize(
    ("conditions", "tags", "names"),
    [
        ([], (), {"done", "stopped", "failed", "other"}),
        (["optimizer.learning-rate=1e-2"], (), {"stopped"}),
        (["optimizer.learning_rate < 0.01", "model.latent=plain"], (), {"done", "other"}),
        (["state!=stopped"], (), {"done", "failed"}),
        (["validation.loss_nats>=5"], (), {"done", "stopped"}),
        (["test.loss_nats<7"], (), {"done"}),
        (["data=mnist-5k"], ("a",), {"done", "stopped"}),
        (["loss.terms.kl.weight=1"], (), {"failed"}),
        (["steps=null", "loss.terms.kl!=kl"], (), {"done", "stopped", "other"}),
        ([], ("a", "b"), {"done"}),
        (["model.encoder.hidden=[500]"], (), {"failed"}),
    ],
)
def test_conditions_and_tags_choose_runs(folder, conditions, tags, names):
    assert {*named(select(find_runs(folder), conditions, tags))} == names


@pytest.mark.parametrize(
    ("condition", "said"),
    [("epochs", "is no condition"), ("optimiser.b1=1", r"did you mean optimizer.b1"), ("lossnats=1", "loss_nats")],
)
def test_a_condition_that_cannot_be_met_is_refused(folder, condition, said):
    with pytest.raises(InputError, match=said):
        select(find_runs(folder), [condition])


def test_runs_are_ordered_by_any_column_and_those_without_a_value_come_last(folder):
    runs = find_runs(folder)
    assert [run.value("loss_nats") for run in ordered(runs, "loss_nats")] == [3.0, 4.0, 5.0, 6.0]
    assert [run.value("loss_nats") for run in ordered(runs, "loss_nats", falling=True)] == [6.0, 5.0, 4.0, 3.0]
    assert ordered(runs, "test.loss_nats", falling=True)[0].state == "done"
    assert [run.state for run in ordered(runs, "state")] == ["done", "failed", "stopped", "stopped"]


@pytest.mark.parametrize("end", [".csv", ".json", ".parquet"])
def test_all_columns_are_exported_by_the_end_of_the_name(folder, tmp_path, end):
    runs = find_runs(folder)
    write_lines(tmp_path / f"x{end}", as_lines(runs))
    if end == ".csv":
        with (tmp_path / "x.csv").open(newline="") as file:
            lines = list(csv.DictReader(file))
    elif end == ".json":
        lines = json.loads((tmp_path / "x.json").read_text())
    else:
        from pyarrow import parquet

        lines = parquet.read_table(tmp_path / "x.parquet").to_pylist()
    assert [float(line["validation.loss_nats"]) for line in lines] == [run.value("loss_nats") for run in runs]
    assert next(line["optimizer.learning_rate"] for line in lines if line["state"] == "done") in (1e-3, "0.001")
    assert {line["run"] for line in lines} == {str(run.path) for run in runs}
    with pytest.raises(InputError, match=r"ends in none of .csv, .json, .parquet"):
        write_lines(tmp_path / "x.txt", as_lines(runs))


def test_a_run_whose_lock_is_held_is_running_and_looking_at_it_disturbs_no_writer(folder):
    run = Run(named(find_runs(folder))["stopped"].path)
    with run.writing():
        assert read_state(run.path)[0] == "running"
    assert read_state(run.path)[0] == "stopped"
    assert read_state(run.path / "nowhere") == ("stopped", None)


def test_a_refusal_changes_nothing_in_how_a_run_ended(folder):
    run = Run(named(find_runs(folder))["done"].path)
    with pytest.raises(InputError), run.writing():
        raise InputError("other settings")
    assert read_state(run.path) == ("done", None)
    run.update(run.experiment, 10)
    assert read_state(run.path) == ("stopped", None)  # until it is measured again
    assert named(find_runs(folder))["done"].value("test.loss_nats") is None


def test_tags_are_added_and_a_name_takes_the_place_of_another(tmp_path):
    assert read_notes(tmp_path) == Notes()
    add_notes(tmp_path, Notes("one", ("a",)))
    add_notes(tmp_path, Notes(tags=("b", "a"), note="said"))
    add_notes(tmp_path, Notes("two"))
    assert read_notes(tmp_path) == Notes("two", ("a", "b"), "said")
    (tmp_path / "notes.json").write_text('{"name": 3, "tags": "x", "note"')
    assert read_notes(tmp_path) == Notes()


@pytest.mark.slow
def test_training_says_how_it_ended(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(Stopped):
            loop.train(EXPERIMENT, DATASET, folder=tmp_path, notes=Notes("first"))
    (run,) = find_runs(tmp_path)
    assert (run.state, run.value("epoch"), run.notes.name) == ("stopped", 2, "first")
    trained = fit(EXPERIMENT, DATASET, resume=run.path, figures=False, tags=["late"])
    (run,) = find_runs(tmp_path)
    assert (run.state, run.notes) == ("done", Notes("first", ("late",)))
    assert run.value("test.loss_nats") == trained.evaluate(DATASET.test)["loss_nats"]
    with pytest.raises(InputError, match="has 6 epochs behind it"):
        loop.train(dataclasses.replace(EXPERIMENT, epochs=3), DATASET, resume=run.path)
    assert read_state(run.path)[0] == "done"


def test_params_that_do_not_fit_are_refused_before_there_is_a_run(tmp_path):
    with pytest.raises(InputError, match="the params to start from are not the model's"):
        loop.train(EXPERIMENT, DATASET, folder=tmp_path, params={"encoder": {}})
    assert not list(tmp_path.iterdir())


def test_listing_a_folder_imports_nothing_heavy(folder):
    program = (
        "import sys, aejax.cli\n"
        f"sys.argv = ['aejax', 'runs', {str(folder)!r}, '--where', 'epochs>1', '--sort', 'test.loss_nats']\n"
        "aejax.cli.main(); print([*sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(done.stdout.splitlines()[-1]))
    assert not loaded & {"jax", "jaxlib", "flax", "optax", "numpy", "matplotlib", "scipy", "sklearn", "pyarrow"}
    assert "4 of 4 runs" in done.stdout
