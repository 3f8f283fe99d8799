import numpy as np
import pytest

from aejax.core import InputError
from aejax.data import read_array
from aejax.data.files import is_path, read


def save(tmp_path, values, **kwargs):
    np.save(tmp_path / "a.npy", values, **kwargs)
    return tmp_path / "a.npy"


@pytest.mark.parametrize(("shape", "kept"), [((5, 3), (5, 3)), ((5, 4, 3), (5, 4, 3, 1)), ((5, 4, 3, 2), (5, 4, 3, 2))])
def test_images_get_a_channel_and_the_rest_stays(tmp_path, shape, kept):
    values = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    found = read_array(save(tmp_path, values))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, values.reshape(kept))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", "int8", "uint16", "int64", ">i2"])
def test_numbers_become_float32_as_they_are(tmp_path, dtype):
    found = read_array(save(tmp_path, np.array([[0, 1, 100], [7, 5, 3]], dtype)))
    assert found.dtype == np.float32
    assert found.dtype.isnative
    assert found.tolist() == [[0, 1, 100], [7, 5, 3]]


def test_bool_is_black_and_white(tmp_path):
    found = read_array(save(tmp_path, np.array([[True, False]])))
    assert found.dtype == np.uint8
    assert found.tolist() == [[255, 0]]


def test_integers_that_look_like_grey_levels_are_pointed_out(tmp_path, caplog):
    read_array(save(tmp_path, np.array([[0, 255]], np.int64)))
    assert "save grey levels as uint8" in caplog.text
    caplog.clear()
    read_array(save(tmp_path, np.array([[0, 1000]], np.int64)))
    read_array(save(tmp_path, np.array([[0, 1]], np.int64)))
    read_array(save(tmp_path, np.array([[0, 2]], np.uint8)))
    assert not caplog.records
    read_array(save(tmp_path, np.array([[0, 1]], np.uint8)))
    assert "save black and white as bool" in caplog.text


def test_what_is_read_no_longer_depends_on_the_file(tmp_path):
    file = save(tmp_path, np.ones((4, 2), np.uint8))
    found = read_array(file)
    assert found.flags.writeable
    with file.open("r+b") as content:
        content.seek(-8, 2)
        content.write(bytes(8))
    assert found.sum() == 8


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (
            np.array([[1.0, np.nan], [np.inf, 2]]),
            r"has 1 values in 1 rows that are infinite .* in example 1, column 0: remove",
        ),
        (
            np.array([[1.0, 2], [np.nan, 2]]),
            r"1 missing values \(NaN\) in 1 rows, the first in example 1, column 0: replace them, leave these",
        ),
        (np.array([[1.0, 2], [1e300, 2]]), r"has 1 values .* too large for float32, the first in example 1"),
        (np.zeros(5), r"shape \(5,\): expected \[n, d\], \[n, h, w\] or \[n, h, w, c\]"),
        (np.float32(3), r"shape \(\): expected"),
        (np.zeros((2, 2, 2, 2, 2)), r"shape \(2, 2, 2, 2, 2\): expected"),
        (np.zeros((2, 3), complex), "type complex128: save real numbers"),
        (np.array([["a", "b"]]), "type <U1: save real numbers"),
        (np.zeros((2, 3), "M8[s]"), r"type datetime64\[s\]: save real numbers"),
        (np.zeros((0, 3), np.uint8), r"shape \(0, 3\): save at least one example"),
        (np.zeros((3, 0)), r"shape \(3, 0\): save at least one"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(tmp_path, values, why):
    with pytest.raises(InputError, match=why) as caught:
        read_array(save(tmp_path, values))
    assert "a.npy" in str(caught.value)


def test_objects_are_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return pytest.fail, ("unpickled",)

    file = save(tmp_path, np.array([[Trap()]], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="holds Python objects, which are never unpickled"):
        read_array(file)
    np.savez(tmp_path / "a.npz", x=np.array([[Trap()]], dtype=object))
    with pytest.raises(InputError, match="holds Python objects, which are never unpickled"):
        read_array(tmp_path / "a.npz")


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize("keep", [0, 1, 50, -1, -30])
def test_a_file_cut_short_is_refused(tmp_path, suffix, keep):
    file = tmp_path / f"a.{suffix}"
    values = np.random.default_rng(0).normal(size=(40, 3))
    np.save(file, values) if suffix == "npy" else np.savez(file, x=values)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InputError, match=rf"a.{suffix} cannot be read"):
        read_array(file)


def test_a_header_that_claims_too_much_takes_no_memory(tmp_path):
    file = save(tmp_path, np.zeros((9, 9), np.uint8))
    file.write_bytes(file.read_bytes().replace(b"(9, 9), }        ", b"(9999999, 99999)}"))
    with pytest.raises(InputError, match="cannot be read"):
        read_array(file)


def test_text_is_refused(tmp_path):
    (tmp_path / "a.npy").write_text("1,2,3")
    with pytest.raises(InputError, match="cannot be read"):
        read_array(tmp_path / "a.npy")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"there is no file or folder .*b\.npy"):
        read_array(tmp_path / "b.npy")


