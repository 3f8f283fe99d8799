import logging
import threading

import numpy as np
import platformdirs
import pytest

from aejax.core import Examples
from aejax.data import _packed, cache
from aejax.data.dataset import Parts, Schema
from aejax.data.packing import pack_parts

LABELS = np.arange(30, dtype=np.int32)
PARTS = {
    "train": Examples(np.random.default_rng(0).integers(0, 256, (30, 6, 6, 1), dtype=np.uint8), LABELS),
    "test": Examples(np.random.default_rng(1).normal(size=(7, 6)).astype(np.float32)),
}


FOUND = Parts(PARTS, Schema(("zero", "one")))


def same(one: Parts, other: Parts) -> bool:
    arrays = ([a for name in sorted(has) for a in (has[name].x, has[name].label)] for has in (one.parts, other.parts))
    pairs = zip(*arrays, strict=True)
    alike = one.parts.keys() == other.parts.keys() and one.schema == other.schema
    return alike and all(
        a is b is None or (a is not None and b is not None and a.dtype == b.dtype and np.array_equal(a, b))
        for a, b in pairs
    )


def test_what_is_written_is_read_back_and_nothing_else_is_left(cache_folder):
    cache.write("tfds:a/b:1.0", FOUND)
    assert same(cache.read("tfds:a/b:1.0"), FOUND)
    assert [file.parent for file in cache_folder.rglob("*")] == [cache_folder]
    assert cache.read("tfds:a_b:1.0") is None


def test_targets_are_kept_in_the_cache_and_in_packed_data(tmp_path):
    y = np.ones((3, 2), np.float32)
    part = Examples(np.zeros((3, 2), np.float32), y=y)
    cache.write("paired", Parts({"train": part}))
    np.testing.assert_array_equal(cache.read("paired").parts["train"].y, y)
    pack_parts({"train": [part]}, tmp_path / "packed", "paired")
    np.testing.assert_array_equal(_packed.read(tmp_path / "packed").parts["train"].y, y)


def test_a_missing_file_is_not_worth_a_warning(caplog):
    assert cache.read("mnist") is None
    assert not caplog.records


def test_a_flipped_byte_is_noticed_or_harmless(caplog):
    cache.write("mnist", FOUND)
    file = cache.path("mnist")
    good = file.read_bytes()
    data = good.index(PARTS["train"].x.tobytes())
    directory = good.index(b"PK\x01\x02")  # where one byte may hide all that follows
    for position in [data, data + 999, *range(0, directory, 5), *range(directory, len(good))]:
        bad = bytearray(good)
        bad[position] ^= 0x10
        file.write_bytes(bad)
        found = cache.read("mnist")
        assert found is None or same(found, FOUND), position
        assert found is None or not data <= position < data + PARTS["train"].x.nbytes
    assert "cannot be used and is made again" in caplog.text


@pytest.mark.parametrize("keep", [0, 1, 100, -1, -40])
def test_a_file_cut_short_is_noticed_and_logged_in_one_line(keep, caplog):
    cache.write("mnist", FOUND)
    file = cache.path("mnist")
    file.write_bytes(file.read_bytes()[:keep])
    with caplog.at_level(logging.WARNING, "aejax"):
        assert cache.read("mnist") is None
    assert len(caplog.records) == 1
    assert "\n" not in caplog.records[0].getMessage()


@pytest.mark.parametrize(
    "arrays",
    [
        {"test_x": np.zeros((2, 2), np.uint8)},
        {"train_x": np.zeros((2, 2), np.float64)},
        {"train_x": np.zeros(2, np.uint8)},
        {"train_x": np.zeros((2, 2), np.uint8), "train_label": np.zeros(3, np.int32)},
        {"train_x": np.zeros((2, 2), np.uint8), "train_label": np.zeros(2, np.int64)},
        {"train_x": np.zeros((2, 2), np.uint8), "classes": np.zeros(2, np.int64)},
    ],
)
def test_a_sound_file_with_other_arrays_is_not_taken_for_ours(arrays, cache_folder):
    cache_folder.mkdir()
    np.savez(cache.path("mnist"), **arrays)
    assert cache.read("mnist") is None


def test_a_writer_that_fails_leaves_the_old_file_and_no_litter(cache_folder, monkeypatch):
    cache.write("mnist", FOUND)

    def fail(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(cache.os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        cache.write("mnist", Parts({"train": PARTS["train"]}))
    assert same(cache.read("mnist"), FOUND)
    assert list(cache_folder.iterdir()) == [cache.path("mnist")]


def test_readers_see_a_whole_file_whoever_writes():
    cache.write("mnist", FOUND)
    seen = []

    def write() -> None:
        for _ in range(10):
            cache.write("mnist", FOUND)

    def read() -> None:
        seen.extend(cache.read("mnist") for _ in range(30))

    threads = [threading.Thread(target=target) for target in (write, write, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 30
    assert all(found is not None and same(found, FOUND) for found in seen)


def test_the_folder_is_the_users_choice_or_the_systems(monkeypatch, cache_folder):
    assert cache.cache_folder() == cache_folder
    monkeypatch.delenv("AEJAX_CACHE")
    assert cache.cache_folder() == platformdirs.user_cache_path("aejax")
