"""Reads packed data: a folder with the examples of each part in files of raw rows that are streamed in training.

    OUT/index.json                   format, names of classes and columns, what was packed, and which parts are whole
    OUT/shards.jsonl                 a line for each shard that is whole: part, rows, low and high, and of each of its
                                     arrays (x; where there are such, y, label and key) dtype, shape and checksum
    OUT/train-00000-x.npy ...        the arrays of a shard, plain .npy files

The arrays are plain, not array_record: in random order, two cores read 600,000 digits of MNIST a second from
them and 150,000 from array_record, and a small network trains on 600,000. Older folders have one shard a part,
`train.npy` and `train-label.npy`, with all facts in the index.
"""

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from aejax.core import Examples, InputError, first_line
from aejax.data.dataset import Parts, Schema
from aejax.data.stored import Rows, Shard, Stored, Stripes

FORMAT = "aejax packed 2"

_OLDER = "aejax packed 1"

INDEX = "index.json"

SHARDS = "shards.jsonl"

_PARTS = ("train", "validation", "test")

TYPES: dict[str, np.dtype] = {
    "uint8": np.dtype(np.uint8),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float32": np.dtype(np.float32),
}
"""The types in which examples are kept, and moved to the device."""

WHOLE: dict[str, np.dtype] = {kind: np.dtype(kind) for kind in ("int8", "uint8", "int16", "uint16", "int32", "uint32")}
WHOLE |= {kind: np.dtype(kind) for kind in ("int64", "uint64")}
"""The types of keys of rows."""

_LABEL = {"int32": np.dtype(np.int32)}

_KINDS = {"x": TYPES, "y": TYPES, "label": _LABEL, "key": WHOLE}


def is_packed(folder: Path) -> bool:
    """Returns whether a folder looks like one of packed data: whether it has an index."""
    return (folder / INDEX).is_file()


def read(folder: Path) -> Parts:
    """Returns the parts of a packed folder: labels in memory, all else left on disk.

    Raises `InputError` where the folder is damaged or holds something else.
    """
    try:
        index = json.loads((folder / INDEX).read_text())
        if index["format"] not in (FORMAT, _OLDER):
            raise ValueError(f"its format is {index['format']!r}, not {FORMAT!r}")
        lines = _older(index["parts"]) if index["format"] == _OLDER else shards(folder)
        found: dict[str, list[dict[str, Any]]] = {}
        for line in lines:
            found.setdefault(line["part"], []).append(line)
        parts: dict[str, Examples] = {name: _part(folder, found[name]) for name in _PARTS if name in found}
        parts["train"]
        classes, columns = (tuple(str(name) for name in index.get(key, ())) for key in ("classes", "columns"))
        open_ends = [name for name in parts if name not in index.get("whole", parts)]
        notes = [
            f"{name} is not whole yet: the {len(parts[name]):,} examples that are there count" for name in open_ends
        ]
        return Parts(parts, Schema(classes, columns), tuple(notes))
    except Exception as error:  # damage can raise any exception, and each means the same
        raise InputError(
            f"{folder} is not whole, or nothing that `aejax data pack` made ({first_line(error)}): pack it again"
        ) from None


def is_whole(folder: Path) -> bool:
    """Returns whether all that was to be packed into a folder is there, as far as its index can be read."""
    try:
        index = json.loads((folder / INDEX).read_text())
        return index["format"] == _OLDER or index.get("source") == "batches" or bool(index["done"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return True


def shards(folder: Path) -> list[dict[str, Any]]:
    """Returns the facts of the shards that are whole, in order; a last line that was not written to its end is none."""
    text = (folder / SHARDS).read_text() if (folder / SHARDS).exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _older(parts: Any) -> Iterator[dict[str, Any]]:
    """Yields the facts of the shards of a folder of the older format, in the form of today's."""
    for name, about in parts.items():
        x = {"file": f"{name}.npy", "dtype": about["dtype"], "shape": about["shape"]}
        label = {"file": f"{name}-label.npy", "dtype": "int32", "shape": []}
        facts = {"part": name, "rows": about["examples"], "low": about["low"], "high": about["high"]}
        yield facts | {"arrays": {"x": x}, "optional": {"label": label}}


def _part(folder: Path, lines: list[dict[str, Any]]) -> Stored:
    """Opens one part.

    Raises `OSError`, `ValueError`, `TypeError` or `KeyError` for anything that was not written by a `Packing`.
    """
    first = lines[0]["arrays"]
    there = {name: about for name, about in lines[0].get("optional", {}).items() if (folder / about["file"]).exists()}
    lines = [line | {"arrays": line["arrays"] | there} for line in lines]
    low, high = (float(pick(line[name] for line in lines)) for name, pick in (("low", min), ("high", max)))
    rows = {name: _rows(folder, lines, name, (low, high)) for name in {**first, **there}}
    if not 2 <= len(rows["x"].shape) <= 4:
        raise ValueError(f"the examples of {lines[0]['part']} have the shape {rows['x'].row_shape}")
    label = np.array(rows.pop("label")) if "label" in rows else None
    return Stored(**rows, label=label)


def _rows(folder: Path, lines: list[dict[str, Any]], name: str, bounds: tuple[float, float]) -> Rows:
    """Opens one array of a part, which lies in a file of each of its shards."""
    kinds = {(about["dtype"], tuple(about["shape"])) for about in (line["arrays"][name] for line in lines)}
    ((kind, shape),) = kinds
    dtype, found = _KINDS[name][kind], []
    for line in lines:
        about = line["arrays"][name]
        found.append(_shard(folder / Path(about["file"]).name, dtype, (line["rows"], *shape)))
    size = sum(shard.rows for shard in found)
    return Rows(tuple(found), dtype, shape, *bounds, Stripes(0, size, size, size))


def _shard(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> Shard:
    """Describes a file of one array. Raises `ValueError` where the file is not what the index says."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"{path.name} is of another version of .npy")
        there = np.lib.format.read_array_header_1_0(file)
        start = file.tell()
    rows = int(np.prod(shape)) * dtype.itemsize
    if min(shape) < 1 or there != (shape, False, stored_as(dtype)) or path.stat().st_size != start + rows:
        raise ValueError(f"{path.name} does not hold what {INDEX} says")
    return Shard.of(path, start, shape[0])


def stored_as(dtype: np.dtype) -> np.dtype:
    """Returns the type that a .npy file has for values of a type; bfloat16 has no letter there, but two bytes."""
    return np.dtype(np.void(b"\0\0")) if dtype == TYPES["bfloat16"] else dtype


def verify(folder: Path) -> int:
    """Reads all shards of packed data and compares their checksums.

    Returns the number of files that were compared: none where a folder holds something else, or was packed before there
    were checksums. Raises `InputError` with the first that differs.
    """
    count = 0
    for line in shards(folder):
        for about in line["arrays"].values():
            path = folder / Path(about["file"]).name
            if checksum(path) != about["crc32"]:
                raise InputError(f"{path} has changed since it was written (its checksum differs): pack the data again")
            count += 1
    return count


def checksum(path: Path) -> int:
    """Returns the CRC-32 of a file's content."""
    crc = 0
    with path.open("rb") as file:
        while content := file.read(2**22):
            crc = zlib.crc32(content, crc)
    return crc