@pytest.mark.parametrize("x", ["x", "images", "data", "X"])
@pytest.mark.parametrize("y", ["y", "labels", "label", "Y", "target"])
def test_a_file_of_arrays_goes_by_its_names(tmp_path, x, y):
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.savez(tmp_path / "a.npz", **{x: values, y: [2, 0, 1]})
    parts = read(tmp_path / "a.npz").parts
    assert list(parts) == ["train"]
    np.testing.assert_array_equal(parts["train"].x, values)
    assert parts["train"].label.tolist() == [2, 0, 1]
    assert parts["train"].label.dtype == np.int32


def test_an_array_that_numbers_the_rows_is_left_out_and_said(tmp_path):
    x = np.zeros((3, 2))
    np.savez(tmp_path / "a.npz", x=x, label=[2, 0, 1], index=np.arange(3))
    found = read(tmp_path / "a.npz")
    assert found.parts["train"].label.tolist() == [2, 0, 1]
    assert found.notes == ("the array 'index' numbers the rows and is left out",)
    for index in ([0, 2, 1], [0.0, 1.0, 2.0], [[0], [1], [2]]):
        np.savez(tmp_path / "a.npz", x=x, index=index)
        with pytest.raises(InputError, match="also holds index"):
            read(tmp_path / "a.npz")


def test_named_parts_are_kept_apart_with_their_labels(tmp_path):
    x = np.zeros((4, 2, 2), np.uint8)
    np.savez_compressed(tmp_path / "a.npz", x_train=x, y_train=np.arange(4), x_test=x[:2], x_validation=x[:1])
    parts = read(tmp_path / "a.npz").parts
    assert {name: part.x.shape for name, part in parts.items()} == {
        "train": (4, 2, 2, 1),
        "validation": (1, 2, 2, 1),
        "test": (2, 2, 2, 1),
    }
    assert parts["train"].label.tolist() == [0, 1, 2, 3]
    assert parts["test"].label is None


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"a": [1], "b": [2]}, "holds a, b: name the examples x"),
        ({}, "holds nothing: name the examples x"),
        (
            {"x": np.zeros((3, 2)), "y": [0, 1]},
            r"labels of shape \(2,\) for 3 examples: expected one an example",
        ),
        ({"x": np.zeros((2, 2)), "y": [[0], [1]]}, r"labels of shape \(2, 1\) for 2 examples"),
        ({"x": np.zeros((2, 2)), "y": [0.5, 1]}, "labels of type float64: expected text, or whole numbers"),
        (
            {"x": np.zeros((2, 2)), "y": [2**40, 1]},
            "labels of type int64: expected text, or whole numbers within int32",
        ),
        (
            {"x": np.zeros((2, 2)), "notes": np.zeros(2)},
            "also holds notes, which would not be used: .* --data.drop notes",
        ),
        ({"x": np.zeros((2, 2)), "train": [True, False]}, "also holds train, which would not be used"),
        ({"x": np.zeros((2, 2)), "test": [True, False], "train": [False, True]}, "also holds test, train, which"),
        ({"x": np.zeros((2, 2)), "y_test": np.zeros(2)}, "also holds y_test, which would not be used"),
        ({"x": np.zeros((2, 2)), "X": np.zeros((2, 2))}, "also holds x, which would not be used"),
        ({"x_train": np.zeros((2, 2)), "x_test": np.zeros((2, 3))}, "parts of .* differ in shape or type"),
        ({"x_train": np.zeros((2, 2)), "x_test": np.zeros((2, 2), np.uint8)}, "differ in shape or type"),
    ],
)
def test_files_of_arrays_that_cannot_be_used_are_refused(tmp_path, arrays, why):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=why):
        read(tmp_path / "a.npz")


def test_paths_are_told_from_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    for path in ("a.npy", "B.NPZ", "some/where", "./a", "pictures", str(tmp_path)):
        assert is_path(path), path
    for name in ("mnist", "mnist-5k", "drawings"):
        assert not is_path(name), name
