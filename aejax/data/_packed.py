"""Packed data: a folder with each part's examples as one .npy file, however large, and an index of what they are.

    OUT/index.json                         format, and of every part examples, shape, dtype, low and high
        train.npy  test.npy ...            examples [n, *shape], uint8 or float32
        train-label.npy  test-label.npy    where there are labels, [n], int32

Plain arrays, not array_record: drawn in random order, digits of MNIST come from these at 600,000 a second on
two cores, from array_record at 150,000, and a small network trains on 600,000.
"""

import json
import shutil
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from aejax.core import Examples, InputError
from aejax.data.stored import Rows, Stored

_FORMAT = "aejax packed 1"

_INDEX = "index.json"

_PARTS = ("train", "validation", "test")

_TYPES = {"uint8": np.uint8, "float32": np.float32}


def is_packed(folder: Path) -> bool:
    """Whether `write` made it."""
    return (folder / _INDEX).is_file()


def write(folder: Path, parts: Mapping[str, Iterable[Examples]]) -> dict[str, int]:
    """Packs parts, of which each comes a few examples at a time, whole or not at all; returns their sizes.

    Raises `InputError` where the folder cannot be written, and for examples that differ.
    """
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        temporary.mkdir()
        about = {name: _write_part(temporary, name, chunks) for name, chunks in parts.items()}
        kinds = {(*part["shape"], part["dtype"]) for part in about.values()}
        if len(kinds) > 1:
            raise InputError(f"the parts differ in shape or type ({kinds}): make them alike")
        (temporary / _INDEX).write_text(json.dumps({"format": _FORMAT, "parts": about}, indent=2))
        temporary.rename(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}): name another folder, or make room") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return {name: part["examples"] for name, part in about.items()}


def _write_part(folder: Path, name: str, chunks: Iterable[Examples]) -> dict[str, Any]:
    """Writes one part, and says of it what the index does."""
    about: dict[str, Any] = {}
    labels = []
    with (folder / f"{name}.npy").open("wb") as file:
        for chunk in chunks:
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
    """Of as many bytes whatever the number of examples: NumPy leaves room for it to grow."""
    shape = (about["examples"], *about["shape"])
    header = {"descr": np.dtype(about["dtype"]).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def read(folder: Path) -> dict[str, Examples]:
    """The parts of a packed folder, unread but for their labels. Raises `InputError` where it is damaged."""
    try:
        index = json.loads((folder / _INDEX).read_text())
        if index["format"] != _FORMAT:
            raise ValueError(f"its format is {index['format']!r}, not {_FORMAT!r}")
        parts: dict[str, Examples] = {
            name: _part(folder, name, index["parts"][name]) for name in _PARTS if name in index["parts"]
        }
        parts["train"]
        return parts
    except Exception as error:  # damage can show in any way at all, and all of them mean the same
        raise InputError(
            f"{folder} is not whole, or nothing that `aejax data pack` made ({error}): pack it again"
        ) from None


def _part(folder: Path, name: str, about: dict[str, Any]) -> Stored:
    """One part. Raises `OSError`, `ValueError`, `TypeError` or `KeyError` for anything that `write` does not write."""
    dtype, shape = np.dtype(_TYPES[about["dtype"]]), (about["examples"], *about["shape"])
    if not 2 <= len(shape) <= 4 or min(shape) < 1:
        raise ValueError(f"{name} has the shape {shape}")
    path = folder / f"{name}.npy"
    mapped = _mapped(path, dtype, shape)
    rows = Rows(path, mapped.offset, dtype, shape[1:], float(about["low"]), float(about["high"]), np.arange(shape[0]))
    labels = folder / f"{name}-label.npy"
    return Stored(rows, np.array(_mapped(labels, np.dtype(np.int32), shape[:1])) if labels.exists() else None)


def _mapped(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.memmap:
    """An array that is what the index says, its file neither cut short nor changed; nothing is unpickled."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if (array.dtype, array.shape) != (dtype, shape) or path.stat().st_size != array.offset + array.nbytes:
        raise ValueError(f"{path.name} does not hold what {_INDEX} says")
    return array
