import dataclasses
import json
import logging
import signal

import jax
import numpy as np
import pytest

import aejax
from aejax.core import (
    Adam,
    Constant,
    Cosine,
    DivergedError,
    InputError,
    Steps,
    Stopped,
    WarmupStableDecay,
)
from aejax.core.optimizers import SGD
from aejax.data import Data, Standardise
from aejax.losses import Gaussian, Loss, Reconstruction
from aejax.runs import Saving, provenance, versions
from aejax.training import engine, loop
from aejax.training._progress import TrainingProgress
from tests.helpers.older import made_older
from tests.helpers.small import DATASET, EXPERIMENT, same_bits, stop_after, without_times


@pytest.fixture
def whole(tmp_path):
    return loop.train(EXPERIMENT, folder=tmp_path / "whole", dataset=DATASET)


@pytest.mark.parametrize(("epochs", "number"), [(1, signal.SIGINT), (3, signal.SIGTERM), (6, signal.SIGINT)])
def test_a_stopped_and_resumed_run_equals_one_left_alone_bit_for_bit(tmp_path, monkeypatch, whole, epochs, number):
    with monkeypatch.context() as patch:
        stop_after(patch, epochs, number)
        with pytest.raises(Stopped, match=f"stopped .*; epoch {epochs} is saved") as stopped:
            loop.train(EXPERIMENT, folder=tmp_path / "cut", dataset=DATASET)
    assert stopped.value.number == number
    (folder,) = (tmp_path / "cut" / "tiny").iterdir()
    assert int(aejax.load(folder).state.step) == epochs * 5
    resumed = loop.train(EXPERIMENT, resume=folder, dataset=DATASET)
    assert same_bits(resumed.state, whole.state)
    assert without_times(resumed.history) == without_times(whole.history)
    assert without_times(resumed.run.rows()) == without_times(whole.run.rows())


def test_the_bar_marks_the_rate_that_has_the_time_of_compiling_in_it():
    bar, row = (
        TrainingProgress(EXPERIMENT, [], 30, False),
        {"epoch": 1, "loss_nats": 2.0, "examples_per_second": 1500.0},
    )
    said = []
    bar.update = lambda done, status: said.append(status)
    parts = [row | {"split": "train"}, row | {"split": "validation", "loss_nats": 3.0}]
    bar(parts[:1], None)
    bar(parts, None)
    assert said == ["loss 2.00 nats  ≥1,500/s", "loss 2.00 nats, validation 3.00  1,500/s"]


def test_after_a_run_ctrl_c_means_again_what_it_meant_before(tmp_path):
    def own(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, own)
    try:
        loop.train(dataclasses.replace(EXPERIMENT, epochs=1), dataset=DATASET, folder=tmp_path)
        assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, before)


