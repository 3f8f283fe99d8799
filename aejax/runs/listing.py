"""Lists the runs below a folder and compares them by what their folders say: no model is made.

>>> runs = select(find_runs(Path("runs")), ["optimizer.learning_rate>=1e-3", "state=done"])
"""

import datetime
import logging
import math
import operator
import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from aejax.core import InputError, kebab, nearest, setting_path, short_paths
from aejax.runs.files import read_object
from aejax.runs.metric_log import whole_rows
from aejax.runs.status import Notes, State, read_notes, read_state

log = logging.getLogger("aejax")

OWN = ("run", "entry", "name", "tags", "note", "state", "error", "begun", "epoch", "step", "seconds")
"""Columns that say of a run what is neither a setting nor a metric."""

_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}


@dataclass(frozen=True)
class ListedRun:
    """Holds what the folder of a run says of it."""

    path: Path
    """The run's folder."""
    content: dict[str, Any]
    """The content of experiment.json."""
    notes: Notes
    """What the user said of the run."""
    state: State
    """How it stands."""
    error: str | None
    """The first line of the error that ended it."""

    @property
    def entry(self) -> str:
        """Returns the name of the experiment."""
        return str(self.content["experiment"].get("name", ""))

    @property
    def begun(self) -> str:
        """Returns when it was begun, in local time, as its folder says or else the file of its settings."""
        stamp = re.match(r"(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)", self.path.name)
        if stamp:
            return "{}-{}-{} {}:{}:{}".format(*stamp.groups())
        seconds = (self.path / "experiment.json").stat().st_mtime
        return datetime.datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Returns its settings by path; a part is the name by which it is chosen."""
        return dict(_settings(self.content["experiment"]))

    @cached_property
    def changed(self) -> dict[str, Any] | None:
        """Returns the settings that differ from the registered experiment's; None where there was none of that name.

        A run of an older version does not say them: they are found by making that experiment, which takes a second.
        """
        if "changed" in self.content:
            found = self.content["changed"]
            return found if isinstance(found, dict) else None
        from aejax.experiment import registry, to_json

        if self.entry not in registry.names():
            return None
        usual = dict(_settings(to_json(registry.get(self.entry))))
        # Data stand there by their name, which is a setting of theirs too.
        return {path: value for path, value in self.settings.items() if path != "data" and usual.get(path) != value}

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Returns the rows of its metrics."""
        try:
            return list(whole_rows((self.path / "metrics.jsonl").read_text(errors="replace")))
        except OSError:
            return []

    @property
    def seconds(self) -> float:
        """Returns the seconds that it has trained."""
        return float(sum(row["seconds"] for row in self.rows if row["split"] == "train"))

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Returns its last metrics as `train.NAME` and `validation.NAME`, and those of its result as `test.NAME`.

        The result of a run that went on since is not its own any more, and is left out.
        """
        found: dict[str, float] = {}
        for row in self.rows:
            numbers = {name: value for name, value in row.items() if name not in _PLACE}
            found |= {f"{row['split']}.{name}": value for name, value in numbers.items()}
        measured = self._result("test")
        return found | {f"test.{name}": math.nan if n is None else n for name, n in measured.items()}

    @property
    def at_ceiling(self) -> dict[str, float]:
        """Returns what those test metrics that are near it cannot be above, by `test.NAME`: the truth may be higher."""
        return {f"test.{name}": ceiling for name, ceiling in self._result("at_ceiling").items()}

    def _result(self, key: str) -> dict[str, Any]:
        content = read_object(self.path / "result.json").get(key) if self.state == "done" else None
        return content if isinstance(content, dict) else {}

    def shown(self, column: str) -> str:
        """Returns a column's value as it is shown, with ≥ before an estimate at its ceiling."""
        value = self.value(column)
        name = next((known for known in named(column) if known in self.metrics), "")
        return f"≥ {shown(value)}" if name in self.at_ceiling else shown(value)

    def value(self, column: str) -> Any:
        """Returns what stands in a column: one of `OWN`, the path of a setting, or a metric; None where nothing does.

        A metric without its part is that of validation, and of a run without such that of test.
        """
        column = setting_path(column)
        if column in OWN:
            return self._own(column)
        if column in self.settings:
            return self.settings[column]
        return next((self.metrics[name] for name in named(column) if name in self.metrics), None)

    def _own(self, column: str) -> Any:
        last: dict[str, Any] = next((row for row in reversed(self.rows) if row["split"] == "train"), {})
        if column in ("epoch", "step"):
            return last.get(column, 0)
        if column in ("name", "tags", "note"):
            found = getattr(self.notes, column)
            return " ".join(found) if column == "tags" else found
        return str(self.path) if column == "run" else getattr(self, column)


_PLACE = ("split", "epoch", "step", "seconds", "examples_per_second")


def named(metric: str) -> tuple[str, ...]:
    """Returns the columns that a metric may be meant by: itself, or that of validation, then that of test."""
    return (metric, f"validation.{metric}", f"test.{metric}")


def find_runs(folder: Path) -> list[ListedRun]:
    """Returns the runs in a folder and below it, the oldest first. Raises `InputError` where there is no folder."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: give one with runs in it, as train's --out")
    runs = [run for path in _folders(folder) if (run := _read(path)) is not None]
    return sorted(runs, key=lambda run: (run.begun, str(run.path)))


def run_in(folder: Path) -> ListedRun | None:
    """Returns the run whose folder it is; None where it is no run's, or its settings are damaged."""
    return _read(folder) if (folder / "experiment.json").is_file() else None


