"""Weights & Biases and MLflow hold what a run has in its folder, without a network; each where it is installed."""

import dataclasses
import json
import math
import os
import sys
import time

import pytest
from PIL import Image

from aejax.core import InputError
from aejax.runs import Notes, Run
from aejax.runs.metric_log import scalars
from aejax.tracking import MLflow, Tracking, WandB, replay
from aejax.training import loop
from tests.helpers.small import DATASET, EXPERIMENT

pytestmark = pytest.mark.filterwarnings("default")  # what others' packages warn of is theirs

TEST = {"loss_nats": 1.5, "psnr_db": math.nan}


def finished(folder, tracking=None, epochs=3, resume=None):
    """Trains a run, gives it a result and a figure, and returns its folder."""
    experiment = dataclasses.replace(EXPERIMENT, epochs=epochs)
    where = {"resume": resume} if resume else {"folder": folder, "notes": Notes("wide", ("paper",), "twice as wide")}
    run = loop.train(experiment, DATASET, **where, tracking=tracking).run
    (run.path / "figures").mkdir(exist_ok=True)
    Image.new("RGB", (20, 10)).save(run.path / "figures" / "loss.png")
    run.write_result({"test": TEST})
    return run.path


def live(folder, tracker, **options):
    with Tracking([tracker]) as tracking:
        path = finished(folder, tracking, **options)
        tracking.finish()
    return path


def expected(path):
    """All numbers that the folder of a run holds: (tag, step, value)."""
    rows = Run(path).rows()
    rows += [{"split": "test", "step": rows[-1]["step"], **TEST}]
    return sorted((tag, row["step"], repr(float(x))) for row in rows for tag, x in scalars(row).items())


def records(folder):
    """The records in the newest file of W&B's below a folder: its log is that of LevelDB, with protobuf in it."""
    from wandb.proto.wandb_internal_pb2 import Record

    file = max(folder.glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime_ns)
    content, place, parts = file.read_bytes(), 7, b""
    while place + 7 <= len(content):
        if (left := 32768 - place % 32768) < 7:
            place += left
            continue
        size, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        parts += content[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or the last part of several
            yield Record.FromString(parts)
            parts = b""


def whole_records(folder):
    """The same once the last one is there: W&B's own process may write it after `finish` has returned."""
    until = time.monotonic() + 20
    while not (found := [*records(folder)]) or not found[-1].HasField("exit"):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def in_wandb(folder):
    numbers, summary, config = [], {}, {}
    for record in whole_records(folder):
        if record.HasField("history"):
            items = {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
            step = record.history.step.num
            numbers += [(tag, step, repr(float(x))) for tag, x in items.items() if not tag.startswith("_")]
        for item in record.summary.update:
            summary["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
        for item in (*record.config.update, *record.run.config.update):
            config[item.key] = json.loads(item.value_json)
        if record.HasField("run"):
            config["notes"] = (record.run.display_name, [*record.run.tags], record.run.notes, record.run.project)
    return numbers, summary, config


@pytest.fixture
def offline(monkeypatch, tmp_path):
    pytest.importorskip("wandb", reason="wandb is not installed")
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def mlflow(monkeypatch, tmp_path):
    found = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    return found


@pytest.mark.slow
def test_wandb_offline_holds_what_the_run_does_live_and_replayed(offline, tmp_path):
    path = live(tmp_path / "runs", WandB())
    again = finished(tmp_path / "again")
    (where,) = replay(again, ["wandb"]).values()
    assert where.startswith(str(again / "wandb" / "offline-run-"))
    for run in (path, again):
        numbers, summary, config = in_wandb(run)
        test = {tag: math.nan if x is None else x for tag, x in summary.items() if tag.endswith("/test")}
        assert sorted([*numbers, *((tag, 15, repr(float(x))) for tag, x in test.items())]) == expected(run)
        assert summary["figures/loss"]["_type"] == "image-file"
        assert config["optimizer"]["learning_rate"] == 0.01
        assert config["provenance"][0]["versions"]["aejax"]
        assert config["notes"] == ("wide", ["paper"], "twice as wide", "aejax")
    assert not (tmp_path / "wandb").exists()  # nothing beside the run


@pytest.mark.slow
def test_wandb_goes_on_with_its_run(offline, tmp_path):
    path = live(tmp_path / "runs", WandB())
    kept = json.loads((path / "tracking.json").read_text())["wandb"]
    time.sleep(1)  # W&B names a folder by the second and the id
    with Tracking(resumed=path) as tracking:
        finished(None, tracking, epochs=5, resume=path)
        tracking.finish()
    assert json.loads((path / "tracking.json").read_text())["wandb"]["id"] == kept["id"]
    numbers, _, config = in_wandb(path)
    assert sorted(numbers) == [each for each in expected(path) if not each[0].endswith("/test")]
    assert config["epochs"] == 5


def test_wandb_without_a_login_is_refused(offline, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    wandb = sys.modules["wandb"]
    wandb.teardown()  # it reads its variables once
    with pytest.raises(InputError, match="wandb is not logged in: type `wandb login`, or set WANDB_MODE=offline"):
        Tracking(["wandb"])
    wandb.teardown()


def in_mlflow(mlflow, path):
    client = mlflow.MlflowClient()
    (run,) = [r for r in client.search_runs(["1"]) if r.data.tags["run"] == str(path.resolve())]
    history = [each for tag in run.data.metrics for each in client.get_metric_history(run.info.run_id, tag)]
    return run, sorted((each.key, each.step, repr(float(each.value))) for each in history)


@pytest.mark.slow
def test_mlflow_in_a_file_holds_what_the_run_does_live_replayed_and_gone_on_with(mlflow, tmp_path):
    path = live(tmp_path / "runs", MLflow())
    again = finished(tmp_path / "again")
    for _ in range(2):  # what is there already is not sent twice
        replay(again, ["mlflow"])
    for folder in (path, again):
        run, numbers = in_mlflow(mlflow, folder)
        assert numbers == expected(folder)
        assert (run.info.status, run.info.run_name) == ("FINISHED", "wide")
        assert run.data.params["optimizer.learning_rate"] == "0.01"
        assert run.data.tags["versions.aejax"]
        assert (run.data.tags["tags"], run.data.tags["mlflow.note.content"]) == ("paper", "twice as wide")
        kept = mlflow.MlflowClient().list_artifacts(run.info.run_id)
        assert {each.path for each in kept} == {"experiment.json", "figures"}
    with Tracking(resumed=path) as tracking:
        finished(None, tracking, epochs=5, resume=path)
        tracking.finish()
    run, numbers = in_mlflow(mlflow, path)
    assert [each for each in numbers if not each[0].endswith("/test")] == [
        each for each in expected(path) if not each[0].endswith("/test")
    ]
    assert (run.data.params["epochs"], run.data.tags["epochs"]) == ("3", "5")


@pytest.mark.slow
def test_a_server_that_does_not_answer_costs_seconds_and_a_sentence(mlflow, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.setenv(name, "1")
    path = live(tmp_path / "runs", MLflow())
    assert Run(path).result() == {"test": {"loss_nats": 1.5, "psnr_db": None}}
    assert "mlflow has failed" in caplog.text
    assert "sends it later" in caplog.text
