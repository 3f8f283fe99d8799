"""Holds the commands on data sets."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional

from aejax.cli._common import print_names
from aejax.cli._parsing import parse


@dataclass(frozen=True)
class DataCommand:
    """Lists, prepares and packs data sets: see `aejax data --help`."""


@dataclass(frozen=True)
class DataListCommand:
    """Lists the data sets that have a name."""

    def __call__(self) -> None:
        """Prints a line for each data set, and what else can be given as one."""
        from aejax.data import READ, names

        print_names(
            names()
            | {
                "tfds:NAME": "any TFDS data set of images or vectors",
                "PATH": f"{READ}; a folder of images, arrays or tables, or what `aejax data pack` made",
            }
        )


@dataclass(frozen=True)
class DataPrepareCommand:
    """Puts a data set into the cache, once."""

    name: Positional[str]
    """A name that `aejax data list` shows."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """A folder with the data set's original files; by default they are downloaded."""

    def __call__(self) -> None:
        """Prepares the data set, and prints where it is."""
        from aejax.data import prepare

        print(prepare(self.name, self.source))


@dataclass(frozen=True)
class DataCheckCommand:
    """Shows what would be read of a file or folder: parts, shape, range, classes, what is left out, memory.

    `aejax data check PATH --help` lists the settings that say how it is read.
    """

    path: Positional[Path]
    """A file or folder."""


@dataclass(frozen=True)
class DataPackCommand:
    """Writes a data set in the form that is streamed from disk in training: for data that does not fit in memory.

    `aejax data pack SOURCE --help` lists the settings that say how it is read.
    """

    source: Positional[str]
    """A data set's name, or a path that any command reads."""
    out: Positional[Path]
    """The folder to make; give it as --data."""


def check(arguments: list[str]) -> None:
    """Runs `aejax data check` with its arguments: reads what lies at a path, and shows it."""
    from aejax.data import Data, Reading, load, verify

    @dataclass(frozen=True)
    class Options:
        path: Positional[str]
        """A file or folder."""
        data: Reading = field(default_factory=Reading)

    options = parse(Options, "aejax data check", arguments, description=DataCheckCommand.__doc__)
    _show(load(Data(options.path, **vars(options.data))), verify(Path(options.path).expanduser()))


def pack(arguments: list[str]) -> None:
    """Runs `aejax data pack` with its arguments, and prints how many examples each part has."""
    from aejax.data import Data, PackedType, Reading, pack

    @dataclass(frozen=True)
    class Options:
        source: Positional[str]
        """A data set's name, or a path that any command reads."""
        out: Positional[Path]
        """The folder to make, or to go on with where packing it was stopped; give it as --data."""
        dtype: PackedType | None = None
        """The type in which examples are kept, and go to the device; by default their own. float16 and bfloat16 take
        half the space of float32; grey levels become shares of white."""
        data: Reading = field(default_factory=Reading)

    options = parse(Options, "aejax data pack", arguments, description=DataPackCommand.__doc__)
    sizes = pack(options.source, options.out, Data(options.source, **vars(options.data)), dtype=options.dtype)
    print(f"{options.out}: {', '.join(f'{size:,} {name}' for name, size in sizes.items())}")


def _show(dataset: Any, compared: int) -> None:
    """Prints what has been read, a line for each part and for each fact.

    Args:
        dataset: the data set.
        compared: the number of files whose checksums were compared.
    """
    import numpy as np

    parts = {name: dataset.part(name) for name in ("train", "validation", "test") if len(dataset.part(name))}
    lines = {}
    for name, part in parts.items():
        shape = " x ".join(str(size) for size in part.x.shape)
        lines[name] = f"{shape} {part.x.dtype}, from {part.x.min():g} to {part.x.max():g}"
    lines["values"] = _kind([part.x for part in parts.values()])
    memory = sum(part.x.nbytes for part in parts.values())
    labels = [part.label for part in parts.values() if part.label is not None]
    if dataset.classes:
        counts = np.bincount(np.concatenate(labels), minlength=len(dataset.classes))
        few = [f"{name} ({count:,})" for name, count in zip(dataset.classes, counts, strict=True)]
        lines["classes"] = ", ".join(few[:20]) + (f" and {len(few) - 20} more" if len(few) > 20 else "")
    elif labels:
        values = np.unique(np.concatenate(labels))
        lines["labels"] = f"{len(values):,} whole numbers from {values[0]} to {values[-1]}"
    else:
        lines["labels"] = "none"
    if dataset.columns:
        lines["columns"] = ", ".join(dataset.columns[:12]) + (" ..." if len(dataset.columns) > 12 else "")
    if compared:
        lines["checksums"] = f"{compared} files are as they were written"
    lines["memory"] = f"{memory / 1e6:,.1f} MB"
    print_names(lines)


def _kind(parts: list[Any]) -> str:
    """Says what the values of all parts are taken for, and what else they may be."""
    import numpy as np

    from aejax.data import chunks

    if parts[0].dtype == np.uint8:
        return "grey levels, divided by 255 (counts of things: --data.preprocess counts)"
    whole = all(x.min() >= 0 and all((few == np.rint(few)).all() for few in chunks(x)) for x in parts)
    if whole and max(x.max() for x in parts) > 1:
        return "counts, all whole numbers from 0 on (--data.preprocess counts --loss.likelihood negative-binomial)"
    return "numbers, used as they are"
