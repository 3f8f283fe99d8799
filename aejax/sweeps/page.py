"""Makes one self-contained HTML page of a sweep: plan, sortable table, figures, failed trials."""

import base64
import html
import io
from collections.abc import Sequence

from matplotlib.figure import Figure

from aejax.sweeps import plan
from aejax.sweeps.store import Sweep
from aejax.sweeps.summary import SummaryRow, fixed, is_ranked, short, text, varied

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse } td, th { padding: .25rem .7rem; border-bottom: 1px solid #ddd; text-align: right }
th { cursor: pointer; user-select: none; background: #f4f4f4; position: sticky; top: 0 }
th[aria-sort=ascending]::after { content: " \\2191" } th[aria-sort=descending]::after { content: " \\2193" }
tbody tr:hover { background: #f7fbff } .best { font-weight: 600 }
figure { display: inline-block; margin: .5rem 1rem .5rem 0 } img { max-width: 100% } .scroll { overflow-x: auto }
"""

SORT = """
document.querySelectorAll("table.sortable th").forEach((head, column) => head.addEventListener("click", () => {
  const body = head.closest("table").tBodies[0], up = head.getAttribute("aria-sort") !== "ascending";
  head.parentNode.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const value = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const order = (a, b) => {
    const x = value(a), y = value(b), n = Number(x), m = Number(y);
    if (x === "nan" || y === "nan") return (x === "nan") - (y === "nan");
    return (isNaN(n) || isNaN(m) ? x.localeCompare(y) : n - m) * (up ? 1 : -1);
  };
  [...body.rows].sort(order).forEach(row => body.append(row));
}));
"""


def sweep_page(sweep: Sweep, rows: Sequence[SummaryRow], metric: str, part: str, figures: dict[str, Figure]) -> str:
    """Returns the page as HTML, which refers to nothing outside itself.

    Args:
        sweep: the sweep.
        rows: its rows, as `summarise` returns them.
        metric: the metric of the rows.
        part: the part of the data that the metric was measured on.
        figures: the figures to show, by name.
    """
    name = sweep.trials[0].experiment.name
    groups = plan.groups(sweep.trials)
    done = sum(len(row.values) + row.failed for row in rows)
    said = [
        f"{done} of {len(sweep.trials)} trials finished, {len(groups)} "
        f"{'structure' if len(groups) == 1 else 'structures'}, so as many compiled programs.",
        fixed(rows),
    ]
    failed = [
        f"{_settings(trial.settings)}: the loss was not finite at step {result.failed_at}"
        for trial in sweep.trials
        if (result := sweep.result_of(trial)) is not None and result.failed_at is not None
    ]
    parts = [
        f"<h1>Sweep of {html.escape(name)}</h1>",
        *(f"<p>{html.escape(line)}</p>" for line in said if line),
        f"<h2>By setting: {html.escape(metric)} of {part}, over seeds</h2>",
        _table(rows, metric, part),
        "<h2>Figures</h2>",
        *(_figure(title, figure) for title, figure in figures.items()),
    ]
    if failed:
        parts += ["<h2>Failed trials</h2>", "<ul>", *(f"<li>{html.escape(line)}</li>" for line in failed), "</ul>"]
    head = f'<meta charset="utf-8"><title>Sweep of {html.escape(name)}</title><style>{STYLE}</style>'
    body = "\n".join(parts)
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}<script>{SORT}</script></body></html>\n'


def _table(rows: Sequence[SummaryRow], metric: str, part: str) -> str:
    paths = varied(rows)
    heads = [*short(paths), metric, "± 95 %", "seeds", "failed", "to do"]
    lines = []
    for number, row in enumerate(rows):
        numbers = (row.mean, row.half_width)
        cells = [f"<td>{html.escape(text(row.settings[path]))}</td>" for path in paths]
        cells += [f'<td data-value="{value}">{value:.5g}</td>' for value in numbers]
        cells += [f"<td>{count}</td>" for count in (len(row.values), row.failed, row.missing)]
        lines.append(f"<tr{' class=best' if number == 0 and is_ranked(part) else ''}>{''.join(cells)}</tr>")
    head = "".join(f"<th>{html.escape(head)}</th>" for head in heads)
    inside = f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="scroll"><table class="sortable">{inside}</table></div>'


def _settings(settings: dict[str, object]) -> str:
    return ", ".join(f"{path}={value}" for path, value in settings.items())


def _figure(title: str, figure: Figure) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, bbox_inches="tight")
    source = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    return f'<figure><img alt="{html.escape(title)}" src="{source}"></figure>'
