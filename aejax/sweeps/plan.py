"""Plans sweeps: axes of settings, the trials that their grid makes, and which of them train as one program."""

import dataclasses
import hashlib
import itertools
import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aejax.core import InputError, first_line, json_text, setting_path
from aejax.data import Data, DataRecord, Dataset
from aejax.experiment import (
    Experiment,
    canonical,
    part_name,
    to_json,
    train_command,
    vary,
)
from aejax.runs import checkpoint_template
from aejax.sweeps.reading import Reader
from aejax.training import Selection, by_structure

_log = logging.getLogger("aejax")

_MOST_LETTERS = 80
"""Largest length of what the name of a folder says of the axes."""

Axes = Mapping[str, Sequence[Any]]
"""The values of each setting, by its path: `optimizer.learning_rate`, `loss.terms.kl.weight`, `model.latent.size`.

A path that leads to a part (`optimizer`, `loss.likelihood`, `data`) takes names of such parts, and the path
`experiment` takes names of registered experiments.
"""


@dataclass(frozen=True)
class Trial:
    """Holds one experiment of a sweep, and where it lies in the grid."""

    settings: dict[str, Any]
    """The value of each axis, by path."""
    experiment: Experiment
    """The experiment with these settings."""
    id: str
    """The name of the trial, which is the same for the same experiment in any sweep: see `identity`."""

    @property
    def command(self) -> str | None:
        """The command that trains the trial alone; None where no flags make it: see `experiment.train_command`."""
        return train_command(self.experiment)


def identity(experiment: Experiment) -> str:
    """Returns a hash of an experiment's whole configuration, in which the figure that it should achieve has no part."""
    whole = canonical(dataclasses.replace(experiment, expected=None))
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def grid(base: Experiment, axes: Axes) -> list[Trial]:
    """Returns a trial for every combination of the axes' values, in an order where the last axis varies fastest.

    Raises `InputError` for a path that leads to no setting, for a value that it cannot take, and for repeated trials.
    """
    trials, axes = [], {setting_path(path): values for path, values in axes.items()}
    for values in itertools.product(*axes.values()):
        settings = dict(zip(axes, values, strict=True))
        experiment = vary(base, settings)
        trials.append(Trial(settings, experiment, identity(experiment)))
    repeated = len(trials) - len({trial.id for trial in trials})
    if repeated:
        raise InputError(f"{repeated} of the {len(trials)} trials are repetitions of others: give each value once")
    return trials


