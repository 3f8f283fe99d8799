import threading
from types import SimpleNamespace

import pytest

import aejax
from aejax.runs import Run, Saving
from aejax.training._checkpointing import CheckpointPolicy
from tests.helpers.small import DATASET, EXPERIMENT


def row(step):
    return [{"epoch": step, "step": step, "split": "train", "loss_nats": 1.0}]


@pytest.mark.slow
def test_a_rescue_while_another_thread_saves_says_what_is_on_disk(tmp_path, monkeypatch):
    """A request to stop comes from another thread, at any moment of the one that trains."""
    run = Run.create(tmp_path, EXPERIMENT, DATASET.shape, 1)
    policy = CheckpointPolicy(run, run.checkpoints, {}, Saving(), steps_per_epoch=1)
    policy.begin(aejax.fit(EXPERIMENT, dataset=DATASET).state, 0, [], save=False)
    monkeypatch.setattr(run, "log", lambda rows: None)
    begun, go_on = threading.Event(), threading.Event()
    save = run.checkpoints.save

    def slow(*arguments):
        begun.set()
        assert go_on.wait(20)
        save(*arguments)

    monkeypatch.setattr(run.checkpoints, "save", slow)
    policy(row(1), policy.state)
    saving = threading.Thread(target=policy.save)
    saving.start()
    assert begun.wait(20)
    said = []
    rescue = threading.Thread(target=lambda: said.append((policy.rescue(), run.checkpoints.steps())))
    rescue.start()
    rescue.join(0.3)
    assert not said  # nothing is said of a state that is not on disk yet
    go_on.set()
    rescue.join(20)
    saving.join(20)
    ((sentence, steps),) = said
    assert sentence == f"epoch 1 is saved in {run.path}"
    assert steps == [1]


def test_the_best_state_and_the_newest_are_written_once_each(tmp_path):
    written = []
    saved = SimpleNamespace(
        wait=lambda: None, busy=False, save=lambda step, parts, keep, best: written.append((step, best))
    )
    run = SimpleNamespace(checkpoints=saved, log=lambda rows: None, path=tmp_path)
    policy = CheckpointPolicy(run, saved, {}, Saving(save_epochs=2), steps_per_epoch=1)
    policy.begin("fresh", 0, [], save=False)
    for step, loss in ((1, 3.0), (2, 5.0), (3, 4.0), (4, 4.0), (5, 1.0), (6, 2.0)):
        policy([*row(step), {"epoch": step, "step": step, "split": "validation", "loss_nats": loss}], f"after {step}")
        policy.save_if_due(late=False, last=step == 6)
    assert written == [(1, 1), (2, 1), (4, 1), (5, 5), (6, 5)]


def test_a_rescue_by_one_process_of_several_does_not_say_that_all_is_on_disk(tmp_path):
    folder = tmp_path / "checkpoints"
    saved = SimpleNamespace(wait=lambda: None, save=lambda *given: None, steps=lambda: [4], folder=folder)
    policy = CheckpointPolicy(None, saved, {}, Saving(), steps_per_epoch=4)
    policy.begin("fresh", 0, [], save=False)
    policy(row(4), "after 4")
    assert policy.rescue() == f"epoch 1 is saved in {tmp_path}"
    policy(row(8), "after 8")
    assert policy.rescue() == f"epoch 2 is saved in {tmp_path} once every process has written its pieces"
