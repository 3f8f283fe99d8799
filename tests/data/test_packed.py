import errno
import json
import os
import shutil
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from aejax.core import InputError, spread
from aejax.data import Data, DataRecord, Scale, Standardise, Stored, _packed, chunks, load, pack, packing, read_examples
from aejax.data.stored import Stripes
from aejax.devices import place

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (50, 3, 2, 1), np.uint8)
Y = RNG.integers(0, 3, 50)


@pytest.fixture
def source(tmp_path):
    np.savez(tmp_path / "x.npz", x=X, y=Y)
    return str(tmp_path / "x.npz")


@pytest.fixture
def folder(tmp_path, source):
    assert pack(source, tmp_path / "packed") == {"train": 50}
    return tmp_path / "packed"


@pytest.fixture
def older(tmp_path):
    """A folder as it was packed before there were shards."""
    folder = tmp_path / "older"
    folder.mkdir()
    np.save(folder / "train.npy", X)
    np.save(folder / "train-label.npy", Y.astype(np.int32))
    about = {"examples": 50, "shape": [3, 2, 1], "dtype": "uint8", "low": float(X.min()), "high": float(X.max())}
    (folder / "index.json").write_text(json.dumps({"format": "aejax packed 1", "parts": {"train": about}}))
    return folder


def same(one, other):
    np.testing.assert_array_equal(np.asarray(one.x), np.asarray(other.x))
    assert one.x.dtype == other.x.dtype
    np.testing.assert_array_equal(one.label, other.label)


@pytest.mark.parametrize("few", [1, 17, 2**22])
def test_packed_data_are_the_same_data_on_disk_and_are_cut_the_same(tmp_path, source, monkeypatch, few):
    for module in ("stored", "_checks"):
        monkeypatch.setattr(f"aejax.data.{module}._CHUNK", few)
    pack(source, tmp_path / "packed")
    there, here = load(Data(str(tmp_path / "packed"))), load(Data(source))
    assert there.shape == here.shape
    for name in ("train", "validation", "test"):
        assert isinstance(there.part(name), Stored)
        same(there.part(name), here.part(name))
        same(there.part(name).within(), here.part(name))
    same(read_examples(str(tmp_path / "packed")), read_examples(source))
    assert (there.train.x.min(), there.train.x.max()) == (X.min(), X.max())


def test_what_needs_arrays_reads_them_whole(folder):
    placed = place(_packed.read(folder).parts["train"].take(np.arange(7)), Scale())
    np.testing.assert_array_equal(placed.x, X[:7])
    np.testing.assert_array_equal(placed.label, Y[:7])


def test_rows_on_disk_are_indexed_as_an_array_is(rng, folder):
    part = _packed.read(folder).parts["train"]
    index = rng.permutation(50)[:20]
    for rows, array in (
        (part.x, X),
        (part.take(index).x, X[index]),
        (part.take(index).take([3, 3, 1]).x, X[index][[3, 3, 1]]),
    ):
        assert (rows.shape, rows.nbytes, len(rows)) == (array.shape, array.nbytes, len(array))
        for which in (0, -1, slice(1, None, 2), slice(0, 0), np.array([2, 0, 2])):
            np.testing.assert_array_equal(rows[which], array[which])
            assert rows[which].shape == array[which].shape
    np.testing.assert_array_equal(part.take(index).label, Y[index])


def test_parts_of_their_own_are_kept(rng, tmp_path):
    parts = {name: rng.random((n, 4), np.float32) for name, n in (("train", 9), ("validation", 2), ("test", 3))}
    np.savez(tmp_path / "x.npz", **{f"x_{name}": x for name, x in parts.items()})
    assert pack(str(tmp_path / "x.npz"), tmp_path / "packed") == {"train": 9, "validation": 2, "test": 3}
    dataset = load(Data(str(tmp_path / "packed")))
    for name, x in parts.items():
        np.testing.assert_array_equal(dataset.part(name).x, x)
        assert dataset.part(name).label is None
    again = tmp_path / "again"
    pack(str(tmp_path / "packed"), again)
    file = "train-00000-x.npy"
    assert (again / file).read_bytes() == (tmp_path / "packed" / file).read_bytes()
    np.testing.assert_array_equal(np.load(again / file), parts["train"])


