import os
import signal
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from aejax.cli._sweeps import SweepCommand as Command
from aejax.core import InputError
from aejax.sweeps import Sweep, cluster
from tests.helpers.jobs import Waits, fail, wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _workers_find_the_packages(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")


@pytest.mark.slow
def test_workers_share_a_sweep(tmp_path, capsys):
    np.save(tmp_path / "data.npy", np.random.default_rng(0).integers(0, 255, (40, 6), np.uint8))
    axes = (f"data={tmp_path / 'data.npy'}", "epochs=1", "batch-size=8", "model.latent.size=2", "seed=0..7")
    Command("ae-keras", axes, out=tmp_path / "sweep", width=1, workers=2)()
    assert "8 of 8 trials have a result" in capsys.readouterr().out
    results = Sweep.open(tmp_path / "sweep").results().values()
    assert sorted(result.settings["seed"] for result in results) == list(range(8))
    assert len({result.provenance["worker"] for result in results}) == 2


@pytest.mark.slow
def test_a_worker_that_is_preempted_starts_anew(tmp_path):
    (job,) = cluster.submit(Waits(tmp_path), 1, tmp_path / "jobs")
    with cluster.running([job]):
        wait_until(lambda: list(tmp_path.glob("* began")))
        (began,) = tmp_path.glob("* began")
        os.kill(int(began.name.split()[0]), signal.SIGUSR2)
        wait_until(lambda: len(list(tmp_path.glob("* began"))) == 2)
        (tmp_path / "end").touch()
        wait_until(job.done)
    cluster.check([job])
    assert len(list(tmp_path.glob("* tidied"))) == 2


def test_a_worker_that_fails_is_named_with_its_log(tmp_path):
    jobs = cluster.submit(fail, 2, tmp_path)
    wait_until(lambda: all(job.done() for job in jobs))
    with pytest.raises(InputError, match=r"2 of 2 workers failed: .*\.err ends with why") as refused:
        cluster.check(jobs)
    log = Path(str(refused.value).split()[5])
    assert log.read_text().splitlines()[-1] == "ValueError: this is what it says"


@pytest.mark.parametrize("interrupts", [signal.default_int_handler, signal.SIG_IGN], ids=["heeded", "ignored"])
def test_workers_are_cancelled_with_the_command(interrupts, tmp_path, capfd):
    before = signal.signal(signal.SIGINT, interrupts)  # a shell has what it starts by `&` ignore them
    try:
        (job,) = cluster.submit(Waits(tmp_path), 1, tmp_path / "jobs")
    finally:
        signal.signal(signal.SIGINT, before)
    wait_until(lambda: list(tmp_path.glob("* began")))
    with pytest.raises(KeyboardInterrupt), cluster.running([job]):
        raise KeyboardInterrupt
    wait_until(job.done)
    wait_until(lambda: list(tmp_path.glob("* tidied")))  # submitit's process may end before the one that it runs
    assert capfd.readouterr().err == ""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Programs that stand in for SLURM's: what is submitted is kept."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, line in {"sbatch": f'cp "$1" {tmp_path}/batch; echo Submitted batch job 7', "srun": ""}.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return tmp_path / "batch"


def test_settings_reach_slurm(tmp_path, slurm):
    jobs = cluster.submit(fail, 3, tmp_path / "jobs", "partition=gpu,timeout_min=60,gpus_per_node=1,mem_gb=7.5")
    assert [job.job_id for job in jobs] == ["7_0", "7_1", "7_2"]
    written = slurm.read_text().splitlines()
    for line in ("--partition=gpu", "--time=60", "--gpus-per-node=1", "--array=0-2%3"):
        assert f"#SBATCH {line}" in written
    assert any(sys.executable in line for line in written)


@pytest.mark.parametrize(
    ("settings", "message"),
    [("partition", "'partition' is no setting: give NAME=VALUE"), ("colour=red", "Unknown argument 'colour'")],
)
def test_settings_that_slurm_has_not_are_refused(tmp_path, slurm, settings, message):
    with pytest.raises(InputError, match=message) as refused:
        cluster.submit(fail, 1, tmp_path / "jobs", settings)
    assert "\n" not in str(refused.value)


def test_without_slurm_no_jobs_can_be_started(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=r"no job can be started: .*slurm"):
        cluster.submit(fail, 1, tmp_path / "jobs", "partition=gpu")
    with pytest.raises(InputError, match="--workers is 0: give how many"):
        Command("ae-keras", ("seed=0..1",), slurm="partition=gpu")()
