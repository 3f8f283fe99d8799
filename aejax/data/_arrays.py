"""Reads arrays of NumPy and SciPy: .npy, .npz with named or sparse arrays, and folders of .npy files."""

import math
import os
import re
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from aejax.core import InputError, first_line
from aejax.data._source import LABELS, PARTS, Raw, Source
from aejax.data.dataset import Schema
from aejax.data.settings import Data

_EXAMPLES = ("x", "xs", "images", "image", "data", "features", "inputs")

_SPARSE = {"format", "shape", "data"}


def read_npy(path: Path, data: Data, known: Schema) -> Source:
    """Returns the array of a .npy file as the train part, read when it is used."""
    return Source({"train": Raw(_mapped(path))})


def read_npz(path: Path, data: Data, known: Schema) -> Source:
    """Returns the arrays of a .npz file by their names, or the one sparse matrix that SciPy saved in it.

    Raises `InputError` for a file that cannot be read, and as `by_name` does.
    """
    with explained(path), path.open("rb") as file:
        if file.read(2) != b"PK":
            return read_npy(path, data, known)
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            _check_sizes(path, arrays.zip)
            if set(arrays.files) >= _SPARSE:
                rows = sparse_rows(path)
                return Source({"train": Raw(rows)}, notes=(dense_note(rows),))
            return by_name(str(path), arrays.files, lambda name: arrays[name], data)


def read_npy_folder(path: Path, data: Data, known: Schema) -> Source:
    """Returns the .npy files of a folder: named as the arrays of a .npz, or else as pieces of one part, by name."""
    files = {file.stem: file for file in sorted(path.glob("*.npy")) if not file.name.startswith(".")}
    if all(_role(name) for name in files):
        return by_name(str(path), files, lambda name: _mapped(files[name]), data)
    return Source({"train": Raw(Joined(str(path), tuple(_mapped(file) for file in files.values())))})


def by_name(where: str, names: Collection[str], get: Callable[[str], Any], data: Data) -> Source:
    """Sorts named arrays into parts, examples and labels: x and y, or x_train, y_train, x_test and so on.

    Args:
        where: the source, for messages.
        names: the names of all arrays.
        get: returns the array of a name.
        data: its fields `array` and `label` name those whose names say nothing; `drop` names those to leave out. One
            named `index` that numbers the rows, and one named `path` that names them, as aejax writes them, are left
            out in any case.

    Raises:
        InputError: where there are no examples, two arrays are alike in name, or one would not be used.
    """
    require_known(data.drop, names, where, "array")
    require_known([name for name in (data.array, data.label) if name], names, where, "array")
    x: dict[str, str] = {}
    y: dict[str, str] = {}
    unused, notes = [], list[str]()
    roles = {name: _role(name) or ("", "train") for name in sorted(set(names) - set(data.drop))}
    named = any(role == "x" or (name == data.array and role != "part") for name, (role, _) in roles.items())
    for name, (role, part) in roles.items():
        if role == "part":
            role = "" if named else "x"  # beside examples, an array called train may say which of them are to train on
        if data.array is not None and role == "x" and part == "train":
            role = ""
        role = "x" if name == data.array else "y" if name == data.label else role
        held = x if role == "x" else y
        if not role or part in held:
            unused.append(name)
        else:
            held[part] = name
    if "index" in unused and counts_rows(get("index")):
        unused.remove("index")
        notes.append("the array 'index' numbers the rows and is left out")
    if "path" in unused and (path := np.asarray(get("path"))).dtype.kind == "U" and names_rows(path.ravel().tolist()):
        unused.remove("path")
        notes.append("the array 'path' names the rows and is left out")
    if not x and len(unused) == 1 and {*y} <= {"train"}:
        x["train"] = unused.pop()
    if not x:
        raise InputError(
            f"{where} holds {', '.join(names) or 'nothing'}: name the examples x (labels y), "
            "or x_train and x_test (labels y_train and y_test), or say which they are by --data.array"
        )
    unused += [name for part, name in y.items() if part not in x]
    if unused:
        raise InputError(
            f"{where} also holds {', '.join(sorted(unused))}, which would not be used: leave them out by --data.drop "
            f"{' '.join(sorted(unused))}, or say by --data.array and --data.label what is"
        )
    parts = {part: Raw(get(x[part]), np.asarray(get(y[part])) if part in y else None) for part in _ordered(x)}
    return Source(parts, notes=tuple(notes))


def counts_rows(values: Any) -> bool:
    """Tells whether an array holds the numbers of the rows: whole numbers `[n]`, each one above that before."""
    if len(values.shape) != 1 or values.dtype.kind not in "iu":
        return False
    numbers = np.asarray(values)
    return np.array_equal(numbers - numbers[:1], np.arange(len(numbers)))


def names_rows(texts: Sequence[str | None]) -> bool:
    """Tells whether texts name rows: no two are alike."""
    return len({*texts}) == len(texts)


def require_known(asked: Collection[str], names: Collection[str], where: str, what: str) -> None:
    """Raises `InputError` for a name that is asked for and not there; `what` is what has that name."""
    if lacking := [name for name in asked if name not in names]:
        raise InputError(f"{where} has no {what} {', '.join(map(repr, lacking))}: it has {', '.join(names)}")


def _ordered(parts: Mapping[str, Any]) -> Iterator[str]:
    return (part for part in ("train", "validation", "test") if part in parts)


