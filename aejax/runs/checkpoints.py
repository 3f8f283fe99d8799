"""Keeps checkpoints on disk: each is whole or absent, and is written while training goes on.

    checkpoints/30    Orbax's files of step 30, and a checksum over all of them
    checkpoints/.30   one that is being written or removed

What a kill leaves under a hidden name is removed when the run is resumed.
"""

import errno
import logging
import os
import shutil
import zlib
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from aejax.core import DiskError, InputError, first_line, named_leaves
from aejax.runs.timing import span

Tree = TypeVar("Tree")

log = logging.getLogger("aejax")

CHECKSUM = "crc32"

_COMPRESSED_LIMIT = 1000
"""Factor by which arrays may exceed their files: parameters hardly compress, but momenta may all be zeros."""

_SMALL = 2**30
"""Bytes of arrays that are read without comparing them to the size of their files."""


@dataclass(frozen=True)
class Saving:
    """Says when checkpoints are written, and which of them are kept."""

    save_every: float = 60.0
    """Seconds between checkpoints, at least; the last epoch is always saved."""
    save_steps: int | None = None
    """Number of steps after which a checkpoint is written too, inside an epoch as well; None: by time alone."""
    save_epochs: int | None = None
    """Number of epochs after which a checkpoint is written too, however short the time; None: by time alone."""
    keep: int = 3
    """Number of the newest checkpoints that are kept, beside the one with the least validation loss."""

    def __post_init__(self) -> None:
        if not self.save_every >= 0:
            raise InputError(f"save_every is {self.save_every}: give seconds, at least 0")
        for name in ("save_steps", "save_epochs", "keep"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise InputError(f"{name} is {number}: give at least 1")

    def due(self, step: int, steps_per_epoch: int) -> bool:
        """Tells whether a checkpoint is to be written after that step, however long ago the last one was."""
        counted = (self.save_steps, self.save_epochs and self.save_epochs * steps_per_epoch)
        return any(number is not None and step % number == 0 for number in counted)


class Checkpoints:
    """Writes and reads the folder of a run's checkpoints. One process writes to it, any may read."""

    def __init__(self, folder: Path) -> None:
        """Names the folder; nothing is read or written yet."""
        self.folder = folder
        self._writer = ThreadPoolExecutor(1, "checkpoints")
        self._pending: list[Future[None]] = []

    def steps(self) -> list[int]:
        """Returns the steps of all checkpoints in the folder, the earliest first."""
        names = (path.name for path in self.folder.iterdir()) if self.folder.is_dir() else ()
        return sorted(int(name) for name in names if name.isdecimal() and name == str(int(name)))

    # Writing

    def save(self, step: int, tree: Any, keep: int, best: int | None) -> None:
        """Copies a tree of arrays to the host, and leaves it to be written as a checkpoint by another thread.

        Args:
            step: the step of the checkpoint.
            tree: the arrays.
            keep: how many of the newest checkpoints are kept afterwards.
            best: the step of another checkpoint that is kept; None: there is none.
        """
        arrays = {name: np.asarray(leaf) for name, leaf in named_leaves(tree)}
        self._pending.append(self._writer.submit(self._write, step, arrays, keep, best))

    @property
    def busy(self) -> bool:
        """Whether a checkpoint is still being written. Raises `DiskError` where one could not be."""
        if all(future.done() for future in self._pending):
            self.wait()
        return bool(self._pending)

    def wait(self) -> None:
        """Waits until all checkpoints are written. Raises `DiskError` where one could not be."""
        for future in list(self._pending):
            future.result()
        self._pending = [future for future in self._pending if not future.done()]

    def clean(self, last: int) -> None:
        """Removes the checkpoints after step `last`, and what a kill has left."""
        for step in self.steps():
            if step > last:
                self._remove(step)
        for path in self.folder.glob(".[0-9]*"):
            shutil.rmtree(path, ignore_errors=True)

    def _write(self, step: int, arrays: dict[str, np.ndarray], keep: int, best: int | None) -> None:
        if self._path(step).exists():
            return
        hidden = self._hidden(step)
        try:
            with span("checkpoint"):
                self.folder.mkdir(exist_ok=True)
                shutil.rmtree(hidden, ignore_errors=True)
                _check_room(self.folder, arrays)
                _orbax().save(hidden.absolute(), arrays)
                (hidden / CHECKSUM).write_text(str(_checksum(hidden)))
                hidden.rename(self._path(step))
                for old in self.steps()[:-keep]:
                    if old != best:
                        self._remove(old)
        except Exception as error:  # Orbax raises many kinds
            shutil.rmtree(hidden, ignore_errors=True)
            reason = error.strerror if isinstance(error, OSError) else first_line(error)
            raise DiskError(f"the checkpoint of step {step} cannot be written to {self.folder} ({reason})") from error

    def _remove(self, step: int) -> None:
        # Renamed first, because a folder whose name is a number must always be whole.
        shutil.rmtree(self._hidden(step), ignore_errors=True)
        self._path(step).rename(self._hidden(step))
        shutil.rmtree(self._hidden(step))

    # Reading

    def restore(self, steps: Iterable[int], like: Tree) -> Tree:
        """Restores the checkpoint of the first step that loads whole.

        It is returned as a tree like `like`, whose leaves need only shape and dtype. A damaged checkpoint is passed
        over with one line of warning. Raises `InputError` where none loads.
        """
        for step in steps:
            try:
                return self._restore(step, like)
            except Exception as error:  # damage can raise any exception, and all of them mean the same
                where = self.folder.parent
                log.warning("the checkpoint of step %d in %s is damaged (%s)", step, where, first_line(error))
        raise InputError(f"{self.folder.parent} has no checkpoint that can be loaded: train it again")

    def _restore(self, step: int, like: Tree) -> Tree:
        import orbax.checkpoint as ocp

        path, reader = self._path(step).absolute(), _orbax()
        # Checked before Orbax reads a byte, because its threads answer damage with many lines of output.
        if (path / CHECKSUM).read_text() != str(_checksum(path)):
            raise ValueError("its checksum does not match")
        needed = {name: (tuple(leaf.shape), leaf.dtype) for name, leaf in named_leaves(like)}
        found = reader.metadata(path).item_metadata.tree
        if {name: (tuple(leaf.shape), leaf.dtype) for name, leaf in found.items()} != needed:
            raise ValueError("its arrays are not those of the experiment")
        _check_sizes(path, found)
        plain = {name: ocp.RestoreArgs(restore_type=np.ndarray) for name in needed}
        arrays = reader.restore(path, args=ocp.args.PyTreeRestore(restore_args=plain))
        leaves = [jnp.asarray(arrays[name]) for name, _ in named_leaves(like)]
        return jax.tree.unflatten(jax.tree.structure(like), leaves)

    def _path(self, step: int) -> Path:
        return self.folder / str(step)

    def _hidden(self, step: int) -> Path:
        return self.folder / f".{step}"


def _orbax() -> Any:
    import orbax.checkpoint as ocp

    # A process reads and writes by itself, whatever other processes there are.
    alone = ocp.options.MultiprocessingOptions(jax.process_index(), {jax.process_index()}, f"of_{jax.process_index()}")
    return ocp.Checkpointer(ocp.PyTreeCheckpointHandler(multiprocessing_options=alone), multiprocessing_options=alone)


def _check_room(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    """Checks that the disk has room for the arrays, because Orbax would notice only halfway, in many threads.

    Raises `OSError` where there is no room.
    """
    if shutil.disk_usage(folder).free < sum(array.nbytes + 4096 for array in arrays.values()) + 2**16:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


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
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CHECKSUM):
        crc = zlib.crc32(path.read_bytes(), zlib.crc32(str(path.relative_to(folder)).encode(), crc))
    return crc