def groups(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Groups the trials by structure: each group trains as one compiled program."""
    places = by_structure([trial.experiment for trial in trials])
    return [[trials[place] for place in group] for group in places]


def check(
    trials: Sequence[Trial],
    selection: Selection | None = None,
    width: int = 32,
    read: Callable[[Data], Dataset] | None = None,
) -> dict[str, DataRecord]:
    """Checks a plan before any of its trials trains.

    Args:
        trials: the trials.
        selection: the selection that is to end trials early, if there is one.
        width: how many trials of one structure are claimed at once, at most; a selection compares these.
        read: a `Reader` that may have the data already; None: one of its own.

    Returns:
        Records of the trials' data: see `Sweep.records`.

    Raises:
        InputError: for any trial that its data or its model would refuse, and for a selection that could end none. Of
            one that could end only some, a warning tells.
    """
    records, read = dict[str, DataRecord](), read or Reader()
    for group in sorted(groups(trials), key=lambda group: canonical(group[0].experiment.data)):
        data = group[0].experiment.data
        dataset = read(data)
        if canonical(data) not in records:
            records[canonical(data)] = DataRecord.of(dataset)
        resolved = [trial.experiment.resolve(dataset) for trial in group]
        checkpoint_template(resolved[0], dataset.shape)  # a model may refuse its structure, which the trials share
    if selection is not None:
        _check_selection(trials, selection, width, records)
        _check_comparison(trials, selection)
    return records


def _check_selection(
    trials: Sequence[Trial], selection: Selection, width: int, records: Mapping[str, DataRecord]
) -> None:
    idle: list[Trial] = []
    for group in groups(trials):
        first = group[0].experiment
        epochs = first.epochs
        if first.steps is not None:
            epochs = math.ceil(first.steps / max(records[canonical(first.data)].rows["train"] // first.batch_size, 1))
        for start in range(0, len(group), width):
            claimed = group[start : start + width]
            why = selection.why_idle(len(claimed), epochs)
            if why is not None:
                idle += claimed
                reason = why
    if len(idle) == len(trials):
        raise InputError(f"no trial could end early, as {reason}: leave the selection out, or change it")
    if idle:
        _log.warning("%d of %d trials never end early, as %s", len(idle), len(trials), reason)


def _check_comparison(trials: Sequence[Trial], selection: Selection) -> None:
    """Raises `InputError` where a selection compares trials whose losses measure different things."""
    from aejax.sweeps.objective import LOSS, why_unranked

    for group in groups(trials):
        why = why_unranked(LOSS, [trial.experiment for trial in group]) if selection.compares else None
        if why is not None:
            raise InputError(f"{why}, so that trials cannot be ended by comparing it: give --patience, which does not")


def settings_at(trial: Trial, paths: Iterable[str]) -> dict[str, Any]:
    """Returns a trial's value at each path: that of its axis, or the one that its experiment has where it has none."""
    content = to_json(trial.experiment)
    found = {}
    for path in paths:
        if path in trial.settings:
            found[path] = trial.settings[path]
        elif path == "experiment":
            found[path] = trial.experiment.name
        else:
            inner: Any = content
            for name in path.split("."):
                inner = inner.get(name) if isinstance(inner, dict) else None
            found[path] = part_name(inner) if isinstance(inner, dict) else inner
    return found


def parse_axis(text: str) -> tuple[str, list[Any]]:
    """Parses an axis as it is typed, `PATH=VALUES`, and returns its path and its values.

    Values are separated by commas: numbers, names, true, false, null, or lists (`[64,32],[128]`).
    `0..9` are the whole numbers from 0 to 9; `1e-4:1e-2:log:5` are five numbers evenly apart on a logarithmic scale,
    ends included, and `0:1:lin:5` on a linear one. Raises `InputError` for any other text.
    """
    path, equals, values = text.partition("=")
    if not equals or not path or not values:
        raise InputError(f"{text!r} is no axis: give PATH=VALUES, such as optimizer.learning-rate=1e-4:1e-2:log:5")
    return setting_path(path), [value for item in _items(values) for value in _values(item, text)]


def read_axes(path: Path) -> dict[str, list[Any]]:
    """Reads the axes in a YAML file as Weights & Biases writes grids: `parameters: {PATH: {values: [...]}}`.

    `{value: X}` fixes a setting. Raises `InputError` for a file of another form, or one that asks for another method
    than a grid.
    """
    import yaml

    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({first_line(error)}): give a YAML file of axes") from None
    try:
        content = yaml.safe_load(raw.decode())
        axes = {}
        for name, entry in content["parameters"].items():
            values = entry["values"] if "values" in entry else [entry["value"]]
            if not isinstance(values, list) or not all(map(_is_flat, values)):
                raise ValueError("values must be a list, and none of them a list of lists")
            axes[setting_path(str(name))] = [_number(value) for value in values]
    except (ValueError, yaml.YAMLError, AttributeError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path} is no grid in YAML: it must say parameters: {{PATH: {{values: [...]}}}}") from None
    if content.get("method", "grid") != "grid":
        raise InputError(f"{path} asks for the method {content['method']!r}, but only grid can be read from a file")
    return axes


def folder_name(axes: Mapping[str, Any], search: str = "") -> str:
    """Returns the name of a sweep's folder: what it varies, and a hash of what it fixes.

    It is the same where only values or seeds are added to axes that vary.

    Args:
        axes: the values of each axis, or of a search its range, by path.
        search: of a search, whatever else must be the same for its workers.
    """
    fixed = {path: values for path, values in axes.items() if isinstance(values, Sequence) and len(values) == 1}
    fixed.pop("seed", None)
    swept = [path for path in axes if path not in fixed and path != "seed"]
    called = "+".join(".".join(path.split(".")[-2:]) for path in swept) or "seed"
    if len(called) > _MOST_LETTERS:
        called = f"{len(swept)}-axes"
    ranges = {path: repr(axes[path]) for path in swept} if search else {}
    about = json_text([sorted(swept), fixed, search, ranges], sort_keys=True)
    mark = hashlib.sha256(about.encode()).hexdigest()[:6]
    return f"{'search-' if search else ''}{called}-{mark}"


def _items(values: str) -> list[str]:
    """Splits a text at the commas that are not inside brackets."""
    items, depth = [""], 0
    for letter in values:
        depth += (letter == "[") - (letter == "]")
        if letter == "," and depth == 0:
            items.append("")
        else:
            items[-1] += letter
    return items


def _values(item: str, text: str) -> list[Any]:
    first, dots, last = item.partition("..")
    if dots and _is_whole(first) and _is_whole(last):
        if int(first) > int(last):
            raise InputError(f"{item!r} in {text!r} holds no number: give the lower end first")
        return list(range(int(first), int(last) + 1))
    if item.count(":") == 3:
        return _spaced(item, text)
    if not item:
        raise InputError(f"{text!r} has an empty value: separate values by single commas")
    try:
        return [json.loads(item)]
    except ValueError:
        return [item]


def _spaced(item: str, text: str) -> list[float]:
    low, high, kind, count = item.split(":")
    try:
        start, end, number = float(low), float(high), int(count)
        if kind not in ("log", "lin") or number < 2 or (kind == "log" and min(start, end) <= 0):
            raise ValueError
    except ValueError:
        raise InputError(
            f"{item!r} in {text!r} is no range: give LOW:HIGH:log:N or LOW:HIGH:lin:N with N of at least 2, "
            "and both ends above zero for log"
        ) from None
    if kind == "log":
        return [float(f"{value:.6g}") for value in _line(math.log10(start), math.log10(end), number, power=True)]
    return [float(f"{value:.6g}") for value in _line(start, end, number)]


def _line(start: float, end: float, number: int, power: bool = False) -> list[float]:
    points = [start + (end - start) * index / (number - 1) for index in range(number)]
    return [10**point for point in points] if power else points


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _is_flat(value: Any) -> bool:
    """Tells whether a value is a single one or a list of single ones.

    Nested lists are refused, because a few lines of YAML can make a billion values of them.
    """
    return not any(isinstance(item, list | dict) for item in (value if isinstance(value, list) else [value]))


def _number(value: Any) -> Any:
    """Turns a word that is a number into it: YAML 1.1 takes 1e-4, which has no decimal point, for a word."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
