"""Draws the figures of bench_gpu.py."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from aejax.evaluation.figures.style import LINES, plain, save

SHARES = {"matrix_share": "of a large matrix product", "memory_share": "of a large copy"}


def draw(results: dict[str, Any], out: Path) -> None:
    """Writes the contest and the curves beside the results, as NAME-contest.png and NAME-batch-sizes.png."""
    contests = {name: result["rows"] for name, result in results["contest"].items() if "rows" in result}
    if contests:
        save(contest(contests), out.with_name(f"{out.stem}-contest.png"))
    save(batch_sizes(results["batch_sizes"]), out.with_name(f"{out.stem}-batch-sizes.png"))


def contest(contests: dict[str, dict[str, Any]]) -> Figure:
    """Draws how long each contender takes, in units of the first contender's time, which is aejax's by default."""
    figure = Figure(figsize=(8, 1 + 0.7 * len(contests)), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(name for rows in contests.values() for name in rows))
    height = 0.8 / len(names)
    for number, name in enumerate(names):
        times = [
            rows[name]["epoch_seconds"] / rows[names[0]]["epoch_seconds"] for rows in contests.values() if name in rows
        ]
        beside = [place for place, rows in enumerate(contests.values()) if name in rows]
        places = np.asarray(beside) + (number - (len(names) - 1) / 2) * height
        bars = axes.barh(places, times, height, label=name)
        axes.bar_label(bars, [f" {value:.2g}" for value in times], fontsize=7)
    axes.set_yticks(np.arange(len(contests)), list(contests))
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.margins(x=0.1)
    plain(axes)
    axes.set_xlabel(f"time of an epoch, {names[0]}'s being 1")
    axes.legend(frameon=False, fontsize=8)
    return figure


def batch_sizes(curves: dict[str, dict[Any, dict[str, float]]]) -> Figure:
    """Draws the examples a second by batch size, and the shares of the device's ceilings that are reached."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    speed, shares = figure.subplots(1, 2)
    for number, (name, rows) in enumerate(curves.items()):
        sizes = [int(size) for size in rows]
        speed.loglog(
            sizes, [row["examples_per_second"] for row in rows.values()], "o-", color=LINES[number], label=name
        )
        for (share, label), style in zip(SHARES.items(), ("o-", "s--"), strict=True):
            values = [100 * row[share] for row in rows.values()]
            shares.semilogx(sizes, values, style, color=LINES[number], label=f"{name}: {label}")
    speed.set_ylabel("examples a second")
    shares.set_ylabel("% of what the device reaches")
    for axes in (speed, shares):
        plain(axes)
        axes.set_xlabel("batch size")
        axes.set_xscale("log", base=2)
        axes.legend(frameon=False, fontsize=7)
    return figure