def test_without_a_folder_nothing_is_written_and_the_result_is_the_same(tmp_path, whole, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert same_bits(aejax.fit(EXPERIMENT, dataset=DATASET).state, whole.state)
    assert sorted(tmp_path.rglob("*")) == before


def test_metrics_are_the_truth_about_every_epoch_and_part(whole):
    rows = [json.loads(line) for line in (whole.run.path / "metrics.jsonl").read_text().splitlines()]
    assert [(row["epoch"], row["split"]) for row in rows] == [
        (n, s) for n in range(1, 7) for s in ("train", "validation")
    ]
    last = rows[-1]
    assert last["step"] == 30
    part = dataclasses.replace(whole).evaluate(DATASET.validation)
    assert last["loss_nats"] == pytest.approx(part["loss_nats"], rel=1e-6)
    assert rows[0]["loss_nats"] > rows[-2]["loss_nats"]


def test_the_next_epoch_is_dispatched_before_the_last_one_is_read():
    events = []

    def make():
        for number in range(3):
            events.append(f"made {number}")
            yield number

    for number in engine.one_ahead(make()):
        events.append(f"read {number}")
    assert events == ["made 0", "made 1", "read 0", "made 2", "read 1", "read 2"]


def test_an_empty_sequence_of_epochs_stays_empty():
    assert list(engine.one_ahead([])) == []


def test_a_finished_run_resumed_changes_nothing(whole):
    again = loop.train(EXPERIMENT, resume=whole.run.path, dataset=DATASET)
    assert same_bits(again.state, whole.state)
    assert without_times(again.history) == without_times(whole.history)


def test_a_run_can_be_lengthened(whole):
    longer = dataclasses.replace(EXPERIMENT, epochs=8)
    assert int(loop.train(longer, resume=whole.run.path, dataset=DATASET).state.step) == 40
    assert aejax.load(whole.run.path).experiment.epochs == 8


def test_a_run_cannot_be_shortened(whole):
    with pytest.raises(InputError, match="has 6 epochs behind it: give --epochs of at least as many"):
        loop.train(dataclasses.replace(EXPERIMENT, epochs=5), resume=whole.run.path, dataset=DATASET)
    assert aejax.load(whole.run.path).experiment.epochs == 6


def test_resuming_with_other_settings_says_which(whole):
    other = dataclasses.replace(EXPERIMENT, batch_size=4, optimizer=Adam(5e-2, Cosine()))
    with pytest.raises(InputError, match=r"made with optimizer.learning_rate 0.01, not 0.05; .*batch_size 8, not 4"):
        loop.train(other, resume=whole.run.path, dataset=DATASET)


def test_resuming_on_other_data_or_with_other_versions_is_noticed(whole, caplog):
    fewer = dataclasses.replace(DATASET, train=DATASET.train.take(np.arange(32)))
    with pytest.raises(InputError, match=r"with 5 steps an epoch, not \(4, 4, 1\) with 4: give it the data"):
        loop.train(EXPERIMENT, resume=whole.run.path, dataset=fewer)
    file = whole.run.path / "experiment.json"
    assert not caplog.text
    file.write_text(file.read_text().replace(f'"jax": "{jax.__version__}"', '"jax": "0.1"'))
    loop.train(EXPERIMENT, resume=whole.run.path, dataset=DATASET)
    assert f"was made with jax 0.1, not {jax.__version__}: bits may differ" in caplog.text


def test_what_each_part_of_a_run_was_made_with_is_kept(tmp_path, monkeypatch):
    def resumed(epochs, **changed):
        with monkeypatch.context() as patch:
            patch.setattr(provenance, "versions", lambda: versions() | changed)
            longer = dataclasses.replace(EXPERIMENT, epochs=epochs)
            loop.train(longer, resume=run, dataset=DATASET, saving=Saving(save_epochs=1))
        return json.loads((run / "experiment.json").read_text())["provenance"]

    run = loop.train(dataclasses.replace(EXPERIMENT, epochs=1), folder=tmp_path, dataset=DATASET).run.path
    (first,) = resumed(2)
    assert set(first) == {"step", "versions", "hardware", "commit"}
    assert resumed(3, jax="9.9") == [first, second := {**first, "step": 10, "versions": versions() | {"jax": "9.9"}}]
    assert resumed(4, jax="9.9") == [first, second]
    assert resumed(4) == [first, second, {**first, "step": 20}]
    (run / "checkpoints" / "20.safetensors").unlink()
    assert resumed(4) == [first, second, {**first, "step": 20}, {**first, "step": 15}]


def test_what_an_older_run_was_made_with_is_its_first_part(whole):
    file = whole.run.path / "experiment.json"
    content = json.loads(file.read_text())
    (now,) = content.pop("provenance")
    old = {"versions": now["versions"] | {"jax": "0.1"}, "hardware": now["hardware"], "commit": "abc"}
    file.write_text(json.dumps(content | old))
    loop.train(EXPERIMENT, resume=whole.run.path, dataset=DATASET)
    assert json.loads(file.read_text()) == content | {"provenance": [{"step": 0} | old, now | {"step": 30}]}


def test_a_diverging_term_is_named_with_its_step_and_the_last_good_state_is_kept(tmp_path):
    wild = dataclasses.replace(EXPERIMENT, loss=Loss(Gaussian(1e-19)), optimizer=Adam(1e3))
    with pytest.raises(DivergedError, match=r"reconstruction_nats became .* at step 1 \(epoch 1\)"):
        loop.train(wild, folder=tmp_path, dataset=DATASET)


def test_the_state_before_the_bad_epoch_is_kept(tmp_path, monkeypatch):
    means = loop._require_finite

    def poisoned(window, policy):
        if window.stop == 15:
            sums = window.metrics["train"]["loss_nats"]
            bad = dataclasses.replace(sums, sum=np.where(np.arange(5) == 2, np.nan, sums.sum))
            window = dataclasses.replace(window, pieces=[{"loss_nats": bad, "reconstruction_nats": bad}])
        means(window, policy)

    monkeypatch.setattr(loop, "_require_finite", poisoned)
    with pytest.raises(DivergedError, match=r"reconstruction_nats became nan at step 13 \(epoch 3\); epoch 2 is saved"):
        loop.train(EXPERIMENT, folder=tmp_path, dataset=DATASET)
    (folder,) = (tmp_path / "tiny").iterdir()
    assert int(aejax.load(folder).state.step) == 10


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, caplog):
    trained = loop.train(EXPERIMENT, folder=tmp_path, dataset=DATASET, saving=Saving(save_epochs=1))
    checkpoints = trained.run.path / "checkpoints"
    assert sorted(path.name for path in checkpoints.iterdir()) == [f"{step}.safetensors" for step in (20, 25, 30)]
    newest = checkpoints / "30.safetensors"
    newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    with caplog.at_level(logging.WARNING, "aejax"):
        assert int(aejax.load(trained.run.path).state.step) == 25
    assert caplog.text.count("checkpoint of step 30") == len(caplog.records) == 1
    resumed = loop.train(EXPERIMENT, resume=trained.run.path, dataset=DATASET)
    assert same_bits(resumed.state, trained.state)


