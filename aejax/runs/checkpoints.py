"""Keeps checkpoints on disk: each is whole or absent, and is written while training goes on.

    checkpoints/30.safetensors    the named parts of step 30, in one file: see `aejax.runs.array_file`
    checkpoints/.30.*             one that is being written
    checkpoints/20                a folder that version 0.1.0 has written

What a kill leaves under a hidden name is removed when the run is resumed.
"""

import logging
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from aejax.core import DiskError, InputError, first_line
from aejax.runs.array_file import fill_parts, named_arrays, read_arrays, write_arrays
from aejax.runs.timing import span

log = logging.getLogger("aejax")

SUFFIX = ".safetensors"
"""What the name of a checkpoint's file has after its step."""


@dataclass(frozen=True)
class Saving:
    """Says when checkpoints are written, and which of them are kept."""

    save_seconds: float = 60.0
    """Seconds after which a checkpoint is written, inside a long epoch as well; the last step is always saved."""
    save_steps: int | None = None
    """Number of steps after which a checkpoint is written too, inside an epoch as well; None: by time alone."""
    save_epochs: int | None = None
    """Number of epochs after which a checkpoint is written too, however short the time; None: by time alone."""
    keep: int = 3
    """Number of the newest checkpoints that are kept, beside the one with the least validation loss."""

    def __post_init__(self) -> None:
        if not self.save_seconds >= 0:
            raise InputError(f"save_seconds is {self.save_seconds}: give at least 0")
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
        paths = self.folder.iterdir() if self.folder.is_dir() else ()
        names = {path.name.removesuffix(SUFFIX) for path in paths}
        return sorted(int(name) for name in names if name.isdecimal() and name == str(int(name)))

    # Writing

    def save(self, step: int, parts: Mapping[str, Any], keep: int, best: int | None) -> None:
        """Copies named parts to the host, and leaves them to be written as a checkpoint by another thread.

        Args:
            step: the step of the checkpoint.
            parts: trees of arrays, such as the state, by their names.
            keep: how many of the newest checkpoints are kept afterwards.
            best: the step of another checkpoint that is kept; None: there is none.
        """
        self._pending.append(self._writer.submit(self._write, step, named_arrays(parts), keep, best))

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
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()

    def _write(self, step: int, arrays: dict[str, Any], keep: int, best: int | None) -> None:
        if step in self.steps():
            return
        try:
            with span("checkpoint"):
                self.folder.mkdir(exist_ok=True)
                write_arrays(self._file(step), arrays)
                for old in self.steps()[:-keep]:
                    if old != best:
                        self._remove(old)
        except OSError as error:
            reason = error.strerror
            raise DiskError(f"the checkpoint of step {step} cannot be written to {self.folder} ({reason})") from error

    def _remove(self, step: int) -> None:
        self._file(step).unlink(missing_ok=True)
        folder, hidden = self.folder / str(step), self.folder / f".{step}"
        if folder.exists():
            # Renamed first, because a folder whose name is a number must always be whole.
            shutil.rmtree(hidden, ignore_errors=True)
            folder.rename(hidden)
            shutil.rmtree(hidden)

    # Reading

    def restore(self, steps: Iterable[int], like: Mapping[str, Any]) -> dict[str, Any]:
        """Restores parts of the checkpoint of the first step that loads whole.

        A damaged checkpoint is passed over with one line of warning.

        Args:
            steps: the steps, the one to be tried first in front.
            like: the parts that are needed by their names, each a tree whose leaves need only shape and dtype.

        Returns:
            These parts, as they were saved.

        Raises:
            InputError: where none loads.
        """
        for step in steps:
            try:
                arrays = self._read(step, like)
                return jax.tree.map(placed, fill_parts(like, arrays), dict(like))
            except Exception as error:  # damage can raise any exception, and all of them mean the same
                where = self.folder.parent
                log.warning("the checkpoint of step %d in %s is damaged (%s)", step, where, first_line(error))
        raise InputError(f"{self.folder.parent} has no checkpoint that can be loaded: train it again")

    def _read(self, step: int, like: Mapping[str, Any]) -> dict[str, Any]:
        if not (self.folder / str(step)).is_dir():
            return read_arrays(self._file(step))[0]
        from aejax.runs._older import read_folder

        return read_folder(self.folder / str(step), like)

    def _file(self, step: int) -> Path:
        return self.folder / f"{step}{SUFFIX}"


def placed(leaf: Any, like: Any) -> jax.Array:
    """Places an array on the devices where another one is, or on the default one where that has no place."""
    sharding = getattr(like, "sharding", None)
    return jnp.asarray(leaf) if sharding is None else jax.device_put(leaf, sharding)
