"""Makes one self-contained HTML page of a sweep: how it was made, sortable tables, figures, failed trials."""

import html
import math
from collections.abc import Sequence

from matplotlib.figure import Figure

from aejax.evaluation import pages
from aejax.experiment import with_imports
from aejax.sweeps import plan
from aejax.sweeps.store import Sweep
from aejax.sweeps.summary import Summary, fixed, number, settings_text, short, text, trial_columns, varied

SORT = """
document.querySelectorAll("table.sortable th").forEach(head => head.addEventListener("click", () => {
  const body = head.closest("table").tBodies[0], up = head.getAttribute("aria-sort") !== "ascending";
  head.parentNode.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const value = row => row.cells[head.cellIndex].dataset.value ?? row.cells[head.cellIndex].textContent;
  const order = (a, b) => {
    const x = value(a), y = value(b), n = Number(x), m = Number(y);
    if (x === "" || y === "") return (x === "") - (y === "");
    return (isNaN(n) || isNaN(m) ? x.localeCompare(y) : n - m) * (up ? 1 : -1);
  };
  [...body.rows].sort(order).forEach(row => body.append(row));
}));
"""

_COMMAND = "trained alone by"

CAPTIONS = {
    "curves": "The loss of every trial by epoch.",
    "along": "The metric along one axis: the mean over seeds.",
    "plane": "The metric over two axes: the mean over seeds.",
    "parallel": "One line for each setting, from its value on each axis to its metric; the best tenth in colour.",
    "reconstructions": "The same examples of the test part as one seed of each setting reconstructs them.",
    "samples": "Samples from the prior of one seed of each setting.",
}
"""What the figures show, by name."""


def sweep_page(summary: Summary, figures: dict[str, Figure]) -> str:
    """Returns the page as HTML, which refers to nothing outside itself.

    Args:
        summary: the sweep, as `summarise` compares it.
        figures: the figures to show, by name.
    """
    sweep, rows = summary.sweep, summary.rows
    name = html.escape(sweep.trials[0].experiment.name)
    groups = plan.groups(sweep.trials)
    done = sum(len(row.values) + row.failed for row in rows)
    count = f"{len(groups)} {'structure' if len(groups) == 1 else 'structures'}, so as many compiled programs."
    said = [f"{done} of {len(sweep.trials)} trials finished, {count}", fixed(rows)]
    failed = [row for row in summary.trials if row.ended.startswith("failed")]
    shown = "".join(pages.drawn(title, figure, CAPTIONS.get(title, title)) for title, figure in figures.items())
    parts = [
        f"<h1>Sweep of {name}</h1>",
        *(f"<p>{html.escape(line)}</p>" for line in said if line),
        _best(summary),
        f"<h2>By setting: {html.escape(summary.label)} of {summary.part}, over seeds</h2>",
        _settings_table(summary),
        f"<h2>Figures</h2>{shown}" if shown else "",
        f"<h2>Trials: {html.escape(summary.label)}</h2>",
        _trials_table(summary),
    ]
    if failed:
        lines = [f"{settings_text(row.settings)}: the loss was not finite, it {row.ended}" for row in failed]
        parts += ["<h2>Failed trials</h2>", "<ul>", *(f"<li>{html.escape(line)}</li>" for line in lines), "</ul>"]
    parts += ["<h2>How it was made</h2>", _made(sweep)]
    return pages.document(f"Sweep of {sweep.trials[0].experiment.name}", "\n".join(parts), SORT)


def in_a_notebook(summary: Summary) -> str:
    """Returns what a notebook shows of a sweep: how far it is, the best setting, and the table of all settings."""
    style = "<style>.aejax-sweep .best { font-weight: 600 } .aejax-sweep pre { white-space: pre-wrap }</style>"
    line = f"<p>{html.escape(repr(summary))}</p>"
    return f'<div class="aejax-sweep">{style}{line}{_best(summary)}{_settings_table(summary)}</div>'


