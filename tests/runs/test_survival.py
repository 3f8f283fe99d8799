import contextlib
import dataclasses
import errno
import fcntl
import io
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import aejax
from aejax.core import Adam, DiskError, InputError
from aejax.runs import Run, Saving, array_file, write_atomically
from aejax.runs.checkpoints import Checkpoints
from aejax.training import loop
from aejax.training._rows import RowLog
from tests.helpers.lives import digest, train
from tests.helpers.small import DATASET, EXPERIMENT, same_bits, without_times

FEW = dataclasses.replace(EXPERIMENT, optimizer=Adam(1e-2), epochs=4)
UNVALIDATED = dataclasses.replace(DATASET, validation=DATASET.validation.take(np.arange(0)))
OFTEN = Saving(save_epochs=1, keep=1)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lives")
    program = Path(__file__).parents[1] / "helpers" / "lives.py"
    done = subprocess.run([sys.executable, program, folder], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "outcomes.json").read_text())


@pytest.mark.slow
def test_two_processes_reach_the_same_bits(outcomes, tmp_path):
    assert outcomes["first"] == digest(train(tmp_path))


@pytest.mark.slow
def test_killed_at_random_moments_or_terminated_a_run_ends_with_the_same_bits(outcomes):
    assert outcomes["killed"]
    assert {*outcomes["killed"], *outcomes["resumed"]} == {outcomes["first"]}


@pytest.mark.slow
@pytest.mark.parametrize(("phase", "newest"), [("compilation", 0), ("device", 10), ("evaluation", 40), ("twice", None)])
def test_sigterm_ends_a_run_in_time_wherever_it_is_with_the_last_epoch_saved(outcomes, phase, newest):
    assert outcomes[phase]["code"] == 143
    assert outcomes[phase]["seconds"] < 10
    assert newest in (outcomes[phase]["newest"], None)


class Snapshots:
    """Copies a run as it stands before every operation on its folder: what a kill there would leave."""

    def __init__(self, folder, copies):
        self.folder, self.copies, self.seen, self.on = folder, copies, set(), False
        sys.addaudithook(self.hear)

    def hear(self, event, arguments):
        if not self.on or event not in ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir"):
            return
        if str(arguments[0]).startswith(str(self.folder)):
            self.on = False
            try:
                self.copy()
            finally:
                self.on = True

    def copy(self):
        (run,) = [path.parent for path in self.folder.rglob("experiment.json")] or [None]
        if run is None or (state := self.state(run)) in self.seen:
            return
        copy = self.copies / str(len(self.seen))
        self.seen.add(state)
        shutil.copytree(run, copy)

    def state(self, run):
        """What matters of it: everything that is not hidden, and what is."""
        paths = [path.relative_to(run) for path in run.rglob("*") if path.is_file() and "tensorboard" not in path.parts]
        shown = [path for path in paths if not any(part.startswith(".") for part in path.parts)]
        hidden = {path.parts[:2] for path in paths} - {path.parts[:2] for path in shown}
        return (tuple(sorted((path, (run / path).stat().st_size) for path in shown)), tuple(sorted(hidden)))


@contextlib.contextmanager
def snapshots(folder):
    """Yields a folder to train in; afterwards its copies, in order, are in the list."""
    (folder / "run").mkdir(parents=True, exist_ok=True)
    taken = Snapshots(folder / "run", folder / "copies")
    taken.on, copies = True, []
    yield folder / "run", copies
    taken.on = False
    copies += sorted((folder / "copies").iterdir(), key=lambda path: int(path.name))


@pytest.mark.slow
def test_a_kill_between_any_two_operations_on_the_disk_loses_nothing(tmp_path, monkeypatch):
    whole = digest(loop.train(FEW, folder=tmp_path / "whole", dataset=DATASET, saving=OFTEN))
    save = Checkpoints.save
    monkeypatch.setattr(Checkpoints, "save", lambda self, *rest: (save(self, *rest), self.wait()))
    with snapshots(tmp_path / "cut") as (folder, copies):
        run = loop.train(dataclasses.replace(FEW, epochs=3), folder=folder, dataset=DATASET, saving=OFTEN).run
    saved = [int(aejax.load(copy).state.step) for copy in copies if Checkpoints(copy / "checkpoints").steps()]
    assert saved == sorted(saved)
    assert set(saved) == {5, 10, 15}
    damaged = shutil.copytree(run.path, tmp_path / "resumed" / "run" / "x")
    content = (damaged / "checkpoints" / "15.safetensors").read_bytes()
    (damaged / "checkpoints" / "20.safetensors").write_bytes(content[:-1])
    with snapshots(tmp_path / "resumed") as (_, later):
        loop.train(FEW, resume=damaged, dataset=DATASET, saving=OFTEN)
    assert len(copies) > 10
    assert len(later) > 5
    for copy in [*copies, *later]:
        assert digest(loop.train(FEW, resume=copy, dataset=DATASET, saving=OFTEN)) == whole, copy
        assert not list(copy.rglob(".*"))


def write_half(path, content):
    """Writes a file to a disk that ends in the middle of it."""

    def cut(file):
        content(whole := io.BytesIO())
        file.write(whole.getvalue()[: len(whole.getvalue()) // 2])
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

    write_atomically(path, cut)


@pytest.mark.parametrize("way", ["full before", "full while writing"])
def test_a_full_disk_is_said_in_one_sentence_and_earlier_checkpoints_are_whole(tmp_path, monkeypatch, way):
    log = Run.log

    def logged(self, rows):
        log(self, rows)
        if rows[0]["epoch"] == 3:
            self.checkpoints.wait()
            if way == "full before":
                monkeypatch.setattr(shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1000}))
            else:
                monkeypatch.setattr(array_file, "write_atomically", write_half)

    monkeypatch.setattr(Run, "log", logged)
    said = r"step 15 .*\((No space left on device|File too large)\).*make room, then aejax train tiny --resume"
    with pytest.raises(DiskError, match=said) as error:
        loop.train(FEW, folder=tmp_path, dataset=DATASET, saving=Saving(save_epochs=1))
    assert "\n" not in str(error.value)
    monkeypatch.undo()
    (run,) = (tmp_path / "tiny").iterdir()
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["10.safetensors", "5.safetensors"]
    resumed = loop.train(FEW, resume=run, dataset=DATASET)
    assert same_bits(resumed.state, aejax.fit(FEW, dataset=DATASET).state)


