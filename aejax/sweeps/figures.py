"""Draws the outcome of a sweep: its metric along one axis, over two or over all of them, and every trial's curve."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from aejax.evaluation.figures import Picture, Pictures
from aejax.evaluation.figures.images import image_rows
from aejax.evaluation.figures.style import LINES
from aejax.sweeps._thumbnails import read_thumbnails
from aejax.sweeps.objective import LOSS, why_unranked
from aejax.sweeps.plan import Trial
from aejax.sweeps.summary import Summary, SummaryRow, short, text, varied

MOST_LINES, MOST_ROWS, MOST_TAGS = 8, 10, 12
"""Largest number of lines along an axis, of rows of pictures, and of values that an axis names."""

_LETTER = 0.075
"""Inches that a letter of a label takes."""


_STYLES = ("-", "--", ":", "-.")

_SHADES = ListedColormap(colormaps["viridis"](np.linspace(0, 0.88, 256)))
"""Without the end that is hardly seen on white."""


def draw_sweep(summary: Summary) -> Pictures:
    """Draws every figure that the sweep's axes allow, by name; none of trials that have no result."""
    rows, label = summary.rows, summary.label
    paths = varied(rows)
    numeric = _numeric(rows, paths)
    drawn = Pictures(curves=curves(summary))
    if not any(row.values for row in rows):
        return drawn
    if len(paths) == 1 and numeric:
        drawn["along"] = along(rows, paths[0], label)
    if len(paths) == 2 and _fill_plane(rows, paths):
        drawn["plane"] = plane(rows, (paths[0], paths[1]), label)
    elif len(paths) > 1:
        drawn["parallel"] = parallel(rows, paths, label, ranked=summary.best is not None)
    if len(paths) == 2 and numeric:
        across = max(numeric, key=lambda path: len(_values(rows, path)))
        by = next(path for path in paths if path != across)
        if len(_values(rows, by)) <= MOST_LINES:
            drawn["along"] = along(rows, across, label, by=by)
    drawn |= multiples(summary)
    return drawn


def _numeric(rows: Sequence[SummaryRow], paths: Sequence[str]) -> list[str]:
    return [path for path in paths if all(_is_number(row.settings[path]) for row in rows)]


def _fill_plane(rows: Sequence[SummaryRow], paths: Sequence[str]) -> bool:
    """Tells whether most combinations of two axes have a row, as in a grid but not in a search."""
    return 2 * len(rows) > len(_values(rows, paths[0])) * len(_values(rows, paths[1]))


