"""The commands under `aejax sweep`, one after the other as a user types them."""

import numpy as np
import pytest

import aejax
from aejax.cli._sweeps import SweepBestCommand, SweepCommand, SweepSearchCommand, SweepShowCommand
from aejax.core import InputError
from aejax.data import load
from aejax.sweeps import Sweep, find, plan, reading

RATE = "optimizer.learning-rate"
WEIGHT = "loss.terms.kl.weight=0.5,1"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with 60 small images."""
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).integers(0, 255, (60, 6), np.uint8))
    return tmp_path


FIXED = ("data=x.npy", "epochs=1", "batch-size=8", "model.encoder.hidden=[4]", "model.latent.size=2")


@pytest.mark.parametrize("command", [SweepCommand, SweepSearchCommand])
@pytest.mark.parametrize("flags", [{}, {"metric": "loss_nats"}])
def test_a_moving_loss_is_asked_about_before_anything_trains(here, command, flags):
    with pytest.raises(InputError, match=r"each loss.terms.kl.weight, .*: give --metric negative_elbo_nats or nll_50"):
        command("vae-flax", (*FIXED, WEIGHT), **flags)()
    assert not (here / "sweeps").exists()


def test_a_metric_that_is_not_measured_is_refused_before_anything_trains(here):
    with pytest.raises(InputError, match=r"ae-keras has no metric 'active_units' of validation: it has loss_nats"):
        SweepCommand("ae-keras", (*FIXED, "seed=0,1"), metric="active_units", plan=True)()


def test_the_command_is_kept_as_it_is_typed():
    typed = SweepCommand("ae-keras", ("data=a b.npy", "seed=0..1"), metric="mig", halving=(5, 10), workers=4).typed()
    assert typed == "aejax sweep ae-keras 'data=a b.npy' seed=0..1 --metric mig --halving 5 10"
    assert (
        SweepSearchCommand("ae-keras", measure_all=True).typed("search") == "aejax sweep search ae-keras --measure-all"
    )


def test_a_folder_of_one_sweep_stands_for_it_and_one_of_several_lists_them(here, tiny):
    for name in ("a", "b"):
        Sweep.create(here / "sweeps" / "tiny" / name, plan.grid(tiny.experiment, {"seed": [0]}))
        if name == "a":
            assert find(here / "sweeps" / "tiny").name == "a"
    with pytest.raises(InputError, match=r"tiny holds 2 sweeps: give one of them, .*/a, .*/b$"):
        find(here / "sweeps" / "tiny")
    assert find(here / "sweeps" / "tiny" / "b") == here / "sweeps" / "tiny" / "b"


@pytest.mark.slow
def test_from_a_sweep_to_a_wider_one_a_search_and_a_model(here, capsys):
    def run(command):
        command()
        return capsys.readouterr().out

    assert "2 of 2 trials" in run(SweepCommand("ae-keras", (*FIXED, f"{RATE}=1e-3,1e-2")))
    assert "2 of 2 trials" in run(SweepCommand("ae-keras", (*FIXED, f"{RATE}=1e-3,1e-2")))  # nothing is left to do
    wider = run(SweepCommand("ae-keras", (*FIXED, f"{RATE}=1e-3,1e-2,3e-2", "seed=0,1")))
    assert "2 of its 2 trials have a result, 4 new ones are added" in wider
    (folder,) = (here / "sweeps" / "ae-keras").iterdir()
    run(SweepCommand("ae-keras", (*FIXED[:3], "model.encoder.hidden=[4]", "model.latent.size=1,2")))
    run(SweepSearchCommand("ae-keras", (*FIXED, f"{RATE}=1e-3:1e-1:log"), trials=2, metric="squared_error"))
    assert len([*(here / "sweeps" / "ae-keras").iterdir()]) == 3
    page = here / "sweep.html"
    shown = run(SweepShowCommand(folder, trials=True, page=page))
    sweep = Sweep.open(folder)
    assert len(sweep.trials) == 6
    for trial in sweep.trials:
        assert f"{trial.id}: aejax train ae-keras" in shown
        assert trial.id in page.read_text()
    assert "its state was kept" in run(SweepBestCommand(folder))
    (again,) = (here / "runs" / "ae-keras").iterdir()
    made_with = aejax.load(again).run.provenance[0]
    assert f"trial {made_with['trial']}" in shown
    (folder / "models" / f"{made_with['trial']}.safetensors").unlink()
    assert "it is trained again" in run(SweepBestCommand(folder))


def test_a_folder_that_is_named_by_the_experiment_alone_is_gone_on_with_by_its_own_command(here):
    """As version 0.1.0 named it."""
    rate = "optimizer.learning_rate"
    axes = {rate: [1e-3, 1e-2], "epochs": [1]}
    older = Sweep.create(here / "sweeps" / "ae-keras", plan.grid(aejax.get("ae-keras"), axes)).folder
    command = SweepCommand("ae-keras")
    assert (here / command.folder(axes)) == older
    assert (here / command.folder(axes | {rate: [1e-3, 1e-2, 1e-1]})) == older
    for other in (axes | {"epochs": [2]}, {rate: [1e-3, 1e-2]}, axes | {"batch_size": [8, 16]}):
        assert (here / command.folder(other)).parent == older
    assert (here / command.folder(axes, "by loss_nats")).parent == older


def test_a_sweep_reads_its_data_once(here, monkeypatch, caplog):
    """It is planned, sized, measured and trained in two structures."""
    read = []
    monkeypatch.setattr(reading, "load", lambda data: read.append(data.name) or load(data))
    axes = ("data=x.npy", "epochs=1", "batch-size=8", "model.encoder.hidden=[4]", "model.latent.size=2,3")
    SweepCommand("ae-keras", axes, metric="squared_error")()
    assert read == ["x.npy"]
    assert caplog.text.count("held out by a fixed seed") == 1
