"""Holds what figures share: colours, font sizes, canvases, titles and captions, scales, and how a figure is written."""

import os
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from PIL import Image

from aejax.evaluation.figures.shown import Picture
from aejax.metrics import BEYOND

LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # Okabe and Ito: safe for colour-blind readers

CLASSES = ("#0060D8", "#F07800", "#48A890", "#780030", "#78D8F0", "#C0D800", "#C078F0", "#183078", "#C03000", "#786078")
"""Colours of ten classes, none too light on white: of ten such colours the two that are most alike are about as far
apart as they can be, for all readers and for those who lack a cone (Machado et al. 2009), in Oklab (Ottosson 2020)."""

OFF = "0.75"
"""The grey of what is there but not used, and of frames."""

TITLE, LABEL, TICK = 10, 9, 8  # font sizes in points

NARROWEST = 4.5
"""Least width of a figure, in inches, so that its title has room."""

DPI = 150
"""Pixels an inch."""


def canvas(width: float, height: float, rows: int = 1, columns: int = 1, **shared: Any) -> tuple[Figure, list[Axes]]:
    """Makes a figure of so many inches with plain axes in rows and columns, and returns both."""
    figure = Picture(figsize=(max(width, NARROWEST), height), dpi=DPI, layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False, **shared).ravel())
    for axes in panels:
        plain(axes)
    return figure, panels


def plain(axes: Axes) -> None:
    """Leaves off the frame above and on the right, and makes tick labels small."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=TICK)


def head(figure: Figure, title: str | None, *notes: str) -> None:
    """Writes what a figure shows above it, and below it, small and grey, what must be known to read it.

    Args:
        figure: the figure.
        title: what it shows; None: nothing.
        notes: sentences of the caption; those that are empty are left out.
    """
    if title:
        figure.suptitle(_wrapped(figure, title, TITLE), x=0.01, ha="left", fontsize=TITLE)
    caption = "; ".join(note for note in notes if note)
    if caption:
        figure.supxlabel(_wrapped(figure, caption, TICK), x=0.01, ha="left", fontsize=TICK, color="0.35")


def sign(figure: Figure, source: str) -> None:
    """Adds a line to the title of a figure that says where it comes from: the experiment, the run, the data."""
    title = "\n".join(text for text in (figure.get_suptitle(), _wrapped(figure, source, TITLE)) if text)
    figure.suptitle(title, x=0.01, ha="left", fontsize=TITLE)


def robust_limit(values: ArrayLike) -> tuple[float, str]:
    """Returns the absolute value at which a scale around zero ends, and a note where values lie beyond it.

    At most `BEYOND` of the values do, so that no outlier takes the contrast of all others.
    """
    size = np.abs(np.asarray(values, float))
    size = size[np.isfinite(size)]
    largest = float(size.max(initial=0)) or 1.0
    limit = float(np.quantile(size, 1 - BEYOND, method="higher")) if size.size else 0.0
    if limit in (0.0, largest):
        return largest, ""
    return limit, f"the scale ends at ±{limit:.3g}: {np.mean(size > limit):.1%} lie beyond it, up to {largest:.3g}"


def save(figure: Figure, path: str | Path) -> None:
    """Writes a figure as a PNG, under a temporary name first, so that `path` never holds half a picture."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # once, where `savefig` would draw all of it a first time for the layout alone
    try:
        Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").save(temporary, "PNG", compress_level=4)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _wrapped(figure: Figure, text: str, size: float) -> str:
    """Breaks lines where the figure ends: letters are about half as wide as they are high."""
    letters = int(72 * figure.get_figwidth() / (0.54 * size))
    return "\n".join(textwrap.fill(line, letters) for line in text.splitlines())


def shortened(name: str, most: int) -> str:
    """Returns a name of at most so many letters, the last of them an ellipsis where it is longer."""
    return name if len(name) <= most else f"{name[: most - 1]}…"
