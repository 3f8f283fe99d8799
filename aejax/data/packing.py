"""Writes packed data shard by shard, so that a writer that is killed leaves whole shards and goes on from them."""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

import numpy as np

from aejax.core import Examples, InputError, first_line, json_text
from aejax.data import _packed
from aejax.data._checks import as_array, as_single, examples, labels
from aejax.data.dataset import UNKNOWN, Schema

PackedType = Literal["uint8", "float16", "bfloat16", "float32"]

_SHARD = 2**27
"""Bytes of a shard's examples: what a writer that is killed has lost, at most."""

Batch = Any
"""The type of what is packed at once: an array of examples, or a dictionary of it as x, and of y, label and key."""

Batches = Iterable[Batch] | Callable[[int], Iterable[Batch]]
"""The type of all that is packed: batches, or a function from the number of examples that are there to those left."""


class Packing:
    """Appends examples to the parts of a packed folder, as a context manager.

    Examples are on disk, and are read by others, shard by shard. What a part has when it is closed is all of it.

    Args:
        folder: the folder, which is made, or goes on where its last writer was stopped.
        source: what is packed, in words; a folder that another source began is refused.
        schema: the names of classes and columns.
        dtype: the type in which examples are kept; None: that of the first ones.

    Raises:
        InputError: where the folder cannot be written, or holds something else.
    """

    def __init__(
        self, folder: Path, source: str = "", schema: Schema = UNKNOWN, dtype: PackedType | None = None
    ) -> None:
        self._folder, self._dtype, self._writers = folder, dtype, dict[str, _Shard]()
        self._index: dict[str, Any] = {"format": _packed.FORMAT, "source": source, "done": False, "whole": []}
        about = {"classes": list(schema.classes), "columns": list(schema.columns)}
        try:
            if not folder.exists():
                self._index |= about
                # It is there with its index or not at all: what a killed writer leaves can be gone on with.
                hidden = folder.with_name(f".{folder.name}.new")
                hidden.mkdir(exist_ok=True)
                _write_whole(hidden / _packed.INDEX, json_text(self._index, indent=2))
                hidden.rename(folder)
            elif not _packed.is_packed(folder):
                raise InputError(f"{folder} cannot be made: name a folder that is not there yet")
            else:
                self._index |= _opened(folder, source) | about
                for left in folder.glob(".*.npy"):
                    left.unlink()
                self._write_index()
        except OSError as error:
            raise _unwritable(folder, error) from error
        self._lines = _packed.shards(folder)
        _write_whole(folder / _packed.SHARDS, "".join(json_text(line) + "\n" for line in self._lines))

    def rows(self, part: str) -> int:
        """Returns how many examples of a part are on disk in whole shards."""
        return sum(line["rows"] for line in self._lines if line["part"] == part)

    def is_whole(self, part: str) -> bool:
        """Returns whether a part was written to its end."""
        return part in self._index["whole"]

    def write(self, part: str, batch: Examples, key: np.ndarray | None = None) -> None:
        """Appends examples to a part.

        Args:
            part: train, validation or test.
            batch: the examples, in memory; they have labels and targets like those before them, or none.
            key: a whole number for each row, of any width, that names it at its source.

        Raises:
            InputError: for examples unlike those before, those that the type cannot hold, and where there is no room.
        """
        arrays = {"x": batch.x, "y": batch.y, "label": batch.label, "key": key}
        given = {name: np.asarray(array) for name, array in arrays.items() if array is not None}
        for name in {"x", "y"} & set(given):
            given[name] = _converted(given[name], self._dtype, part)
        kinds = {name: (str(array.dtype), array.shape[1:]) for name, array in given.items()}
        lines = [line for line in self._lines if line["part"] == part]
        if lines:
            abouts = lines[0]["arrays"].items()
            _require_alike(kinds, {name: (about["dtype"], tuple(about["shape"])) for name, about in abouts}, part)
        try:
            while len(given["x"]):
                shard = self._writers.get(part)
                if shard is None:
                    shard = self._writers[part] = _Shard(self._folder, part, len(lines), kinds)
                _require_alike(kinds, shard.kinds, part)
                given = shard.append(given)
                if shard.left == 0:
                    lines.append(self._finish(part))
        except OSError as error:
            raise _unwritable(self._folder, error) from error

    def close(self, *parts: str) -> None:
        """Writes what is left of parts as their last shards, and says that they are whole."""
        try:
            for part in parts:
                if part in self._writers:
                    self._finish(part)
                if not self.rows(part):
                    raise InputError(f"the part {part} has no examples: leave it out, or give it some")
            self._index["whole"] = sorted({*self._index["whole"], *parts})
            self._write_index()
        except OSError as error:
            raise _unwritable(self._folder, error) from error

    def end(self) -> None:
        """Says that no further part follows."""
        self._index["done"] = True
        self._write_index()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Removes what is left of a shard that is not whole."""
        for shard in self._writers.values():
            shard.abandon()

    def _finish(self, part: str) -> dict[str, Any]:
        line = self._writers[part].finish()
        del self._writers[part]
        with (self._folder / _packed.SHARDS).open("a") as file:
            file.write(json_text(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._lines.append(line)
        return line

    def _write_index(self) -> None:
        _write_whole(self._folder / _packed.INDEX, json_text(self._index, indent=2))


class _Shard:
    """Is a shard that is being written: files of names that no reader looks for, which get theirs at its end."""

    def __init__(self, folder: Path, part: str, number: int, kinds: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
        self.kinds, self._folder, self._part, self._rows = kinds, folder, part, 0
        self._names = {name: f"{part}-{number:05d}-{name}.npy" for name in kinds}
        self._files: dict[str, IO[bytes]] = {}
        for name in kinds:
            self._files[name] = (folder / f".{self._names[name]}").open("wb+")
            self._head(name)
        self._low, self._high = np.inf, -np.inf
        kind, shape = kinds["x"]
        self._most = max(1, _SHARD // max(1, _packed.TYPES[kind].itemsize * int(np.prod(shape))))

    @property
    def left(self) -> int:
        """How many more rows the shard holds."""
        return self._most - self._rows

    def append(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Appends rows until the shard is full, and returns those that it has no room for."""
        few = {name: array[: self.left] for name, array in arrays.items()}
        rest = {name: array[self.left :] for name, array in arrays.items()}
        for name, array in few.items():
            self._files[name].write(np.ascontiguousarray(array).view(np.uint8).data)
        self._rows += len(few["x"])
        self._low = min(self._low, float(few["x"].min()))
        self._high = max(self._high, float(few["x"].max()))
        return rest

    def finish(self) -> dict[str, Any]:
        """Gives the files their names, safely on disk, and returns the line that says what they hold."""
        arrays = {}
        for name, file in self._files.items():
            file.seek(0)
            self._head(name)
            file.flush()
            os.fsync(file.fileno())
            file.close()
            written = self._folder / f".{self._names[name]}"
            kind, shape = self.kinds[name]
            about = {"file": self._names[name], "dtype": kind, "shape": list(shape)}
            arrays[name] = about | {"crc32": _packed.checksum(written)}
        for name in arrays:
            (self._folder / f".{self._names[name]}").rename(self._folder / self._names[name])
        return {"part": self._part, "rows": self._rows, "low": self._low, "high": self._high, "arrays": arrays}

    def abandon(self) -> None:
        """Removes the files."""
        for name, file in self._files.items():
            file.close()
            (self._folder / f".{self._names[name]}").unlink(missing_ok=True)

    def _head(self, name: str) -> None:
        """Writes the header of a .npy file.

        It has the same length for every number of rows, as NumPy leaves room for that number to grow.
        """
        kind, shape = self.kinds[name]
        dtype = {**_packed.WHOLE, **_packed.TYPES}[kind]
        facts = {"descr": np.lib.format.dtype_to_descr(_packed.stored_as(dtype)), "fortran_order": False}
        np.lib.format.write_array_header_1_0(self._files[name], facts | {"shape": (self._rows, *shape)})


