"""Holds what the commands share: loading a run, refusing bad places to write, writing, listing."""

import contextlib
import dataclasses
import os
import signal
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


def examples(
    trained: Any, data: str, split: Split, label: int | None = None, labels: str | None = None, outlier: Any = ()
) -> Any:
    """Reads the examples behind a name or a path as a run reads its own data, with their labels.

    Args:
        trained: the run's model.
        data: the data set's name, or a path.
        split: the part of a data set that has parts.
        label: the label of all examples; None: the data's own labels, if it has any.
        labels: the column or array of labels; None: the run's own setting.
        outlier: the labels that mark outliers; none: the run's own setting.
    """
    import numpy as np

    from aejax.data import read_examples

    like, schema = trained.experiment.data, trained.schema
    if labels is not None:
        like = dataclasses.replace(like, label=labels)
    if outlier:
        like, schema = dataclasses.replace(like, outlier=outlier), dataclasses.replace(schema, classes=())
    part = read_examples(data, split, like, schema)
    return part if label is None else dataclasses.replace(part, label=np.asarray([label] * len(part)))


def check_out(path: Path, known: tuple[str, ...] | None = None) -> None:
    """Raises `InputError` unless a file can be written there. Commands call it before the work, not after it.

    `known` are the ends of names that are written; None: any.
    """
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"{path} cannot be written: give a file in a folder that exists and may be written to")
    if known is not None and path.suffix.lower() not in known:
        raise InputError(f"{path} says no format that is written: give --out a name that ends in {', '.join(known)}")


def save_array(path: Path, main: str, array: Any, beside: Any = None, names: Any = None) -> None:
    """Writes an array by the end of the file's name, whole or not at all, and prints the path, the shape and the type.

    Args:
        path: the file to write: .npy, .npz, .csv or .parquet.
        main: the name of the array.
        array: the array `[n, ...]`.
        beside: other arrays `[n]` by their names, which files of several arrays hold too.
        names: the names of the array's columns; None: its name and a number.
    """
    from aejax.data import write_arrays
    from aejax.runs import write_atomically

    arrays = {**(beside or {}), main: array}
    write_atomically(path, lambda file: write_arrays(file, path.suffix.lower(), main, arrays, {main: names}))
    print(f"{path}: {' x '.join(str(size) for size in array.shape)} {array.dtype}")


def labels_beside(part: Any, classes: tuple[str, ...]) -> dict[str, Any]:
    """Returns the labels of examples, by the names of their classes where they have them, as what is saved beside."""
    import numpy as np

    if part.label is None:
        return {}
    return {"label": np.asarray(classes)[part.label] if classes else part.label}


def print_names(lines: dict[str, str]) -> None:
    """Prints names, each with a line of text beside it."""
    width = max(len(name) for name in lines)
    for name, line in lines.items():
        print(f"{name:{width}}  {line}")


@contextlib.contextmanager
def watched(total: int, finished: Callable[[], int]) -> Iterator[Any]:
    """Shows a progress bar of a sweep's trials for the length of the context.

    Ctrl-C and SIGTERM raise `Stopped` meanwhile.

    Args:
        total: the number of trials.
        finished: returns how many trials have a result.

    Yields:
        The sweep's events, which move the bar.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from aejax.sweeps import SweepEvents

    def said() -> str:
        return f"stopped with {finished()} of {total} trials finished; the same command goes on"

    def stop(number: int, frame: Any) -> None:
        raise Stopped(said(), number)

    columns = (TextColumn("trials"), BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.fields[status]}"))
    with Progress(*columns, TimeRemainingColumn(compact=True), console=Console(stderr=True)) as bar:
        task = bar.add_task("trials", total=total, completed=finished(), status="")
        done, of = 0, ""

        def begun(trials: Any) -> None:
            nonlocal done, of
            counted = all(trial.experiment.steps is None for trial in trials)  # else the data say how many epochs
            done, of = 0, f" of {sum(trial.experiment.epochs for trial in trials):,}" if counted else ""
            bar.update(task, status=f"{len(trials)} begun: compiling")

        def epoch(members: int) -> None:
            nonlocal done
            done += members
            bar.update(task, status=f"epoch {done:,}{of} of those begun")

        def recorded(trial: Any, content: Any) -> None:
            bar.update(task, completed=finished(), status="")

        with (
            stopping.in_time(said),
            stopping.handling(signal.SIGINT, stop),
            stopping.handling(signal.SIGTERM, stop),
        ):
            yield SweepEvents(begun, epoch, recorded)
