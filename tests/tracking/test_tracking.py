"""What trackers get of a run: while it trains, when it goes on, and from its folder, is the same."""

import dataclasses
import json
import logging
import math
import signal
import sys
import threading

import pytest
from matplotlib.figure import Figure
from PIL import Image

import aejax
from aejax.cli import main
from aejax.core import InputError, Stopped
from aejax.evaluation import finish
from aejax.runs import Run
from aejax.runs.files import locked
from aejax.tracking import Opened, TensorBoard, Tracking, replay, sending
from aejax.training import loop
from tests.helpers.small import DATASET, EXPERIMENT, stop_after

FEW = dataclasses.replace(EXPERIMENT, epochs=3)


class StandIn:
    """A server of tracked runs with its client: what it holds of each is in `runs`."""

    def __init__(self, name="stand-in", fails=()):
        self.name, self.fails = name, fails
        self.runs, self.calls = {}, []

    def _called(self, call):
        self.calls.append(call)
        if call in self.fails:
            raise ConnectionError(f"no route in {call}\nmore of it")

    def check(self):
        if "check" in self.fails:
            raise InputError("nobody is logged in")

    def open(self, run, id):
        self._called("open")
        self.run = self.runs.setdefault(id or f"id-{len(self.runs)}", {"rows": [], "figures": []})
        self.run |= {"settings": run.settings, "tags": run.notes.tags, "state": "running"}
        id = next(key for key, held in self.runs.items() if held is self.run)
        return Opened(id, f"memory/{id}", {row["split"]: row["step"] for row in self.run["rows"]})

    def write(self, rows):
        self._called("write")
        self.thread = threading.current_thread()
        self.run["rows"] += rows

    def show(self, figures, step):
        self._called("show")
        self.run["figures"] = [(path.name, step) for path in figures]

    def close(self, state):
        self._called("close")
        self.run["state"] = state


@pytest.fixture
def known(monkeypatch):
    """A stand-in that is known by its name, as wandb and mlflow are: one server for all that are made."""
    server = StandIn()
    monkeypatch.setitem(sending._KNOWN, "stand-in", lambda: server)
    return server


@pytest.fixture
def measured(monkeypatch):
    """Stands in for what is measured and drawn of a trained run, which is not what these tests are about."""
    monkeypatch.setattr("aejax.evaluation.suite.measure", lambda *_, **__: {"loss_nats": 1.0, "psnr_db": math.nan})
    monkeypatch.setattr("aejax.evaluation.suite.draw", lambda *_: {})


@pytest.fixture
def trained(tmp_path, known, measured):
    trained = aejax.fit(FEW, DATASET, folder=tmp_path, track=["stand-in"], tags=["paper"])
    (trained.run.path / "figures" / "loss.png").write_bytes(b"a picture")
    return trained


def test_live_and_replay_give_the_same(trained, known):
    (live,) = known.runs.values()
    later = StandIn("another")
    assert replay(trained.run.path, [later]) == {"another": "memory/id-0"}
    (again,) = later.runs.values()
    assert repr(live["rows"]) == repr(again["rows"])  # there is a nan among them
    assert live["rows"][:-1] == trained.history
    assert [row["split"] for row in live["rows"]] == ["train", "validation"] * 3 + ["test"]
    assert repr(live["rows"][-1]) == "{'epoch': 3, 'step': 15, 'split': 'test', 'loss_nats': 1.0, 'psnr_db': nan}"
    assert live["settings"] == again["settings"]
    assert (live["settings"]["optimizer.learning_rate"], live["tags"]) == (0.01, ("paper",))
    assert live["state"] == again["state"] == "done"
    assert again["figures"] == [("loss.png", 15)]
    assert known.thread is not threading.main_thread()
    # The same command again finds nothing to add.
    rows = list(again["rows"])
    replay(trained.run.path, [later])
    assert again["rows"] == rows
    assert len(later.runs) == 1


def test_a_resumed_run_goes_on_with_the_tracked_run_that_it_has(tmp_path, known, measured, monkeypatch):
    stop_after(monkeypatch, 2, signal.SIGINT)
    with pytest.raises(Stopped):
        aejax.fit(EXPERIMENT, DATASET, folder=tmp_path, track=["stand-in"], figures=False)
    (path,) = (tmp_path / "tiny").iterdir()
    ((id, held),) = known.runs.items()
    assert json.loads((path / "tracking.json").read_text()) == {"stand-in": {"id": id, "where": f"memory/{id}"}}
    assert held["state"] == "stopped"
    seen, sent = len(held["rows"]), Run(path).rows()
    assert held["rows"] == sent
    aejax.fit(EXPERIMENT, DATASET, resume=path)
    assert [*known.runs] == [id]
    assert held["rows"][:-1] == Run(path).rows()
    assert len(held["rows"]) > seen
    assert held["state"] == "done"


