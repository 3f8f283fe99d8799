"""The file of arrays: it gives back what was written, or nothing, whatever has become of it."""

import errno
import json
import os
import shutil
import struct
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from aejax.core import InputError
from aejax.runs import array_file
from aejax.runs.array_file import fill_parts, named_arrays, read_arrays, write_arrays

KINDS = sorted(array_file._NAMES, key=str)
START = 8 + len(array_file._BEFORE_CHECKSUM)


def of_every_kind():
    rng = np.random.default_rng(0)
    arrays = {f"a.{kind}": rng.integers(0, 2, (3, 1, 5)).astype(kind) for kind in KINDS}
    return arrays | {"scalar": np.float32(3.5), "none": np.zeros((0, 7), np.int16), "näme": np.arange(3)[::-1]}


def assert_same(found, expected):
    assert {name: (array.shape, array.dtype) for name, array in found.items()} == {
        name: (array.shape, array.dtype) for name, array in expected.items()
    }
    for name, array in expected.items():
        assert np.asarray(found[name]).tobytes() == array.tobytes(), name


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.safetensors"


def test_what_is_written_is_read_bit_for_bit(path):
    write_arrays(path, of_every_kind(), {"text": 'of "any" kind\n'})
    arrays, metadata = read_arrays(path)
    assert_same(arrays, of_every_kind())
    assert metadata == {"text": 'of "any" kind\n'}
    assert all(array.flags.aligned for array in arrays.values())


def test_the_same_arrays_make_the_same_bytes(path):
    write_arrays(path, of_every_kind(), {"a": "1", "b": "2"})
    first = path.read_bytes()
    write_arrays(path, of_every_kind(), {"a": "1", "b": "2"})
    assert path.read_bytes() == first


@pytest.mark.parametrize("kind", ["threefry2x32", "rbg"])
def test_keys_go_on_with_the_same_draws(path, kind):
    keys = {"one": jax.random.key(3, impl=kind), "many": jax.random.split(jax.random.key(1, impl=kind), 4)}
    write_arrays(path, named_arrays(keys))
    found = read_arrays(path)[0]
    for name, key in keys.items():
        assert (found[name].dtype, found[name].shape) == (key.dtype, key.shape)
        np.testing.assert_array_equal(jax.random.key_data(found[name]), jax.random.key_data(key))
    assert jax.random.normal(found["one"]) == jax.random.normal(keys["one"])


def test_another_library_reads_it(path):
    safetensors = pytest.importorskip("safetensors")
    numpy = pytest.importorskip("safetensors.numpy")
    arrays = {name: array for name, array in of_every_kind().items() if "float8" not in name and "c" not in name}
    write_arrays(path, arrays, {"text": "of any kind"})
    assert_same(numpy.load_file(path), arrays)
    with safetensors.safe_open(path, framework="numpy") as file:
        assert file.metadata()["text"] == "of any kind"


def test_an_array_that_the_format_has_not_is_refused(path):
    with pytest.raises(InputError, match="x has dtype complex128, but a file holds BOOL, U8"):
        write_arrays(path, {"x": np.zeros(3, complex)})
    assert not path.exists()


def small(path):
    write_arrays(path, {"b": np.arange(5, dtype=np.int16), "w": np.ones((2, 2), np.float32)}, {"step": "3"})
    return path.read_bytes()


def test_any_flipped_bit_and_any_cut_is_noticed(path):
    content = small(path)
    flips = (
        content[:n] + bytes([content[n] ^ 1 << bit]) + content[n + 1 :] for n in range(len(content)) for bit in range(8)
    )
    cuts = (content[:n] for n in range(len(content)))
    longer = (content[:n] + b" " + content[n:] for n in range(len(content) + 1))
    for damaged in (*flips, *cuts, *longer):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"checksum"):
            read_arrays(path)
    path.write_bytes(content)
    read_arrays(path)


def made_to_fit(content):
    """The content with its checksum set right, as whoever means harm would."""
    blank = content[:START] + b"0" * 8 + content[START + 8 :]
    return content[:START] + f"{zlib.crc32(blank):08x}".encode() + content[START + 8 :]


def crafted(entries, data=bytes(16), keys="{}", **metadata):
    header = json.dumps(
        {"__metadata__": {"crc32": "0" * 8, "keys": keys} | metadata} | entries, separators=(",", ":")
    ).encode()
    return made_to_fit(struct.pack("<Q", len(header)) + header + data)


