"""A run whose updates are all skipped says so while it trains, once."""

import dataclasses

import pytest

from aejax.core import Adam
from aejax.training import loop
from tests.helpers.small import DATASET, EXPERIMENT

SAID = "all updates so far were skipped, so that nothing is learned"


def trained(caplog, optimizer, **options):
    """Trains three epochs, and returns how often it was said by the end of each, and after all."""
    heard = []

    def listen(rows, state):
        heard.append(sum(SAID in message for message in caplog.messages))

    loop.train(dataclasses.replace(EXPERIMENT, epochs=3, optimizer=optimizer), DATASET, observers=[listen], **options)
    return heard


@pytest.mark.parametrize("accumulate", [1, 2])
def test_it_is_said_at_the_end_of_the_first_epoch_and_not_again(caplog, accumulate):
    assert trained(caplog, Adam(1e-2, skip_norm=1e-9, accumulate=accumulate)) == [1, 1, 1]
    assert caplog.messages[-1].endswith(
        "updates were skipped: the norm of their gradient was above optimizer.skip_norm"
    )


def test_nothing_is_said_where_some_updates_are_made(caplog):
    assert trained(caplog, Adam(1e-2, skip_norm=1e9)) == [0, 0, 0]
    assert not caplog.messages


def test_it_is_said_without_a_folder_and_observers_too(caplog):
    loop.train(dataclasses.replace(EXPERIMENT, epochs=1, optimizer=Adam(1e-2, skip_norm=1e-9)), DATASET)
    assert sum(SAID in message for message in caplog.messages) == 1
