"""Chooses the reader for the user's own data, by the name of a file or by what lies in a folder."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aejax.core import Examples, InputError
from aejax.data import _arrays, _hdf5, _images, _mat, _packed, _tables
from aejax.data._checks import as_single, checked, checked_chunks
from aejax.data._source import Raw, Source
from aejax.data.dataset import UNKNOWN, Parts, Schema
from aejax.data.settings import PLAIN, Data, Reading
from aejax.data.stored import chunk_slices

Reader = Callable[[Path, Data, Schema], Source]


@dataclass(frozen=True)
class Kind:
    """Describes a kind of file or folder."""

    about: str
    """What it is, for messages."""
    read: Reader
    """Reads it: see `Source`."""
    takes: tuple[str, ...] = ()
    """The fields of `Data` that its reader uses, beside `missing` and `outlier`, which all do."""


def _read_mat(path: Path, data: Data, known: Schema) -> Source:
    part = _mat.read_mat(path)
    return Source({"train": Raw(part.x, part.label)})


_NAMED = ("label", "drop", "array", "layout")

_PICTURES = Kind("a folder of images", _images.read_folder, ("size", "channels"))

_PIECES = Kind("a folder of .npy files", _arrays.read_npy_folder, _NAMED)

_COLUMNS = ("label", "drop", "size", "channels")

_TABLES = Kind("a folder of tables", _tables.read_table_folder, _COLUMNS)

_KINDS = {
    ".npy": Kind("an array", _arrays.read_npy, ("layout",)),
    ".npz": Kind("a file of arrays", _arrays.read_npz, _NAMED),
    **dict.fromkeys(_tables.SUFFIXES, Kind("a table", _tables.read_table, _COLUMNS)),
    **dict.fromkeys((".h5", ".hdf5", ".hdf"), Kind("an HDF5 file", _hdf5.read_hdf5, _NAMED)),
    ".h5ad": Kind("an AnnData file", _hdf5.read_h5ad, ("label", "array")),
    ".mat": Kind("a MATLAB file", _read_mat),
    **dict.fromkeys(_images.SUFFIXES, Kind("an image", _images.read_image, ("size", "channels"))),
}
"""The kinds of files, by the ends of their names."""

_PICKLED = "is a pickle, which may run any code when it is opened and is never read"

_SAVE = "save the array itself by numpy.save, as .npy, or give it to aejax.fit in Python"

_REFUSED = {
    ".pt": f"{_PICKLED}: {_SAVE}",
    ".pth": f"{_PICKLED}: {_SAVE}",
    ".pkl": f"{_PICKLED}: {_SAVE}",
    ".pickle": f"{_PICKLED}: {_SAVE}",
    ".joblib": f"{_PICKLED}: {_SAVE}",
    ".json": "is JSON: save it as a table, .csv or .parquet, or as .npz",
    ".jsonl": "is JSON: save it as a table, .csv or .parquet, or as .npz",
    ".xlsx": "is a workbook: save one sheet of it as .csv",
    ".xls": "is a workbook: save one sheet of it as .csv",
    **dict.fromkeys((".zip", ".tar", ".tgz", ".tar.gz"), "is an archive: unpack it, and give the folder"),
}
"""What is said of files that are not read, by the ends of their names."""

READ = ", ".join(_KINDS)


def is_path(spec: str) -> bool:
    """Returns whether a text is a path: it ends as a file of data does, has a separator, or names a folder or file."""
    name = spec.lower()
    return name.endswith((*_KINDS, *_REFUSED)) or "/" in spec or os.sep in spec or Path(spec).exists()


def read(path: Path, data: Data = PLAIN, known: Schema = UNKNOWN) -> Parts:
    """Returns the parts at a path: train, validation and test where it names them, else train alone.

    uint8 is taken as grey levels, bool as black (0) and white (255), and every other number as float32, unscaled. The
    examples of a packed folder stay on disk. Numbers that float32 cannot tell apart are float64 still, for `settled` to
    see to them.

    Args:
        path: a file or folder: see `kind`.
        data: how it is read; fields that the kind of file has no use for are ignored: see `require_used`.
        known: what a run has learned of its own data.

    Raises:
        InputError: for a file that is missing, damaged, of another kind, or holds what cannot be used.
    """
    path = path.expanduser()
    if _packed.is_packed(_existing(path)):
        return _packed.read(path)
    return checked(kind(path).read(path, data, known), str(path), data, known)


def read_array(path: Path) -> np.ndarray:
    """Returns the one array of examples at a path: uint8 or float32, `[n, d]` or `[n, h, w, c]`.

    Raises `InputError` as `read` does, and where the path holds several parts.
    """
    parts = read(path).parts
    if len(parts) > 1:
        raise InputError(f"{path} holds the parts {', '.join(parts)} where one array named x was expected")
    (x,) = (np.asarray(part.x) for part in parts.values())
    return as_single(x, str(path)) if x.dtype == np.float64 else x


def read_chunks(path: Path, data: Data = PLAIN) -> tuple[dict[str, Iterator[Examples]], Schema]:
    """Returns the parts at a path as `read` does, but each as an iterator over a few examples at a time.

    Only a few examples are in memory at once for .npy and HDF5 files, images, sparse matrices and packed folders.
    """
    path = path.expanduser()
    if _packed.is_packed(_existing(path)):
        packed = _packed.read(path)
        return {name: part_chunks(part) for name, part in packed.parts.items()}, packed.schema
    return checked_chunks(kind(path).read(path, data, Schema()), str(path), data)


def part_chunks(part: Examples) -> Iterator[Examples]:
    """Yields the examples of a part in memory, a few megabytes at a time."""
    return (part.take(np.arange(few.start, few.stop)).read() for few in chunk_slices(part.x))


def image_names(path: Path) -> dict[str, np.ndarray]:
    """Returns the names of the files of images at a path, by their parts; none where other data lie there."""
    path = path.expanduser()
    if not path.exists() or _packed.is_packed(path):
        return {}
    return _images.file_names(path) if kind(path).read in (_images.read_folder, _images.read_image) else {}


def require_used(path: Path, data: Data) -> None:
    """Raises `InputError` for a setting that says how to read something else than what lies at the path."""
    found = Kind("packed data", lambda *_: Source({})) if _packed.is_packed(_existing(path)) else kind(path)
    plain = PLAIN
    for name in (field.name for field in dataclasses.fields(Reading)):
        if getattr(data, name) != getattr(plain, name) and name not in ("missing", "outlier", *found.takes):
            raise InputError(f"--data.{name} has no meaning for {path}, {found.about}: leave it out")


def kind(path: Path) -> Kind:
    """Returns the kind of a file or folder. Raises `InputError` for one that is not read."""
    if path.is_dir():
        return _kind_of_folder(path)
    name = path.name.lower()
    for end in sorted(_KINDS, key=len, reverse=True):
        if name.endswith(end):
            return _KINDS[end]
    why = next((why for end, why in _REFUSED.items() if name.endswith(end)), None)
    raise InputError(f"{path} {why or f'is of no kind that is read: give one of {READ}, or a folder of images'}")


def _kind_of_folder(path: Path) -> Kind:
    """Returns the kind of a folder, by the files in it. Raises `InputError` where it holds more than one kind."""
    arrays = [file for file in path.glob("*.npy") if not file.name.startswith(".")]
    tables = [file for _, file in _tables.table_files(path)]
    if not arrays and not tables:
        return _PICTURES
    if (arrays and tables) or _images.holds_images(path):
        raise InputError(
            f"{path} holds {(tables or arrays)[0].name} beside other data: give one kind of data, or move them apart "
            "(labels of images are the names of their folders)"
        )
    return _PIECES if arrays else _TABLES


def _existing(path: Path) -> Path:
    if not path.exists():
        raise InputError(f"there is no file or folder {path}: check the path, or see `aejax data list` for names")
    return path
