"""Makes one self-contained HTML page of a run: how it stands, what differs, metrics, figures, how it was made."""

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from aejax.core import InputError, first_line
from aejax.data import DataRecord
from aejax.evaluation import pages, suite
from aejax.evaluation.report import in_order, usual_rate, verdict
from aejax.experiment import Expected, get, names, settings_of, settings_table, train_command, with_imports
from aejax.metrics import describe, labelled
from aejax.runs import Run, listing

_PARTS = ("test", "validation", "train")

_INCH = 96 / 150
"""Pixels of a page for each pixel of a figure's file."""


def report_page(path: Path) -> str:
    """Returns the page as HTML, which refers to nothing outside itself.

    Args:
        path: a run directory, however it ended, one of its checkpoints, or a folder of a saved model.

    Raises:
        InputError: where there is no run, or its experiment.json is damaged or needs code that is not imported.
    """
    path = path.parent.parent if path.parent.name == "checkpoints" else path
    run = Run(path)
    listed = listing.run_in(path)
    if listed is None:
        raise InputError(f"{path} is damaged: its experiment.json names no experiment")
    name = run.experiment.name
    title = f"{name}, {listed.notes.name}" if listed.notes.name else name
    parts = [
        f"<h1>{_text(title)}</h1>",
        *(f"<p>{line}</p>" for line in _said(run, listed)),
        _table(_facts(run, listed)),
        "<h2>Against the registered experiment</h2>",
        _differing(run),
        "<h2>Metrics</h2>",
        _metrics(run, listed),
        "<h2>Figures</h2>",
        _loss(run, listed),
        _figures(path),
        "<h2>How it was made</h2>",
        _made(run),
        f"<details><summary>All settings</summary>{_scrolled(settings_table(run.experiment))}</details>",
    ]
    return pages.document(f"Run of {title}", "\n".join(parts), "", _STYLE)


_STYLE = """
.facts th { background: none; cursor: auto; font-weight: 600; position: static }
.facts th, .facts td, .settings th, .settings td { text-align: left }
.facts td { white-space: normal; overflow-wrap: anywhere }
.facts { width: 100% } .facts th { width: 6rem } h3 { font-size: 1rem; margin-bottom: .3rem }
td.left { white-space: normal }
@media (max-width: 40rem) { td, th { padding: .25rem .4rem } .metrics { font-size: .85rem }
  .metrics td:first-child { min-width: 8rem } .metrics td:last-child { min-width: 6rem } }
.scroll { max-height: none }
th { cursor: auto } summary { cursor: pointer; margin: .8rem 0 } .reached { color: var(--good); font-weight: 600 }
.short { color: var(--bad); font-weight: 600 } figure { margin: 0 0 1.2rem; display: block }
"""


def _text(value: object) -> str:
    return html.escape(str(value))


def _capital(sentence: str) -> str:
    return f"{sentence[0].upper()}{sentence[1:]}"


def _said(run: Run, listed: listing.ListedRun) -> Iterable[str]:
    """Says what the experiment is, what its user says of the run, and of one that is not done how it goes on: HTML."""
    name = run.experiment.name
    if summary := names().get(name):
        yield f"{_text(_capital(summary))}."
    if listed.notes.note:
        yield _text(listed.notes.note)
    again = f"<code>{_text(with_imports(f'aejax train {name} --resume {run.path}', name))}</code>"
    if listed.state == "failed":
        why = _text(listed.error or "nothing is known of why")
        yield f"It failed: {why}. {again} goes on from its last checkpoint."
    elif listed.state == "stopped":
        yield f"It was stopped before its end, so that nothing is measured on test: {again} goes on."
    elif listed.state == "running":
        yield "It is at work: what is shown is what it has come to until now."