def select(runs: Sequence[ListedRun], conditions: Sequence[str], tags: Collection[str] = ()) -> list[ListedRun]:
    """Returns the runs that have all tags and meet all conditions.

    Args:
        runs: the runs.
        conditions: each COLUMN=VALUE, or with !=, <, <=, > or >=. See `ListedRun.value` for the columns.
        tags: the tags.

    Raises:
        InputError: for a text that is no condition, and for a column that none of the runs has.
    """
    tests = [_condition(text) for text in conditions]
    require_columns(runs, [column for column, _, _ in tests])
    tagged = [run for run in runs if {*tags} <= {*run.notes.tags}]
    return [run for run in tagged if all(_meets(run.value(column), how, given) for column, how, given in tests)]


def ordered(runs: Sequence[ListedRun], column: str, falling: bool = False) -> list[ListedRun]:
    """Returns the runs in the order of a column, those without a value last.

    Raises `InputError` for a column that none of the runs has.
    """
    require_columns(runs, [column])
    known = [run for run in runs if not _is_missing(run.value(column))]
    numbers = all(isinstance(run.value(column), int | float) for run in known)
    key: Callable[[ListedRun], Any] = lambda run: run.value(column) if numbers else str(run.value(column))  # noqa: E731
    return sorted(known, key=key, reverse=falling) + [run for run in runs if _is_missing(run.value(column))]


def require_columns(runs: Sequence[ListedRun], columns: Sequence[str]) -> None:
    """Raises `InputError`, with the nearest names, for a column that none of the runs has."""
    known = dict.fromkeys([*OWN, *(path for run in runs for path in (*run.settings, *run.metrics))])
    for column in columns:
        if runs and not {setting_path(column), *named(setting_path(column))} & known.keys():
            guess = nearest(setting_path(column), known) or f"give one of {', '.join(OWN)}, a setting or a metric"
            raise InputError(f"no run has {column!r}: {guess}")


def as_lines(runs: Sequence[ListedRun]) -> list[dict[str, Any]]:
    """Returns a line for each run with all that is known of any of them by name: `OWN`, metrics, and settings."""
    said = [run.metrics | {f"{name}.ceiling": most for name, most in run.at_ceiling.items()} for run in runs]
    known = [{c: run.value(c) for c in OWN} | more | run.settings for run, more in zip(runs, said, strict=True)]
    columns = [*OWN, *(name for more in said for name in more), *(path for run in runs for path in run.settings)]
    return [{name: line.get(name) for name in dict.fromkeys(columns)} for line in known]


def differences(runs: Sequence[ListedRun]) -> tuple[str, list[str]]:
    """Returns what differs from the registered experiments of their names: in all of the runs, and in each besides.

    Both are texts, PATH=VALUE with short paths. Of a run that was not registered each says that.
    """
    changed = [run.changed or {} for run in runs]
    paths = list(dict.fromkeys(path for one in changed for path in one))
    short = dict(zip(paths, short_paths(paths, least=2), strict=True)) | {"data.name": "data"}
    several = len(runs) > 1
    shared = {p for p in paths if several and all(p in one and one[p] == changed[0][p] for one in changed)}

    def text(settings: dict[str, Any], chosen: Callable[[str], bool]) -> str:
        return ", ".join(f"{short[path]}={shown(value)}" for path, value in settings.items() if chosen(path))

    each = [
        "not registered" if run.changed is None else text(run.changed, lambda path: path not in shared) for run in runs
    ]
    return text(changed[0], shared.__contains__), each


def shown(value: Any) -> str:
    """Returns a value as it is shown in a table: a float with four significant digits, nothing for None."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)


def _folders(folder: Path) -> Iterator[Path]:
    for path, inside, files in os.walk(folder):
        if "experiment.json" in files:
            inside.clear()  # no run lies in another
            yield Path(path)


def _read(path: Path) -> ListedRun | None:
    """Returns the run in a folder; None where its settings are damaged."""
    content = read_object(path / "experiment.json")
    if not isinstance(content.get("experiment"), dict):
        log.warning("%s is passed over: its experiment.json is damaged", path)
        return None
    state, error = read_state(path)
    return ListedRun(path, content, read_notes(path), state, error)


def _settings(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every setting in the JSON form of an experiment, by path, and every part as its kind."""
    if not isinstance(value, dict):
        yield path, value
        return
    if path and isinstance(kind := value.get("class"), str):
        yield path, value.get("name") if kind == "Data" else kebab(kind)  # as on the command line
    for name, item in value.items():
        if not (isinstance(item, str) and name == "class") and not (path == "" and name in ("name", "expected")):
            yield from _settings(item, f"{path}.{name}" if path else name)


def _condition(text: str) -> tuple[str, Callable[[Any, Any], bool], str]:
    found = re.fullmatch(r"\s*([^=<>!]+?)\s*(>=|<=|!=|>|<|=)\s*(.*?)\s*", text)
    if found is None:
        raise InputError(f"{text!r} is no condition: give COLUMN=VALUE, or with !=, <, <=, > or >=")
    return found[1], _COMPARED[found[2]], found[3]


def _meets(value: Any, compare: Callable[[Any, Any], bool], given: str) -> bool:
    """Tells whether a value compares so with one that was typed: as numbers where both are, else as texts."""
    if value is None:
        return compare is (operator.eq if given.lower() in ("", "null", "none") else operator.ne)
    number = _number(given)
    if isinstance(value, int | float) and not isinstance(value, bool) and number is not None:
        return compare(value, number)
    return compare(str(value).lower().replace(" ", ""), given.lower().replace(" ", ""))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
