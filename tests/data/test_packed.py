import json
import shutil

import numpy as np
import pytest
from PIL import Image

from aejax.core import InputError, spread
from aejax.data import Data, Scale, Standardise, Stored, _packed, chunks, load, pack, read_examples
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


def test_rows_on_disk_are_indexed_as_an_array_is(folder):
    part = _packed.read(folder).parts["train"]
    index = RNG.permutation(50)[:20]
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


def test_parts_of_their_own_are_kept(tmp_path):
    parts = {name: RNG.random((n, 4), np.float32) for name, n in (("train", 9), ("validation", 2), ("test", 3))}
    np.savez(tmp_path / "x.npz", **{f"x_{name}": x for name, x in parts.items()})
    assert pack(str(tmp_path / "x.npz"), tmp_path / "packed") == {"train": 9, "validation": 2, "test": 3}
    dataset = load(Data(str(tmp_path / "packed")))
    for name, x in parts.items():
        np.testing.assert_array_equal(dataset.part(name).x, x)
        assert dataset.part(name).label is None
    again = tmp_path / "again"
    pack(str(tmp_path / "packed"), again)
    assert (again / "train.npy").read_bytes() == (tmp_path / "packed" / "train.npy").read_bytes()


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


def test_the_moments_of_values_far_from_zero_are_exact(monkeypatch):
    monkeypatch.setattr("aejax.data.stored._CHUNK", 100)
    x = (1e6 + RNG.normal(0, 1, (5000, 1))).astype(np.float32)
    np.testing.assert_allclose(Standardise().fit(x).std, x.astype(np.float64).std(axis=0), rtol=1e-6)


def change(folder, **changes):
    index = json.loads((folder / "index.json").read_text())
    index["parts"]["train"] |= changes
    (folder / "index.json").write_text(json.dumps(index))


def reshape(folder, shape):
    np.save(folder / "train.npy", np.zeros(shape, np.uint8))
    change(folder, shape=shape[1:])


DAMAGE = {
    "cut short": lambda folder: (folder / "train.npy").write_bytes((folder / "train.npy").read_bytes()[:-1]),
    "longer": lambda folder: (folder / "train.npy").write_bytes((folder / "train.npy").read_bytes() + b"\0"),
    "empty": lambda folder: (folder / "train.npy").write_bytes(b""),
    "gone": lambda folder: (folder / "train.npy").unlink(),
    "pickled": lambda folder: np.save(folder / "train.npy", np.array([{}]), allow_pickle=True),
    "another size": lambda folder: change(folder, examples=51),
    "a huge size": lambda folder: change(folder, examples=10**15),
    "numbers that are no examples": lambda folder: reshape(folder, (50,)),
    "examples of nothing": lambda folder: reshape(folder, (50, 0)),
    "too many axes": lambda folder: reshape(folder, (50, 2, 2, 2, 2)),
    "a type of text": lambda folder: change(folder, dtype="object"),
    "no bounds": lambda folder: change(folder, low=None),
    "labels cut short": lambda folder: np.save(folder / "train-label.npy", np.arange(3, dtype=np.int32)),
    "no JSON": lambda folder: (folder / "index.json").write_text("{"),
    "a list": lambda folder: (folder / "index.json").write_text("[]"),
    "a later format": lambda folder: (folder / "index.json").write_text('{"format": "aejax packed 2"}'),
    "no train": lambda folder: (folder / "index.json").write_text('{"format": "aejax packed 1", "parts": {}}'),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_is_damaged_is_refused_in_one_line(folder, kind):
    DAMAGE[kind](folder)
    with pytest.raises(InputError, match="pack it again") as caught:
        load(Data(str(folder)))
    assert "\n" not in str(caught.value)


def test_a_file_that_becomes_shorter_while_it_is_used_is_noticed(folder):
    train = load(Data(str(folder))).train
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
    for out in (folder, tmp_path / "not" / "there"):
        with pytest.raises(InputError, match="cannot be made"):
            pack(source, out)
    assert sorted(path.stat().st_mtime_ns for path in folder.iterdir()) == before
    with pytest.raises(InputError, match="there is no file or folder"):
        pack(str(tmp_path / "nothing.npy"), tmp_path / "other")