def _facts(run: Run, listed: listing.ListedRun) -> list[tuple[str, str]]:
    """Returns what is said of the run in short, each by what it is about."""
    experiment, rows = run.experiment, [row for row in listed.rows if row["split"] == "train"]
    facts = [("run", str(run.path)), ("state", listed.state), ("begun", listed.begun)]
    if listed.notes.tags:
        facts.append(("tags", ", ".join(listed.notes.tags)))
    if rows:
        total = f" of {experiment.epochs:,}" if experiment.steps is None else ""
        steps = "" if experiment.steps is None else f" of {experiment.steps:,}"
        facts.append(("trained", f"{rows[-1]['step']:,}{steps} steps, {rows[-1]['epoch']:,}{total} epochs"))
        facts.append(("time", f"{_duration(listed.seconds)}, {usual_rate(rows):,.0f} examples per second"))
    facts.append(("seed", str(experiment.seed)))
    if run.data is not None:
        facts.append(("data", _data(run.data)))
    hardware = run.provenance[-1].get("hardware")
    if isinstance(hardware, dict):
        facts.append(("on", _hardware(hardware)))
    return facts


def _data(record: DataRecord) -> str:
    sizes = ", ".join(f"{count:,} {part}" for part, count in record.rows.items() if count)
    kinds = f", {len(record.classes)} classes" if record.classes else ""
    values = f"{record.dtype} from {record.low:g} to {record.high:g}"
    return f"{record.name}: {sizes}; {list(record.shape)} {values}{kinds}"


def _hardware(hardware: dict[str, Any]) -> str:
    devices, cores = hardware.get("devices"), hardware.get("cores")
    several = f"{devices} x " if devices not in (None, 1) else ""
    return f"{several}{hardware.get('device')} ({hardware.get('platform')}, {cores} cores)"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min {seconds % 60:.0f} s"


def _differing(run: Run) -> str:
    """Returns a table of what differs from the registered experiment, or says that nothing does."""
    name = run.experiment.name
    if name not in names():
        return f"<p>No experiment is registered as {_text(name)} here: it is one of its own.</p>"
    lines = [line for line in settings_of(run.experiment) if line.remark]
    if not lines:
        return f"<p>Nothing differs: it is {_text(name)} as registered.</p>"
    return _rows(("setting", "here", "registered"), [(line.path, line.value, line.remark) for line in lines])


def _metrics(run: Run, listed: listing.ListedRun) -> str:
    """Returns what was measured of each part, beside the figure that the experiment is held against."""
    experiment, measured = run.experiment, listed.metrics
    parts = [part for part in _PARTS if any(name.startswith(f"{part}.") for name in measured)]
    figure = f"<p>{_figure(run, measured)}</p>"
    if not parts:
        return f"{figure}<p>Nothing was measured: no epoch was finished.</p>"
    known = list(dict.fromkeys(name.partition(".")[2] for part in parts for name in measured if name.startswith(part)))
    lines, meanings = [], []
    for name in known:
        metric = describe(name, experiment.loss.terms)
        values = [_number(measured.get(f"{part}.{name}"), f"{part}.{name}" in listed.at_ceiling) for part in parts]
        lines.append((labelled(name, metric.better if metric else None), *values, metric.unit if metric else ""))
        if metric is not None:
            meanings.append(f"<dt>{_text(name)}</dt><dd>{_text(metric.meaning)}. Of {_text(metric.of)}.</dd>")
    examples = (run.result() or {}).get("examples") if "test" in parts else None
    remark = "↓ lower is better, ↑ higher. Train and validation are those of the last row of its log."
    remark += f" Test: {examples:,} examples." if isinstance(examples, int) else ""
    remark += " ≥: so many examples cannot show more." if listed.at_ceiling else ""
    return "".join(
        [
            figure,
            _rows(("metric", *parts, "unit"), lines, numbers=len(parts), kind="metrics"),
            f"<p class=note>{remark}</p>",
            f"<details><summary>What these measure</summary><dl>{''.join(meanings)}</dl></details>",
        ]
    )


def _figure(run: Run, measured: dict[str, float]) -> str:
    """Says whether the figure that the experiment is held against is reached, or why there is none."""
    expected = run.experiment.expected
    if expected is None:
        registered = get(run.experiment.name).expected if run.experiment.name in names() else None
        if registered is None:
            return "It is held against no figure."
        return f"It is held against no figure, as {_text(_published(registered))}, belongs to the registered settings."
    value = measured.get(f"test.{expected.metric}")
    if value is None:
        return f"{_text(_capital(_published(expected)))}: not measured."
    compared = expected.compare([value])
    word = "reached" if compared["met"] else "short"
    tag = " (from memory, unverified)" if expected.tag == "M" else ""
    said = f"{_text(_capital(_published(expected)))}{tag}; measured {value:.5g}: "
    said += f"<span class={word}>{_text(verdict(compared))}</span>"
    return f"{said}.<br><span class=note>{_text(expected.source)}</span>" if expected.source else f"{said}."