@pytest.mark.parametrize("call", ["open", "write", "show", "close"])
def test_a_tracker_that_fails_is_left_out_with_one_sentence_and_the_run_is_whole(call, tmp_path, caplog, measured):
    bad, good = StandIn("bad", fails=(call,)), StandIn("good")
    caplog.set_level(logging.WARNING)
    trained = aejax.fit(FEW, DATASET, folder=tmp_path, track=[bad, good])
    path = trained.run.path
    said = f"bad has failed (no route in {call}) and the run goes on without it: aejax track {path} --to bad"
    assert [record.message for record in caplog.records] == [f"{said} sends it later"]
    assert bad.calls[-1] == ("open" if call == "open" else "close")  # closed in any case, and not called else
    assert bad.calls.count(call) == 1
    assert trained.run.result()["test"] == {"loss_nats": 1.0, "psnr_db": None}
    assert good.runs["id-0"]["rows"][:-1] == trained.history
    # What it lacks is sent later.
    bad.fails = ()
    replay(path, [bad])
    assert repr([*bad.runs.values()][-1]["rows"]) == repr(good.runs["id-0"]["rows"])
    assert len(bad.runs) == 1


def test_what_is_known_before_training_is_refused_and_makes_no_folder(tmp_path):
    for track in ([StandIn(fails=("check",))], ["stand-inn"], ["wand"]):
        with pytest.raises(InputError, match=r"logged in|no tracker 'stand-inn': give|did you mean wandb\?"):
            aejax.fit(FEW, DATASET, folder=tmp_path, track=track)
    assert not [*tmp_path.iterdir()]
    with pytest.raises(InputError, match="track needs a folder="):
        aejax.fit(FEW, DATASET, track=[StandIn()])


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    for name in ("wandb", "mlflow"):
        with pytest.raises(InputError, match=rf"{name} is needed .*pip install \"aejax\[{name}\]\""):
            Tracking([name])


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The folder of a run that was only trained."""
    return loop.train(FEW, DATASET, folder=tmp_path_factory.mktemp("runs")).run.path


def test_a_replay_that_fails_says_so(plain):
    with pytest.raises(InputError, match=r"^stand-in has failed \(no route in write\)$"):
        replay(plain, [StandIn(fails=("write",))])
    with locked(plain / "tracking.lock"), pytest.raises(InputError, match="another process sends"):
        replay(plain, [StandIn()])
    with pytest.raises(InputError, match="is not a run directory"):
        replay(plain.parent, [StandIn()])


def test_a_run_in_training_is_sent_as_far_as_it_is(plain):
    tracker = StandIn()
    with Run(plain).writing():
        replay(plain, [tracker])
        with pytest.raises(InputError, match="is being trained, and writes"):
            replay(plain, [TensorBoard()])
    assert tracker.runs["id-0"]["state"] == "running"
    assert tracker.runs["id-0"]["rows"] == Run(plain).rows()
    (plain / "tracking.json").unlink()


def test_a_tracker_that_hangs_does_not_keep_a_stopped_run(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(sending, "SECONDS", 0.05)
    free, hanging = threading.Event(), StandIn()
    hanging.write = lambda rows: free.wait()
    stop_after(monkeypatch, 1, signal.SIGINT)
    with pytest.raises(Stopped):
        aejax.fit(FEW, DATASET, folder=tmp_path, track=[hanging], figures=False)
    assert "sends the rest" in caplog.text
    free.set()


def test_a_tracker_that_cannot_be_used_any_more_is_warned_of_when_a_run_goes_on(plain, caplog):
    (plain / "tracking.json").write_text(json.dumps({"gone": {"id": "7"}}))
    assert not Tracking(resumed=plain).trackers
    assert "was sent to gone, and goes on without it: there is no tracker 'gone'" in caplog.text
    (plain / "tracking.json").write_text("damaged")
    assert not Tracking(resumed=plain).trackers
    (plain / "tracking.json").unlink()


def on_the_board(run):
    """What TensorBoard reads of a run: (tag, step, number or size of the picture)."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for file in sorted((run / "tensorboard").iterdir()):
        content = file.read_bytes()
        while content:
            size = int.from_bytes(content[:8], "little")
            event = Event.FromString(content[12 : 12 + size])
            content = content[16 + size :]
            for value in event.summary.value:
                image = (value.image.width, value.image.height)
                found.append((value.tag, event.step, image if value.HasField("image") else value.simple_value))
    return found


def test_the_board_has_test_metrics_and_figures_and_is_written_again_the_same(tmp_path, monkeypatch, capsys):
    trained = loop.train(FEW, DATASET, folder=tmp_path)
    monkeypatch.setattr("aejax.evaluation.suite.measure", lambda *_, **__: {"loss_nats": 1.0})
    monkeypatch.setattr("aejax.evaluation.suite.draw", lambda *_: {"loss": Figure((3, 2), dpi=20)})
    finish(trained, DATASET, shown=False)
    live = on_the_board(trained.run.path)
    assert ("loss_nats/test", 15, 1.0) in live
    ((tag, step, size),) = [event for event in live if event[0].startswith("figures/")]
    with Image.open(trained.run.path / "figures" / "loss.png") as figure:
        assert (tag, step, size) == ("figures/loss", 15, figure.size)
    monkeypatch.setattr(sys, "argv", ["aejax", "track", str(trained.run.path), "--to", "tensorboard"])
    main()
    assert capsys.readouterr().out == f"tensorboard: {trained.run.path / 'tensorboard'}\n"
    assert on_the_board(trained.run.path) == live
