import time

import pytest

from aejax.runs import Profile, Recording, record_duration, span
from aejax.runs.timing import TRACED_EPOCHS


def test_a_span_is_heard_only_while_someone_listens():
    with Recording() as recorded, span("checkpoint"):
        time.sleep(0.05)
    record_duration("checkpoint", 100.0)
    (seconds,) = recorded.seconds["checkpoint"]
    assert 0.05 <= seconds < 5


def test_the_summary_keeps_the_first_epoch_apart_and_takes_the_median_of_the_others():
    with Recording() as recorded:
        for seconds in (9.0, 1.0, 50.0, 3.0):
            record_duration("epoch", seconds)
        for name, seconds in (("input", 0.25), ("input", 0.5), ("checkpoint", 2.0)):
            record_duration(name, seconds)
    summary = recorded.summary(steps_per_epoch=100)
    assert summary["first_epoch_seconds"] == 9.0
    assert summary["steady_epoch_seconds"] == 3.0
    assert summary["steady_step_milliseconds"] == pytest.approx(30.0)
    assert summary["input_wait_seconds"] == 0.75
    assert summary["checkpoint_seconds"] == 2.0
    assert summary["evaluation_seconds"] == 0.0


def test_of_a_run_shorter_than_an_epoch_no_time_of_an_epoch_is_claimed():
    with Recording() as recorded:
        record_duration("compile", 1.0)
    assert not [name for name in recorded.summary(100) if "epoch" in name or "step" in name]


def test_a_compilation_is_counted_once_and_a_second_call_not_at_all():
    import jax
    import jax.numpy as jnp

    double = jax.jit(lambda x: 2 * x)
    x = jnp.ones(3)
    with Recording() as first:
        double(x)
    with Recording() as second:
        double(x)
    assert first.summary(1)["compile_seconds"] > 0
    assert second.summary(1)["compile_seconds"] == 0


def test_a_profile_ends_its_trace_after_the_first_epochs(tmp_path):
    with Profile(tmp_path) as profile:
        for number in range(TRACED_EPOCHS):
            assert profile.tracing
            assert not list(tmp_path.rglob("*.xplane.pb"))
            record_duration("epoch", float(number))
        assert not profile.tracing
        assert len(list(tmp_path.rglob("*.xplane.pb"))) == 1
        record_duration("epoch", 1.0)
    assert len(profile.seconds["epoch"]) == TRACED_EPOCHS + 1


def test_a_profile_of_fewer_epochs_is_written_at_the_end(tmp_path):
    with Profile(tmp_path):
        record_duration("epoch", 1.0)
    assert len(list(tmp_path.rglob("*.xplane.pb"))) == 1
