"""Tables keep their heads whole, whatever the width."""

import re

import numpy as np
import pytest

from aejax.core import print_table
from aejax.core.tables import table_widths

HEADS = [
    "",
    "logistic_accuracy ↑",
    "svm_accuracy ↑",
    "knn_accuracy ↑",
    "kmeans_accuracy ↑",
    "kmeans_nmi ↑",
    "nll_5000_nats ↓",
]


@pytest.mark.parametrize("width", [30, 50, 80, 200])
def test_every_head_is_whole_and_no_line_is_wider_than_the_terminal(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    rows = [[f"input {n}", *(f"{x:.4f}" for x in np.linspace(n, n + 1, 6))] for n in range(3)]
    print_table(HEADS, rows, "title", "caption")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    columns = [""] * len(max(lines, key=len))
    words = " ".join(" ".join(lines).replace("┃", " ").split())
    for head in HEADS[1:]:
        for piece in re.split(r" |(?<=_)(?=[a-z])", head):
            assert piece in words, columns
    assert all(cell in words.replace("│", " ").split() for row in rows for cell in row[1:])
    assert lines[0].startswith("title")
    assert "caption" in lines[-1]


@pytest.mark.parametrize("seed", range(20))
def test_columns_are_divided_among_tables_that_fit_and_none_is_lost(seed):
    rng = np.random.default_rng(seed)

    def word():
        return "".join(rng.choice([*"abc_. "], rng.integers(1, 20)))

    heads, rows = [word() for _ in range(7)], [[word() for _ in range(7)] for _ in range(4)]
    for width in (60, 80, 300):
        parts = table_widths(heads, rows, width)
        assert [column for part in parts for column in part if column] == [*range(1, 7)]
        assert all(next(iter(part)) == 0 for part in parts)
        assert all(sum(part.values()) + 3 * len(part) + 1 <= width for part in parts if len(part) > 2)
        for part in parts:
            for column, size in part.items():
                assert size >= max(map(len, re.split(r" |(?<=[_.])(?=[a-z])", heads[column])))
    assert len(table_widths(heads, rows, 300)) == 1
