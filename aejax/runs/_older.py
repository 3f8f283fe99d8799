"""Reads the checkpoints that version 0.1.0 has written: folders of Orbax's files, with a checksum over all of them."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from aejax.core import named_leaves
from aejax.runs.array_file import described

_PARTS = {"0": "state", "1": "preprocess"}
"""The names of the parts of a checkpoint, which was a pair."""

_CHECKSUM = "crc32"

_COMPRESSED_LIMIT = 1000
"""Factor by which arrays may exceed their files: parameters hardly compress, but momenta may all be zeros."""

_SMALL = 2**30
"""Bytes of arrays that are read without comparing them to the size of their files."""


def read_folder(path: Path, like: Mapping[str, Any]) -> dict[str, Any]:
    """Reads the arrays of the parts that `like` has, by the names that `named_arrays` gives.

    Raises any exception where the folder is damaged, and `ValueError` where its arrays are not those of `like`.
    """
    import orbax.checkpoint as ocp

    # Checked before Orbax reads a byte, because its threads answer damage with many lines of output.
    if (path / _CHECKSUM).read_text() != str(_checksum(path)):
        raise ValueError("its checksum does not match")
    # A process reads by itself, whatever other processes there are.
    alone = ocp.options.MultiprocessingOptions(jax.process_index(), {jax.process_index()}, f"of_{jax.process_index()}")
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
    reader = ocp.Checkpointer(handler, multiprocessing_options=alone)
    found = reader.metadata(path.absolute()).item_metadata.tree
    names = {name: _renamed(name) for name in found}
    needed = described(dict(named_leaves(dict(like))))
    if described({names[name]: leaf for name, leaf in found.items() if _part(names[name]) in like}) != needed:
        raise ValueError("its arrays are not those of the experiment")
    _check_sizes(path, found)
    plain = {name: ocp.RestoreArgs(restore_type=np.ndarray) for name in found}
    arrays = reader.restore(path.absolute(), args=ocp.args.PyTreeRestore(restore_args=plain))
    return {names[name]: array for name, array in arrays.items()}


def _part(name: str) -> str:
    return name.partition(".")[0]


def _renamed(name: str) -> str:
    return _PARTS.get(_part(name), "") + name[len(_part(name)) :]


def _check_sizes(path: Path, found: dict[str, Any]) -> None:
    """Checks that arrays claim no more than their files can hold, before memory is taken for them.

    Raises `ValueError` where they do.
    """
    stored = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    claimed = sum(leaf.dtype.itemsize * np.prod(leaf.shape, dtype=float) for leaf in found.values())
    chunks = all(
        all(part <= max(whole, 1) for part, whole in zip(leaf.storage.chunk_shape, leaf.shape, strict=True))
        for leaf in found.values()
    )
    if not chunks or claimed > max(_SMALL, _COMPRESSED_LIMIT * stored):
        raise ValueError(f"its arrays claim {claimed:.3g} bytes, more than its files can hold")


def _checksum(folder: Path) -> int:
    crc = 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _CHECKSUM):
        crc = zlib.crc32(path.read_bytes(), zlib.crc32(str(path.relative_to(folder)).encode(), crc))
    return crc
