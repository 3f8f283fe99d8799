"""Says in one sentence why tyro refused arguments, which it says itself in several lines."""

import re
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from aejax.core import KINDS, InputError, first_sentence, no_choice, of_other_kind

_KINDS = {"INT": KINDS[int], "FLOAT": KINDS[float], "STR": KINDS[str], "PATH": KINDS[Path]}
"""What the words mean that tyro has for the kinds of values: of one, and of several."""

_TITLE = re.compile(r"\A.*\n *-{3,} *\n")
"""The title of what it says, with the line below."""

_RULE = re.compile(r" *-{3,}")
"""A line between two parts of it."""


def refused(errors: str, options: Callable[..., Any], prog: str, arguments: Sequence[str]) -> InputError:
    """Returns the error that stands for what tyro has printed.

    Args:
        errors: what it has printed, in lines that were not wrapped, and in ASCII.
        options: the class whose fields are the flags.
        prog: what the command is called.
        arguments: what was typed behind it.
    """
    lines = [line.rstrip() for line in _TITLE.sub("", errors).splitlines()]
    lines = [line for line in lines if line and not _RULE.fullmatch(line)]
    text, shown = " ".join(map(str.strip, lines)), f"`{prog} --help` shows what it takes"
    if names := _missing(lines, options):
        return InputError(f"{prog} needs {names}: {shown}")
    if found := re.search(r"invalid choice '(.*)' for argument '(\S+)'\. Expected one of \((.*?),?\)\.", text):
        return no_choice(found[2], found[1], set(re.findall(r"'([^']*)'", found[3])) - {"None"})
    if found := re.search(r"Missing value for argument '(\S+)'", text):
        return InputError(f"{found[1]} is given without a value: {shown}")
    if found := re.search(r"Error parsing (-\S+): .* Argument helptext:", text):
        kind = next((line.strip().partition(" ")[2] for line in lines if line.strip().startswith(f"{found[1]} ")), "")
        if kind and (typed := _typed(found[1], arguments)):
            several = re.search(r"[\s\[]", kind)
            return of_other_kind(found[1], in_words(kind), " ".join(typed if several else typed[:1]))
    why = re.search(r"Error parsing \S+: (.*?)(?: Argument helptext:| For full helptext|$)", text)
    if why and why[1]:
        return InputError(why[1])
    said = first_sentence(text.partition("For full helptext")[0]).rstrip(" .:")
    return InputError(f"the arguments of {prog} could not be read{f' ({said})' if said else ''}: {shown}")


def in_words(kind: str) -> str:
    """Returns in words what tyro calls a kind of value: `{None}|INT` is a whole number or None."""
    alternatives = re.findall(r"\{[^{}]*\}|\[[^|{}]*\]|[A-Z]+", kind)
    words = [_alternative(each) for each in alternatives if each != "{None}"]
    return " or ".join([*dict.fromkeys(words), *(["None"] if "{None}" in alternatives else [])]) or kind


def _alternative(kind: str) -> str:
    names = re.findall(r"[^\s{}\[\],]+", kind)
    known = [_KINDS[name] for name in names if name in _KINDS]
    if not known:
        return f"one of {', '.join(names)}" if len(names) > 1 else kind
    if kind.startswith("["):
        return known[0][1]
    return known[0][0] if len(known) == 1 else f"{len(known)} {known[0][1]}"


def _typed(flag: str, arguments: Sequence[str]) -> list[str]:
    """Returns what was typed behind a flag, the last time that it was given."""
    found: list[str] = []
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name.replace("_", "-") == flag.replace("_", "-"):
            behind = iter(arguments[place + 1 :])
            found = [value] if equals else []
            for word in () if equals else behind:
                if word.startswith("--"):
                    break
                found.append(word)
    return found


def _missing(lines: Sequence[str], options: Callable[..., Any]) -> str:
    """Returns what is missing, by the names of fields: of what has no flag, RUN for a field `run`."""
    found = re.search(r"^( *)Missing from .*:\n((?:\1    .*\n)+)", "".join(f"{line}\n" for line in lines), re.MULTILINE)
    invocations = re.findall(rf"^{found[1]} {{4}}(\S+)", found[2], re.MULTILINE) if found else []
    flags = [name for name in invocations if name.startswith("-")]
    hints = typing.get_type_hints(options, include_extras=True)
    plain = [name.upper() for name, hint in hints.items() if _is_positional(hint) and not hasattr(options, name)]
    bare = len(invocations) - len(flags)
    names = [*(plain[-bare:] if bare else []), *flags]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _is_positional(hint: Any) -> bool:
    marker = typing.get_args(Positional[int])[1]
    return marker in typing.get_args(hint)[1:]
