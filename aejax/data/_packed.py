"""Writes and reads packed data: a folder with the examples of each part as one .npy file of any size, and an index.

    OUT/index.json                         format, names of classes and columns, and of every part examples, shape,
                                           dtype, low and high
        train.npy  test.npy ...            examples [n, *shape], uint8 or float32
        train-label.npy  test-label.npy    where there are labels, [n], int32

The arrays are plain, not array_record: in random order, two cores read 600,000 digits of MNIST a second from
them and 150,000 from array_record, and a small network trains on 600,000.
"""

import json
import shutil
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from aejax.core import Examples, InputError, json_text
from aejax.data.dataset import UNKNOWN, Parts, Schema
from aejax.data.stored import Rows, Stored

_FORMAT = "aejax packed 1"

_INDEX = "index.json"

_PARTS = ("train", "validation", "test")

_TYPES = {"uint8": np.uint8, "float32": np.float32}


def is_packed(folder: Path) -> bool:
    """Returns whether a folder looks like one that `write` made: whether it has an index."""
    return (folder / _INDEX).is_file()


def write(folder: Path, parts: Mapping[str, Iterable[Examples]], schema: Schema = UNKNOWN) -> dict[str, int]:
    """Packs parts into a folder, wholly or not at all, and returns the number of examples in each.

    Args:
        folder: the folder to make.
        parts: the parts, each of which comes a few examples at a time.
        schema: the names of classes and columns.

    Raises:
        InputError: where the folder cannot be written, for examples that differ in shape or type, and for examples
            whose target is not their input.
    """
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        temporary.mkdir()
        about = {name: _write_part(temporary, name, chunks) for name, chunks in parts.items()}
        kinds = {(*part["shape"], part["dtype"]) for part in about.values()}
        if len(kinds) > 1:
            raise InputError(f"the parts differ in shape or type ({kinds}): make them alike")
        names = {"classes": list(schema.classes), "columns": list(schema.columns)}
        (temporary / _INDEX).write_text(json_text({"format": _FORMAT, **names, "parts": about}, indent=2))
        temporary.rename(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}): name another folder, or make room") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return {name: part["examples"] for name, part in about.items()}


def _write_part(folder: Path, name: str, chunks: Iterable[Examples]) -> dict[str, Any]:
    """Writes the files of one part and returns its entry in the index."""
    about: dict[str, Any] = {}
    labels = []
    with (folder / f"{name}.npy").open("wb") as file:
        for chunk in chunks:
            if chunk.y is not None:
                raise InputError(
                    f"the examples of {name} have targets of their own, which cannot be packed: leave y out"
                )
            kind = {"shape": list(chunk.x.shape[1:]), "dtype": str(chunk.x.dtype)}
            if not about:
                about = {"examples": 0, **kind, "low": float(chunk.x.min()), "high": float(chunk.x.max())}
                _write_header(file, about)
            if kind != {key: about[key] for key in kind}:
                raise InputError(f"some examples of {name} are {kind}, others not: make them alike")
            file.write(np.ascontiguousarray(chunk.x).data)
            about["examples"] += len(chunk)
            about["low"] = min(about["low"], float(chunk.x.min()))
            about["high"] = max(about["high"], float(chunk.x.max()))
            labels += [] if chunk.label is None else [chunk.label]
        if not about:
            raise InputError(f"the part {name} has no examples: leave it out, or give it some")
        file.seek(0)
        _write_header(file, about)
    if labels:
        np.save(folder / f"{name}-label.npy", np.concatenate(labels))
    return about


def _write_header(file: IO[bytes], about: dict[str, Any]) -> None:
    """Writes the header of a .npy file.

    It has the same length for every number of examples, as NumPy leaves room for that number to grow.
    """
    shape = (about["examples"], *about["shape"])
    header = {"descr": np.dtype(about["dtype"]).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def read(folder: Path) -> Parts:
    """Returns the parts of a packed folder: labels in memory, examples left on disk.

    Raises `InputError` where the folder is damaged or was not made by `write`.
    """
    try:
        index = json.loads((folder / _INDEX).read_text())
        if index["format"] != _FORMAT:
            raise ValueError(f"its format is {index['format']!r}, not {_FORMAT!r}")
        parts: dict[str, Examples] = {
            name: _part(folder, name, index["parts"][name]) for name in _PARTS if name in index["parts"]
        }
        parts["train"]
        classes, columns = (tuple(str(name) for name in index.get(key, ())) for key in ("classes", "columns"))
        return Parts(parts, Schema(classes, columns))
    except Exception as error:  # damage can raise any exception, and each means the same
        raise InputError(
            f"{folder} is not whole, or nothing that `aejax data pack` made ({error}): pack it again"
        ) from None


def _part(folder: Path, name: str, about: dict[str, Any]) -> Stored:
    """Opens one part.

    Raises `OSError`, `ValueError`, `TypeError` or `KeyError` for anything that `write` does not write.
    """
    dtype, shape = np.dtype(_TYPES[about["dtype"]]), (about["examples"], *about["shape"])
    if not 2 <= len(shape) <= 4 or min(shape) < 1:
        raise ValueError(f"{name} has the shape {shape}")
    path = folder / f"{name}.npy"
    mapped = _mapped(path, dtype, shape)
    rows = Rows(path, mapped.offset, dtype, shape[1:], float(about["low"]), float(about["high"]), np.arange(shape[0]))
    labels = folder / f"{name}-label.npy"
    return Stored(rows, np.array(_mapped(labels, np.dtype(np.int32), shape[:1])) if labels.exists() else None)


def _mapped(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.memmap:
    """Maps an array into memory, and unpickles nothing. Raises `ValueError` where it is not what the index says."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if (array.dtype, array.shape) != (dtype, shape) or path.stat().st_size != array.offset + array.nbytes:
        raise ValueError(f"{path.name} does not hold what {_INDEX} says")
    return array
