"""Draws a history: loss and metrics against the epoch."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from aejax.core import InputError
from aejax.evaluation.figures.style import LABEL, LINES, TICK, canvas, head

NO_METRICS = ("epoch", "step", "split", "seconds", "examples_per_second")
"""The keys of a row that say where and how fast it was measured."""


def loss_curves(
    history: Sequence[Mapping[str, Any]], metrics: Sequence[str] | None = None, *, title: str | None = None
) -> Figure:
    """Draws a panel for each metric and in it a line for each split, in its unit per example, against the epoch.

    The test part, which is measured once, is a marker.

    First epochs far above all later ones are left out of the y range, and a note says how high they reach.

    Args:
        history: rows such as {"epoch": 1, "split": "train", "loss_nats": 98.2}.
        metrics: the metrics to draw; None: every key that is no place or time, the loss first, less a
            reconstruction_nats that equals it. The last word of a name is its unit.
        title: the title of the figure.

    Raises:
        InputError: for a metric that no row has.
    """
    names = list(metrics) if metrics is not None else _metrics(history)
    missing = [name for name in names if not any(name in row for row in history)]
    if missing or not names:
        what = ", ".join(missing) or "metric"
        raise InputError(f"The history of {len(history)} rows has no {what}; pass rows that carry it.")
    rows, columns = -(-len(names) // 3), min(len(names), 3)
    figure, panels = canvas(0.6 + 3.4 * columns, 0.4 + 2.7 * rows, rows, columns)
    colours = dict(zip(dict.fromkeys(row["split"] for row in history), cycle(LINES), strict=False))
    for axes, name in zip(panels, names, strict=False):
        _curves(axes, history, name, colours)
    for axes, name in list(zip(panels, names, strict=False))[::columns]:
        axes.set_ylabel(f"{_unit(name)} per example", fontsize=LABEL)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    points = _points([row["epoch"] for row in history])
    handles = [
        Line2D([], [], color=colour, label=split, **points | _marked(split)) for split, colour in colours.items()
    ]
    panels[0].legend(handles=handles, frameon=False, fontsize=LABEL)
    head(figure, title)
    return figure


def _metrics(history: Sequence[Mapping[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for row in history for name in row if name not in NO_METRICS)
    both = [row for row in history if "reconstruction_nats" in row]
    if all(np.isclose(row["reconstruction_nats"], row.get("loss_nats", np.nan), rtol=1e-6) for row in both):
        names.pop("reconstruction_nats", None)
    return sorted(names, key=lambda name: name != "loss_nats")


def _unit(name: str) -> str:
    return name.rpartition("_")[2]


def _curves(axes: Axes, history: Sequence[Mapping[str, Any]], name: str, colours: Mapping[str, str]) -> None:
    """Draws one metric: a line for each split."""
    rows = [row for row in history if name in row]
    epochs = np.array([row["epoch"] for row in rows])
    places, unit = _places(rows)
    values = np.array([row[name] for row in rows], float)
    style = _points(epochs)
    for split, colour in colours.items():
        mine = [row["split"] == split for row in rows]
        axes.plot(places[mine], values[mine], color=colour, label=split, **style | _marked(split))
    called = name.removesuffix(f"_{_unit(name)}").replace("_", " ")
    axes.set_title(called if _unit(name) == "nats" else f"{called} ({_unit(name)})", loc="left", fontsize=LABEL)
    axes.set_xlabel(unit, fontsize=LABEL)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    _leave_out_first_epochs(axes, epochs[np.isfinite(values)], values[np.isfinite(values)])


def _points(epochs: Any) -> dict[str, Any]:
    """Returns how lines are drawn: with a marker at each place where the epochs are few."""
    return {"marker": "o" if len(np.unique(epochs)) <= 20 else "", "markersize": 4}


def _marked(split: str) -> dict[str, Any]:
    """Returns how the test part is drawn, which is measured once: as the frame of a diamond, above all lines."""
    frame = {"marker": "D", "markersize": 8, "markerfacecolor": "none", "markeredgewidth": 1.8, "linestyle": ""}
    return frame | {"zorder": 3} if split == "test" else {}


def _places(rows: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, str]:
    """Returns where rows lie, and in what unit: a row that was written inside an epoch lies between two whole ones.

    A row without a step lies at its epoch. Rows inside the first epoch do not say how long it is: several of these
    alone are placed by their steps.
    """
    epochs = np.array([row["epoch"] for row in rows], float)
    steps = np.array([row.get("step", row["epoch"]) for row in rows], float)
    if epochs.max(initial=1) == 1 and len(np.unique(steps)) > 1:
        return steps, "step"
    return steps / (steps / epochs).max(initial=1), "epoch"


def _leave_out_first_epochs(axes: Axes, epochs: np.ndarray, values: np.ndarray) -> None:
    """Fits the y range to the later epochs, where the first ones lie above them by more than twice their range.

    At most one epoch in ten may be left out, though always at least one; of fewer than four epochs none is.
    """
    distinct = np.unique(epochs)
    most = max(len(distinct) // 10, 1) if len(distinct) >= 4 else 0
    for last in distinct[:most][::-1]:
        later, early = values[epochs > last], values[epochs <= last]
        if values[epochs == last].max() - later.max() > 2 * np.ptp(later):
            margin = 0.05 * (later.max() - values.min())
            axes.set_ylim(values.min() - margin, later.max() + margin)
            which = f"epoch {last}" if last == distinct[0] else f"epochs {distinct[0]} to {last}"
            axes.set_title(f"↑ {which}: {early.max():.4g}", loc="right", fontsize=TICK, color="0.4")
            return
