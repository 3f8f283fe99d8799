"""Two processes of four devices each, on this host, by the command line."""

import contextlib
import dataclasses
import json
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from jax.errors import JaxRuntimeError
from jax.experimental import multihost_utils

import aejax
from aejax.cli._devices import HostsFlags
from aejax.core import HostLost, InputError
from aejax.data import load, pack
from aejax.devices import Parallel, _watch, hosts
from aejax.runs import Run, checkpoint_template, read_arrays
from tests.helpers import virtual

ENDLESS = ["--epochs", "100000", "--save-seconds", "0", "--host-timeout", "20"]
TOLERANCE = 1e-4
"""Relative, of every loss of a run: sums are taken in another order."""
LOWEST = 61440
"""Open MPI's job numbers stand for the ports from here on."""


def free_port():
    while True:
        with socket.socket() as trial:
            try:
                trial.bind(("127.0.0.1", port := random.randrange(LOWEST, 65536)))
            except OSError:
                continue
            return port


def by_flags(port, process):
    return ["--coordinator", f"127.0.0.1:{port}", "--processes", "2", "--process", str(process)], {}


def by_open_mpi(port, process):
    rank = str(process)
    found = {"OMPI_COMM_WORLD_RANK": rank, "OMPI_COMM_WORLD_LOCAL_RANK": rank, "OMPI_COMM_WORLD_SIZE": "2"}
    return [], found | {"OMPI_MCA_orte_hnp_uri": f"{(port - LOWEST) * 2**12}.0;tcp://127.0.0.1:1"}


def started(met, *arguments, code=None):
    """Starts two processes, of the command line or of code that calls it."""
    port, pair = free_port(), []
    for process in (0, 1):
        flags, variables = met(port, process)
        how = ["-m", "aejax"] if code is None else ["-c", code]
        command = [sys.executable, *how, "train", "ae-keras", *flags, *map(str, arguments)]
        environment = virtual.environment(4) | variables
        pair.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    return pair


def rows(folder):
    """How many are written."""
    return sum(len(path.read_text().splitlines()) for path in folder.glob("ae-keras/*/metrics.jsonl"))


def ended(pair, folder, sent):
    """Sends the second process a signal two epochs on, and waits for both."""
    before, deadline = rows(folder), time.monotonic() + 100
    while rows(folder) < before + 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    pair[1].send_signal(sent)
    said = [process.communicate(timeout=30)[1] for process in pair]
    return [process.returncode for process in pair], said


@pytest.fixture
def data(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (3000, 4, 4, 1), np.uint8))
    pack(str(tmp_path / "x.npy"), tmp_path / "packed")
    return tmp_path / "packed"