def test_several_arrays_in_a_folder_are_one_part_by_sorted_name(tmp_path):
    shards = tmp_path / "shards"
    shards.mkdir()
    np.save(shards / "b.npy", X[30:, ..., 0])
    np.save(shards / "a.npy", X[:30, ..., 0])
    pack(str(shards), tmp_path / "packed")
    np.testing.assert_array_equal(read_examples(str(tmp_path / "packed")).x, X)
    np.save(shards / "c.npy", X[:2].astype(np.float32))
    with pytest.raises(InputError, match="make them alike"):
        pack(str(shards), tmp_path / "other")


def test_arrays_of_a_folder_that_are_named_after_parts_are_those_parts(tmp_path):
    for part, n in (("train", 9), ("test", 3)):
        np.save(tmp_path / f"{part}.npy", X[:n, ..., 0])
    dataset = load(Data(str(tmp_path), validation=0.0))
    np.testing.assert_array_equal(np.asarray(dataset.train.read().x).squeeze(), X[:9, ..., 0].squeeze())
    assert len(dataset.test) == 3


def test_images_of_a_folder_with_labels(tmp_path, monkeypatch):
    monkeypatch.setattr("aejax.data._checks._CHUNK", 150)
    for i in range(5):
        file = tmp_path / "images" / "ab"[i > 1] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(X[i, ..., 0]).save(file)
    pack(str(tmp_path / "images"), tmp_path / "packed")
    part = read_examples(str(tmp_path / "packed"))
    np.testing.assert_array_equal(part.x, X[:5])
    assert part.label.tolist() == [0, 0, 1, 1, 1]


def test_more_than_fits_is_spread_over_all_and_said(folder, caplog):
    part = _packed.read(folder).parts["train"]
    few = part.within(20.5 * X[0].nbytes / 1e9)
    np.testing.assert_array_equal(few.x, X[spread(50, 20, Y)])
    assert "of the 50 examples" in caplog.text
    assert "20 that fit" in caplog.text


