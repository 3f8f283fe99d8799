"""Draws the outcome of a sweep: its metric along one axis, over two or over all of them, and every trial's curve."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from aejax.evaluation.figures.images import image_rows
from aejax.evaluation.figures.style import LINES
from aejax.sweeps._thumbnails import read_thumbnails
from aejax.sweeps.store import Sweep
from aejax.sweeps.summary import SummaryRow, is_ranked, short, text, varied

MOST_LINES, MOST_ROWS, MOST_TAGS = 8, 10, 12
"""Largest number of lines along an axis, of rows of pictures, and of values that an axis names."""


def draw_sweep(sweep: Sweep, rows: Sequence[SummaryRow], metric: str, part: str = "validation") -> dict[str, Figure]:
    """Draws every figure that the sweep's axes allow.

    Args:
        sweep: the sweep.
        rows: its rows, as `summarise` returns them.
        metric: the metric of the rows.
        part: the part of the data that the metric was measured on; on test no setting is shown as the best.

    Returns:
        The figures, by name.
    """
    paths = varied(rows)
    numeric = [path for path in paths if all(_is_number(row.settings[path]) for row in rows)]
    drawn = {"curves": curves(sweep)}
    if len(paths) == 1 and numeric:
        drawn["along"] = along(rows, paths[0], metric)
    if len(paths) == 2 and _fill_plane(rows, paths):
        drawn["plane"] = plane(rows, (paths[0], paths[1]), metric)
    elif len(paths) > 1:
        drawn["parallel"] = parallel(rows, paths, metric, ranked=is_ranked(part))
    if len(paths) == 2 and numeric:
        across = max(numeric, key=lambda path: len(_values(rows, path)))
        by = next(path for path in paths if path != across)
        if len(_values(rows, by)) <= MOST_LINES:
            drawn["along"] = along(rows, across, metric, by=by)
    return drawn | multiples(sweep, rows)


def _fill_plane(rows: Sequence[SummaryRow], paths: Sequence[str]) -> bool:
    """Tells whether most combinations of two axes have a row, as in a grid but not in a search."""
    return 2 * len(rows) > len(_values(rows, paths[0])) * len(_values(rows, paths[1]))


def along(rows: Sequence[SummaryRow], path: str, metric: str, by: str | None = None) -> Figure:
    """Draws the metric's mean against one numeric axis, with its 95 % interval as a band.

    Args:
        rows: the settings and their metric.
        path: the axis, whose values are numbers.
        metric: the metric's name.
        by: another axis, for each of whose values there is a line, for at most `MOST_LINES`; None: one line.
    """
    figure, axes = _canvas()
    values = [None] if by is None else _values(rows, by)
    for number, value in enumerate(values[:MOST_LINES]):
        chosen = sorted(
            (row for row in rows if by is None or row.settings[by] == value), key=lambda row: row.settings[path]
        )
        x = np.asarray([row.settings[path] for row in chosen], float)
        mean, half = np.asarray([row.mean for row in chosen]), np.asarray([row.half_width for row in chosen])
        colour = LINES[number % len(LINES)]
        style = ("-", "--")[number // len(LINES) % 2]
        label = None if by is None else f"{short([by])[0]} {text(value)}"
        axes.plot(x, mean, style, marker="o", markersize=4, color=colour, label=label)
        axes.fill_between(x, mean - half, mean + half, color=colour, alpha=0.2, linewidth=0)
    if _is_logarithmic([row.settings[path] for row in rows]):
        axes.set_xscale("log")
    axes.set_xlabel(path)
    axes.set_ylabel(f"{metric} (mean, 95 % interval)")
    if by is not None:
        axes.legend(fontsize=8)
    return figure


def plane(rows: Sequence[SummaryRow], paths: tuple[str, str], metric: str) -> Figure:
    """Draws the metric's mean over two axes, as a heat map with the numbers in it.

    Args:
        rows: the settings and their metric.
        paths: the two axes, the first one down, the second one across.
        metric: the metric's name.
    """
    down, across = (_values(rows, path) for path in paths)
    means, said = np.full((len(down), len(across)), np.nan), {}
    for row in rows:
        place = down.index(row.settings[paths[0]]), across.index(row.settings[paths[1]])
        means[place], said[place] = row.mean, _said(row)
    figure = Figure(figsize=(1.6 + 0.75 * len(across), 1.2 + 0.5 * len(down)), layout="constrained")
    axes = figure.subplots()
    shown = axes.imshow(means, cmap="viridis", aspect="auto")
    low, high = np.nanmin(means), np.nanmax(means)
    for (y, x), value in np.ndenumerate(means):
        light = np.isnan(value) or value > (low + high) / 2
        axes.text(x, y, said.get((y, x), ""), ha="center", va="center", fontsize=8, color="black" if light else "white")
    axes.set_xticks(range(len(across)), _names(across))
    axes.set_yticks(range(len(down)), _names(down))
    axes.set_xlabel(paths[1])
    axes.set_ylabel(paths[0])
    figure.colorbar(shown, label=metric)
    return figure


def _said(row: SummaryRow) -> str:
    """Returns what a cell says of a setting: its mean, or why it has none."""
    if row.values:
        return f"{row.mean:.4g}"
    return "failed" if row.failed else "to do" if row.missing else "none"


def parallel(rows: Sequence[SummaryRow], paths: Sequence[str], metric: str, ranked: bool = True) -> Figure:
    """Draws one line for each setting, through its place on every axis and its mean, the best in colour and on top.

    Args:
        rows: the settings and their metric.
        paths: the axes.
        metric: the metric's name.
        ranked: whether the best come first: then the first tenth of those that have the metric is in colour.
    """
    figure, axes = _canvas(width=1.6 * (len(paths) + 1) + 1)
    finished = [row for row in rows if row.values]
    values = [_values(rows, path) for path in paths]
    means = np.asarray([row.mean for row in finished])
    low, span = means.min(), max(float(np.ptp(means)), 1e-12)
    best = max(len(finished) // 10, 1) if ranked else 0
    for rank, row in reversed(list(enumerate(finished))):
        points = [
            known.index(row.settings[path]) / max(len(known) - 1, 1) for path, known in zip(paths, values, strict=True)
        ]
        colour, width = (LINES[1], 1.8) if rank < best else ("#88888855", 0.8)
        axes.plot([*points, (row.mean - low) / span], color=colour, linewidth=width)
    axes.set_xticks(range(len(paths) + 1), [*short(list(paths)), metric])
    axes.set_yticks([])
    for number, known in enumerate(values):
        # An axis of a search may have so many values that only some of them can be shown legibly.
        for position, said in list(enumerate(_names(known)))[:: -(-len(known) // MOST_TAGS)]:
            _tag(axes, number, position / max(len(known) - 1, 1), said)
    for fraction in (0.0, 0.5, 1.0):
        _tag(axes, len(paths), fraction, f"{low + fraction * span:.4g}")
    for spine in axes.spines.values():
        spine.set_visible(False)
    for number in range(len(paths) + 1):
        axes.axvline(number, color="black", linewidth=0.6)
    axes.margins(x=0.12)
    return figure


def multiples(sweep: Sweep, rows: Sequence[SummaryRow]) -> dict[str, Figure]:
    """Draws the same examples as each setting reconstructs them, and its samples where there are any.

    Each setting is shown by one of its seeds.
    """
    paths = varied(rows)
    ordered = sorted(rows, key=lambda row: [_place(row.settings[path]) for path in paths])
    results, pictures_of = sweep.results(), {}
    for row in ordered:
        found = (results.get(trial.id) for trial in sweep.trials if row.settings.items() <= trial.settings.items())
        kept = next((result.thumbnails for result in found if result and result.thumbnails), None)
        if kept is not None:
            label = ", ".join(
                f"{name} {text(row.settings[path])}" for name, path in zip(short(paths), paths, strict=True)
            )
            pictures_of[label] = read_thumbnails(kept)
    if not pictures_of:
        return {}
    shown = [
        list(pictures_of)[place]
        for place in np.unique(np.linspace(0, len(pictures_of) - 1, MOST_ROWS).round().astype(int))
    ]
    drawn = {}
    for name in ("reconstruction", "sample"):
        pictures = {label: pictures_of[label][name] for label in shown if name in pictures_of[label]}
        if pictures:
            first = {"original": pictures_of[shown[0]]["original"]} if name == "reconstruction" else {}
            drawn[f"{name}s"] = image_rows(first | pictures, title=f"{name}s")
    return drawn


def curves(sweep: Sweep) -> Figure:
    """Draws the loss of every trial by epoch: that of validation where there is one, else that of training."""
    figure, axes = _canvas()
    results = list(sweep.results().values())
    part = "validation" if any("validation" in result.curves for result in results) else "train"
    drawn = [result.curves[part] for result in results if result.curves.get(part)]
    for values in drawn:
        axes.plot(range(1, len(values) + 1), values, color=LINES[0], linewidth=0.8, alpha=max(0.3, 1 / len(drawn)))
    lasts = [min(values) for values in drawn]
    if lasts:
        best = drawn[int(np.argmin(lasts))]
        axes.plot(range(1, len(best) + 1), best, color=LINES[1], linewidth=1.6, label="lowest")
        axes.legend(fontsize=8)
        # One diverging trial must not flatten the others.
        axes.set_ylim(min(lasts) - 0.05 * abs(min(lasts)), np.quantile(np.concatenate(drawn), 0.98))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"loss of {part} (nats per example)")
    return figure


def _canvas(width: float = 5.5) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _tag(axes: Axes, x: float, y: float, said: str) -> None:
    box = {"fc": "white", "ec": "none", "pad": 0.5, "alpha": 0.8}
    axes.annotate(said, (x, y), xytext=(4, 0), textcoords="offset points", fontsize=7, va="center", bbox=box)


def _values(rows: Sequence[SummaryRow], path: str) -> list[Any]:
    """Returns the different values of an axis in order; they may be lists, which have no hash."""
    found: list[Any] = []
    for row in rows:
        if row.settings[path] not in found:
            found.append(row.settings[path])
    return sorted(found, key=_place)


def _names(values: Sequence[Any]) -> list[str]:
    """Returns the values as they are shown: in full where four digits do not tell them apart."""
    shown = [text(value) for value in values]
    return shown if len(set(shown)) == len(shown) else list(map(str, values))


def _place(value: Any) -> tuple[bool, float, str]:
    """Returns a key that sorts numbers by size, and all else after them."""
    return not _is_number(value), value if _is_number(value) else 0, str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_logarithmic(values: Sequence[float]) -> bool:
    positive = sorted({value for value in values if value > 0})
    return len(positive) == len(set(values)) > 2 and positive[-1] / positive[0] > 20
