"""Writes lines of named values as a table, by the end of the file's name."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aejax.core import InputError, json_text
from aejax.runs.files import write_atomically

ENDS = (".csv", ".json", ".parquet")
"""The ends of the names of files that are written."""


def write_lines(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    """Writes lines as a .csv, .json or .parquet file, whole or not at all.

    Args:
        path: the file.
        lines: the values of each line by the names of their columns; what a line has not is left empty.

    Raises:
        InputError: for another kind of file.
    """
    names = list(dict.fromkeys(name for line in lines for name in line))
    if path.suffix == ".json":
        write_atomically(path, json_text([dict(line) for line in lines], indent=2) + "\n")
    elif path.suffix == ".csv":
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([["" if (cell := line.get(name)) is None else cell for name in names] for line in lines])
        write_atomically(path, text.getvalue())
    elif path.suffix == ".parquet":
        import pyarrow as arrow
        from pyarrow import parquet

        table = arrow.table({name: _column([line.get(name) for line in lines]) for name in names})
        write_atomically(path, lambda file: parquet.write_table(table, file))
    else:
        raise InputError(f"{path} ends in none of {', '.join(ENDS)}: give a file that does")


def _column(values: list[Any]) -> list[Any]:
    """Returns the values of a column in one type: all as words where it holds several types, and what is no scalar."""
    kinds = {type(value) for value in values if value is not None}
    plain = kinds <= {int, float} or (len(kinds) < 2 and kinds <= {bool, str})
    return values if plain else [None if value is None else str(value) for value in values]
