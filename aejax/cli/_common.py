"""Holds what the commands share: loading a run, refusing bad places to write, writing, listing."""

import contextlib
import os
import shutil
import signal
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from aejax.core import InputError, Stopped
from aejax.runs import stopping

Split = Literal["train", "validation", "test"]


def load_run(run: Path) -> Any:
    """Loads the trained model of a run directory, and turns on the cache of compiled programs."""
    from aejax.devices import enable_compilation_cache
    from aejax.trained import load

    enable_compilation_cache()
    return load(run)


def examples(trained: Any, data: str, split: Split | None, label: int | None) -> tuple[Any, Any]:
    """Reads the examples behind a name or a path, and their labels.

    Args:
        trained: the model that is to take them.
        data: the data set's name, or a path.
        split: the part to take: see `aejax.data.read_given`.
        label: the label of all examples; None: the data's own labels, if it has any.
    """
    import numpy as np

    from aejax.data import read_given

    part = read_given(data, split, trained.experiment.data, trained.data).examples
    return part.x, part.label if label is None else np.asarray([label] * len(part))


def own_data(trained: Any, trained_on: str | None) -> Any:
    """Loads the data that a model was trained on, from where they lay then or from `trained_on`.

    Raises `InputError` where they are not there, or are others by now.
    """
    from aejax.data import load_again

    return load_again(trained.experiment.data, trained.data, trained_on)


def check_out(path: Path) -> None:
    """Raises `InputError` unless a file can be written there. Commands call it before the work, not after it."""
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"{path} cannot be written: give a file in a folder that exists and may be written to")


def save_array(path: Path, array: Any) -> None:
    """Writes an array to a .npy file, whole or not at all, and prints the path, the shape and the type."""
    import numpy as np

    from aejax.runs import write_atomically

    write_atomically(path, lambda file: np.save(file, array))
    print(f"{path}: {' x '.join(str(size) for size in array.shape)} {array.dtype}")


def print_names(lines: dict[str, str]) -> None:
    """Prints names, each with a line of text beside it."""
    width = max(len(name) for name in lines)
    for name, line in lines.items():
        print(f"{name:{width}}  {line}")


def paragraph(text: str) -> str:
    """Returns a text in indented lines that fit the terminal, or 80 columns where there is none."""
    indent = "    "
    return textwrap.fill(text, shutil.get_terminal_size().columns, initial_indent=indent, subsequent_indent=indent)


@contextlib.contextmanager
def watched(total: int, finished: Callable[[], int]) -> Iterator[Any]:
    """Shows a progress bar of a sweep's trials for the length of the context.

    Ctrl-C and SIGTERM raise `Stopped` meanwhile.

    Args:
        total: the number of trials.
        finished: returns how many trials have a result.

    Yields:
        An observer of the sweep, which moves the bar.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    def said() -> str:
        return f"stopped with {finished()} of {total} trials finished; the same command goes on"

    def stop(number: int, frame: Any) -> None:
        raise Stopped(said(), number)

    columns = (TextColumn("trials"), BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.fields[status]}"))
    with Progress(*columns, TimeRemainingColumn(compact=True), console=Console(stderr=True)) as bar:
        task, epochs = bar.add_task("trials", total=total, completed=finished(), status="compiling"), 0

        def show(rows: Any, state: Any) -> None:
            nonlocal epochs
            trained = sum(row["split"] == "train" for row in rows)
            if trained:
                epochs += trained
                bar.update(task, status=f"{epochs:,} epochs")
            else:  # a trial has its result, or a worker may have one
                bar.update(task, completed=finished())

        with (
            stopping.in_time(said),
            stopping.handling(signal.SIGINT, stop),
            stopping.handling(signal.SIGTERM, stop),
        ):
            yield show