def test_a_pass_over_what_is_on_disk_sees_all_of_it(folder, monkeypatch):
    monkeypatch.setattr("aejax.data.stored._CHUNK", 100)
    rows = _packed.read(folder).parts["train"].x
    assert len(list(chunks(rows))) > 3
    np.testing.assert_array_equal(np.concatenate(list(chunks(rows))), X)
    grey = X / 255
    for x in (rows, X):
        fitted = Standardise().fit(x)
        np.testing.assert_allclose(fitted.mean, grey.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(fitted.std, grey.std(axis=0), rtol=1e-6)


def test_the_moments_of_values_far_from_zero_are_exact(rng, monkeypatch):
    monkeypatch.setattr("aejax.data.stored._CHUNK", 100)
    x = (1e6 + rng.normal(0, 1, (5000, 1))).astype(np.float32)
    np.testing.assert_allclose(Standardise().fit(x).std, x.astype(np.float64).std(axis=0), rtol=1e-6)


FILE, LABEL = "train-00000-x.npy", "train-00000-label.npy"


def change(folder, name="x", **changes):
    line = json.loads((folder / "shards.jsonl").read_text())
    (line["arrays"][name] if name else line).update(changes)
    (folder / "shards.jsonl").write_text(json.dumps(line) + "\n")


def reshape(folder, shape):
    np.save(folder / FILE, np.zeros(shape, np.uint8))
    change(folder, shape=shape[1:])


DAMAGE = {
    "cut short": lambda folder: (folder / FILE).write_bytes((folder / FILE).read_bytes()[:-1]),
    "longer": lambda folder: (folder / FILE).write_bytes((folder / FILE).read_bytes() + b"\0"),
    "empty": lambda folder: (folder / FILE).write_bytes(b""),
    "gone": lambda folder: (folder / FILE).unlink(),
    "pickled": lambda folder: np.save(folder / FILE, np.array([{}]), allow_pickle=True),
    "another size": lambda folder: change(folder, None, rows=51),
    "a huge size": lambda folder: change(folder, None, rows=10**15),
    "numbers that are no examples": lambda folder: reshape(folder, (50,)),
    "examples of nothing": lambda folder: reshape(folder, (50, 0)),
    "too many axes": lambda folder: reshape(folder, (50, 2, 2, 2, 2)),
    "a type of text": lambda folder: change(folder, dtype="object"),
    "a file elsewhere": lambda folder: change(folder, file="../x.npy"),
    "no bounds": lambda folder: change(folder, None, low=None),
    "labels cut short": lambda folder: np.save(folder / LABEL, np.arange(3, dtype=np.int32)),
    "no shards": lambda folder: (folder / "shards.jsonl").unlink(),
    "no JSON": lambda folder: (folder / "index.json").write_text("{"),
    "a list": lambda folder: (folder / "index.json").write_text("[]"),
    "a later format": lambda folder: (folder / "index.json").write_text('{"format": "aejax packed 3"}'),
    "no train": lambda folder: change(folder, None, part="test"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_is_damaged_is_refused_in_one_line(folder, kind):
    DAMAGE[kind](folder)
    with pytest.raises(InputError, match="pack it again") as caught:
        load(Data(str(folder)))
    assert "\n" not in str(caught.value)


def test_folders_of_before_are_read(folder, older):
    for name in ("train", "validation", "test"):
        same(*(load(Data(str(place))).part(name).read() for place in (older, folder)))
    (older / "train.npy").write_bytes((older / "train.npy").read_bytes()[:-1])
    with pytest.raises(InputError, match="pack it again"):
        load(Data(str(older)))


def test_a_file_that_changes_or_goes_while_it_is_used_is_noticed(folder):
    train, content = load(Data(str(folder))).train, (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match="has changed while it was read"):
        train.read()
    DAMAGE["empty"](folder)
    with pytest.raises(InputError, match="has become shorter"):
        train.read()
    shutil.rmtree(folder)
    with pytest.raises(InputError, match="cannot be read any more"):
        train.read()


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (np.array([[1.0, np.nan]], np.float32), "NaN"),
        (np.zeros((0, 3), np.uint8), "at least one example"),
        (np.zeros(3), "expected \\[n, d\\]"),
        (np.float32(3), "expected \\[n, d\\]"),
        (np.array([["a"]]), "real numbers"),
    ],
)
def test_what_cannot_be_packed_is_refused_and_leaves_nothing(tmp_path, values, why):
    np.save(tmp_path / "x.npy", values)
    with pytest.raises(InputError, match=why):
        pack(str(tmp_path / "x.npy"), tmp_path / "packed")
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_nothing_is_overwritten_and_no_folder_is_made_above(tmp_path, source, folder):
    before = sorted(path.stat().st_mtime_ns for path in folder.iterdir())
    (tmp_path / "other's").mkdir()
    for out in (folder, tmp_path / "not" / "there", tmp_path / "other's"):
        with pytest.raises(InputError, match="cannot be made"):
            pack(source, out)
    assert sorted(path.stat().st_mtime_ns for path in folder.iterdir()) == before
    with pytest.raises(InputError, match="there is no file or folder"):
        pack(str(tmp_path / "nothing.npy"), tmp_path / "other")


def batches(n, size=7):
    rng = np.random.default_rng(1)
    x, y = (rng.normal(size=(n, d)).astype(np.float16) for d in (3, 2))
    key = np.arange(n, dtype=np.int64) + 2**40
    return [{"x": x[at : at + size], "y": y[at : at + size], "key": key[at : at + size]} for at in range(0, n, size)]


def joined(given, name):
    return np.concatenate([batch[name] for batch in given])


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr("aejax.data.packing._SHARD", 10 * 3 * 2)


@pytest.mark.usefixtures("small_shards")
def test_batches_targets_and_keys_are_packed_row_by_row_in_the_types_they_come_in(rng, tmp_path):
    given = batches(45)
    assert pack(given, tmp_path / "packed") == {"train": 45}
    part = _packed.read(tmp_path / "packed").parts["train"]
    assert len(part.x.shards) == 5
    for name in ("x", "y", "key"):
        np.testing.assert_array_equal(getattr(part, name), joined(given, name))
        assert getattr(part, name).dtype == given[0][name].dtype
    index = rng.permutation(45)[:20]
    few = part.take(index)
    for name in ("x", "y", "key"):
        np.testing.assert_array_equal(getattr(few, name), joined(given, name)[index])
        np.testing.assert_array_equal(getattr(few, name)[3:9], joined(given, name)[index][3:9])
    assert few.read().y is not None


@pytest.mark.parametrize("dtype", _packed.TYPES)
def test_batches_of_every_type_are_kept_in_it(rng, tmp_path, dtype):
    x = rng.integers(0, 256, (9, 3)).astype(_packed.TYPES[dtype])
    pack([x[:4], x[4:]], tmp_path / "packed")
    part = _packed.read(tmp_path / "packed").parts["train"].x
    assert part.dtype == dtype
    np.testing.assert_array_equal(part, x)


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("gap", [0, 1, 6, 20, 10**6])
@pytest.mark.parametrize("span", [1, 18, 10**6])
def test_rows_of_several_files_are_read_with_those_between_them_in_calls_of_any_length(
    rng, tmp_path, monkeypatch, gap, span
):
    monkeypatch.setattr("aejax.data.stored._GAP", gap)
    monkeypatch.setattr("aejax.data.stored._SPAN", span)
    given = batches(45)
    pack(given, tmp_path / "packed")
    part, x = _packed.read(tmp_path / "packed").parts["train"], joined(given, "x")
    for which in (np.arange(45), np.arange(1, 45, 4), np.sort(rng.permutation(45)[:30]), rng.integers(0, 45, 99)):
        part.expect(which)
        np.testing.assert_array_equal(part.x[which], x[which])
        np.testing.assert_array_equal(part.take(which).x[5:], x[which][5:])


@pytest.mark.usefixtures("small_shards")
def test_however_many_shards_there_are_few_files_are_open_at_once(rng, tmp_path, monkeypatch):
    given, most, opened = batches(45), [0], set()
    pack(given, tmp_path / "packed")
    part = _packed.read(tmp_path / "packed").parts["train"].x
    monkeypatch.setattr("aejax.data.stored._OPEN", 2)
    begin, end = os.open, os.close

    def opening(*args):
        opened.add(file := begin(*args))
        most.append(len(opened))
        return file

    monkeypatch.setattr(os, "open", opening)
    monkeypatch.setattr(os, "close", lambda file: opened.discard(file) or end(file))
    which = rng.integers(0, 45, 60)
    np.testing.assert_array_equal(part[which], joined(given, "x")[which])
    part.expect(part.spans(which))
    assert max(most) == 2
    assert not opened


@pytest.mark.usefixtures("small_shards")
def test_what_is_read_soon_is_asked_for_in_pieces_that_no_system_cuts(tmp_path, monkeypatch):
    monkeypatch.setattr("aejax.data.stored._ASKED", 16)
    given, asked = batches(45), []
    pack(given, tmp_path / "packed")
    part = _packed.read(tmp_path / "packed").parts["train"]
    advise = lambda file, begin, length, advice: asked.append((os.fstat(file).st_ino, begin, length, advice))  # noqa: E731
    monkeypatch.setattr(os, "posix_fadvise", advise)
    for rows in (part.x, part.y):
        asked.clear()
        rows.expect(rows.spans(np.arange(45)))
        bytes_asked = {(file, at) for file, begin, length, _ in asked for at in range(begin, begin + length)}
        expected = {
            (shard.path.stat().st_ino, at) for shard in rows.shards for at in range(shard.start, shard.stamp[0])
        }
        assert bytes_asked == expected
        assert max(length for _, _, length, _ in asked) == 16
        assert {advice for *_, advice in asked} == {os.POSIX_FADV_WILLNEED}


def test_a_system_that_takes_no_advice_is_read_without(folder, monkeypatch):
    def advise(*args):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "posix_fadvise", advise)
    part = _packed.read(folder).parts["train"]
    out = part.blank(50)
    part.read_into(out, part.expect(np.arange(50)))
    np.testing.assert_array_equal(out.x, np.asarray(part.x))


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("as_function", [False, True])
def test_a_writer_that_is_stopped_goes_on_after_its_last_whole_shard(tmp_path, as_function):
    given, folder = batches(45), tmp_path / "packed"

    def stopped():
        yield from given[:4]  # 28 rows, of which two shards of ten are whole
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(stopped(), folder)
    (folder / ".train-00002-x.npy").write_bytes(b"left by a writer that was killed")
    with (folder / "shards.jsonl").open("a") as file:
        file.write('{"part": "tra')  # as was this line
    found = _packed.read(folder)
    assert len(found.parts["train"]) == 20
    assert "not whole yet: the 20 examples" in found.notes[0]
    asked = []

    def left(done):
        asked.append(done)
        return [{name: joined(given, name)[done:] for name in ("x", "y", "key")}]

    assert pack(left if as_function else given, folder) == {"train": 45}
    assert asked == ([20] if as_function else [])
    part = _packed.read(folder).parts["train"]
    for name in ("x", "y", "key"):
        np.testing.assert_array_equal(getattr(part, name), joined(given, name))
    assert not list(folder.glob(".*"))
    assert _packed.verify(folder) == 15
    with pytest.raises(InputError, match="whole part train already"):
        pack(given, folder)
    assert pack(given[:1], folder, part="test") == {"test": 7}


