"""Training that is counted in steps: where it ends, what is logged, measured and saved on the way, and resumption."""

import dataclasses
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest

import aejax
from aejax.core import Adam, Cosine, InputError
from aejax.evaluation import report
from aejax.runs import Recording, Run, Saving
from aejax.training import EarlyStopping, Intervals, fit_many, loop
from aejax.training.engine import Engine
from tests.helpers.small import DATASET, EXPERIMENT, same_bits, without_times

STEPS = dataclasses.replace(EXPERIMENT, steps=13, optimizer=Adam(1e-2, Cosine()))  # 5 steps make an epoch


def places(rows):
    return [(row["step"], row["split"]) for row in rows]


def test_a_run_ends_at_its_last_step_wherever_that_is_in_an_epoch(tmp_path):
    trained = loop.train(STEPS, folder=tmp_path, dataset=DATASET)
    assert int(trained.state.step) == 13
    assert trained.experiment.optimizer.horizon == 13
    assert places(trained.history) == [(step, split) for step in (5, 10, 13) for split in ("train", "validation")]
    assert [row["epoch"] for row in trained.history[::2]] == [1, 2, 3]
    assert int(aejax.load(trained.run.path).state.step) == 13


def test_as_many_steps_as_some_epochs_have_are_these_epochs():
    in_steps = aejax.fit(dataclasses.replace(EXPERIMENT, steps=10), dataset=DATASET)
    in_epochs = aejax.fit(dataclasses.replace(EXPERIMENT, epochs=2), dataset=DATASET)
    assert same_bits(in_steps.state, in_epochs.state)
    assert without_times(in_steps.history) == without_times(in_epochs.history)


def test_rows_and_measurements_inside_an_epoch_change_no_bit_and_their_means_are_those_of_the_epoch():
    whole = aejax.fit(STEPS, dataset=DATASET)
    often = aejax.fit(STEPS, dataset=DATASET, intervals=Intervals(log_steps=2, validate_steps=4))
    assert same_bits(often.state, whole.state)
    steps = [step for step, split in places(often.history) if split == "train"]
    assert steps == [2, 4, 5, 6, 8, 10, 12, 13]
    assert [step for step, split in places(often.history) if split == "validation"] == [4, 5, 8, 10, 12, 13]
    first = [row["loss_nats"] for row in often.history if row["split"] == "train" and row["step"] <= 5]
    mean = np.average(first, weights=[2, 2, 1])
    np.testing.assert_allclose(mean, whole.history[0]["loss_nats"], rtol=1e-12)


def test_rows_inside_an_epoch_are_no_epochs_where_epochs_are_timed_and_counted():
    often = dataclasses.replace(STEPS, steps=15)
    with Recording() as recorded:
        trained = aejax.fit(often, dataset=DATASET, intervals=Intervals(log_steps=2))
    assert len(recorded.seconds["epoch"]) == 3
    assert sum(recorded.seconds["epoch"]) == pytest.approx(sum(row.get("seconds", 0.0) for row in trained.history))
    assert report.result(trained, {}, 1)["epochs"] == 3


@pytest.mark.parametrize("kept", [5, *(pytest.param(step, marks=pytest.mark.slow) for step in (2, 6, 9, 12))])
def test_a_run_resumed_from_any_step_ends_with_the_same_bits(tmp_path, kept):
    saving = Saving(save_steps=1, keep=100)
    whole = loop.train(STEPS, folder=tmp_path, dataset=DATASET, saving=saving)
    run = Run(whole.run.path)
    assert run.checkpoints.steps() == list(range(1, 14))
    run.checkpoints.clean(kept)
    assert int(aejax.load(run.path).state.step) == kept
    resumed = loop.train(STEPS, resume=run.path, dataset=DATASET, saving=saving)
    assert same_bits(resumed.state, whole.state)
    assert without_times(resumed.history) == without_times(whole.history)


def test_a_stop_inside_an_epoch_saves_the_step_that_was_dispatched_last(tmp_path, monkeypatch):
    """The source gives an epoch in pieces of two steps, as one that reads from disk does."""
    from aejax.training._sources import ResidentSource

    batches = ResidentSource.batches

    def in_pieces(self, start, stop):
        for first in range(start, stop, 2):
            yield from batches(self, first, min(first + 2, stop))

    whole = aejax.fit(STEPS, dataset=DATASET)
    windows = Engine.windows
    with monkeypatch.context() as patch:
        patch.setattr(ResidentSource, "batches", in_pieces)
        patch.setattr(Engine, "windows", lambda self, stops, asked: windows(self, stops, asked=lambda: self.step >= 7))
        patch.setattr("aejax.devices.hosts.agreed", lambda number: lambda: 0)
        stopped = loop.train(STEPS, folder=tmp_path, dataset=DATASET)
    assert int(stopped.state.step) == 7  # pieces end at 2, 4, 5 and 7, after which no more are dispatched
    assert places(stopped.history)[-1] == (7, "train")
    resumed = loop.train(STEPS, resume=stopped.run.path, dataset=DATASET)
    assert same_bits(resumed.state, whole.state)