def along(rows: Sequence[SummaryRow], path: str, metric: str, by: str | None = None) -> Figure:
    """Draws the metric's mean against one numeric axis, with its 95 % interval as a band where there are seeds for one.

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
        label = None if by is None else text(value)
        axes.plot(x, mean, style, marker="o", markersize=4, color=colour, label=label)
        axes.fill_between(x, mean - half, mean + half, color=colour, alpha=0.2, linewidth=0)
    if _is_logarithmic([row.settings[path] for row in rows]):
        axes.set_xscale("log")
        known = _values(rows, path)
        if len(known) <= MOST_TAGS:
            axes.set_xticks(known, _names(known))
            axes.minorticks_off()
    axes.set_xlabel(path)
    interval = ", 95 % interval" if any(len(row.values) > 1 for row in rows) else ""
    axes.set_ylabel(f"{metric} (mean{interval})")
    if by is not None:
        axes.legend(fontsize=8, title=short([by])[0], title_fontsize=8)
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
    figure = Picture(figsize=(1.6 + 0.75 * len(across), 1.2 + 0.5 * len(down)), layout="constrained")
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
    figure, axes = _canvas(width=1.9 * (len(paths) + 1) + 1)
    finished = [row for row in rows if row.values]
    values = [_values(rows, path) for path in paths]
    means = np.asarray([row.mean for row in finished])
    low, span = means.min(), max(float(np.ptp(means)), 1e-12)
    places = [_places(known) for known in values]
    best = max(len(finished) // 10, 1) if ranked else 0
    for rank, row in reversed(list(enumerate(finished))):
        points = [
            place[known.index(row.settings[path])] for path, known, place in zip(paths, values, places, strict=True)
        ]
        colour, width = (LINES[1], 1.8 if rank == 0 else 1.0) if rank < best else ("#88888855", 0.8)
        axes.plot([*points, (row.mean - low) / span], color=colour, linewidth=width)
    axes.set_xticks(range(len(paths) + 1), [*(name.replace(".", ".\n") for name in short(list(paths))), metric])
    axes.set_yticks([])
    for number, (known, place) in enumerate(zip(values, places, strict=True)):
        # An axis may have so many values, or some so near to each other, that only some can be named legibly.
        last = -1.0
        for position, said in zip(place, _names(known), strict=True):
            if position - last >= 1 / MOST_TAGS:
                _tag(axes, number, position, said)
                last = position
    for fraction in (0.0, 0.5, 1.0):
        _tag(axes, len(paths), fraction, f"{low + fraction * span:.4g}")
    for spine in axes.spines.values():
        spine.set_visible(False)
    for number in range(len(paths) + 1):
        axes.axvline(number, color="black", linewidth=0.6)
    axes.margins(x=0.12)
    return figure


def _places(known: Sequence[Any]) -> list[float]:
    """Returns the height of each value of an axis, in order, from 0 to 1: by size on its scale, or evenly for words."""
    if len(known) < 2 or not all(map(_is_number, known)):
        return [index / max(len(known) - 1, 1) for index in range(len(known))]
    sizes = np.log(np.asarray(known, float)) if _is_logarithmic(known) else np.asarray(known, float)
    return ((sizes - sizes[0]) / (sizes[-1] - sizes[0])).tolist()


def multiples(summary: Summary) -> dict[str, Figure]:
    """Draws the same examples as each setting reconstructs them, and its samples where there are any.

    Each setting is shown by one of its seeds, the best one by its best. Of more settings than `MOST_ROWS` some are
    drawn, evenly along the axes, and the best always.
    """
    rows, sweep = summary.rows, summary.sweep
    paths = varied(rows)
    ordered = sorted(rows, key=lambda row: [_place(row.settings[path]) for path in paths])
    best = None if summary.best is None else summary.best_trial
    results, found = sweep.results(), []
    for row in ordered:
        trials = [best] if best is not None and row is summary.best else []
        trials += [trial for trial in sweep.trials if row.settings.items() <= trial.settings.items()]
        kept = next((shown for trial in trials if (shown := _thumbnails_of(results.get(trial.id)))), None)
        if kept is not None:
            found.append((_label(row, paths, row is summary.best), row is summary.best, kept))
    if not found:
        return {}
    chosen = np.unique(np.linspace(0, len(found) - 1, MOST_ROWS).round().astype(int)).tolist()
    for place in (place for place, (_, is_best, _) in enumerate(found) if is_best and place not in chosen):
        chosen[int(np.argmin(np.abs(np.asarray(chosen) - place)))] = place
    shown = {found[place][0]: found[place][2] for place in chosen}
    drawn = {}
    for name in ("reconstruction", "sample"):
        pictures = {label: kept[name] for label, kept in shown.items() if name in kept}
        if pictures:
            first = {"original": next(iter(shown.values()))["original"]} if name == "reconstruction" else {}
            figure = drawn[f"{name}s"] = image_rows(first | pictures)
            # What the labels take must not be taken from the pictures.
            longest = max(len(line) for label in pictures for line in label.split("\n"))
            figure.set_size_inches(figure.get_figwidth() + _LETTER * max(longest - 10, 0), figure.get_figheight())
    return drawn


def _label(row: SummaryRow, paths: Sequence[str], best: bool) -> str:
    """Returns what a row of pictures is called: a line for each setting, or for two of more than four."""
    said = [f"{name} {text(row.settings[path])}" for name, path in zip(short(list(paths)), paths, strict=True)]
    if best:
        said = [*said[:-1], f"{said[-1]} (best)"] if said else ["best"]
    together = 1 if len(said) <= 4 else 2
    return "\n".join(", ".join(said[start : start + together]) for start in range(0, len(said), together))


def _thumbnails_of(result: Any) -> dict[str, Any] | None:
    return read_thumbnails(result.thumbnails) if result is not None and result.thumbnails else None


def curves(summary: Summary) -> Figure:
    """Draws the loss of every trial by epoch, of validation or else of training, coloured by the value of an axis.

    That is the numeric axis of most values, or else the first whose values are few enough to be told apart. Lines are
    dashed by the value of another axis of few values, where there is one.
    """
    figure, axes = _canvas()
    results, sweep = summary.sweep.results(), summary.sweep
    part = "validation" if any("validation" in result.curves for result in results.values()) else "train"
    drawn = [(trial, results[trial.id].curves[part]) for trial in sweep.trials if _has_curve(results, trial, part)]
    path, colours = _colours(summary, figure, axes)
    dashes = _dashes(sweep.trials, axes, path)
    best = summary.best_trial.id if summary.best is not None else None
    for trial, values in drawn:
        x, colour, dash = range(1, len(values) + 1), colours(trial), dashes(trial)
        if trial.id == best:
            axes.plot(x, values, color="black", linewidth=3.2, zorder=3)
            axes.plot(x, values, color=colour, linewidth=1.6, linestyle=dash, label="best", zorder=4)
        else:
            axes.plot(x, values, color=colour, linewidth=0.9, linestyle=dash, alpha=max(0.5, 1 / len(drawn)))
    lasts = [min(values) for _, values in drawn]
    if lasts:
        # One diverging trial must not flatten the others.
        high = np.quantile(np.concatenate([values for _, values in drawn]), 0.98, method="higher")
        low, high = min(lasts), max(high, min(lasts) + 1e-9)
        axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    moves = why_unranked(LOSS, [trial.experiment for trial in sweep.trials]) is not None
    axes.set_ylabel(f"{'own loss' if moves else 'loss'} of {part} (nats)")
    return figure


def _has_curve(results: Any, trial: Trial, part: str) -> bool:
    return trial.id in results and bool(results[trial.id].curves.get(part))


def _dashes(trials: Sequence[Trial], axes: Axes, coloured: str | None) -> Callable[[Trial], str]:
    """Returns a function from a trial to the style of its line, by an axis that has no colours, and draws the key."""
    for path in (path for path in trials[0].settings if path not in (coloured, "seed")):
        values = _distinct(trial.settings[path] for trial in trials)
        if 1 < len(values) <= len(_STYLES):
            for value, style in zip(values, _STYLES, strict=False):
                label = f"{short([path])[0]} {text(value)}"
                axes.plot([], [], color="0.4", linestyle=style, linewidth=0.9, label=label)
            return partial(_style, path, values)
    return lambda trial: "-"


def _style(path: str, values: Sequence[Any], trial: Trial) -> str:
    return _STYLES[values.index(trial.settings[path])]


def _colour(path: str, values: Sequence[Any], trial: Trial) -> Any:
    return colormaps["tab10"](values.index(trial.settings[path]))


def _colours(summary: Summary, figure: Figure, axes: Axes) -> tuple[str | None, Any]:
    """Returns the axis that has colours and a function from a trial to its colour, and draws the key to it."""
    rows, paths = summary.rows, varied(summary.rows)
    numeric = _numeric(rows, paths)
    if numeric:
        path = max(numeric, key=lambda path: len(_values(rows, path)))
        values = [float(value) for value in _values(rows, path)]
        norm = (LogNorm if _is_logarithmic(values) else Normalize)(values[0], values[-1])
        shades = ScalarMappable(norm, _SHADES)
        bar = figure.colorbar(shades, ax=axes, label=short([path])[0])
        if len(values) <= MOST_LINES:
            bar.set_ticks(values, labels=_names(values))
            bar.minorticks_off()
        return path, lambda trial: shades.to_rgba(trial.settings[path])
    for path in paths:
        values = _values(rows, path)
        if len(values) <= MOST_LINES:
            for value in values:
                colour = colormaps["tab10"](values.index(value))
                axes.plot([], [], color=colour, label=f"{short([path])[0]} {text(value)}")
            return path, partial(_colour, path, values)
    return None, lambda trial: LINES[0]


def _canvas(width: float = 5.5) -> tuple[Figure, Axes]:
    figure = Picture(figsize=(width, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _tag(axes: Axes, x: float, y: float, said: str) -> None:
    box = {"fc": "white", "ec": "none", "pad": 0.5, "alpha": 0.8}
    axes.annotate(said, (x, y), xytext=(4, 0), textcoords="offset points", fontsize=7, va="center", bbox=box)


def _values(rows: Sequence[SummaryRow], path: str) -> list[Any]:
    """Returns the different values of an axis in order."""
    return _distinct(row.settings[path] for row in rows)


def _distinct(given: Iterable[Any]) -> list[Any]:
    """Returns the different ones of some values in order; they may be lists, which have no hash."""
    found: list[Any] = []
    for value in given:
        if value not in found:
            found.append(value)
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
    """Tells whether numbers are spread over a logarithmic scale rather than a linear one."""
    sizes = np.asarray(sorted(set(values)), float)
    if len(sizes) < 3 or sizes[0] <= 0:
        return False
    if np.allclose(np.diff(sizes, 2), 0, atol=1e-3 * np.ptp(sizes)):  # evenly apart
        return False
    evenly = np.allclose(np.diff(np.log(sizes), 2), 0, atol=1e-2 * np.ptp(np.log(sizes)))
    return evenly or sizes[-1] / sizes[0] > 20
