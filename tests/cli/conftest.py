"""Runs commands of the command line in this process."""

import sys

import pytest

from aejax.cli import _entry


def run(*arguments, monkeypatch):
    """The exit code of a command, run in this process as from a shell."""
    monkeypatch.setattr(sys, "argv", ["aejax", *map(str, arguments)])
    try:
        _entry.main()
    except SystemExit as exit_:
        return exit_.code or 0
    return 0


@pytest.fixture
def command(monkeypatch, capsys):
    def run_and_read(*arguments):
        code = run(*arguments, monkeypatch=monkeypatch)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_and_read
