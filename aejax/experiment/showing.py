"""Shows an experiment: in a line, as a tree of its settings, as HTML; each names what the registered one has."""

import html
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from aejax.core import InputError
from aejax.experiment import registry

if TYPE_CHECKING:
    from aejax.experiment.experiment import Experiment


class Setting(NamedTuple):
    """Holds a line of the tree: a setting, or a part, which has settings of its own."""

    path: str
    """Where it stands, as `optimizer.learning_rate`."""
    value: str
    """Its value, or the class of the part."""
    remark: str
    """What the registered experiment has in its place; empty where it has the same."""

    @property
    def depth(self) -> int:
        """Returns how many parts it lies in."""
        return self.path.count(".")

    @property
    def name(self) -> str:
        """Returns the last word of its path."""
        return self.path.rpartition(".")[2]


def model_in_words(model: Any) -> str:
    """Returns the class of a model with that and the size of its latent, where it is known before the data are."""
    return f"{type(model).__name__} of {type(model.latent).__name__}({model.latent.size or ''})"


def changed_in_words(experiment: "Experiment") -> str:
    """Says in which settings an experiment differs from the registered one, as `PATH=VALUE, ...`."""
    changed = _changes(experiment)
    if changed is None:
        return "an experiment of its own"
    said = ", ".join(f"{path}={_text(value)}" for path, value in changed.items())
    return f"but {said}" if said else "as registered"


def in_a_line(experiment: "Experiment") -> str:
    """Returns what an experiment is in one line: name, model, data, length, and what differs."""
    length = f"{experiment.epochs} epochs" if experiment.steps is None else f"{experiment.steps} steps"
    words = [experiment.name, model_in_words(experiment.model), experiment.data.name]
    words += [f"{length} of batches of {experiment.batch_size}", changed_in_words(experiment)]
    return f"Experiment({', '.join(words)})"


def settings_of(experiment: "Experiment") -> list[Setting]:
    """Returns the tree of all settings, a line for each in the order of the fields.

    Raises `InputError` for a setting that no file can hold.
    """
    from aejax.experiment.serialization import differences, to_json  # here, as they restore experiments

    changed = registry.changes(experiment) or {}
    before = differences(registry.get(experiment.name), experiment) if changed else {}
    remarks = {}
    for path in changed:
        old = before.get(path, before.get(f"{path}.class", (None, None)))[0]
        remarks[path] = "not there" if old is None and path not in before else _text(old)
    lines = list(_lines(to_json(experiment), remarks))
    for path in [path for path in remarks if path not in {line.path for line in lines}]:
        part = path.rpartition(".")[0]
        inside = [place for place, line in enumerate(lines) if f"{line.path}.".startswith(f"{part}.")]
        lines.insert(max(inside) + 1, Setting(path, "not there", remarks[path]))
    return lines


def _lines(content: Mapping[str, Any], remarks: Mapping[str, str], above: str = "") -> Iterator[Setting]:
    for name, value in content.items():
        path = f"{above}{name}"
        if name != "class" and path != "name":
            part = isinstance(value, dict)
            yield Setting(path, value.get("class", "") if part else _text(value), remarks.get(path, ""))
            if part:
                yield from _lines(value, remarks, f"{path}.")


def as_tree(experiment: "Experiment") -> str:
    """Returns the tree of an experiment's settings as text, a line for each."""
    try:
        lines = settings_of(experiment)
    except InputError as error:
        return f"{in_a_line(experiment)}: {error}"
    width = max(2 * line.depth + len(line.name) for line in lines)
    rows = [f"{'  ' * line.depth + line.name:{width}}  {line.value}{_remark(line)}".rstrip() for line in lines]
    return "\n".join([experiment.name, *(f"  {row}" for row in rows)])


def _remark(line: Setting) -> str:
    return f"  (registered: {line.remark})" if line.remark else ""


def settings_table(experiment: "Experiment") -> str:
    """Returns the tree of an experiment's settings as an HTML table; what differs is bold, beside what is registered.

    Raises `InputError` for a setting that no file can hold.
    """
    lines = settings_of(experiment)
    rows = [_row(line) for line in lines]
    registered = "<th>registered</th>" if any(line.remark for line in lines) else ""
    head = f"<thead><tr><th>setting</th><th>value</th>{registered}</tr></thead>"
    return f'<table class="settings">{head}<tbody>{"".join(rows)}</tbody></table>'


def _row(line: Setting) -> str:
    style = "text-align:left" + (";font-weight:600" if line.remark else "")
    cells = [
        f'<td style="{style};padding-left:{0.7 + 1.1 * line.depth:.1f}rem">{html.escape(line.name)}</td>',
        f'<td style="{style};white-space:normal;overflow-wrap:anywhere">{html.escape(line.value)}</td>',
    ]
    cells += [f'<td style="text-align:left">{html.escape(line.remark)}</td>'] if line.remark else []
    return f"<tr>{''.join(cells)}</tr>"


def in_a_notebook(experiment: "Experiment") -> str:
    """Returns what a notebook shows of an experiment: a line, and all settings in a tree that unfolds."""
    line = f"<p>{html.escape(in_a_line(experiment))}</p>"
    try:
        return f"{line}<details><summary>all settings</summary>{settings_table(experiment)}</details>"
    except InputError:
        return line


def _changes(experiment: "Experiment") -> dict[str, Any] | None:
    """Returns what differs; None where nothing is registered, or the registered one cannot be made."""
    try:
        return registry.changes(experiment)
    except Exception:  # a line that is shown of an experiment while an error is looked for must not be another one
        return None


def _text(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)