def test_the_best_by_validation_is_kept_beside_the_newest(tmp_path, monkeypatch):
    rows_of = RowLog.rows

    def rows(self, window):
        train, validation = rows_of(self, window)
        return [train, validation | {"loss_nats": float(abs(window.stop - 15))}]

    monkeypatch.setattr(RowLog, "rows", rows)
    experiment = dataclasses.replace(EXPERIMENT, optimizer=Adam(1e-2))
    run = loop.train(experiment, folder=tmp_path, dataset=DATASET, saving=Saving(keep=1)).run
    assert run.checkpoints.steps() == [15, 30]
    best = aejax.load(run.path / "checkpoints" / "best")
    assert same_bits(best.state, aejax.fit(dataclasses.replace(experiment, epochs=3), dataset=DATASET).state)
    assert int(aejax.load(run.path).state.step) == 30
    assert int(aejax.load(run.path / "checkpoints" / "15").state.step) == 15
    assert int(aejax.load(run.path / "checkpoints" / "15.safetensors").state.step) == 15
    with pytest.raises(InputError, match="has no checkpoint '20': it has 15, 30"):
        aejax.load(run.path / "checkpoints" / "20")


def test_training_does_not_wait_for_the_disk(tmp_path, monkeypatch):
    """The first checkpoint is not on disk before the last epoch has ended."""
    write, log = Checkpoints._write, Run.log
    over = threading.Event()
    in_time = []

    def slow(self, *rest):
        in_time.append(over.wait(20))
        write(self, *rest)

    def logged(self, rows):
        log(self, rows)
        if rows[0]["epoch"] == FEW.epochs:
            over.set()

    monkeypatch.setattr(Checkpoints, "_write", slow)
    monkeypatch.setattr(Run, "log", logged)
    run = loop.train(FEW, folder=tmp_path, dataset=UNVALIDATED, saving=Saving(save_seconds=0)).run
    assert all(in_time)
    assert run.checkpoints.steps() == [5, 20]


def test_the_newest_are_kept_by_number(tmp_path):
    run = loop.train(EXPERIMENT, folder=tmp_path, dataset=UNVALIDATED, saving=Saving(save_epochs=2, keep=2)).run
    assert run.checkpoints.steps() == [20, 30]
    with pytest.raises(InputError, match="best needs validation rows"):
        aejax.load(run.path / "checkpoints" / "best")


def test_a_run_has_one_writer(tmp_path):
    run = loop.train(FEW, folder=tmp_path, dataset=DATASET).run
    with run.writing(), pytest.raises(InputError, match="another process writes to"):
        loop.train(dataclasses.replace(FEW, epochs=5), resume=run.path, dataset=DATASET)
    assert aejax.load(run.path).experiment.epochs == 4


def test_it_is_one_where_folders_cannot_be_locked(tmp_path, monkeypatch):
    """NFS locks exclusively what is open for writing alone."""
    lock = fcntl.flock

    def as_nfs(file, operation):
        if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", as_nfs)
    test_a_run_has_one_writer(tmp_path)


def test_given_params_are_on_disk_before_training_begins(tmp_path):
    start = aejax.fit(dataclasses.replace(FEW, seed=7), dataset=DATASET).state.params
    whole = loop.train(FEW, folder=tmp_path, dataset=DATASET, params=start, saving=OFTEN)
    fresh = loop.train(dataclasses.replace(FEW, epochs=1), folder=tmp_path, dataset=DATASET, params=start)
    (fresh.run.path / "checkpoints" / "5.safetensors").unlink()
    resumed = loop.train(FEW, resume=fresh.run.path, dataset=DATASET)
    assert same_bits(resumed.state, whole.state)
    shutil.rmtree(fresh.run.path / "checkpoints")
    with pytest.raises(InputError, match="began with params it does not hold: train it again"):
        loop.train(FEW, resume=fresh.run.path, dataset=DATASET)


def test_the_board_is_a_mirror_after_a_resumption_too(tmp_path):
    from tensorboardX.proto.event_pb2 import Event

    def steps(run):
        (file,) = (run / "tensorboard").iterdir()
        content, found = file.read_bytes(), []
        while content:
            size = int.from_bytes(content[:8], "little")
            event = Event.FromString(content[12 : 12 + size])
            found += [event.step] * ("loss_nats/train" in [value.tag for value in event.summary.value])
            content = content[16 + size :]
        return found

    run = loop.train(FEW, folder=tmp_path, dataset=DATASET, saving=Saving(save_epochs=1)).run.path
    (run / "checkpoints" / "20.safetensors").unlink()
    loop.train(FEW, resume=run, dataset=DATASET)
    assert steps(run) == [5, 10, 15, 20]
    assert [row["step"] for row in without_times(aejax.load(run).history)] == [5, 5, 10, 10, 15, 15, 20, 20]


@pytest.mark.parametrize("wrong", [{"save_seconds": -1.0}, {"save_seconds": np.nan}, {"save_epochs": 0}, {"keep": 0}])
def test_saving_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Saving(**wrong)
