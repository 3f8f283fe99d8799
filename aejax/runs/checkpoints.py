"""Keeps checkpoints on disk: each is whole or absent, and is written while training goes on.

    checkpoints/30.safetensors           the named parts of step 30, in one file: see `aejax.runs.array_file`
    checkpoints/40.1-of-2.safetensors    what the second of two processes holds of those of step 40, where layers are
                                         divided over them: see `aejax.runs.pieces`. Both files make one checkpoint
    checkpoints/.30.*                    one that is being written
    checkpoints/20                       a folder that version 0.1.0 has written

What a kill leaves under a hidden name is removed when the run is resumed.
"""

import logging
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from aejax.core import DiskError, InputError, first_line
from aejax.runs.array_file import fill_parts, named_arrays, read_arrays, write_arrays
from aejax.runs.pieces import Joined, in_pieces, join_pieces, named_pieces
from aejax.runs.timing import span

log = logging.getLogger("aejax")

SUFFIX = ".safetensors"
"""What the name of a checkpoint's file has after its step."""

_NAME = re.compile(r"(0|[1-9][0-9]*)(?:\.[0-9]+-of-([0-9]+))?")


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
    """Writes and reads the folder of a run's checkpoints. One process of a run writes to it, or each its pieces."""

    def __init__(self, folder: Path) -> None:
        """Names the folder; nothing is read or written yet."""
        self.folder = folder
        self._writer = ThreadPoolExecutor(1, "checkpoints")
        self._pending: list[Future[None]] = []

    def steps(self) -> list[int]:
        """Returns the steps of all checkpoints in the folder that are whole, the earliest first."""
        return sorted({step for (step, count), paths in self._files().items() if len(paths) >= count})

    # Writing

    def save(self, step: int, parts: Mapping[str, Any], keep: int, best: int | None) -> None:
        """Copies named parts to the host, and leaves them to be written as a checkpoint by another thread.

        Every process must call it that holds arrays in pieces; the checkpoint is whole once all of them have written.

        Args:
            step: the step of the checkpoint.
            parts: trees of arrays, such as the state, by their names.
            keep: how many of the newest checkpoints are kept afterwards.
            best: the step of another checkpoint that is kept; None: there is none.
        """
        which, arrays = "", named_arrays
        if in_pieces(parts):
            which, arrays = f".{jax.process_index()}-of-{jax.process_count()}", named_pieces
        path = self.folder / f"{step}{which}{SUFFIX}"
        self._pending.append(self._writer.submit(self._write, step, path, arrays(parts), keep, best))

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
        for (step, count), paths in self._files().items():
            if step > last or len(paths) < count:
                self._remove(step)
        for path in self.folder.glob(".[0-9]*"):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()

    def _write(self, step: int, path: Path, arrays: dict[str, Any], keep: int, best: int | None) -> None:
        if step in self.steps():
            return
        try:
            with span("checkpoint"):
                self.folder.mkdir(exist_ok=True)
                write_arrays(path, arrays)
                for old in self.steps()[:-keep]:
                    if old != best and jax.process_index() == 0:
                        self._remove(old)
        except OSError as error:
            reason = error.strerror
            raise DiskError(f"the checkpoint of step {step} cannot be written to {self.folder} ({reason})") from error

    def _remove(self, step: int) -> None:
        for path in [path for (other, _), paths in self._files().items() if other == step for path in paths]:
            if path.is_dir():
                # Renamed first, because a folder whose name is a number must always be whole.
                hidden = self.folder / f".{step}"
                shutil.rmtree(hidden, ignore_errors=True)
                path.rename(hidden)
                shutil.rmtree(hidden)
            else:
                path.unlink(missing_ok=True)

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
        files = self._files().items()
        paths = next(paths for (other, count), paths in files if other == step and len(paths) >= count)
        if paths[0].is_dir():
            from aejax.runs._older import read_folder

            return read_folder(paths[0], like)
        alone = len(paths) == jax.process_count() == 1
        return read_arrays(paths[0])[0] if alone else join_pieces(paths)

    def _files(self) -> dict[tuple[int, int], list[Path]]:
        """Returns the files of each checkpoint, by its step and the number of files that make it whole."""
        found = defaultdict[tuple[int, int], list[Path]](list)
        for path in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            if name := _NAME.fullmatch(path.name.removesuffix(SUFFIX)):
                found[int(name[1]), int(name[2] or 1)].append(path)
        return found


def placed(leaf: Any, like: Any) -> jax.Array:
    """Places an array on the devices where another one is, or on the default one where that has no place."""
    sharding = getattr(like, "sharding", None)
    if sharding is None:
        return jnp.asarray(leaf)
    if isinstance(leaf, Joined) or not sharding.is_fully_addressable:
        return jax.make_array_from_callback(leaf.shape, sharding, leaf.__getitem__)
    return jax.device_put(leaf, sharding)
