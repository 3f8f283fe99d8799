from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings, strategies as st

from aejax.core import InputError
from aejax.data import Data, load
from aejax.data._mat import read_mat
from aejax.data.files import is_path, read

ODDS = Path(__file__).parents[2].parent / "shared" / "data" / "odds"
SHAPES = {
    "arrhythmia": (452, 274), "glass": (214, 9), "ionosphere": (351, 33), "lympho": (148, 18),
    "mnist": (7603, 100), "optdigits": (5216, 64), "pendigits": (6870, 16), "pima": (768, 8),
    "satimage-2": (5803, 36), "shuttle": (49097, 9), "vertebral": (240, 6), "wbc": (378, 30),
}  # fmt: skip
X = np.random.default_rng(0).normal(size=(20, 3))
Y = (np.arange(20) % 5 == 0).astype(float)[:, None]


def save(folder, content, **options):
    path = folder / "a.mat"
    scipy.io.savemat(path, content, **options)
    return path


@pytest.mark.parametrize("options", [{}, {"do_compression": True}])
def test_rows_are_vectors_and_flags_are_labels(tmp_path, options):
    part = read_mat(save(tmp_path, {"X": X, "y": Y}, **options))
    assert part.x.dtype == np.float32
    np.testing.assert_array_equal(part.x, X.astype(np.float32))
    np.testing.assert_array_equal(part.label, Y[:, 0])
    assert part.label.dtype == np.int32


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8", "i8", "u8", "?"])
def test_every_type_of_number_is_read_as_scipy_reads_it(tmp_path, kind):
    values = np.random.default_rng(1).integers(0, 100, (5, 4)).astype(kind)
    path = save(tmp_path, {"notes": ["text", 1], "X": values})
    np.testing.assert_array_equal(read_mat(path).x, scipy.io.loadmat(path)["X"].astype(np.float32))


def test_the_other_byte_order_is_read(tmp_path):
    def element(kind, values):
        content = np.asarray(values).tobytes()
        return np.array([kind, len(content)], ">u4").tobytes() + content + bytes(-len(content) % 8)

    flags, dims = np.array([6, 0], ">u4"), np.array(X.shape, ">i4")
    matrix = element(6, flags) + element(5, dims) + element(1, np.frombuffer(b"X", "u1"))
    whole = element(14, np.frombuffer(matrix + element(9, X.T.astype(">f8")), "u1"))
    (tmp_path / "a.mat").write_bytes(b"MATLAB 5.0".ljust(124) + b"\x01\x00MI" + whole)
    np.testing.assert_array_equal(read_mat(tmp_path / "a.mat").x, X.astype(np.float32))


def test_whole_numbers_are_not_taken_for_grey_levels(tmp_path, caplog):
    part = read_mat(save(tmp_path, {"X": np.array([[0, 16], [255, 3]], np.uint8)}))
    np.testing.assert_array_equal(part.x, [[0, 16], [255, 3]])
    assert part.x.dtype == np.float32
    assert part.label is None
    assert not caplog.text


def test_it_is_a_data_set_with_three_parts(tmp_path):
    path = save(tmp_path, {"X": X, "y": Y})
    assert is_path("glass.mat")
    assert list(read(path).parts) == ["train"]
    dataset = load(Data(str(path), validation=0.25))
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [13, 5, 2]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"Z": X}, "holds Z: name the examples X"),
        ({"X": X, "y": Y[:-1]}, r"labels of shape \(19,\) for 20 examples"),
        ({"X": X, "y": Y * 2}, "expected outlier flags, 0 or 1"),
        ({"X": X, "y": Y * np.nan}, "expected outlier flags"),
        ({"X": X[:, :, None].repeat(2, 2)}, "expected X as"),
        ({"X": "text"}, "X in .* is no table of real numbers"),
        ({"X": {"a": 1}}, "X in .* is no table"),
        ({"X": scipy.sparse.csc_array(X)}, "X in .* is no table"),
        ({"X": X * 1j}, "X in .* is no table of real numbers"),
        ({"X": X * np.nan}, "NaN"),
        ({"X": np.zeros((0, 3))}, "at least one example"),
    ],
)
def test_what_is_not_a_table_of_numbers_is_refused(tmp_path, content, why):
    with pytest.raises(InputError, match=why):
        read_mat(save(tmp_path, content))


@pytest.mark.parametrize(
    "start", [b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n"]
)
def test_damaged_hdf5_is_refused(tmp_path, start):
    (tmp_path / "a.mat").write_bytes(start + bytes(100))
    with pytest.raises(InputError, match=r"cannot be read as HDF5"):
        read_mat(tmp_path / "a.mat")


@pytest.mark.parametrize("content", [b"", b"text", bytes(200)])
def test_what_is_no_mat_file_is_refused(tmp_path, content):
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(InputError):
        read_mat(tmp_path / "a.mat")


def test_a_header_that_claims_too_much_takes_no_memory(tmp_path):
    path = save(tmp_path, {"X": X})
    shape = np.array(X.shape, np.int32).tobytes()
    path.write_bytes(path.read_bytes().replace(shape, np.array([99_999, 99_999], np.int32).tobytes(), 1))
    with pytest.raises(InputError, match="does not go with its 60 values"):
        read_mat(path)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.booleans(), st.integers(0, 10_000), st.integers(1, 255), st.booleans())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path, compressed, where, change, cut):
    path = save(tmp_path, {"X": X, "y": Y}, do_compression=compressed)
    content = bytearray(path.read_bytes())
    where %= len(content)
    content[where] ^= change
    path.write_bytes(content[:where] if cut else content)
    try:
        part = read_mat(path)
    except InputError:
        return
    assert part.x.dtype == np.float32


@pytest.mark.parametrize("name", SHAPES)
def test_the_sets_of_odds(name):
    path = ODDS / f"{name}.mat"
    if not path.is_file():
        pytest.skip("the sets of ODDS are not at ../shared/data/odds")
    part = read_mat(path)
    assert part.x.shape == SHAPES[name]
    content = scipy.io.loadmat(path)
    np.testing.assert_array_equal(part.x, content["X"].astype(np.float32))
    np.testing.assert_array_equal(part.label, content["y"].ravel())