def pack_batches(
    batches: Batches, folder: Path, part: str = "train", dtype: PackedType | None = None
) -> dict[str, int]:
    """Packs batches of examples into one part of a folder, as they are made; each whole shard is safe at once.

    Where an earlier call was stopped, it goes on after the last whole shard: a function is called with the number of
    examples that are there, and of an iterable as many are passed over.

    Args:
        batches: arrays of examples, or dictionaries of them as x, and of targets y, labels label and keys of rows key.
        folder: the folder to make, or to go on with.
        part: train, validation or test.
        dtype: the type in which examples are kept; None: that of the first ones.

    Returns:
        The number of examples of the part.

    Raises:
        InputError: for examples that cannot be used, and where the folder cannot be written.
    """
    with Packing(folder, "batches", dtype=dtype) as packing:
        if packing.is_whole(part):
            raise InputError(f"{folder} has a whole part {part} already: name another folder, or another part")
        done = packing.rows(part)
        if callable(batches):
            batches, done = batches(done), 0
        for batch in batches:
            given: Mapping[str, Any] = batch if isinstance(batch, Mapping) else {"x": batch}
            if unknown := set(given) - {"x", "y", "label", "key"}:
                raise InputError(f"a batch has {', '.join(sorted(unknown))}: give x, and y, label or key beside it")
            skipped = min(done, len(given["x"]))
            done -= skipped
            if skipped < len(given["x"]):
                packing.write(part, *_checked({name: array[skipped:] for name, array in given.items()}))
        packing.close(part)
        return {part: packing.rows(part)}