def test_steps_lengthen_a_run_and_do_not_shorten_it(tmp_path):
    run = loop.train(STEPS, folder=tmp_path, dataset=DATASET).run
    longer = loop.train(dataclasses.replace(STEPS, steps=16), resume=run.path, dataset=DATASET)
    assert int(longer.state.step) == 16
    with pytest.raises(InputError, match="has 16 steps behind it: give --steps of at least as many"):
        loop.train(dataclasses.replace(STEPS, steps=15), resume=run.path, dataset=DATASET)


@pytest.mark.slow
def test_members_of_a_population_are_counted_in_steps_too():
    members = [dataclasses.replace(STEPS, seed=seed) for seed in (0, 1)]
    for member, outcome in zip(members, fit_many(members, dataset=DATASET), strict=True):
        alone = aejax.fit(member, dataset=DATASET)
        assert places(outcome.trained.history) == places(alone.history)
        assert int(outcome.trained.state.step) == 13
        losses = [[row["loss_nats"] for row in each.history] for each in (outcome.trained, alone)]
        np.testing.assert_allclose(*losses, rtol=2e-5)
    stopped = fit_many(members, dataset=DATASET, selection=EarlyStopping(patience=1))
    assert all(outcome.stopped_after is None or outcome.stopped_after < 4 for outcome in stopped)


def planned(intervals, saving, steps_per_epoch=64, epochs=2, pace=math.nan):
    return list(intervals.stops(0, steps_per_epoch * epochs, steps_per_epoch, saving, lambda: pace))


def test_a_long_epoch_is_cut_so_that_a_piece_takes_an_eighth_of_the_shortest_interval_at_most():
    stops = planned(Intervals(), Saving(save_seconds=32.0), pace=0.5)  # an epoch takes 32 s
    assert [stop.step for stop in stops] == list(range(8, 129, 8))
    assert [stop.step for stop in stops if stop.row] == [64, 128]
    often = planned(Intervals(log_seconds=1.0, validate_seconds=500.0), Saving(), pace=0.1)
    assert [stop.step for stop in often] == list(range(1, 129))


@pytest.mark.parametrize(
    ("intervals", "saving", "pace"),
    [(Intervals(), Saving(), 0.1), (Intervals(), Saving(save_seconds=0.0), 99.0), (Intervals(), Saving(), math.nan)],
)
def test_an_epoch_is_whole_where_it_is_short_or_nobody_looks_at_the_clock(intervals, saving, pace):
    assert [stop.step for stop in planned(intervals, saving, pace=pace)] == [64, 128]


def test_while_nothing_is_known_of_the_time_of_a_step_rows_by_the_clock_begin_with_short_pieces():
    assert [stop.step for stop in planned(Intervals(log_seconds=1e3), Saving(), epochs=1)] == list(range(2, 65, 2))


def test_what_is_due_by_time_is_done_at_the_end_of_the_next_piece(monkeypatch):
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr("aejax.training.intervals.time", clock)
    stops = []
    intervals = Intervals(log_seconds=20.0, validate_seconds=50.0)
    for stop in intervals.stops(0, 640, 640, Saving(save_seconds=70.0), lambda: 0.5):
        stops.append(stop)
        clock.now = 0.5 * stop.step  # the piece has been trained
    pieces = [stop.step for stop in stops]
    longest = max(later - earlier for earlier, later in itertools.pairwise(pieces))
    assert longest <= 5  # 2.5 s
    for name, seconds in (("row", 20), ("validate", 50), ("save", 70)):
        done = [0, *(stop.step for stop in stops[:-1] if getattr(stop, name))]
        times = [0.5 * (later - earlier) for earlier, later in itertools.pairwise(done)]
        assert len(times) > 3
        assert max(times) <= seconds + 2 * 2.5
        assert name == "row" or min(times) >= seconds
    assert all(stop.row for stop in stops if stop.validate or stop.save)