def test_a_source_that_was_packed_in_part_goes_on_and_another_is_refused(tmp_path, monkeypatch, source):
    monkeypatch.setattr("aejax.data.packing._SHARD", 10 * 6)
    finish, shards = packing._Shard.finish, []

    def killed(shard):
        if len(shards) == 3:
            raise KeyboardInterrupt
        shards.append(shard)
        return finish(shard)

    monkeypatch.setattr(packing._Shard, "finish", killed)
    with pytest.raises(KeyboardInterrupt):
        pack(source, tmp_path / "packed")
    monkeypatch.setattr(packing._Shard, "finish", finish)
    np.savez(tmp_path / "other.npz", x=X)
    with pytest.raises(InputError, match="cannot be made"):
        pack(str(tmp_path / "other.npz"), tmp_path / "packed")
    assert pack(source, tmp_path / "packed") == {"train": 50}
    same(_packed.read(tmp_path / "packed").parts["train"].read(), read_examples(source))


WRITERS = """
import json, os, signal, sys, traceback
from pathlib import Path
import numpy as np
from aejax.data import pack, packing

packing._SHARD = 10 * 3 * 2
folder, left_alone = Path(sys.argv[1]), Path(sys.argv[2])
given = [{"x": np.full((7, 3), at, np.float16), "key": np.arange(7) + at} for at in range(6)]


def as_function(done):
    whole = {name: np.concatenate([batch[name] for batch in given]) for name in given[0]}
    return [{name: array[done:] for name, array in whole.items()}]


WAYS = {"batches": given, "function": as_function, "file": str(folder / "x.npy")}
np.save(folder / "x.npy", np.arange(40, dtype=np.float32).reshape(20, 2))


def write(way, out, last):
    # Ends the process before its operation of number `last` on the disk.
    def hear(event, arguments):
        nonlocal last
        there = arguments and str(out.name) in str(arguments[0])
        if there and event in ("open", "os.rename", "os.remove", "os.mkdir", "fsync"):
            last -= 1
            if last < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    fsync = os.fsync
    os.fsync = lambda file: (hear("fsync", (out,)), fsync(file))
    sys.addaudithook(hear)
    pack(WAYS[way], out)
    os._exit(0)


def ended(way, out, last=10**6):
    if not (child := os.fork()):
        try:
            write(way, out, last)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def content(out):
    return {path.name: path.read_bytes().hex() for path in out.iterdir()}


kills = {}
for way in WAYS:
    assert ended(way, left_alone / way) == 0
    last = 0
    while (code := ended(way, out := folder / f"{way}{last}", last)) == -signal.SIGKILL:
        code = ended(way, out, last // 2)  # and once more while it goes on, unless that comes to its end
        assert code == 0 or (code, ended(way, out)) == (-signal.SIGKILL, 0), (way, last)
        assert content(out) == content(left_alone / way), (way, last)
        last += 1
    assert code == 0
    kills[way] = last
print(json.dumps(kills))
"""


