"""Draws how often, how strongly or how much units and the codes of a codebook are used."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from aejax.core import InputError
from aejax.evaluation.figures.style import LABEL, LINES, OFF, TICK, canvas, head

_BINS = 50

MOST_DIMENSIONS = 100
"""Largest number of latent dimensions whose use is drawn: the most used ones."""


def activation_density(shares: ArrayLike, *, title: str | None = None) -> Figure:
    """Draws how often units are active: a histogram of the share of examples, with dead units counted aside.

    The axis of shares is logarithmic where one is ten times another. `shares` is a vector [units] in [0, 1]. Raises
    `InputError` for any other.
    """
    shares = _shares(shares)
    alive = shares[shares > 0]
    wide = alive.size > 0 and alive.max() > 10 * alive.min()
    bins = np.geomspace(alive.min(), alive.max(), _BINS + 1).tolist() if wide else _BINS
    figure = _histogram(alive, "share of examples for which a unit is active", "units", title, bins)
    (axes,) = figure.axes
    if wide:
        axes.set_xscale("log")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(f"dead: {len(shares) - len(alive)} of {len(shares)}", loc="right", fontsize=TICK)
    return figure


def activation_histogram(values: ArrayLike, *, title: str | None = None) -> Figure:
    """Draws a histogram of the strengths of activations, on a logarithmic axis of counts.

    `values` is a vector [n] of activations, with n > 0.
    """
    figure = _histogram(np.asarray(values, float), "activation", "active units, over all examples", title)
    figure.axes[0].set_yscale("log")
    return figure


def code_usage(shares: ArrayLike, *, title: str | None = None) -> Figure:
    """Draws how often each code of a codebook is used, the most used first, on a logarithmic axis.

    Codes that are never used have no bar and are counted aside. `shares` is a vector [codes] in [0, 1]. Raises
    `InputError` for any other.
    """
    shares = _shares(shares)
    figure, (axes,) = canvas(5.6, 3.6)
    floor = shares[shares > 0].min(initial=1) / 2
    axes.stairs(np.maximum(-np.sort(-shares), floor), baseline=floor, fill=True, color=LINES[0])
    axes.axhline(1 / len(shares), color="0.5", linewidth=1, linestyle="--")
    axes.set(xlim=(0, len(shares)), yscale="log", ylim=(floor, None))
    axes.set_xlabel("codes, the most used first (dashed: all alike)", fontsize=LABEL)
    axes.set_ylabel("share of all slots", fontsize=LABEL)
    axes.set_title(f"dead: {(shares == 0).sum()} of {len(shares)}", loc="right", fontsize=TICK)
    head(figure, title)
    return figure


def latent_units(
    variance: ArrayLike, active: float, rate: ArrayLike | None = None, *, title: str | None = None
) -> Figure:
    """Draws how much each latent dimension is used, by number, the most used first, with active ones in colour.

    The order is that of the variance of the posterior mean, in which `Trained.traverse` takes dimensions too. Of more
    than 100 dimensions the most used are drawn.

    Args:
        variance: the variance [latent] of the posterior mean, drawn on a logarithmic axis.
        active: the variance above which a dimension is active, drawn as a line.
        rate: the rate [latent] in nats, drawn below the variance; None: not drawn.
        title: the title of the figure.
    """
    variance = np.asarray(variance, float)
    shown = np.argsort(-variance, kind="stable")[:MOST_DIMENSIONS]
    panels = {"variance of the\nposterior mean": variance}
    if rate is not None:
        panels |= {"rate, nats": np.asarray(rate, float)}
    figure, drawn = canvas(max(4.5, 0.9 + 0.13 * len(shown)), 0.9 + 1.7 * len(panels), len(panels), sharex=True)
    on = variance > active
    for axes, (name, values) in zip(drawn, panels.items(), strict=True):
        axes.bar(np.arange(len(shown)), values[shown], width=0.8, color=np.where(on[shown], LINES[0], OFF))
        axes.set_ylabel(name, fontsize=LABEL)
    drawn[-1].set_xlim(-0.8, len(shown) - 0.2)
    turned = 90 if len(shown) > 10 else 0
    drawn[-1].set_xticks(range(len(shown)), [str(number) for number in shown], fontsize=TICK - 1, rotation=turned)
    drawn[-1].set_xlabel("number of the latent dimension, the most used first", fontsize=LABEL)
    drawn[0].set_ylim(active / 1000, 2 * max(variance.max(), active))  # before the scale, as a log axis has no 0
    drawn[0].set_yscale("log")
    drawn[0].axhline(active, color="0.3", linewidth=0.8, linestyle="--")
    some = f"the {len(shown)} most used of {len(variance):,} dimensions" if len(shown) < len(variance) else ""
    head(figure, title, some, f"{on.sum()} of {len(variance):,} are active: the variance is above {active:.2g}, dashed")
    return figure


def matrix(values: ArrayLike, columns: Sequence[str], rows: str, *, title: str | None = None) -> Figure:
    """Draws a matrix of numbers from 0 to 1, each on a shade of one colour.

    Args:
        values: the numbers [n, columns].
        columns: the name of each column.
        rows: what the rows are, which labels their axis.
        title: the title of the figure.

    Raises:
        InputError: for values of another shape.
    """
    values = np.asarray(values, float)
    if values.ndim != 2 or not len(values) or values.shape[1] != len(columns):
        raise InputError(f"Values of shape {values.shape} cannot be drawn; pass [n, {len(columns)}], a column a name.")
    figure, (axes,) = canvas(1.2 + 0.8 * len(columns), 1.2 + 0.3 * len(values))
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=TICK, color="wk"[int(value < 0.6)])
    axes.set_xticks(range(len(columns)), columns, fontsize=LABEL)
    axes.set_yticks(range(len(values)))
    axes.set_ylabel(rows, fontsize=LABEL)
    axes.tick_params(length=0, labelsize=TICK)
    axes.spines[:].set_visible(False)
    head(figure, title)
    return figure


def _shares(shares: ArrayLike) -> np.ndarray:
    shares = np.asarray(shares, float)
    if shares.ndim != 1 or not len(shares) or not ((shares >= 0) & (shares <= 1)).all():
        raise InputError(f"Shares of shape {shares.shape} cannot be drawn; pass a vector, each from 0 to 1.")
    return shares


def _histogram(values: np.ndarray, what: str, of: str, title: str | None, bins: int | list[float] = _BINS) -> Figure:
    figure, (axes,) = canvas(5.6, 3.6)
    axes.hist(values, bins=bins, color=LINES[0])
    axes.set_xlabel(what, fontsize=LABEL)
    axes.set_ylabel(of, fontsize=LABEL)
    head(figure, title)
    return figure
