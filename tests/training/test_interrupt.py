"""An interrupt from Python gives back what was trained: a session gets it returned, a script finds it in `Stopped`."""

import dataclasses
import os
import signal
import sys

import pytest

import aejax
from aejax.core import Stopped
from aejax.training import train
from tests.helpers.small import DATASET, EXPERIMENT, same_bits, stop_after, without_times


@pytest.fixture
def session(monkeypatch):
    monkeypatch.setattr(sys, "ps1", "In : ", raising=False)


def interrupting(after, number=signal.SIGINT):
    """An observer that interrupts this process once an epoch is over, and the states that it was shown."""
    states = {}

    def observe(rows, state):
        states[rows[0]["step"]] = state
        if rows[0]["epoch"] == after:
            os.kill(os.getpid(), number)

    return observe, states


@pytest.mark.slow
def test_a_script_without_a_folder_finds_the_model_after_the_last_epoch_in_what_is_raised():
    observe, states = interrupting(2)
    with pytest.raises(Stopped, match="nothing is on disk") as stopped:
        aejax.fit(EXPERIMENT, DATASET, observers=[observe])
    left = stopped.value.trained
    assert int(left.state.step) == left.history[-1]["step"] == max(states) < 30
    assert same_bits(left.state, states[int(left.state.step)])
    assert left.evaluate(DATASET.validation)["loss_nats"] == pytest.approx(left.history[-1]["loss_nats"], rel=1e-6)


def test_a_session_without_a_folder_gets_the_model_returned_and_trains_on_from_it(session, caplog):
    observe, states = interrupting(1)
    left = aejax.fit(EXPERIMENT, DATASET, observers=[observe])
    step = int(left.state.step)
    assert same_bits(left.state, states[step])
    assert f"after step {step}, epoch {step // 5} of 6; the same call with params=trained.state.params" in caplog.text
    on = train(dataclasses.replace(EXPERIMENT, epochs=1), DATASET, params=left.state.params)
    assert on.history[0]["loss_nats"] < left.history[0]["loss_nats"]


def test_a_session_with_a_folder_gets_the_saved_epoch_and_goes_on_with_the_same_bits(
    session, caplog, tmp_path, monkeypatch
):
    whole = train(EXPERIMENT, DATASET, folder=tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        left = aejax.fit(EXPERIMENT, DATASET, folder=tmp_path / "cut")
    assert int(left.state.step) == 15
    assert same_bits(left.state, aejax.load(left.run.path).state)
    assert f"resume={str(left.run.path)!r} in place of folder= goes on with the same bits" in caplog.text
    again = train(EXPERIMENT, DATASET, resume=left.run.path)
    assert same_bits(again.state, whole.state)
    assert without_times(again.history) == without_times(whole.history)


def test_an_interrupt_while_a_model_is_measured_returns_it(session, caplog, tmp_path, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("aejax.training.fitting.finish", interrupted)
    experiment = dataclasses.replace(EXPERIMENT, epochs=1)
    assert int(aejax.fit(experiment, DATASET, folder=tmp_path).state.step) == 5
    assert "after step 5, epoch 1 of 1" in caplog.text


def test_sigterm_without_a_folder_means_what_it_meant_before(session):
    before, found = signal.getsignal(signal.SIGTERM), []
    train(
        dataclasses.replace(EXPERIMENT, epochs=1),
        DATASET,
        observers=[lambda rows, state: found.append(signal.getsignal(signal.SIGTERM))],
    )
    assert found == [before]