@pytest.mark.slow
def test_a_writer_killed_before_any_operation_on_the_disk_ends_with_the_same_bytes_once_it_goes_on(tmp_path):
    for name in ("killed", "alone"):
        (tmp_path / name).mkdir()
    command = [sys.executable, "-c", WRITERS, tmp_path / "killed", tmp_path / "alone"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    kills = json.loads(done.stdout)
    assert min(kills.values()) > 20
    part = _packed.read(tmp_path / "alone" / "batches").parts["train"]
    assert (len(part), len(part.x.shards)) == (42, 5)
    assert _packed.verify(tmp_path / "alone" / "batches") == 10


def test_a_checksum_tells_a_shard_that_has_changed(folder):
    assert _packed.verify(folder) == 2
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match="has changed since it was written"):
        _packed.verify(folder)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_examples_are_kept_and_placed_in_a_narrow_type_and_scaled_to_single_precision(tmp_path, source, dtype):
    pack(source, tmp_path / "packed", dtype=dtype)
    part = read_examples(str(tmp_path / "packed"))
    expected = jnp.asarray(X / np.float32(255)).astype(dtype)
    placed = place(part.take(np.arange(50)), Scale())
    assert str(placed.x.dtype) == str(part.x.dtype) == dtype
    np.testing.assert_array_equal(placed.x, expected)
    seen = Scale()(placed.x, None)
    assert seen.dtype == np.float32
    np.testing.assert_array_equal(seen, expected.astype(np.float32))
    DataRecord.from_json(json.loads(json.dumps(DataRecord.of(load(Data(str(tmp_path / "packed")))).to_json())))


