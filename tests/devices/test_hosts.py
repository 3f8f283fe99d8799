"""Two processes of four devices each, on this host, by the command line."""

import contextlib
import dataclasses
import random
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
from aejax.data import pack
from aejax.devices import Parallel, _watch, hosts
from aejax.runs import Run
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


def started(met, *arguments):
    port, pair = free_port(), []
    for process in (0, 1):
        flags, variables = met(port, process)
        command = [sys.executable, "-m", "aejax", "train", "ae-keras", *flags, *map(str, arguments)]
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