def _best(summary: Summary) -> str:
    """Says which setting is the best, with the command that trains it, or why none is."""
    if summary.best is None:
        return f"<p>No setting is called the best: {html.escape(summary.unranked or 'none has the metric yet')}.</p>"
    trial, paths = summary.best_trial, [*varied(summary.rows), "seed"]
    said = settings_text(trial.settings, paths) or trial.experiment.name
    best = f"{summary.label} of {summary.part} {number(summary.best.mean)}"
    command = f"<pre>{html.escape(trial.command)}</pre>" if trial.command else ""
    best_run = html.escape(with_imports(f"aejax sweep best {summary.sweep.folder}", trial.experiment.name))
    run = f"<p class=note><code>{best_run}</code> makes a run of it.</p>"
    return f"<p><b>Best: {html.escape(said)}</b>, {html.escape(best)}, trial <code>{trial.id}</code></p>{command}{run}"


def _settings_table(summary: Summary) -> str:
    rows, paths = summary.rows, varied(summary.rows)
    several = any(len(row.values) > 1 for row in rows)
    failed, missing = (any(getattr(row, name) for row in rows) for name in ("failed", "missing"))
    counted = ["seeds", *(["failed"] if failed else []), *(["to do"] if missing else [])]
    heads = [*short(paths), summary.label, *(["± 95 %"] if several else []), *counted]
    lines = []
    for row in rows:
        width = [_cell(row.half_width)] if several else []
        counts = [len(row.values), *([row.failed] if failed else []), *([row.missing] if missing else [])]
        mean = _cell(row.mean, summary.mean_text(row))
        cells = [*(_setting(row.settings[path]) for path in paths), mean, *width, *map(_cell, counts)]
        lines.append((cells, row is summary.best))
    remark = f"<p class=note>{html.escape(summary.remark)}.</p>" if summary.remark else ""
    return _table(heads, lines) + remark


def _trials_table(summary: Summary) -> str:
    columns, rows = trial_columns(summary), summary.trials
    best = summary.best_trial.id if summary.best is not None else None
    commands = [f"<td><code>{html.escape(row.command or '')}</code></td>" for row in rows]
    lines = [
        ([*(_cell(cells[place]) for cells in columns.values()), commands[place]], row.id == best)
        for place, row in enumerate(rows)
    ]
    return _table([*columns, _COMMAND], lines)


def _cell(value: object, shown: str | None = None) -> str:
    """Returns a cell that shows a value, or a text in place of it, and sorts numbers by all their digits."""
    if isinstance(value, float):
        exact = "" if math.isnan(value) else str(value)
        return f'<td data-value="{exact}">{number(value) if shown is None else shown}</td>'
    return f"<td>{html.escape(str(value))}</td>"


def _setting(value: object) -> str:
    return f'<td data-value="{html.escape(str(value))}">{html.escape(text(value))}</td>'


def _table(heads: Sequence[str], lines: Sequence[tuple[list[str], bool]]) -> str:
    """Returns a table of cells; the lines that are marked are the best."""
    body = "".join(f"<tr{' class=best' if best else ''}>{''.join(cells)}</tr>" for cells, best in lines)
    head = "".join(f"<th{' class=left' if head == _COMMAND else ''}>{html.escape(head)}</th>" for head in heads)
    inside = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="scroll"><table class="sortable">{inside}</table></div>'


def _made(sweep: Sweep) -> str:
    """Lists the commands that planned the trials, and on which commits and machines these were trained."""
    parts = []
    for entry in sweep.made:
        facts = [str(entry.get("date", "")), f"commit {entry.get('commit') or 'unknown'}"]
        facts += [f"{entry['trials']} trials"] if entry.get("trials") else []  # those of a search come later
        command = f"<pre>{html.escape(str(entry['command']))}</pre>" if entry.get("command") else ""
        parts.append(f"<p>{html.escape(', '.join(facts))}</p>{command}")
    results = sweep.results().values()
    ended = sorted(str(result.provenance["ended"]) for result in results if result.provenance.get("ended"))
    commits = sorted({str(result.provenance["commit"]) for result in results if result.provenance.get("commit")})
    machines = [result.provenance.get("hardware", {}) for result in results]
    devices = sorted(
        {str(machine["device"]) for machine in machines if isinstance(machine, dict) and "device" in machine}
    )
    said = [f"until {ended[-1]}"] if ended else []
    said += [f"on commit {', '.join(commits)}"] if commits else []
    said += [f"on {', '.join(devices)}"] if devices else []
    return "".join(parts) + (f"<p>Trained {html.escape(', '.join(said))}.</p>" if said else "")
