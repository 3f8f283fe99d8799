"""Parses commands: a flag that does not exist is refused with the nearest ones, and help shows commands as a tree."""

import contextlib
import io
import itertools
import os
import re
import shutil
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import tyro

from aejax.cli._refusals import refused
from aejax.core import InputError, first_sentence, similar, similar_paths

T = TypeVar("T")

_MOST_OFFERED = 4

_FLAG = re.compile(r"--[^\W\d]|-(?!(?:inf|infinity|nan)\b)[a-z]", re.IGNORECASE)
"""How a flag begins, and a negative number does not."""


def parse(
    options: Callable[..., T],
    prog: str,
    arguments: Sequence[str],
    elsewhere: Callable[[str], str] = lambda flag: "",
    **settings: Any,
) -> T:
    """Parses the arguments of a command.

    Args:
        options: the dataclass whose fields are the flags.
        prog: what the command is called.
        arguments: the arguments.
        elsewhere: says of an unknown flag what else has it, or nothing.
        settings: what `tyro.cli` takes besides.

    Returns:
        An instance of `options`.

    Raises:
        InputError: for a flag that is none of the command's, with the nearest of them, for what is too much or missing,
            and for values of another kind.
        SystemExit: after help.
    """
    how = {"prog": prog, "args": arguments, "return_unknown_args": True, **settings}
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            parsed, left = tyro.cli(options, **how)
    except SystemExit as end:
        if not end.code:
            raise
        # tyro takes the words behind an unknown flag for something else, and says what is wrong with that
        unknown = _unknown_flag(arguments, prog, _flags(options, prog, settings), elsewhere)
        _, errors = _said(options, how, 10_000)  # where no line is wrapped
        raise unknown or refused(errors, options, prog, arguments) from None
    if left:
        unknown = _unknown_flag(left, prog, _flags(options, prog, settings), elsewhere)
        raise unknown or InputError(f"{prog} takes no {left[0]!r}: `{prog} --help` shows what it takes")
    return parsed


def _unknown_flag(
    arguments: Sequence[str], prog: str, known: Sequence[str], elsewhere: Callable[[str], str]
) -> InputError | None:
    """Returns the error for the first flag among arguments that is not known; None where all are, or none can be."""
    before = itertools.takewhile(lambda argument: argument != "--", arguments)
    given = (argument.partition("=")[0] for argument in before if _FLAG.match(argument))
    flag = next((flag for flag in given if flag.replace("_", "-") not in {*known, "-h"}), None)
    if flag is None or not known:
        return None
    near = nearest_flags(flag, known)
    guess = f"did you mean {' or '.join(near)}?" if near else f"`{prog} --help` shows all"
    return InputError(f"{prog} has no flag {flag}: {elsewhere(flag) or guess}")


def _said(options: Callable[..., Any], how: Mapping[str, Any], columns: int) -> tuple[str, str]:
    """Returns what tyro prints where it ends, for a terminal of so many columns: as output, and as errors.

    It prints in ASCII, as an output that is no file has no encoding.
    """
    output, errors, before = io.StringIO(), io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(columns)
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors), contextlib.suppress(SystemExit):
            tyro.cli(options, **how)
    finally:
        os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)
    return output.getvalue(), errors.getvalue()


def nearest_flags(flag: str, known: Iterable[str]) -> list[str]:
    """Returns the flags that an unknown one may mean.

    These are the flags that have its words; else those whose last words have its letters as initials, as
    `--optimizer.learning-rate` for `--lr`; else those that are spelled like it.
    """
    known, words = list(known), _words(flag)
    last = {other: other.rpartition(".")[2].removeprefix("--") for other in known}
    having = [other for other in known if words and {*words} <= {*_words(other)}]
    exactly = [other for other in having if _words(last[other]) == words]
    group, _, short = flag.removeprefix("--").lower().rpartition(".")
    initials = [
        other
        for other in known
        if "-" in last[other] and _initials(last[other]) == short and other.startswith(f"--{group}")
    ]
    if found := exactly or having or initials:
        return sorted(found, key=lambda other: (other.count("."), len(other)))[:_MOST_OFFERED]
    whole = {other.removeprefix("--"): other for other in known}
    ends = {end: other for other, end in reversed(last.items())}
    name = flag.removeprefix("--")
    return [whole[near] for near in similar_paths(name, whole)] or [ends[near] for near in similar(name, ends)]


def _initials(name: str) -> str:
    return "".join(word[0] for word in _words(name))


def _words(flag: str) -> list[str]:
    return [word for word in re.split(r"[-._]", flag.lower()) if word]


def _flags(options: Any, prog: str, settings: Mapping[str, Any]) -> list[str]:
    """Returns the flags of a command, as its help shows them."""
    how = {**settings, "prog": prog, "args": ["--help"], "description": ""}
    shown, _ = _said(options, how, 80)  # a wide terminal gets boxes side by side, where not every flag begins a line
    found = re.findall(r"^\s*((?:--?[\w.-]+,? ?)+)", shown, re.MULTILINE)
    return list(dict.fromkeys(flag for line in found for flag in re.findall(r"--\w[\w.-]*", line)))


def print_tree(commands: Mapping[str, Any], about: str, prog: str = "aejax") -> None:
    """Prints commands, each with the first sentence on it; those of two words stand below their first.

    Args:
        commands: what each command runs, by its name.
        about: what is said above them.
        prog: what stands before each name.
    """
    print(f"usage: {prog} COMMAND [OPTIONS]\n\n{about}\n")
    print(as_list({_indented(name): first_sentence(made.__doc__) for name, made in commands.items()}))
    print(f"\n`{prog} COMMAND --help` shows the options of a command.")


def _indented(name: str) -> str:
    return f"  {name}" if " " in name else name


def as_list(lines: Mapping[str, str], indent: str = "") -> str:
    """Returns names, each with a text beside it that is wrapped to the terminal, or 80 columns without one."""
    width = max(map(len, lines))
    columns = max(shutil.get_terminal_size().columns, width + 30)
    wrapped = (
        textwrap.fill(
            text,
            columns,
            initial_indent=f"{indent}{name:{width}}  ",
            subsequent_indent=" " * (len(indent) + width + 2),
            break_on_hyphens=False,
        )
        for name, text in lines.items()
    )
    return "\n".join(wrapped)