@pytest.mark.parametrize("address", ["here", "here:", ":80", "here:port", "here:65536"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(InputError, match=f"--coordinator is {address}: give HOST:PORT"):
        HostsFlags(address, 2, 0).joined()


def test_a_first_process_that_cannot_be_reached_is_said(monkeypatch):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    monkeypatch.setattr(multihost_utils, "broadcast_one_to_all", lambda address: np.asarray([127, 0, 0, 1, 1]))
    with pytest.raises(HostLost, match=r"cannot be reached at 127\.0\.0\.1:1 "), _watch.watching(1, str):
        pass


@pytest.mark.parametrize(("said", "kind"), [("RESOURCE_EXHAUSTED: x", JaxRuntimeError), ("INTERNAL: x", HostLost)])
def test_a_memory_that_is_full_is_no_lost_process(monkeypatch, said, kind):
    monkeypatch.setattr(hosts, "_meet", lambda *flags: True)
    monkeypatch.setattr(_watch, "watching", lambda *rest: contextlib.nullcontext())
    with pytest.raises(kind, match=said), hosts.joined(None, None, None, 1):
        raise JaxRuntimeError(said)


@pytest.mark.parametrize("flags", [{"coordinator": "here:1"}, {"processes": 2, "process": 0}, {"host_timeout": 0}])
def test_flags_that_say_half_of_where_to_meet_are_refused(flags):
    with pytest.raises(InputError, match=r"belong together: give all three|--host-timeout is 0"):
        HostsFlags(**flags).joined()


# Of 2,400 examples to train on a window holds 500, of blocks of 7. How those that are read each by itself are dealt out
# the test on eight devices says.
STREAM = ["--data.validation", "0.1", "--data.window", "8e-3", "--buffer", "2e-5"]


@pytest.mark.slow
def test_two_processes_train_as_one_stop_as_one_and_end_when_one_is_lost(data, tmp_path):
    settings = ["--data", data, *STREAM, "--batch-size", "8", *ENDLESS]
    codes, said = ended(started(by_flags, *settings, "--out", tmp_path), tmp_path, signal.SIGINT)
    assert codes == [130, 130], said
    (path,) = (tmp_path / "ae-keras").iterdir()  # the first process alone has made one
    assert f"--resume {path}" in said[0]

    mapped = ["--resume", path, "--parallel", "pmap", *STREAM[-2:], *ENDLESS]
    codes, said = ended(started(by_open_mpi, *mapped), tmp_path, signal.SIGKILL)
    assert codes == [1, -signal.SIGKILL], said
    assert "one of the 2 processes that trained together was lost: start as many as there are now" in said[0]

    left = Run(path)
    epochs = left.checkpoints.steps()[-1] // left.steps_per_epoch + 2
    longer = dataclasses.replace(left.experiment, epochs=epochs)
    buffer = float(STREAM[-1])
    resumed, whole = (
        aejax.fit(longer, resume=run, parallel=Parallel(devices=1), buffer=buffer, figures=False)
        for run in (path, None)
    )
    losses, expected = (
        {(row["step"], row["split"]): row["loss_nats"] for row in trained.history} for trained in (resumed, whole)
    )
    # Stopped inside an epoch, after a chunk, a run has a row of training more, and the epoch's own covers its rest.
    cut = {row["epoch"] for row in resumed.history if row["step"] % left.steps_per_epoch}
    same = [place for place in expected if place[1] == "validation" or place[0] // left.steps_per_epoch not in cut]
    assert len(cut) <= 1
    assert len(expected) == 2 * epochs == len(losses) - len(cut) == len(same) + len(cut)
    np.testing.assert_allclose(*([curve[place] for place in same] for curve in (losses, expected)), rtol=TOLERANCE)


WATCHED = """
import jax
from aejax.__main__ import main
from aejax.runs import pieces
from aejax.training import fitting

WIDE = {(16, 32), (32, 16)}  # the layers, of which each device has an eighth


def require_divided(rows, state):
    arrays = [leaf for leaf in jax.live_arrays() if leaf.shape in WIDE]
    assert arrays
    assert not any(shard.data.shape == leaf.shape for leaf in arrays for shard in leaf.addressable_shards)


def refuse(*arguments):
    raise AssertionError("a layer was put together whole")


pieces.Joined.__array__ = refuse
train = fitting.train
fitting.train = lambda *given, observers, **options: train(*given, observers=[require_divided], **options)
main()
"""


def held(path, step):
    """Everything that the files of a checkpoint have, by its name."""
    files = sorted((path / "checkpoints").glob(f"{step}.*"))
    assert len(files) == 2
    return {name: array for file in files for name, array in read_arrays(file)[0].items()}


@pytest.mark.slow
def test_layers_stay_divided_over_hosts_and_on_disk_and_a_kill_changes_no_bit(data, tmp_path):
    settings = ["--data", data, "--data.validation", "0.1", "--batch-size", "8"]
    divided = ["--tensor", "8", *ENDLESS[2:], "--epochs"]
    asked, folder = ["--tensor", "8", "--save-seconds", "1000", *ENDLESS[4:], "--epochs", "100000"], tmp_path / "asked"
    codes, said = ended(started(by_flags, *settings, *asked, "--out", folder), folder, signal.SIGINT)
    assert codes == [130, 130], said
    (path,) = (folder / "ae-keras").iterdir()
    steps = [json.loads(row)["step"] for row in (path / "metrics.jsonl").read_text().splitlines()]
    assert Run(path).checkpoints.steps() == steps[-1:], said  # whole: each process has written its pieces

    begun = started(by_flags, *settings, *divided, "100000", "--out", tmp_path, code=WATCHED)
    codes, said = ended(begun, tmp_path, signal.SIGKILL)
    assert codes == [1, -signal.SIGKILL], said
    (path,) = (tmp_path / "ae-keras").iterdir()
    killed = Run(path)
    epochs = killed.checkpoints.steps()[-1] // killed.steps_per_epoch + 2
    alone = shutil.copytree(path, tmp_path / "alone")

    for given in (["--resume", path], [*settings, "--out", tmp_path / "whole"]):
        pair = started(by_flags, *given, *divided, epochs, code=WATCHED)
        said = [process.communicate(timeout=100)[1] for process in pair]
        assert [process.returncode for process in pair] == [0, 0], said
        assert "in one process measures and draws" in said[0]
    (whole,) = (tmp_path / "whole" / "ae-keras").iterdir()
    last = epochs * killed.steps_per_epoch
    arrays, expected = held(path, last), held(whole, last)
    assert {array.shape for name, array in expected.items() if "kernel" in name} == {(16, 4), (4, 16)}
    jax.tree.map(np.testing.assert_array_equal, arrays, expected)

    # One process with one device puts the layers together, and goes on.
    like = checkpoint_template(killed.experiment.resolve(load(killed.experiment.data)), killed.shape)
    (state,) = Run(whole).restore({"state": like["state"]}).values()
    code = state.params["latent"]["code"]["kernel"]
    parts = [expected[f"state.params.latent.code.kernel[1:{start}]"] for start in range(0, 32, 4)]
    np.testing.assert_array_equal(code, np.concatenate(parts, axis=1))
    longer = dataclasses.replace(killed.experiment, epochs=epochs)
    resumed = aejax.fit(longer, resume=alone, parallel=Parallel(devices=1), figures=False)
    assert int(resumed.state.step) == last
    close = lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)  # noqa: E731
    jax.tree.map(close, resumed.state.params, state.params)
    # What one process has saved two go on with, each with its pieces alone.
    pair = started(by_flags, "--resume", alone, *divided, epochs + 1, code=WATCHED)
    said = [process.communicate(timeout=100)[1] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], said
    assert len(held(alone, last + killed.steps_per_epoch)) == len(expected)
