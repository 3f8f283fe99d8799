"""Holds what the commands share: loading a run, refusing bad places to write, writing, listing."""

import contextlib
import dataclasses
import logging
import os
import shutil
import signal
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from aejax.core import InputError, Progress, Stopped
from aejax.runs import stopping

log = logging.getLogger("aejax")

Split = Literal["train", "validation", "test"]


def load_run(run: Path) -> Any:
    """Loads the trained model of a run directory, and turns on the cache of compiled programs."""
    from aejax.devices import enable_compilation_cache
    from aejax.trained import load

    enable_compilation_cache()
    return load(run)


def examples(
    trained: Any,
    data: str | None,
    split: Split | None,
    label: int | None = None,
    labels: str | None = None,
    outlier: tuple[str, ...] = (),
    whole: bool = True,
    gaps: bool = False,
) -> Any:
    """Reads the examples behind a name or a path as a run reads its own data, and says what they are.

    Args:
        trained: the model that is to take them.
        data: the data set's name, or a path; None: the run's own data.
        split: the part to take: see `aejax.data.read_given`, which returns them so.
        label: the label of all examples; None: the data's own labels, if it has any.
        labels: the column or array of labels; None: the run's own setting.
        outlier: the labels that mark outliers; none: the run's own setting.
        whole: take all rows of the run's own data too, where they are one file and no split is asked for.
        gaps: keep examples that lack a value, for `each_whole`; by default they are left out, with a warning.
    """
    import numpy as np

    from aejax.data import read_given

    anew = {name: value for name, value in (("label", labels), ("outlier", outlier)) if value}
    given = read_given(data, split, trained.experiment.data, trained.data, whole, anew)
    lacking = given.lacking
    if lacking.all():
        raise InputError(f"every example of {given.told} lacks a value: give others")
    if lacking.any() and not gaps:
        log.warning("%d of %d examples of %s lack a value and are left out", lacking.sum(), len(lacking), given.told)
        files = None if given.files is None else given.files[~lacking]
        given = dataclasses.replace(given, examples=given.whole, files=files)
    if label is None:
        return given
    part = given.examples
    return dataclasses.replace(given, examples=dataclasses.replace(part, label=np.asarray([label] * len(part))))


def each_whole(given: Any, function: Callable[[Any, Any], Any]) -> Any:
    """Applies a function to the examples that lack no value, and says how many do: what it gives of those is NaN.

    Args:
        given: what `examples` returned.
        function: gives `[n, ...]` of examples `[n, *shape]` and their labels.
    """
    import numpy as np

    whole, lacking = given.whole, given.lacking
    some = function(whole.x, whole.label)
    if not lacking.any():
        return some
    made = np.full((len(lacking), *some.shape[1:]), np.nan, some.dtype)
    made[~lacking] = some
    print(f"{lacking.sum()} of {len(lacking)} examples lack a value: NaN stands for what would be made of them")
    return made


def own_data(trained: Any, trained_on: str | None) -> Any:
    """Loads the data that a model was trained on, from where they lay then or from `trained_on`.

    Raises `InputError` where they are not there, or are others by now.
    """
    from aejax.data import load_again

    return load_again(trained.experiment.data, trained.data, trained_on)


def check_out(path: Path, known: tuple[str, ...] | None = None) -> None:
    """Raises `InputError` unless a file can be written there. Commands call it before the work, not after it.

    `known` are the ends of names that are written; None: any.
    """
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"{path} cannot be written: give a file in a folder that exists and may be written to")
    if known is not None and path.suffix.lower() not in known:
        raise InputError(f"{path} says no format that is written: give --out a name that ends in {', '.join(known)}")


def save_array(
    path: Path, main: str, array: Any, beside: Any = None, names: Any = None, said: str | None = None
) -> None:
    """Writes an array by the end of the file's name, whole or not at all, and prints the path, the shape and the type.

    Args:
        path: the file to write: .npy, .npz, .csv or .parquet.
        main: the name of the array.
        array: the array `[n, ...]`.
        beside: other arrays `[n]` by their names, which files of several arrays hold too.
        names: the names of the array's columns; None: its name and a number.
        said: what the array is, in words that are printed too.
    """
    from aejax.data import write_arrays
    from aejax.runs import write_atomically

    arrays = {**(beside or {}), main: array}
    write_atomically(path, lambda file: write_arrays(file, path.suffix.lower(), main, arrays, {main: names}))
    shape = f"{' x '.join(str(size) for size in array.shape)} {array.dtype}"
    print(f"{path}: {shape}" if said is None else f"{path}: {said}, {shape}")


def beside(given: Any, classes: tuple[str, ...]) -> dict[str, Any]:
    """Returns what is saved beside what was made of each example: its number, and its file and label where it has them.

    Labels are given by the names of their classes, where these have names.
    """
    import numpy as np

    label = given.examples.label
    told = {"index": np.arange(len(given.examples)), "path": given.files}
    told |= {"label": np.asarray(classes)[label] if classes and label is not None else label}
    return {name: each for name, each in told.items() if each is not None}


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

    def said() -> str:
        return f"stopped with {finished()} of {total} trials finished; the same command goes on"

    def stop(number: int, frame: Any) -> None:
        raise Stopped(said(), number)

    with Progress("trials", total, finished(), status="compiling", shown=True) as bar:
        done, epochs = finished(), 0

        def show(rows: Any, state: Any) -> None:
            nonlocal done, epochs
            trained = sum(row["split"] == "train" for row in rows)
            if trained:
                epochs += trained
            else:  # a trial has its result, or a worker may have one
                done = finished()
            bar.update(done, f"{epochs:,} epochs")

        with (
            stopping.in_time(said),
            stopping.handling(signal.SIGINT, stop),
            stopping.handling(signal.SIGTERM, stop),
        ):
            yield show