def entry(begin=0, end=16, shape=(4,), dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_a_file_crafted_by_hand_is_read(path):
    path.write_bytes(crafted({"x": entry(0, 8, [2]), "y": entry(8, 16, [2])}))
    assert_same(read_arrays(path)[0], {"x": np.zeros(2, np.float32), "y": np.zeros(2, np.float32)})


@pytest.mark.parametrize(
    "content",
    [
        crafted({"x": entry(0, 12, [3]), "y": entry(8, 16, [2])}),  # an overlap
        crafted({"x": entry(0, 4, [1]), "y": entry(8, 16, [2])}),  # a gap
        crafted({"x": entry(0, 8, [2])}),  # a rest
        crafted({"x": entry(4, 16, [3])}),
        crafted({"x": entry(0, 32, [8])}),
        crafted({"x": entry(-16, 0)}),
        crafted({"x": entry(16, 0)}),
        crafted({"x": entry(0, 16, [-2, -2])}),
        crafted({"x": entry(0, 16, [2**62, 2**62])}),
        crafted({"x": entry(0, 0, [0, 2**62, 2**62])}, b""),
        crafted({"x": entry(0, 0, [0, 10**40])}, b""),
        crafted({"x": entry(0, 16, [1] * 40 + [4])}),
        crafted({"x": entry(0, 16, [4.0])}),
        crafted({"x": entry(0, 16, [True, 4])}),
        crafted({"x": entry(0, 16, 4)}),
        crafted({"x": entry(0.0, 16)}),
        crafted({"x": entry(dtype="O")}),
        crafted({"x": entry(dtype=["F32"])}),
        crafted({"x": entry(0, 16, [16], "BOOL")}, b"\2" * 16),
        crafted({"x": {"dtype": "F32", "shape": [4]}}),
        crafted({"x": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8, 16]}}),
        crafted({"x": [], "y": None}),
        crafted({"x": entry()}, keys='{"x": "fry"}'),
        crafted({"x": entry(dtype="U32")}, keys='{"x": "none such"}'),
        crafted({"x": entry(dtype="U32")}, keys='{"x": ["fry"]}'),
        crafted({"x": entry(dtype="U32")}, keys='{"y": "fry"}'),
        crafted({"x": entry(0, 12, [3], "U32")}, bytes(12), keys='{"x": "fry"}'),
        crafted({"x": entry()}, keys="[" * 5000),
        crafted({"x": entry()}, keys="3"),
        crafted({"x": entry()}, keys=None),
        crafted({"x": entry()}, text=3),
        made_to_fit(struct.pack("<Q", 2**63) + array_file._BEFORE_CHECKSUM + b"0" * 8 + b'"}}'),
        made_to_fit(struct.pack("<Q", 40) + array_file._BEFORE_CHECKSUM + b"0" * 8 + b'"}}'),
        made_to_fit(struct.pack("<Q", 20_037) + array_file._BEFORE_CHECKSUM + b"0" * 8 + b'","a":' + b"[" * 20_000),
    ],
)
def test_a_hostile_file_whose_checksum_fits_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^(?!its checksum)"):
        read_arrays(path)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(where=st.floats(0, 1, exclude_max=True), new=st.binary(max_size=4), gone=st.integers(0, 4))
def test_any_damage_whose_checksum_was_made_to_fit_is_read_or_refused(tmp_path_factory, where, new, gone):
    path = tmp_path_factory.getbasetemp() / "fits.safetensors"
    content = small(path)
    at = int(where * len(content))
    path.write_bytes(made_to_fit(content[:at] + new + content[at + gone :]))
    try:
        arrays, _ = read_arrays(path)
    except ValueError:
        return
    assert sum(array.nbytes for array in arrays.values()) <= len(content)


class Halting:
    """A file of which a copy is made after each few bytes, and before and after each operation."""

    def __init__(self, file, halt):
        self.file, self.halt = file, halt

    def writelines(self, parts):
        content = b"".join(parts)
        for start in range(0, len(content), 16):
            self.halt()
            self.file.write(content[start : start + 16])
            self.file.flush()
        self.halt()


def test_a_kill_at_any_byte_leaves_the_file_before_or_the_new_one(path, tmp_path, monkeypatch):
    states = []

    def halt():
        found = read_arrays(path)[0]["w"][0, 0] if path.exists() else None
        states.append((found, len(list(tmp_path.iterdir()))))

    def spied(call):
        def spy(*arguments):
            halt()
            result = call(*arguments)
            halt()
            return result

        return spy

    write = array_file.write_atomically
    monkeypatch.setattr(
        array_file, "write_atomically", lambda path, content: write(path, lambda file: content(Halting(file, halt)))
    )
    monkeypatch.setattr(os, "fsync", spied(os.fsync))
    monkeypatch.setattr(type(path), "replace", spied(type(path).replace))
    for value in (1, 2):
        write_arrays(path, {"w": np.full((20, 20), value, np.float32)})
        halt()
    found = [state[0] for state in states]
    assert len(found) > 200
    assert list(dict.fromkeys(found)) == [None, 1, 2]
    assert found == sorted(found, key=lambda value: value or 0)
    assert {number for _, number in states} == {1, 2}  # never more than the old one and the one that is written
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("way", ["full before", "full while writing"])
def test_a_full_disk_leaves_the_file_before(path, tmp_path, monkeypatch, way):
    small(path)
    if way == "full before":
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1000}))
        monkeypatch.setattr(array_file, "write_atomically", lambda *rest: pytest.fail("it was begun"))
    else:

        def full(number):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_arrays(path, {"w": np.zeros(3)})
    assert read_arrays(path)[1] == {"step": "3"}
    assert list(tmp_path.iterdir()) == [path]


def test_parts_are_filled_by_name_and_those_that_are_not_asked_for_are_left(path):
    parts = {
        "state": {"w": jnp.ones((2, 3), jnp.bfloat16), "key": jax.random.key(1)},
        "other": jnp.arange(3),
        "none": {},
    }
    write_arrays(path, named_arrays(parts))
    arrays = read_arrays(path)[0]
    assert sorted(arrays) == ["other", "state.key", "state.w"]
    like = jax.eval_shape(lambda: {name: parts[name] for name in ("state", "none")})
    found = fill_parts(like, arrays)
    assert jax.tree.structure(found) == jax.tree.structure(like)
    np.testing.assert_array_equal(found["state"]["w"], parts["state"]["w"])
    for wrong in ({"state": parts["other"]}, {"sampler": parts["other"]}, {"other": jnp.arange(3.0)}):
        with pytest.raises(ValueError, match="not those of the experiment"):
            fill_parts(wrong, arrays)


def test_two_arrays_of_one_name_are_refused():
    with pytest.raises(ValueError, match="one name"):
        named_arrays({"state": {"a.b": np.zeros(1), "a": {"b": np.ones(1)}}})
