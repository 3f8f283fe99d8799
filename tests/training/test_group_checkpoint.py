"""Groups in training that are stopped: they go on from their file, and end with the same bits."""

import dataclasses
import hashlib
import json
import zlib

import jax
import numpy as np
import pytest
from flax import serialization

from aejax import devices
from aejax.core import Adam
from aejax.core.optimizers import SGD
from aejax.runs import read_arrays
from aejax.training import EarlyStopping, SuccessiveHalving, population
from aejax.training._group_checkpoint import member_names
from aejax.training._older_groups import older_names


@pytest.fixture
def members(tiny):
    return [
        dataclasses.replace(tiny.experiment, epochs=6, optimizer=Adam(rate), seed=seed)
        for seed, rate in enumerate((1e-2, 1e-4, 1e-3, 3e-2))
    ]


@pytest.fixture(autouse=True)
def _two_groups_that_are_always_saved(monkeypatch):
    monkeypatch.setattr(devices, "lanes", lambda: 2)
    monkeypatch.setattr(population, "SAVE_EVERY", 0.0)


def killed_after(calls):
    """What dies of its call after so many."""
    done = []

    def die(rows, state):
        done.append(rows)
        if len(done) > calls:
            raise RuntimeError("killed")

    return die


class Widths(list):
    """The number of members after each epoch of a group."""

    def __call__(self, rows, state):
        self.append(len(state.step))


def assert_same_bits(outcomes, others):
    for one, other in zip(outcomes, others, strict=True):
        assert (one.failed_at, one.stopped_after) == (other.failed_at, other.stopped_after)
        rows = [
            [row | {"seconds": 0, "examples_per_second": 0} for row in outcome.trained.history]
            for outcome in (one, other)
        ]
        assert rows[0] == rows[1]
        jax.tree.map(np.testing.assert_array_equal, one.trained.state, other.trained.state)


@pytest.mark.slow
@pytest.mark.parametrize("selection", [None, SuccessiveHalving((2, 4))])
def test_a_killed_population_goes_on_where_it_was(tiny, members, tmp_path, selection):
    members[1] = dataclasses.replace(members[1], optimizer=Adam(1e25))  # it fails before the kill
    options = {"dataset": tiny.dataset, "selection": selection}
    undisturbed = list(population.fit_each(members, **options))
    assert undisturbed[1].failed_at is not None
    with pytest.raises(RuntimeError, match="killed"):
        list(
            population.fit_each(
                members, **options, keep=tmp_path, observers=[killed_after(7 if selection is None else 3)]
            )
        )
    assert list(tmp_path.iterdir())
    epochs = Widths()
    again = list(population.fit_each(members, **options, keep=tmp_path, observers=[epochs]))
    assert len(epochs) < (12 if selection is None else 6)  # of two groups, or of one
    assert_same_bits(again, undisturbed)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_what_was_trained_on_other_data_is_not_gone_on_with(tiny, members, tmp_path, caplog):
    with pytest.raises(RuntimeError, match="killed"):
        list(population.fit_each(members, dataset=tiny.dataset, keep=tmp_path, observers=[killed_after(7)]))
    other = dataclasses.replace(tiny.dataset, train=tiny.dataset.train.take(np.arange(40)[::-1]))
    assert_same_bits(
        population.fit_each(members, dataset=other, keep=tmp_path), population.fit_each(members, dataset=other)
    )
    assert any("was trained on other data: its trials start again" in message for message in caplog.messages)


@pytest.mark.slow
def test_who_no_longer_waits_for_a_population_stops_it_and_it_is_kept(tiny, members, tmp_path):
    undisturbed = list(population.fit_each(members, dataset=tiny.dataset))
    stopped = population.fit_each(members, dataset=tiny.dataset, keep=tmp_path)
    first = next(stopped)
    stopped.close()
    assert_same_bits([first, *population.fit_each(members, dataset=tiny.dataset, keep=tmp_path)][1:], undisturbed)


@pytest.mark.slow
def test_some_of_a_group_that_has_ended_are_found_by_themselves(tiny, members, tmp_path):
    undisturbed = list(population.fit_each(members, dataset=tiny.dataset))
    stopped = population.fit_each(members, dataset=tiny.dataset, keep=tmp_path)
    next(stopped)
    stopped.close()
    epochs = Widths()
    rest = list(population.fit_each(members[1:2], dataset=tiny.dataset, keep=tmp_path, observers=[epochs]))
    assert epochs == []
    assert_same_bits(rest, undisturbed[1:2])