def _published(expected: Expected) -> str:
    known = describe(expected.metric)
    kind = "the baseline" if expected.is_baseline else "the published figure"
    return f"{kind}, {labelled(expected.metric, known.better if known else None)} {expected.value:g} on test"


def _number(value: float | None, ceiling: bool) -> str:
    return "" if value is None else f"{'≥ ' if ceiling else ''}{value:.5g}"


def _loss(run: Run, listed: listing.ListedRun) -> str:
    if not listed.rows:
        return ""
    result = run.result() if listed.state == "done" else None
    try:
        return pages.drawn("loss", suite.loss_figure(listed.rows, result), "")
    except ValueError as error:  # of numbers that no scale can show
        return f"<p class=note>Its loss cannot be drawn: {_text(first_line(error))}.</p>"


def _figures(path: Path) -> str:
    """Returns the figures that the run has drawn, or says how they are drawn."""
    files = in_order([*(path / "figures").glob("*.png"), *path.glob("picture.png")])
    shown = [_picture(file) for file in files if file.stem != "loss"]  # that is drawn of the log, as far as it goes
    if not any(shown):
        return f"<p class=note>No other figures are drawn: <code>aejax figures {_text(path)}</code> draws them.</p>"
    return "".join(shown)


def _picture(file: Path) -> str:
    """Returns a figure of the run as HTML; nothing of a file that is no picture."""
    try:
        with Image.open(file) as opened:
            width = round(_INCH * opened.width)
        source = base64.b64encode(file.read_bytes()).decode()
    except OSError:
        return ""
    name = _text(file.stem.replace("_", " "))
    image = f'<img alt="{name}" width="{width}" src="data:image/png;base64,{source}">'
    return f"<figure>{image}<figcaption>{name}</figcaption></figure>"


def _made(run: Run) -> str:
    """Says by what command, and with which versions, hardware and commit each part of it was trained."""
    command = train_command(run.experiment)
    said = [f"<pre>{_text(command)}</pre>" if command else "<p>No command trains it: parts were made in Python.</p>"]
    for part in run.provenance:
        versions, hardware = part.get("versions"), part.get("hardware")
        facts = [("versions", ", ".join(f"{name} {version}" for name, version in versions.items()))] if versions else []
        facts += [("hardware", _hardware(hardware))] if isinstance(hardware, dict) else []
        facts.append(("commit", str(part.get("commit") or "unknown, outside a checkout")))
        if len(run.provenance) > 1:
            said.append(f"<h3>After step {part['step']:,}</h3>")
        said.append(_table(facts))
    return "".join(said)


def _rows(heads: Sequence[str], lines: Sequence[Sequence[str]], numbers: int = 0, kind: str = "") -> str:
    """Returns a table of a kind, in which so many columns after the first hold numbers."""

    def row(cells: Sequence[str], tag: str) -> str:
        sides = ["" if 0 < place <= numbers else " class=left" for place in range(len(cells))]
        shown = [_text(cell).replace("_", "_<wbr>") for cell in cells]  # long names may be broken there
        inside = [f"<{tag}{side}>{cell}</{tag}>" for side, cell in zip(sides, shown, strict=True)]
        return f"<tr>{''.join(inside)}</tr>"

    body = "".join(row(line, "td") for line in lines)
    return _scrolled(f"<table class='{kind}'><thead>{row(heads, 'th')}</thead><tbody>{body}</tbody></table>")


def _table(facts: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><th>{_text(what)}</th><td>{_text(said)}</td></tr>" for what, said in facts)
    return f'<table class="facts">{rows}</table>'


def _scrolled(table: str) -> str:
    return f'<div class="scroll">{table}</div>'
