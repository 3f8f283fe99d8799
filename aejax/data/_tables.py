"""Reads tables: CSV and TSV files, Parquet, Feather, folders of them, what Hugging Face saves, and data frames.

All become a table of Arrow first; columns of numbers, of text, of lists and of images are told apart in one place.
"""

import itertools
import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from aejax.core import InputError, nearest
from aejax.data._arrays import counts_rows, names_rows, require_known
from aejax.data._images import Images, pixels
from aejax.data._source import LABELS, PARTS, Raw, Source
from aejax.data.dataset import Schema
from aejax.data.settings import Data

SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".feather", ".arrow")

_NULLS = ("", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "None", "<NA>")

_MOST_LEVELS = 64
"""Largest number of different texts in a column that count as categories."""

_BETWEEN = re.compile(r"[-_.]")


def read_table(path: Path, data: Data, known: Schema) -> Source:
    """Returns the rows of one table as the train part. Raises `InputError` as `of_table` does."""
    table, notes = _table(path)
    return of_tables({"train": table}, str(path), data, known, notes)


def read_table_folder(path: Path, data: Data, known: Schema) -> Source:
    """Returns the tables of a folder: those whose names begin with train, validation or test are parts.

    Otherwise all are pieces of one part, in order of their names. Folders that Hugging Face's `save_to_disk` made are
    read alike: a folder of pieces, or one of these for each part. Raises `InputError` as `of_tables` does.
    """
    import pyarrow as pa

    files = table_files(path)
    named: dict[str, list[Path]] = {}
    for name, file in files:
        named.setdefault(PARTS.get(_BETWEEN.split(name.lower())[0], ""), []).append(file)
    if "" in named and len(named) > 1:
        raise InputError(
            f"{path} holds {named[''][0].name} beside files named after parts: name it train, validation or test, or "
            "move it elsewhere"
        )
    tables, notes = {}, []
    for part, pieces in named.items():
        found = [_table(piece) for piece in pieces]
        notes += [note for _, said in found for note in said]
        try:
            tables[part or "train"] = pa.concat_tables([table for table, _ in found])
        except pa.ArrowInvalid as error:
            raise InputError(
                f"the tables in {path} differ in their columns ({_first(error)}): make them alike"
            ) from None
    ordered: dict[str, Any] = {part: tables[part] for part in ("train", "validation", "test") if part in tables}
    return of_tables(ordered, str(path), data, known, list(dict.fromkeys(notes)))


def table_files(path: Path) -> list[tuple[str, Path]]:
    """Returns the tables in a folder and in its subfolders, each with the name that tells its part."""
    folders = [path, *(sub for sub in sorted(path.iterdir()) if sub.is_dir() and not sub.name.startswith("."))]
    return [
        (file.name if folder == path else folder.name, file)
        for folder in folders
        for file in sorted(folder.iterdir())
        if _is_table(file)
    ]


def _is_table(file: Path) -> bool:
    hidden = file.name.startswith((".", "cache-"))  # Hugging Face leaves what it has computed beside the data
    return file.name.lower().endswith(SUFFIXES) and not hidden and file.is_file()


def _table(path: Path) -> tuple[Any, list[str]]:
    """Reads one file, and returns its table with what was taken for granted."""
    import pyarrow as pa
    from pyarrow import feather, parquet

    name = path.name.lower()
    try:
        if name.endswith(".parquet"):
            return parquet.read_table(path), []
        if name.endswith(".feather"):
            return feather.read_table(path), []
        if name.endswith(".arrow"):
            return _arrow(path), []
        return _text(path)
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a table ({_first(error)}): write it again") from error