def test_what_a_type_cannot_hold_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[1.0], [1e6]], np.float32))
    for dtype, why in (("float16", "beyond what float16 can hold"), ("uint8", "which uint8 cannot hold")):
        with pytest.raises(InputError, match=why):
            pack(str(tmp_path / "x.npy"), tmp_path / "packed", dtype=dtype)
    assert not (tmp_path / "packed").exists()
    pack(str(tmp_path / "x.npy"), tmp_path / "packed", dtype="bfloat16")
    with pytest.raises(InputError, match="give a whole number for each of 2 rows"):
        pack([{"x": np.ones((2, 3)), "key": np.ones(2)}], tmp_path / "keys")


def test_of_very_many_rows_whole_runs_are_held_out_without_a_number_for_each(folder, monkeypatch):
    for name, value in (("_MOST_PERMUTED", 20), ("_STRIPES", 4)):
        monkeypatch.setattr(f"aejax.data.split.{name}", value)
    dataset = load(Data(str(folder), validation=0.2))
    sizes = {name: len(dataset.part(name)) for name in ("train", "validation", "test")}
    assert sizes == {"train": 38, "validation": 8, "test": 4}
    assert all(isinstance(dataset.part(name).x.index, Stripes) for name in sizes)
    rows = np.concatenate([dataset.part(name).x.index[:] for name in sizes])
    np.testing.assert_array_equal(np.sort(rows), np.arange(50))
    for name in sizes:
        part = dataset.part(name)
        np.testing.assert_array_equal(part.x, X[part.x.index[:]])
        np.testing.assert_array_equal(part.label, Y[part.x.index[:]])
        np.testing.assert_array_equal(part.take(np.array([-1, 0])).x, X[part.x.index[:]][[-1, 0]])