@pytest.mark.slow
def test_any_altered_byte_of_a_checkpoint_is_noticed(tmp_path):
    trained = loop.train(EXPERIMENT, folder=tmp_path, dataset=DATASET)
    for run in (trained.run.path, made_older(trained.run.path)):
        files = [path for path in (run / "checkpoints").rglob("*") if path.is_file()]
        rng = np.random.default_rng(0)
        for path in files:
            original = path.read_bytes()
            content = original or b"\0"
            for position in rng.integers(0, len(content), max(4, 32 // len(files))):
                path.write_bytes(content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :])
                with pytest.raises(InputError, match="no checkpoint that can be loaded"):
                    aejax.load(run)
            path.write_bytes(original)
        assert same_bits(aejax.load(run).state, trained.state)


def test_fitted_statistics_travel_with_the_checkpoint(tmp_path):
    experiment = dataclasses.replace(
        EXPERIMENT, loss=Loss(Gaussian()), data=Data("generated", preprocess=Standardise())
    )
    trained = loop.train(experiment, folder=tmp_path, dataset=DATASET)
    loaded = aejax.load(trained.run.path)
    expected = (DATASET.train.x / 255).mean(axis=0)
    np.testing.assert_allclose(loaded.preprocess.mean, expected, rtol=1e-5)
    np.testing.assert_array_equal(loaded.reconstruct(DATASET.test.x), trained.reconstruct(DATASET.test.x))
    # In the data's own units again: a reconstruction is nearer to the image than to its standardised form.
    assert np.abs(loaded.reconstruct(DATASET.test.x) - DATASET.test.x / 255).mean() < 0.5


def test_the_validation_part_may_be_empty():
    dataset = dataclasses.replace(DATASET, validation=DATASET.validation.take(np.arange(0)))
    history = aejax.fit(EXPERIMENT, dataset=dataset).history
    assert {row["split"] for row in history} == {"train"}


def test_the_seed_changes_the_run_and_repeats_it(whole):
    other = aejax.fit(dataclasses.replace(EXPERIMENT, seed=1), dataset=DATASET)
    assert not same_bits(other.state.params, whole.state.params)
    assert same_bits(aejax.fit(EXPERIMENT, dataset=DATASET).state, whole.state)


def test_a_lengthened_run_stretches_its_schedule(whole):
    longer = loop.train(dataclasses.replace(whole.run.experiment, epochs=8), resume=whole.run.path, dataset=DATASET)
    assert longer.experiment.optimizer.horizon == 40.0
    assert whole.experiment.optimizer.horizon == 30.0


def lengthened(tmp_path, schedule, epochs, **changed):
    """Resumes a run of two epochs as one of `epochs`, and returns what its folder says of that."""
    short = dataclasses.replace(EXPERIMENT, epochs=2, optimizer=Adam(1e-2, schedule, **changed))
    run = loop.train(short, folder=tmp_path, dataset=DATASET).run
    again = dataclasses.replace(short, epochs=epochs)
    for _ in range(2):  # what it has become is what it then is
        loop.train(again, resume=run.path, dataset=DATASET)
    return json.loads((run.path / "experiment.json").read_text())["lengthened"]


def test_a_run_that_is_lengthened_says_what_the_rate_does(tmp_path, caplog):
    (kept,) = lengthened(tmp_path, Cosine(), 4)
    assert (kept["step"], kept["steps"]) == (10, [10, 20])
    np.testing.assert_allclose(kept["learning_rates"], [0.0, 5e-3], atol=1e-9)
    (record,) = caplog.records
    assert "lengthened from 10 to 20 steps, and Cosine spans all of them" in record.message
    assert "at step 10 the learning rate was 0 and is now 0.005" in record.message


@pytest.mark.slow
def test_the_rate_is_that_of_the_one_schedule_where_only_the_steps_before_differ(tmp_path, caplog):
    (kept,) = lengthened(tmp_path, WarmupStableDecay(0.3, 0.0, 1.0), 4)
    np.testing.assert_allclose(kept["learning_rates"], [1e-2, 1e-2])
    assert len(caplog.records) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schedule", "epochs", "changed"),
    [(Constant(), 4, {}), (Cosine(), 2, {}), (Steps((0.9,)), 20, {"horizon": 30.0}), (Steps(()), 4, {})],
)
def test_nothing_is_said_where_the_rate_stays_what_it_was(tmp_path, caplog, schedule, epochs, changed):
    assert lengthened(tmp_path, schedule, epochs, **changed) == []
    assert not caplog.records


def test_parameters_that_break_in_the_very_last_step_are_noticed(tmp_path):
    """The loss of a step is that of the parameters before it, so no term has seen these."""
    steep = Loss(terms={"reconstruction": Reconstruction(1e30)})
    wild = dataclasses.replace(EXPERIMENT, loss=steep, optimizer=SGD(1e12, momentum=0.0), batch_size=40, epochs=1)
    with pytest.raises(DivergedError, match=r"parameters became infinite .* in the last step of epoch 1"):
        loop.train(wild, folder=tmp_path, dataset=DATASET)
    (folder,) = (tmp_path / "tiny").iterdir()
    assert not (folder / "checkpoints").exists()