def _first(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _arrow(path: Path) -> Any:
    """Reads an Arrow file, in the form of a stream, as Hugging Face writes them, or of a file."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        try:
            return pa.ipc.open_stream(source).read_all()
        except pa.ArrowInvalid:
            return pa.ipc.open_file(source).read_all()


def _text(path: Path) -> tuple[Any, list[str]]:
    """Reads a file of separated values; its first line holds the names, unless all of it are numbers."""
    import pyarrow as pa
    from pyarrow import csv

    with pa.input_stream(str(path)) as stream:
        head = stream.read(2**16).decode("utf-8", errors="replace")
    lines = [line for line in head.splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{path} is empty: give a table with a line of names and one for each example")
    if head.lstrip().startswith(("{", "[")):
        raise InputError(f"{path} holds JSON: save it as a table, .csv or .parquet, or as .npz")
    separator = max(",;\t|", key=lines[0].count)
    names = [name.strip().strip('"') for name in lines[0].split(separator)]
    headless = all(_is_number(name) for name in names)
    table = csv.read_csv(
        path,
        read_options=csv.ReadOptions(autogenerate_column_names=headless),
        parse_options=csv.ParseOptions(delimiter=separator),
        convert_options=csv.ConvertOptions(null_values=_NULLS, strings_can_be_null=True),
    )
    if not headless:
        return table, []
    named = table.rename_columns([str(i) for i in range(table.num_columns)])
    return named, ["the first line holds numbers, not names: the columns are numbered from 0"]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def of_tables(tables: dict[str, Any], where: str, data: Data, known: Schema, notes: list[str]) -> Source:
    """Returns the parts that tables of Arrow make: examples of numbers `[n, columns]`, or of images.

    Numbers stay; a column of text becomes a column of 0 and 1 for each of its levels, those of all parts, or of the
    run that knows the columns; a column of lists of one length becomes a column for each place. One column of images
    makes images of the examples. The labels are the column that `data.label` names, or else one that is named so.

    Args:
        tables: a table of Arrow for each part, with equal columns.
        where: the source, for messages.
        data: its fields `label`, `drop`, `missing`, `size` and `channels`.
        known: the columns that a run was trained on; empty for data that it is about to be trained on.
        notes: what the reader has to say so far.

    Raises:
        InputError: for a column that is none of these, is missing, or holds a level that the run does not know.
    """
    first = next(iter(tables.values()))
    names, notes = first.column_names, list(notes)
    require_known(data.drop, names, where, "column")
    label = _label(names, where, data, known, notes)
    left = [name for name in names if name not in data.drop and name != label]
    numbers = [name for name in left if name not in known.columns]
    if index := [name for name in numbers if name == "__index_level_0__" or _counts_rows(first, name)]:
        notes.append(f"the column {index[0]!r} numbers the rows and is left out")
        left = [name for name in left if name not in index]
    strange = "path" in numbers and not any(name.startswith("path=") for name in known.columns)
    if strange and _is_text(first.schema.field("path").type) and names_rows(first["path"].to_pylist()):
        notes.append("the column 'path' names the rows and is left out")
        left.remove("path")
    labels = {part: _labels(table[label]) if label in table.column_names else None for part, table in tables.items()}
    classes = _class_names(first, label)
    if pictures := [name for name in left if _is_image(first.schema.field(name).type)]:
        if len(left) > 1:
            raise InputError(
                f"{where} holds images ({pictures[0]}) beside {_listed(left, pictures[0])}: leave "
                "these out by --data.drop"
            )
        how = partial(pixels, size=data.size, channels=data.channels)
        parts = {
            part: Raw(Images(_bytes(table[pictures[0]], where), how), labels[part]) for part, table in tables.items()
        }
        return Source(parts, classes=classes, notes=tuple(notes))
    columns = known.columns or tuple(_columns(tables, left, where, notes))
    if not columns:
        raise InputError(f"{where} has no column left to train on: its columns are {', '.join(names)}")
    if known.columns:
        _require_same(left, known.columns, where, None if label else data.label)
    parts = {part: Raw(_values(table, columns, where), labels[part]) for part, table in tables.items()}
    return Source(parts, columns, classes, tuple(notes))


def _listed(names: list[str], but: str) -> str:
    return ", ".join(name for name in names if name != but)


def _label(names: list[str], where: str, data: Data, known: Schema, notes: list[str]) -> str | None:
    """Returns the column of labels: the one that is asked for, or the first that is named so."""
    if data.label is not None:
        if data.label and not known.columns:  # rows to be encoded need not have labels
            require_known([data.label], names, where, "column")
        return data.label if data.label in names else None
    found = next((name for name in names if name.lower() in LABELS and name not in (*data.drop, *known.columns)), None)
    if found is not None:
        notes.append(f"the column {found!r} is taken as labels (--data.label names another, or '' none)")
    return found


def _counts_rows(table: Any, name: str) -> bool:
    """Tells whether a column holds the numbers of the rows: `index`, or one without a name, as pandas writes it."""
    return name in ("", "Unnamed: 0", "index") and counts_rows(table[name].to_numpy())


def _labels(column: Any) -> np.ndarray:
    """Returns labels as numbers or text; None or NaN where one is missing."""
    import pyarrow as pa
    import pyarrow.types as kinds

    kind = column.type.value_type if kinds.is_dictionary(column.type) else column.type
    if kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind):
        plain = column.cast(kind)
        return plain.cast(pa.float64()).to_numpy() if plain.null_count else plain.to_numpy()
    return np.array(column.to_pylist(), dtype=object)


def _class_names(table: Any, label: str | None) -> tuple[str, ...]:
    """Returns the names that Hugging Face gave to integer labels, which the schema of its tables holds."""
    try:
        features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features[label]["names"])
    except (KeyError, TypeError, ValueError):
        return ()


def _is_image(kind: Any) -> bool:
    """Tells whether a column holds images as Hugging Face keeps them: a struct with the bytes of a file."""
    import pyarrow.types as kinds

    return kinds.is_struct(kind) and "bytes" in [kind.field(i).name for i in range(kind.num_fields)]


def _bytes(column: Any, where: str) -> tuple[Any, ...]:
    """Returns the bytes of every image, or the path of one that is kept beside the table."""
    found = [item and (item["bytes"] or (item.get("path") and Path(item["path"]))) for item in column.to_pylist()]
    if None in found:
        raise InputError(f"{where} lacks the image of example {found.index(None)}: remove it")
    return tuple(found)


def _columns(tables: dict[str, Any], names: list[str], where: str, notes: list[str]) -> Iterator[str]:
    """Yields the names of the values that the columns of tables become."""
    import pyarrow.types as kinds

    for name in names:
        kind = next(iter(tables.values())).schema.field(name).type
        if _is_text(kind):
            levels = _levels([table[name] for table in tables.values()], name, where)
            few = ", ".join(levels[:6]) + (" ..." if len(levels) > 6 else "")
            notes.append(f"the column {name!r} holds {len(levels)} categories: {few}")
            yield from (f"{name}={level}" for level in levels)
        elif kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind):
            lengths = {int(n) for table in tables.values() for n in _lengths(table[name])}
            if len(lengths) != 1:
                raise InputError(
                    f"{where}: the lists in the column {name!r} differ in length: leave it out by --data.drop"
                )
            yield from (f"{name}[{i}]" for i in range(lengths.pop()))
        elif kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind) or kinds.is_decimal(kind):
            yield name
        elif kinds.is_null(kind):
            raise InputError(f"{where}: the column {name!r} is empty: leave it out by --data.drop {name}")
        else:
            raise InputError(
                f"{where}: the column {name!r} holds {kind}, no numbers: leave it out by --data.drop {name}"
            )


def _is_text(kind: Any) -> bool:
    import pyarrow.types as kinds

    plain = kind.value_type if kinds.is_dictionary(kind) else kind
    return kinds.is_string(plain) or kinds.is_large_string(plain) or kinds.is_string_view(plain)


def _lengths(column: Any) -> np.ndarray:
    import pyarrow.compute as pc

    lengths = pc.unique(pc.list_value_length(column).combine_chunks())
    return np.asarray([length for length in lengths.to_pylist() if length is not None])


def _levels(columns: list[Any], name: str, where: str) -> list[str]:
    """Returns the different texts of a column, sorted. Raises `InputError` where they are too many for categories."""
    levels: set[str] = set()
    n = sum(len(column) for column in columns)
    for column in columns:
        levels |= {str(level) for level in column.unique().to_pylist() if level is not None}
    if len(levels) > _MOST_LEVELS or 2 * len(levels) > max(n, 4):
        if 2 * sum(map(_is_number, levels)) > len(levels):
            found = next(filter(None, map(_first_text, columns)), None)
            if found is None:
                raise InputError(
                    f"{where}: the column {name!r} holds numbers that are written as text: save them as numbers, or "
                    f"leave the column out by --data.drop {name}"
                )
            raise InputError(
                f"{where}: the column {name!r} holds {found[1][:24]!r} in example {found[0]}, among numbers: give a "
                f"number there or nothing, or leave the column out by --data.drop {name}"
            )
        some = ", ".join(repr(level[:24]) for level in sorted(levels)[:3])
        raise InputError(
            f"{where}: the column {name!r} holds text of {len(levels)} different values ({some} ...), too many for "
            f"categories: leave it out by --data.drop {name}, or name it as --data.label"
        )
    return sorted(levels)


def _require_same(names: list[str], columns: tuple[str, ...], where: str, label: str | None) -> None:
    """Raises `InputError` unless the columns are those that a run knows, in any order; `label` is one that lacks."""
    lacking = [name for name in columns if name not in names and _base(name, names) is None]
    if lacking:
        raise InputError(f"{where} lacks the columns {', '.join(lacking[:8])}, which the run was trained on: give them")
    used = {*columns, *(_base(name, names) for name in columns)}
    if strange := [name for name in names if name not in used]:
        remedy = "leave them out, or name the one of labels by --labels"
        if label:
            remedy = f"it has none called {label!r} for labels, {nearest(label, strange) or 'name it by --labels'}"
        raise InputError(
            f"{where} has the columns {', '.join(strange[:8])}, which the run was not trained on: {remedy}"
        )


def _base(name: str, names: list[str]) -> str | None:
    """Returns the column that NAME=LEVEL or NAME[PLACE] stems from."""
    stems = [stem for stem in names if name.startswith((f"{stem}=", f"{stem}["))]
    return max(stems, key=len, default=None)


def _values(table: Any, columns: tuple[str, ...], where: str) -> np.ndarray:
    """Returns the values `[n, columns]`, with NaN for those that are missing."""
    names = table.column_names
    whole = set(columns) & set(names)
    blocks = []
    for base, group in itertools.groupby(columns, lambda name: name if name in whole else _base(name, names)):
        some = list(group)
        assert base is not None  # `_require_same` has seen to it
        if base in whole:
            blocks += [_numbers(table[base], base, where)[:, None]]
        elif _is_text(table.schema.field(base).type):
            blocks += [_indicators(table[base], base, [name.removeprefix(f"{base}=") for name in some], where)]
        else:
            blocks += [_lists(table[base], base, len(some), where)]
    return np.concatenate(blocks, axis=1)


def _numbers(column: Any, name: str, where: str) -> np.ndarray:
    """Returns a column of numbers as floats, with NaN for what is missing."""
    import pyarrow as pa

    try:
        plain = column.cast(pa.uint8()) if column.type == pa.bool_() else column
        return plain.cast(pa.float64(), safe=False).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        what, remedy = f"holds {column.type}", "give numbers"
        if _is_text(column.type):
            row, text = _first_text(column) or (0, "")
            what, remedy = f"holds {text[:24]!r} in example {row}", "give a number there"
        raise InputError(f"{where}: the column {name!r} {what}, where the run had numbers: {remedy}") from None


def _first_text(column: Any) -> tuple[int, str] | None:
    """Returns the first text of a column that is no number, with the number of its example; None where all are."""
    texts = enumerate(column.to_pylist())
    return next(((row, text) for row, text in texts if text is not None and not _is_number(text)), None)


def _indicators(column: Any, name: str, levels: list[str], where: str) -> np.ndarray:
    """Returns a column of 0 and 1 for each level, with NaN in all of them where the text is missing."""
    texts = column.to_pylist()
    number = {level: i for i, level in enumerate(levels)}
    if strange := sorted({str(text) for text in texts if text is not None} - set(levels)):
        raise InputError(
            f"{where}: the column {name!r} holds {', '.join(map(repr, strange[:5]))}, which the run does not know: its "
            f"levels are {', '.join(levels)}"
        )
    block = np.zeros((len(texts), len(levels)))
    for row, text in enumerate(texts):
        if text is None:
            block[row] = np.nan
        else:
            block[row, number[str(text)]] = 1
    return block


def _lists(column: Any, name: str, length: int, where: str) -> np.ndarray:
    """Returns a column of lists as `[n, length]`. Raises `InputError` where one is missing or of another length."""
    if column.null_count or set(_lengths(column)) != {length}:
        raise InputError(
            f"{where}: some lists in the column {name!r} are missing or not of length {length}: remove them"
        )
    flat = column.combine_chunks().flatten()
    return _numbers(flat, name, where).reshape(-1, length)
