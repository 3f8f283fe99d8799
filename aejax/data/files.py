"""Reads the user's own data: a .npy, .npz or .mat file, a folder of images, or one that `aejax data pack` made."""

import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from aejax.core import Examples, InputError
from aejax.data import _packed
from aejax.data._checks import examples, labels
from aejax.data._images import folder_chunks, read_folder
from aejax.data._mat import read_mat
from aejax.data.precision import single
from aejax.data.stored import chunk_slices

_EXAMPLES = ("x", "images", "data", "X")

_LABELS = ("y", "labels", "label")


def is_path(spec: str) -> bool:
    """Returns whether a text is a path: it ends with .npy, .npz or .mat, has a separator, or names a folder."""
    return spec.lower().endswith((".npy", ".npz", ".mat")) or "/" in spec or os.sep in spec or Path(spec).is_dir()


def read_array(path: Path) -> np.ndarray:
    """Returns the one array of examples at a path: uint8 or float32, `[n, d]` or `[n, h, w, c]`.

    Raises `InputError` as `read_parts` does, and where the path holds several parts.
    """
    parts = read_parts(path)
    if len(parts) > 1:
        raise InputError(f"{path} holds the parts {', '.join(parts)} where one array named x was expected")
    return np.asarray(single(parts["train"], str(path)).x)


def read_parts(path: Path) -> dict[str, Examples]:
    """Returns the parts at a path: train, validation and test where the file names them, else train alone.

    A .npz file has the keys `x` (or images, data, X) with `y` (or labels, label); or `x_train`, `x_validation` and
    `x_test` with `y_train` and so on. Shapes are `[n, d]`, `[n, h, w]` and `[n, h, w, c]`. uint8 is taken as grey
    levels, bool as black (0) and white (255), and every other number as float32, unscaled: integers that are grey
    levels must be saved as uint8. Numbers that float32 cannot tell apart are float64
    still, for `settled` to see to them. A .mat file is a benchmark of outlier detection: see `read_mat`. The examples
    of a packed folder stay on disk. Raises `InputError` for a file that is missing, cut short or holds anything else.
    """
    path = path.expanduser()
    if not path.exists():
        raise InputError(f"there is no file or folder {path}: check the path, or see `aejax data list` for names")
    if path.is_dir():
        return _packed.read(path) if _packed.is_packed(path) else {"train": read_folder(path)}
    if path.suffix.lower() == ".mat":
        return {"train": read_mat(path)}
    parts = {part: _part(path, *arrays, exact=True) for part, arrays in _load(path).items()}
    kinds = {(part.x.shape[1:], "uint8" if part.x.dtype == np.uint8 else "float32") for part in parts.values()}
    if len(kinds) > 1:
        raise InputError(f"the parts of {path} differ in shape or type ({kinds}): make them alike")
    return parts


def read_chunks(path: Path) -> dict[str, Iterator[Examples]]:
    """Returns the parts at a path as `read_parts` does, but each as an iterator over a few examples at a time.

    A folder of .npy files is one part, in order of their names. Only a few examples are in memory at once for .npy
    files, folders of images and packed folders; other files are read whole.
    """
    path = path.expanduser()
    shards = [path] if path.suffix.lower() == ".npy" and path.is_file() else sorted(path.glob("*.npy"))
    if shards and not _packed.is_packed(path):
        return {"train": (part for shard in shards for part in _array_chunks(shard))}
    if path.is_dir() and not _packed.is_packed(path):
        return {"train": folder_chunks(path)}
    return {name: part_chunks(single(part, str(path))) for name, part in read_parts(path).items()}


def part_chunks(part: Examples) -> Iterator[Examples]:
    """Yields the examples of a part in memory, a few megabytes at a time."""
    return (part.take(np.arange(few.start, few.stop)).read() for few in chunk_slices(part.x))


def _array_chunks(path: Path) -> Iterator[Examples]:
    """Yields the examples of a .npy file, a few megabytes at a time.

    The file is mapped anew for each chunk, because the pages that are read count as memory of the process.
    """
    for few in chunk_slices(_mapped(path)):
        yield _part(path, _mapped(path)[few], None)


def _mapped(path: Path) -> np.ndarray:
    """Maps the array in a .npy file into memory, without reading it."""
    with _explained(path):
        return np.atleast_1d(np.lib.format.open_memmap(path, mode="r"))


def _load(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    """Returns, for each part, the arrays of examples and of labels, if there are any. Nothing is unpickled."""
    with _explained(path):
        with path.open("rb") as file:
            if file.read(2) == b"PK":
                file.seek(0)
                with np.load(file, allow_pickle=False) as arrays:
                    keys = _keys(path, arrays.files).items()
                    _check_sizes(path, arrays.zip)
                    return {part: (arrays[x], None if y is None else arrays[y]) for part, (x, y) in keys}
        # Mapping refuses a header that claims more than the file holds, before memory is taken for it.
        return {"train": (np.asarray(np.load(path, mmap_mode="r", allow_pickle=False)), None)}


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns any error of NumPy about a file that it cannot read into `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # a damaged file can raise any exception, and each means the same
        raise InputError(f"{path} cannot be read as .npy or .npz ({error}): save it again with numpy.save") from error


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


def _keys(path: Path, names: list[str]) -> dict[str, tuple[str, str | None]]:
    """Returns, for each part, the keys of its examples and of its labels, if there are any."""
    if "x_train" in names:
        parts = [part for part in ("train", "validation", "test") if f"x_{part}" in names]
        return {part: (f"x_{part}", f"y_{part}" if f"y_{part}" in names else None) for part in parts}
    x = next((key for key in _EXAMPLES if key in names), None)
    if x is None:
        raise InputError(
            f"{path} holds {', '.join(names) or 'nothing'}: name the examples x (labels y), "
            "or x_train and x_test (labels y_train and y_test)"
        )
    return {"train": (x, next((key for key in _LABELS if key in names), None))}


def _part(path: Path, x: np.ndarray, label: np.ndarray | None, exact: bool = False) -> Examples:
    """Checks the arrays of one part and returns its examples; `exact` leaves numbers of 64 bits float64."""
    checked = examples(np.asarray(x), str(path), exact)
    return Examples(checked, None if label is None else labels(label, len(checked), str(path)))