@pytest.mark.parametrize("kept", [3, *(pytest.param(step, marks=pytest.mark.slow) for step in (8, 13))])
def test_rows_measurements_and_checkpoints_by_time_change_no_bit(tmp_path, kept):
    often = Intervals(log_seconds=1e-9, validate_seconds=1e-9)
    saving = Saving(save_seconds=1e-9, keep=100)
    whole = aejax.fit(STEPS, dataset=DATASET)
    trained = loop.train(STEPS, folder=tmp_path, dataset=DATASET, intervals=often, saving=saving)
    assert same_bits(trained.state, whole.state)
    assert places(trained.history) == [(step, split) for step in range(1, 14) for split in ("train", "validation")]
    steps = trained.run.checkpoints.steps()
    assert len(steps) > 1  # as many as the disk had time for
    trained.run.checkpoints.clean(kept)
    resumed = loop.train(STEPS, resume=trained.run.path, dataset=DATASET)
    assert same_bits(resumed.state, whole.state)


def test_an_observer_sees_every_row_with_the_state_after_it():
    seen = []
    trained = aejax.fit(STEPS, dataset=DATASET, observers=[lambda rows, state: seen.append((rows, state))])
    assert [row for rows, _ in seen for row in rows] == trained.history
    assert [int(state.step) for _, state in seen] == [5, 10, 13]  # no state was taken for the next steps
    assert same_bits(seen[-1][1], trained.state)
    assert same_bits(trained.state, aejax.fit(STEPS, dataset=DATASET).state)


def test_an_observer_s_error_ends_training_and_leaves_what_was_saved_whole(tmp_path):
    def failing(rows, state):
        if rows[0]["step"] == 10:
            raise ZeroDivisionError

    saving = Saving(save_epochs=1)
    with pytest.raises(ZeroDivisionError):
        loop.train(STEPS, folder=tmp_path, dataset=DATASET, saving=saving, observers=[failing])
    (path,) = (tmp_path / "tiny").iterdir()
    assert Run(path).checkpoints.steps() == [5]
    resumed = loop.train(STEPS, resume=path, dataset=DATASET)
    whole = aejax.fit(STEPS, dataset=DATASET)
    assert same_bits(resumed.state, whole.state)
    assert without_times(resumed.history) == without_times(whole.history)


@pytest.mark.parametrize("wrong", [{"log_seconds": 0.0}, {"validate_seconds": -1.0}, {"log_seconds": math.nan}])
def test_seconds_that_are_not_above_zero_are_refused(wrong):
    with pytest.raises(InputError, match=r"_seconds is .*: give a number above 0"):
        Intervals(**wrong)


@pytest.mark.parametrize("made", [lambda: Intervals(log_steps=0), lambda: Saving(save_steps=0)])
def test_intervals_below_one_step_are_refused(made):
    with pytest.raises(InputError, match="_steps is 0: give at least 1"):
        made()


def test_a_negative_number_of_steps_is_refused():
    with pytest.raises(InputError, match="steps is -1, but it must be above zero"):
        aejax.fit(dataclasses.replace(STEPS, steps=-1), dataset=DATASET)


@pytest.mark.slow
def test_patience_ends_training_as_early_stopping_does_in_a_population(tmp_path):
    wild = dataclasses.replace(EXPERIMENT, epochs=30, optimizer=Adam(0.1))
    (alone,) = fit_many([wild], dataset=DATASET, selection=EarlyStopping(patience=2))
    assert alone.stopped_after is not None
    trained = loop.train(wild, folder=tmp_path, dataset=DATASET, patience=2)
    assert trained.history[-1]["epoch"] == alone.stopped_after
    assert int(trained.state.step) == 5 * alone.stopped_after
    assert same_bits(trained.state, aejax.load(trained.run.path).state)
    again = loop.train(wild, resume=trained.run.path, dataset=DATASET, patience=2)
    assert same_bits(again.state, trained.state)
    assert without_times(again.history) == without_times(trained.history)
    further = loop.train(wild, resume=trained.run.path, dataset=DATASET)
    assert same_bits(further.state, aejax.fit(wild, dataset=DATASET).state)


@pytest.mark.parametrize(("patience", "part", "said"), [(0, 10, "patience is 0"), (2, 0, "needs a validation part")])
def test_patience_that_can_decide_nothing_is_refused(patience, part, said):
    dataset = dataclasses.replace(DATASET, validation=DATASET.validation.take(np.arange(part)))
    with pytest.raises(InputError, match=said):
        aejax.fit(EXPERIMENT, dataset=dataset, patience=patience)
