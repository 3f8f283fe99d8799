"""Reads HDF5: files of named arrays (.h5, .hdf5), MATLAB's version 7.3, and AnnData (.h5ad) without anndata."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aejax.core import InputError
from aejax.data._arrays import SparseRows, by_name, dense_note, require_known
from aejax.data._source import LABELS, Raw, Source
from aejax.data.dataset import Schema
from aejax.data.settings import Data

_DENSE, _CSR, _CSC = "array", "csr_matrix", "csc_matrix"


@dataclass(frozen=True)
class OnDisk:
    """Stands for a dataset of an HDF5 file, which is opened anew for each slice."""

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: Any

    def __len__(self) -> int:
        """Returns the number of rows."""
        return self.shape[0]

    def __getitem__(self, which: slice) -> np.ndarray:
        """Reads a slice."""
        with opened(self.path) as file:
            return file[self.name][which]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Returns the whole dataset as an array, read into memory; NumPy calls it to convert."""
        return self[:]


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Opens a file for the length of the context.

    Raises `InputError` where h5py is missing, and where the file cannot be read.
    """
    try:
        import h5py
    except ModuleNotFoundError:
        raise InputError(f'{path} needs h5py to be read: install it with `pip install "aejax[hdf5]"`') from None
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        said = (str(error).splitlines() or ["damaged"])[0][:200]
        raise InputError(f"{path} cannot be read as HDF5 ({said}): write it again") from error


def read_hdf5(path: Path, data: Data, known: Schema) -> Source:
    """Returns the arrays of an HDF5 file by their names, with the group's name before that of one in a group."""
    import h5py

    arrays: dict[str, Any] = {}
    with opened(path) as file:
        file.visititems(lambda name, item: arrays.__setitem__(name, item) if isinstance(item, h5py.Dataset) else None)
        return by_name(str(path), list(arrays), lambda name: _array(path, file, name), data)


def _array(path: Path, file: Any, name: str) -> Any:
    """Returns text and single numbers as they are, and everything else to be read when it is used."""
    import h5py

    item = file[name]
    if h5py.check_string_dtype(item.dtype) is not None:
        return item.asstr()[()].astype(str)
    return OnDisk(path, name, item.shape, item.dtype)


def read_h5ad(path: Path, data: Data, known: Schema) -> Source:
    """Returns the matrix X of an AnnData file, or its layer `data.array`, with the obs column `data.label` as labels.

    The matrix is dense or sparse, one row for each observation; its values are used as they are, with the names of the
    variables. Raises `InputError` where there is no such layer or column.
    """
    with opened(path) as file:
        place = (
            "X"
            if data.array in (None, "X")
            else next(
                (f"{group}/{data.array}" for group in ("layers", "obsm") if f"{group}/{data.array}" in file), None
            )
        )
        if place is None or place not in file:
            layers = ["X", *file.get("layers", ()), *file.get("obsm", ())]
            raise InputError(f"{path} has no layer {data.array or 'X'!r}: it has {', '.join(layers)}")
        x = _matrix(path, file, place)
        label = _observed(path, file, data)
        columns = () if place.startswith("obsm/") else _names(file, x.shape[1])
        notes = (dense_note(x),) if isinstance(x, SparseRows) else ()
    return Source({"train": Raw(_selected(x, columns, known, path), label)}, known.columns or columns, notes=notes)


def _matrix(path: Path, file: Any, place: str) -> Any:
    """Returns a matrix: dense ones to be read when they are used, sparse ones in memory as they are."""
    import scipy.sparse

    item = file[place]
    kind = item.attrs.get("encoding-type", item.attrs.get("h5sparse_format", _DENSE))
    if kind == _DENSE or not hasattr(item, "keys"):
        return OnDisk(path, place, item.shape, np.dtype(np.float32))
    shape = tuple(int(size) for size in item.attrs.get("shape", item.attrs.get("h5sparse_shape")))
    make = {_CSR: scipy.sparse.csr_matrix, "csr": scipy.sparse.csr_matrix}.get(kind, scipy.sparse.csc_matrix)
    matrix = make((item["data"][()], item["indices"][()], item["indptr"][()]), shape=shape)
    matrix.check_format()
    return SparseRows(matrix.tocsr())


def _observed(path: Path, file: Any, data: Data) -> np.ndarray | None:
    """Returns the labels: the obs column that is asked for, or one that is named so."""
    names = [name for name in file["obs"] if not name.startswith("_")] if "obs" in file else []
    if data.label:
        require_known([data.label], names, f"obs of {path}", "column")
    name = data.label if data.label is not None else next((name for name in names if name.lower() in LABELS), None)
    return _column(file["obs"], name) if name else None


def _column(table: Any, name: str) -> np.ndarray:
    """Returns a column of obs: numbers, text, or categories in either of the two forms that AnnData has had."""
    item = table[name]
    if hasattr(item, "keys"):
        codes, texts = item["codes"][()], _text(item["categories"])
    elif "__categories" in table and name in table["__categories"]:
        codes, texts = item[()], _text(table["__categories"][name])
    else:
        return _text(item)
    return np.array([None if code < 0 else texts[code] for code in codes], dtype=object)


def _text(item: Any) -> np.ndarray:
    import h5py

    return item.asstr()[()].astype(str) if h5py.check_string_dtype(item.dtype) is not None else item[()]


def _names(file: Any, n: int) -> tuple[str, ...]:
    """Returns the names of the variables, where there is one for each."""
    var = file.get("var")
    index = var.attrs.get("_index", "_index") if var is not None and hasattr(var, "attrs") else None
    names = tuple(str(name) for name in _text(var[index])) if index in (var or ()) else ()
    return names if len(names) == n == len(set(names)) else ()


def _selected(x: Any, columns: tuple[str, ...], known: Schema, path: Path) -> Any:
    """Returns the variables that a run knows, in its order. Raises `InputError` where one is lacking."""
    if not known.columns or known.columns == columns:
        return x
    place = {name: i for i, name in enumerate(columns)}
    if lacking := [name for name in known.columns if name not in place]:
        raise InputError(f"{path} lacks {', '.join(lacking[:8])}, which the run was trained on: give them")
    return np.asarray(x)[:, [place[name] for name in known.columns]]


def read_mat(path: Path) -> dict[str, np.ndarray | None]:
    """Returns the arrays of a MATLAB file of version 7.3, which keeps the transpose; None for what is no matrix."""
    import h5py

    with opened(path) as file:
        return {
            name: item[()].T if isinstance(item, h5py.Dataset) and item.dtype.kind in "buif" else None
            for name, item in file.items()
            if not name.startswith("#")
        }