def _checked(given: Mapping[str, Any]) -> tuple[Examples, np.ndarray | None]:
    """Returns a batch's examples and its keys, in the types in which they are kept."""
    x, y = (_exactly(given[name], f"the array {name}") if name in given else None for name in ("x", "y"))
    assert x is not None
    label = None if given.get("label") is None else labels(as_array(given["label"], "label"), len(x), "the batch")
    key = None if given.get("key") is None else as_array(given["key"], "key")
    if key is not None and (key.dtype.kind not in "iu" or key.shape != (len(x),)):
        raise InputError(f"keys are {key.dtype} of shape {key.shape}: give a whole number for each of {len(x)} rows")
    if y is not None and len(y) != len(x):
        raise InputError(f"a batch has {len(x)} examples and {len(y)} targets: give one for each")
    return Examples(x, label, y), key


def _exactly(values: Any, where: str) -> np.ndarray:
    """Returns examples checked as any others, in the narrow type that they came in."""
    kind = str(getattr(values, "dtype", ""))
    found = examples(as_array(values, where), where)
    if found.dtype == np.uint8:
        return found
    found = as_single(found, where)
    return found.astype(_packed.TYPES[kind]) if kind in ("float16", "bfloat16") else found


def pack_parts(
    parts: Mapping[str, Iterable[Examples]],
    folder: Path,
    source: str,
    schema: Schema = UNKNOWN,
    dtype: PackedType | None = None,
) -> dict[str, int]:
    """Packs the parts of a data set into a folder, and returns the number of examples in each.

    Where packing the same source was stopped, it goes on after the last whole shard of each part.

    Args:
        parts: the parts, each of which comes a few examples at a time, in the same order in every call.
        folder: the folder to make, or to go on with.
        source: what is packed: its name or path.
        schema: the names of classes and columns.
        dtype: the type in which examples are kept; None: their own.

    Raises:
        InputError: for examples that cannot be used, and where the folder cannot be written. A folder that was made
            for them is removed again.
    """
    new = not folder.exists()
    try:
        with Packing(folder, source, schema, dtype) as packing:
            for name, chunks in parts.items():
                for chunk in _after(chunks, packing.rows(name)):
                    packing.write(name, chunk)
                packing.close(name)
            kinds = {(str(part.x.dtype), part.x.row_shape) for part in _packed.read(folder).parts.values()}
            if len(kinds) > 1:
                raise InputError(f"the parts differ in shape or type ({kinds}): make them alike")
            packing.end()  # last: until then, a writer that is killed can be gone on with
            return {name: packing.rows(name) for name in parts}
    except InputError:
        if new:
            _remove(folder)
        raise


def _after(chunks: Iterable[Examples], done: int) -> Iterator[Examples]:
    """Yields the examples that come after so many."""
    for chunk in chunks:
        skipped = min(done, len(chunk))
        done -= skipped
        if skipped < len(chunk):
            yield chunk.take(np.arange(skipped, len(chunk))) if skipped else chunk


def _converted(x: np.ndarray, dtype: PackedType | None, part: str) -> np.ndarray:
    """Returns values in the type in which they are kept."""
    if dtype is None or str(x.dtype) == dtype:
        return x
    if dtype == "uint8":
        raise InputError(f"the examples of {part} are {x.dtype}, which uint8 cannot hold: give another --dtype")
    scaled = x.astype(np.float32) / 255 if x.dtype == np.uint8 else x
    with np.errstate(over="ignore"):
        found = scaled.astype(_packed.TYPES[dtype])
    if not np.isfinite(found.astype(np.float32)).all():
        raise InputError(
            f"some values of {part} lie beyond what {dtype} can hold (up to {np.abs(scaled).max():g}): scale them, or "
            "give --dtype bfloat16 or float32"
        )
    return found


def _require_alike(kinds: Mapping[str, Any], before: Mapping[str, Any], part: str) -> None:
    if dict(kinds) != dict(before):
        raise InputError(f"some examples of {part} are {dict(kinds)}, others {dict(before)}: make them alike")


def _opened(folder: Path, source: str) -> dict[str, Any]:
    """Returns the index of a folder that is gone on with."""
    try:
        index = json.loads((folder / _packed.INDEX).read_text())
        known = index["format"] == _packed.FORMAT and isinstance(index["whole"], list)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder} is damaged ({first_line(error)}): remove it, and pack the data again") from error
    if not known or index.get("source") != source:
        raise InputError(f"{folder} cannot be made: name a folder that is not there yet")
    return index


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text)
    temporary.rename(path)


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(f"{folder} cannot be written ({error.strerror}): name another folder, or make room")
