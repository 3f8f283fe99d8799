"""Holds the rows of metrics of a training run, as a list that becomes a data frame and that a notebook shows."""

import html
from typing import TYPE_CHECKING, Any

from aejax.core import import_extra

if TYPE_CHECKING:
    import pandas

_SHOWN = 10
"""Number of rows that a notebook shows from the beginning, and from the end."""


class History(list[dict[str, Any]]):
    """The rows of metrics.jsonl: one for each part of the data wherever rows were due, by default after each epoch."""

    @property
    def columns(self) -> list[str]:
        """Returns the names that rows have, in the order in which they come."""
        return list(dict.fromkeys(name for row in self for name in row))

    def to_pandas(self) -> "pandas.DataFrame":
        """Returns a data frame: a row for each of these, and columns by their names; NaN where a row lacks one.

        Raises `InputError` where pandas is not installed.
        """
        return import_extra("pandas", "pandas").DataFrame(list(self), columns=self.columns)

    def _repr_html_(self) -> str:
        """Returns what a notebook shows: a table of the first rows and the last."""
        columns = self.columns
        head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
        lines = [_line(row, columns) for row in self]
        if len(lines) > 2 * _SHOWN:
            left = f"<tr><td colspan='{len(columns)}'>… {len(lines) - 2 * _SHOWN:,} rows …</td></tr>"
            lines = [*lines[:_SHOWN], left, *lines[-_SHOWN:]]
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _line(row: dict[str, Any], columns: list[str]) -> str:
    cells = [row.get(name, "") for name in columns]
    shown = [f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in cells]
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in shown)}</tr>"