@pytest.mark.slow
def test_a_group_that_was_begun_goes_on_when_others_of_its_population_have_ended(tiny, members, tmp_path, monkeypatch):
    monkeypatch.setattr(population, "_at_once", lambda program, experiments, *_: (2, -(-len(experiments) // 2)))
    undisturbed = list(population.fit_each(members, dataset=tiny.dataset))
    with pytest.raises(RuntimeError, match="killed"):
        list(population.fit_each(members, dataset=tiny.dataset, keep=tmp_path, observers=[killed_after(7)]))
    epochs = Widths()
    rest = list(population.fit_each(members[2:], dataset=tiny.dataset, keep=tmp_path, observers=[epochs]))
    assert set(epochs) == {2}  # not a group for each
    assert len(epochs) < 6
    assert_same_bits(rest, undisturbed[2:])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "options"),
    [({"optimizer": SGD(1e-3)}, {}), ({}, {"selection": EarlyStopping(5)}), ({"epochs": 8}, {})],
)
def test_a_file_of_other_members_is_not_used(tiny, members, tmp_path, changed, options):
    with pytest.raises(RuntimeError, match="killed"):
        list(population.fit_each(members[:1], dataset=tiny.dataset, keep=tmp_path, observers=[killed_after(2)]))
    other = dataclasses.replace(members[0], **changed)
    epochs = Widths()
    list(population.fit_each([other], dataset=tiny.dataset, keep=tmp_path, observers=[epochs], **options))
    assert len(epochs) == other.epochs
    assert len(list(tmp_path.iterdir())) == 1  # the other's is left alone


def flipped(content):
    """One bit of a parameter, in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def made_older(path, experiments, dataset, selection=None):
    """Writes a group's file anew as version 0.1.0 did, which had other names for members."""
    resolved = [experiment.resolve(dataset) for experiment in experiments]
    rest = resolved, selection, None
    older = dict(zip(member_names(*rest), older_names(*rest), strict=True))
    arrays, metadata = read_arrays(path)
    facts = json.loads(metadata["group"])
    rows = {older[name]: rows for name, rows in json.loads(arrays["rows"].tobytes()).items()}
    names = [older[name] for name in facts["members"]]
    parts = {name: {} for name in ("members", "rows", *facts["ended"])}
    for name, array in arrays.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = array
    content = serialization.msgpack_serialize(
        {
            "epoch": facts["epoch"],
            "slots": facts["slots"],
            "members": parts["members"],
            "rows": json.dumps(rows),
            "ended": {
                older[name]: {"failed_at": failed_at, "stopped_after": stopped_after, "state": parts[name]}
                for name, (failed_at, stopped_after) in facts["ended"].items()
            },
        }
    )
    done = len(facts["ended"]) == len(facts["members"])
    header = {"members": names, "done": done, "crc32": zlib.crc32(content)}
    path.unlink()
    path = path.with_name(f"{hashlib.sha256(' '.join(names).encode()).hexdigest()[:16]}.msgpack")
    path.write_bytes(json.dumps(header).encode() + b"\n" + content)
    return path


@pytest.mark.parametrize("selection", [None, pytest.param(SuccessiveHalving((2, 4)), marks=pytest.mark.slow)])
def test_what_version_0_1_0_left_in_training_goes_on(tiny, members, tmp_path, selection):
    members[1] = dataclasses.replace(members[1], optimizer=Adam(1e25))  # it fails before the kill
    options = {"dataset": tiny.dataset, "selection": selection}
    undisturbed = list(population.fit_each(members, **options))
    with pytest.raises(RuntimeError, match="killed"):
        list(
            population.fit_each(
                members, **options, keep=tmp_path, observers=[killed_after(7 if selection is None else 3)]
            )
        )
    for path in list(tmp_path.iterdir()):
        made_older(path, members, tiny.dataset, selection)
    epochs = Widths()
    again = list(population.fit_each(members, **options, keep=tmp_path, observers=[epochs]))
    assert len(epochs) < (12 if selection is None else 6)
    assert_same_bits(again, undisturbed)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize(
    "damage", [lambda content: content[:-9], lambda content: b"", lambda content: b"{}\n\x80", flipped]
)
def test_a_damaged_file_is_passed_over_with_one_line(tiny, members, tmp_path, damage, caplog, older):
    undisturbed = list(population.fit_each(members[:1], dataset=tiny.dataset))
    with pytest.raises(RuntimeError, match="killed"):
        list(population.fit_each(members[:1], dataset=tiny.dataset, keep=tmp_path, observers=[killed_after(2)]))
    (path,) = tmp_path.iterdir()
    path = made_older(path, members, tiny.dataset) if older else path
    path.write_bytes(damage(path.read_bytes()))
    again = list(population.fit_each(members[:1], dataset=tiny.dataset, keep=tmp_path))
    assert [record.message.count("is damaged") for record in caplog.records] == [1]
    assert_same_bits(again, undisturbed)
