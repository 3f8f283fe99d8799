"""What a run knows of its data: the same data are recognised, others refused, and other units converted or refused."""

import dataclasses
import json
import logging

import numpy as np
import pytest

from aejax.core import Examples, InputError
from aejax.data import Data, DataRecord, Dataset, in_units, load, load_again, pack, read_given

RNG = np.random.default_rng(0)
LEVELS = RNG.integers(0, 256, (60, 4, 4, 1), np.uint8)
COUNTS = RNG.integers(0, 16, (60, 5)).astype(np.float32)


def record(x) -> DataRecord:
    part = Examples(np.asarray(x))
    return DataRecord.of(Dataset("x", part, part.take(np.arange(0)), part))


def save(path, x=LEVELS, **arrays):
    np.savez(path, x=x, **arrays)
    return str(path)


def of(path, **options):
    return DataRecord.of(load(Data(str(path), **options)))


def test_a_record_says_what_the_data_are_and_goes_through_json(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", COUNTS)
    monkeypatch.chdir(tmp_path)
    made = of("x.npy")
    assert (made.dtype, made.low, made.high, made.whole, made.shape) == ("float32", 0, 15, True, (5,))
    assert made.rows == {"train": 48, "validation": 6, "test": 6}
    assert (made.name, made.path) == ("x.npy", str(tmp_path / "x.npy"))
    assert DataRecord.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert record(LEVELS).path is None


@pytest.mark.parametrize(
    "change",
    [
        lambda x, y: (np.concatenate([x, x[:6]]), np.concatenate([y, y[:6]])),  # rows were appended
        lambda x, y: (x[::-1], y[::-1]),
        lambda x, y: (x, 1 - y),
        lambda x, y: (np.where(np.arange(x.size).reshape(x.shape) == 500, 255 - x, x), y),
        lambda x, y: (x.astype(np.float32), y),
        lambda x, y: (x.reshape(60, 2, 8, 1), y),
    ],
)
def test_any_change_makes_other_data_and_none_makes_the_same(tmp_path, change):
    y = np.arange(60) % 2
    first = of(save(tmp_path / "a.npz", y=y))
    assert first.same(of(save(tmp_path / "moved.npz", y=y)))
    changed = dict(zip("xy", change(LEVELS, y), strict=True))
    assert not first.same(of(save(tmp_path / "b.npz", **changed)))


def test_packed_data_are_the_same_as_those_in_memory(tmp_path):
    pack(save(tmp_path / "a.npz"), tmp_path / "packed")
    assert of(tmp_path / "a.npz").same(of(tmp_path / "packed"))


def test_a_large_part_is_read_in_blocks_from_its_first_to_its_last_example(rng, monkeypatch):
    from aejax.data import identity

    monkeypatch.setattr(identity, "_READ", 2**10)
    x = rng.normal(size=(4000, 8)).astype(np.float32)
    whole = identity.fingerprint(Examples(x))
    for row in (0, 3999):
        changed = x.copy()
        changed[row] += 1
        assert identity.fingerprint(Examples(changed)) != whole
    read = sum(few.stop - few.start for few in identity._blocks(len(x), x.nbytes))
    assert read * 32 <= 2**11


@pytest.mark.parametrize(
    ("trained_on", "given", "expected"),
    [
        (COUNTS, COUNTS.astype(np.uint8), COUNTS),  # rows of numbers are numbers in every type
        (COUNTS, COUNTS.astype(np.int64), COUNTS),
        (COUNTS, COUNTS.astype(">f4"), COUNTS),
        (COUNTS, COUNTS.astype(np.float64), COUNTS),
        (LEVELS, LEVELS.astype(np.int64), LEVELS),  # grey levels are grey levels in every type
        (LEVELS, LEVELS.astype(np.float32), LEVELS),
        (LEVELS, LEVELS, LEVELS),
        (LEVELS, LEVELS / 255, (LEVELS / 255).astype(np.float32)),
        (LEVELS, LEVELS > 99, 255 * (LEVELS > 99)),
        ((LEVELS / 255).astype(np.float32), LEVELS, (LEVELS / 255).astype(np.float32)),
        ((LEVELS / 255).astype(np.float32), LEVELS.astype(np.int64), (LEVELS / 255).astype(np.float32)),
        ((LEVELS / 255).astype(np.float32), LEVELS.astype(np.float32), (LEVELS / 255).astype(np.float32)),
        (LEVELS.astype(np.float32), LEVELS, LEVELS),
        ((COUNTS > 7).astype(np.float32), (COUNTS > 7).astype(np.uint8), COUNTS > 7),  # zeros and ones as numbers
        ((COUNTS > 7).astype(np.float32), COUNTS > 7, COUNTS > 7),
    ],
)
def test_values_in_other_units_become_those_of_the_training_data(trained_on, given, expected, caplog):
    found = in_units(given, record(trained_on))
    assert found.dtype in (np.uint8, np.float32)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert not caplog.messages


@pytest.mark.parametrize(
    ("trained_on", "given", "said"),
    [
        (LEVELS, RNG.normal(size=(6, 4, 4, 1)), r"float64 with values from -.*, but this model was trained on grey"),
        (LEVELS, LEVELS * 0.7, r"values from 0.* to 178\.5, .*: give whole levels from 0 to 255"),
        (LEVELS, LEVELS.astype(np.int64) * 256, r"int64 with values from .*grey levels"),
        (
            RNG.normal(size=(60, 5)).astype(np.float32),
            LEVELS.reshape(-1, 5),
            r"uint8 from 0 to 255, but .*: give float32",
        ),
        (COUNTS, np.full((3, 5), np.nan), r"15 missing values \(NaN\) in 3 rows, the first in example 0, column 0"),
    ],
)
def test_values_whose_unit_cannot_be_told_are_refused(trained_on, given, said):
    with pytest.raises(InputError, match=said):
        in_units(given, record(trained_on))


@pytest.mark.parametrize(
    ("trained_on", "given"),
    [
        ((COUNTS / 15).astype(np.float32), COUNTS * 17),
        (LEVELS.astype(np.float32), LEVELS / 255),
        (LEVELS, (LEVELS > 99).astype(np.int64)),
    ],
)
def test_values_that_may_be_in_another_unit_are_warned_of(trained_on, given, caplog):
    in_units(given, record(trained_on))
    assert len(caplog.messages) == 1


def test_noise_may_go_beyond_the_grey_levels_but_not_as_far_as_another_unit(rng):
    noisy = LEVELS / 255 + rng.normal(0, 0.5, LEVELS.shape)
    np.testing.assert_allclose(in_units(noisy, record(LEVELS), noisy=True), noisy, rtol=1e-6)
    with pytest.raises(InputError, match="grey levels"):
        in_units(noisy * 255, record(LEVELS), noisy=True)


def test_a_file_is_divided_as_in_training_where_it_is_what_was_trained_on(tmp_path):
    data = Data(save(tmp_path / "a.npz"))
    made, test = DataRecord.of(load(data)), load(data).test.x
    moved = save(tmp_path / "moved.npz")
    for spec in (None, moved):
        given = read_given(spec, "test", data, made)
        assert (given.called, given.own) == ("test", True)
        np.testing.assert_array_equal(given.examples.x, test)
    assert read_given(moved, None, data, made, whole=False).called == "test"
    given = read_given(moved, None, data, made)
    assert (len(given.examples), given.called, given.own) == (60, "all of moved.npz", False)


def test_other_data_have_no_split_and_no_name_of_one(tmp_path):
    data = Data(save(tmp_path / "a.npz"))
    made = DataRecord.of(load(data))
    other = save(tmp_path / "other.npz", 255 - LEVELS)
    given = read_given(other, None, data, made, whole=False)
    assert (len(given.examples), given.called, given.own) == (60, "all of other.npz", False)
    with pytest.raises(InputError, match=r"other.npz is not divided into parts, .*: leave --split out"):
        read_given(other, "test", data, made)
    np.savez(tmp_path / "parts.npz", x_train=LEVELS, x_test=LEVELS[:7])
    for spec, split, called in (
        (str(tmp_path / "parts.npz"), None, "test of parts.npz"),
        ("mnist-5k", "validation", "validation of mnist-5k"),
    ):
        given = read_given(spec, split, data, made)
        assert (given.called, given.own, given.told) == (called, False, called)


def test_a_part_that_was_not_held_out_is_no_part_of_none(tmp_path):
    data = Data(save(tmp_path / "a.npz"), validation=0.0)
    with pytest.raises(InputError, match=r"no validation part of .*a.npz is held out: .*--data.validation 0.1"):
        read_given(None, "validation", data, DataRecord.of(load(data)))


def test_data_are_found_where_they_lay_and_by_their_content_alone(tmp_path, monkeypatch):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    save(tmp_path / "one" / "x.npz")
    save(tmp_path / "two" / "x.npz", 255 - LEVELS)
    data = Data("x.npz")
    monkeypatch.chdir(tmp_path / "one")
    made, test = DataRecord.of(load(data)), load(data).test.x
    monkeypatch.chdir(tmp_path / "two")
    np.testing.assert_array_equal(load_again(data, made).test.x, test)
    (tmp_path / "one" / "x.npz").rename(tmp_path / "moved.npz")
    with pytest.raises(InputError, match=r"x.npz is not what was trained on, .* other values.*--trained-on PATH"):
        load_again(data, made)
    (tmp_path / "two" / "x.npz").unlink()
    with pytest.raises(InputError, match=r"there is no .*one/x.npz, which was trained on: say by --trained-on PATH"):
        load_again(data, made)
    np.testing.assert_array_equal(load_again(data, made, str(tmp_path / "moved.npz")).test.x, test)


def test_rows_that_were_appended_are_told_by_their_number(tmp_path):
    data = Data(save(tmp_path / "a.npz"))
    made = DataRecord.of(load(data))
    save(tmp_path / "a.npz", np.concatenate([LEVELS, LEVELS[:10]]))
    with pytest.raises(InputError, match="it holds 70 examples where there were 60: say"):
        load_again(data, made)


def test_arrays_of_python_are_asked_for_as_a_file(tmp_path):
    made = dataclasses.replace(record(LEVELS), name="mine")
    with pytest.raises(InputError, match=r"'mine', which was trained on, is nowhere here: .*given in Python.*x_train"):
        load_again(Data("mine"), made)
    with pytest.raises(InputError, match=r"'arrays' was trained on arrays given in Python: .*x_train"):
        load_again(Data("arrays"), dataclasses.replace(made, name="arrays"))


def test_without_a_record_nothing_is_compared_and_no_part_is_called_the_run_s(tmp_path):
    data = Data(save(tmp_path / "a.npz"))
    assert len(load_again(data, None).test) == 6
    assert not read_given(data.name, None, data, None).own


def test_a_path_is_a_name_and_an_array_is_none(tmp_path):
    save(tmp_path / "a.npz")
    assert Data(tmp_path / "a.npz") == Data(str(tmp_path / "a.npz"))
    with pytest.raises(InputError, match=r"data.name is ndarray: give a name or a path"):
        Data(LEVELS)


def test_silence_is_the_rule(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    data = Data(save(tmp_path / "a.npz"))
    made = DataRecord.of(load(data))
    assert [record.name for record in caplog.records] == ["aejax.notes"]  # what is held out is said once
    caplog.clear()
    load_again(data, made)
    read_given(data.name, "train", data, made)
    assert not caplog.messages
