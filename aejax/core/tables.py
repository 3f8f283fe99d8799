"""Prints tables that keep their heads whole in a terminal of any width. Whatever prints a table does it here."""

import re
from collections.abc import Sequence

_FRAME = 3
"""Width of the line between two columns of a table, and of a blank on either side of it."""

_LONGEST = 16
"""Width above which a word of a cell may be divided, so that the column can be narrower than the word."""


def print_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None, caption: str | None = None
) -> None:
    """Prints a table, no wider than the terminal, or than 80 columns where there is none.

    In a narrow column a text goes on in the next line after a blank, or a point or an underscore within a word. Columns
    that do not fit beside each other stand in tables below each other, each with the first column.

    Args:
        heads: the heads of the columns.
        rows: the cells of each row, as many as there are heads.
        title: what stands above the table.
        caption: what stands below it.
    """
    from rich.console import Console  # here, as commands that print no table do not wait for it
    from rich.table import Table
    from rich.text import Text

    console = Console()
    parts = table_widths(heads, rows, console.width)
    for number, widths in enumerate(parts):
        table = Table(title=title if number == 0 else None, title_justify="left", caption_justify="left")
        table.caption = caption if number == len(parts) - 1 else None
        for column, width in widths.items():
            head = Text("\n".join(_lines(heads[column], width)))
            numeric = _is_numeric([row[column] for row in rows])
            table.add_column(head, justify="right" if numeric else "left", width=width, overflow="fold")
        for row in rows:
            table.add_row(*(Text("\n".join(_lines(row[column], width))) for column, width in widths.items()))
        console.print(table)


def table_widths(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[dict[int, int]]:
    """Divides columns among tables that fit a width, and returns of each the width of its columns by their number."""
    cells = [[row[column] for row in rows] for column in range(len(heads))]
    least = [max(_longest(head), *map(_least, column), 1) for head, column in zip(heads, cells, strict=True)]
    least[0] = max(least[0], *map(len, cells[0]))  # which row it is can be copied
    whole = [max(len(head), *map(len, column), 1) for head, column in zip(heads, cells, strict=True)]
    parts: list[dict[int, int]] = [{}]
    for column in range(len(heads)):
        taken = sum(size + _FRAME for size in parts[-1].values()) + 1
        if len(parts[-1]) > 1 and taken + least[column] + _FRAME > width:
            parts.append({0: least[0]})
        parts[-1][column] = least[column]
    for part in parts:
        left = width - 1 - sum(size + _FRAME for size in part.values())
        for column in sorted(part, key=lambda column: whole[column] - least[column]):
            more = max(min(whole[column] - least[column], left), 0)
            part[column], left = part[column] + more, left - more
    return parts


def _pieces(text: str) -> list[str]:
    """Divides a text after each blank, and after points and underscores within words; an arrow is no word."""
    return re.split(r"(?<=\s)(?![↑↓])|(?<=[._=])(?=[A-Za-z])", text)


def _longest(text: str) -> int:
    return max((len(piece.rstrip()) for piece in _pieces(text)), default=0)


def _least(cell: str) -> int:
    """Returns the least width of a cell: that of its longest piece, unless that may be divided."""
    return len(cell) if _is_number(cell) else min(_longest(cell), _LONGEST)


def _lines(text: str, width: int) -> list[str]:
    """Divides a text into lines of a width, where no piece is longer."""
    lines = [""]
    for piece in _pieces(text):
        if lines[-1] and len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[-+±≥≤]?\s?[\d.,]+(e[-+]?\d+)?\s?%?|nan|-?inf|", cell) is not None


def _is_numeric(cells: Sequence[str]) -> bool:
    return any(cells) and all(map(_is_number, cells))
