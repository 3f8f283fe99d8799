"""Writes arrays to the file formats that the name of a file asks for: .npy, .npz, .csv and .parquet."""

from collections.abc import Collection, Mapping
from typing import IO, Any

import numpy as np


def write_arrays(file: IO[bytes], suffix: str, main: str, arrays: Mapping[str, Any], names: Mapping[str, Any]) -> None:
    """Writes arrays of one length to an open file.

    .npy holds the main array alone. .npz holds each by its name. .csv and .parquet have a row for each example, and a
    column for each of its values. Columns whose names are given keep them; another that is named alike gets an
    underscore, as `index_` of the rows' numbers beside the values of a column `index`.

    Args:
        file: the file, open for bytes.
        suffix: the end of its name, one of these four.
        main: the name of the array that a file of a single one holds.
        arrays: the arrays by name, each `[n]` or `[n, *shape]`.
        names: the names of the columns of an array, where they are not the array's name and a number.
    """
    if suffix == ".npy":
        np.save(file, arrays[main])
    elif suffix == ".npz":
        np.savez(file, allow_pickle=False, **arrays)
    else:
        _write_table(file, suffix, arrays, names)


def _write_table(file: IO[bytes], suffix: str, arrays: Mapping[str, Any], names: Mapping[str, Any]) -> None:
    import pyarrow as pa
    from pyarrow import csv, parquet

    given = {column for some in names.values() for column in some or ()}
    columns: dict[str, Any] = {}
    for name, array in arrays.items():
        flat = np.asarray(array).reshape(len(array), -1)
        made = [name] if np.ndim(array) == 1 else [f"{name}_{i}" for i in range(flat.shape[1])]
        said = names.get(name) or [_apart(column, given) for column in made]
        columns |= {column: pa.array(np.ascontiguousarray(flat[:, i])) for i, column in enumerate(said)}
    table = pa.table(columns)
    csv.write_csv(table, file) if suffix == ".csv" else parquet.write_table(table, file)


def _apart(name: str, others: Collection[str]) -> str:
    """Returns a name with as many underscores as tell it from all others."""
    return _apart(f"{name}_", others) if name in others else name