def _role(name: str) -> tuple[str, str] | None:
    """Returns whether a name stands for examples ("x") or labels ("y"), and of which part; None where it does not say.

    A name is one word for the role, with or without one for the part: X, data, x_train, train/images, test_labels. Of
    one for the part alone ("part"), it depends on the other names whether it stands for examples.
    """
    words = [word for word in re.split(r"[_/.\-]", name.lower()) if word]
    parts = [PARTS[word] for word in words if word in PARTS]
    rest = [word for word in words if word not in PARTS]
    if len(parts) > 1 or len(rest) > 1 or not words:
        return None
    role = "part" if not rest else "x" if rest[0] in _EXAMPLES else "y" if rest[0] in LABELS else None
    return None if role is None else (role, parts[0] if parts else "train")


@dataclass(frozen=True)
class Joined:
    """Stands for arrays one after the other, of which slices are read."""

    where: str
    pieces: tuple[Any, ...]

    def __post_init__(self) -> None:
        """Raises `InputError` where the arrays differ in the shape of an example or in type."""
        kinds = {(piece.shape[1:], str(piece.dtype)) for piece in self.pieces}
        if len(kinds) > 1:
            raise InputError(f"the files in {self.where} differ in shape or type ({kinds}): make them alike")

    @property
    def dtype(self) -> Any:
        """Returns the type of the values."""
        return self.pieces[0].dtype

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Returns the shape of all arrays together."""
        return (sum(len(piece) for piece in self.pieces), *self.pieces[0].shape[1:])

    def __len__(self) -> int:
        """Returns the number of examples."""
        return self.shape[0]

    def __getitem__(self, which: slice) -> np.ndarray:
        """Reads a slice."""
        start, stop, _ = which.indices(len(self))
        found, before = [], 0
        for piece in self.pieces:
            here = slice(max(start - before, 0), max(stop - before, 0))
            found.append(piece[here])
            before += len(piece)
        return np.concatenate(found)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Returns the rows of all pieces as one array, read into memory; NumPy calls it to convert."""
        return self[:]


@dataclass(frozen=True)
class Mapped:
    """Stands for the array in a .npy file, which is mapped anew for each slice: pages that are read count as memory."""

    path: Path
    shape: tuple[int, ...]
    dtype: Any

    def __len__(self) -> int:
        """Returns the number of examples."""
        return self.shape[0]

    def __getitem__(self, which: slice) -> np.ndarray:
        """Reads a slice."""
        with explained(self.path):
            return np.array(np.load(self.path, mmap_mode="r", allow_pickle=False)[which])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Reads the array."""
        with explained(self.path):
            return np.asarray(np.load(self.path, mmap_mode="r", allow_pickle=False))


def _mapped(path: Path) -> Mapped:
    """Opens a .npy file without reading its values.

    Mapping refuses a header that claims more than the file holds, before memory is taken for it.
    """
    with explained(path):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("it is an archive")
        return Mapped(path, array.shape, array.dtype)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns any error of NumPy about a file that it cannot read into `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # a damaged file can raise any exception, and each means the same
        if "allow_pickle" in str(error) or "Python objects" in str(error):
            raise InputError(
                f"{path} cannot be read, it holds Python objects, which are never unpickled: save real "
                "numbers, as float32"
            ) from None
        raise InputError(
            f"{path} cannot be read as .npy or .npz ({first_line(error)}): save it again with numpy.save"
        ) from error


def _check_sizes(path: Path, archive: zipfile.ZipFile) -> None:
    """Raises `InputError` where arrays claim more bytes than the file holds, or than this machine has memory for."""
    members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
    for member in members:
        with archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
            shape, _, dtype = read(file)
        if math.prod(shape) * dtype.itemsize > member.file_size:
            raise InputError(f"{path} claims an array of shape {shape}, more than it holds: save it again")
    size = sum(member.file_size for member in members)
    if size > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
        raise InputError(f"the arrays of {path} take {size:,} bytes, more than this machine's memory: give fewer")


@dataclass(frozen=True)
class SparseRows:
    """Stands for a sparse matrix, of which the rows that are asked for are made dense."""

    matrix: Any
    """A SciPy matrix in CSR form."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Returns the shape of the matrix."""
        return self.matrix.shape

    @property
    def dtype(self) -> Any:
        """Returns the type of the values: float32, as the numbers of a sparse matrix are no grey levels."""
        return np.dtype(np.float32)

    def __len__(self) -> int:
        """Returns the number of rows."""
        return self.matrix.shape[0]

    def __getitem__(self, which: slice) -> np.ndarray:
        """Makes rows dense, as float32 from the start where that has room for all their numbers, as for counts."""
        rows = self.matrix[which]
        single = rows.data.astype(np.float32)
        exact = bool((single == rows.data).all())
        return rows.astype(np.float32 if exact else np.result_type(rows.dtype, np.float32)).toarray()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Makes all rows dense."""
        return self[:]


def sparse_rows(path: Path) -> SparseRows:
    """Reads a sparse matrix as SciPy saves it. Raises `InputError` where it is damaged or no matrix."""
    import scipy.sparse

    try:
        matrix = scipy.sparse.load_npz(path).tocsr()
        matrix.check_format()
    except Exception as error:  # a damaged file can raise any exception, and each means the same
        raise InputError(
            f"{path} cannot be read as a sparse matrix ({first_line(error)}): save it by scipy.sparse.save_npz"
        ) from error
    return SparseRows(matrix)


def dense_note(rows: SparseRows) -> str:
    """Returns a sentence that says what a sparse matrix takes as a dense one."""
    n, d = rows.shape
    return f"the sparse matrix of {n:,} x {d:,} values takes {4 * n * d / 1e9:,.2f} GB as a dense one"
