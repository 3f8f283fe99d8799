"""Prints tables that fit the terminal: heads are never cut."""

from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table


def show(columns: Mapping[str, Sequence[str]], title: str) -> None:
    """Prints columns as a table under a title; where they do not fit beside each other, each row as a list of values.

    Args:
        columns: the cells of each column, by its head.
        title: the title, a line or several.
    """
    console = Console()
    for heads in ([*columns], [head.replace(".", ".\n").replace(" ", "\n") for head in columns]):
        widths = [
            max(map(cell_len, (*head.split("\n"), *cells))) for head, cells in zip(heads, columns.values(), strict=True)
        ]
        if sum(widths) + 3 * len(widths) + 1 <= console.width:
            table = Table(*heads, title=title, title_justify="left")
            for row in zip(*columns.values(), strict=True):
                table.add_row(*row)
            console.print(table)
            return
    print(title)
    width = max(map(cell_len, columns))
    for row in zip(*columns.values(), strict=True):
        print()
        for head, cell in zip(columns, row, strict=True):
            if cell:
                print(f"  {head:{width}}  {cell}")
