"""Holds what figures share: colours, font sizes, plain axes, and how a figure is written."""

import os
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # Okabe and Ito: safe for colour-blind readers

TITLE, LABEL, TICK = 11, 9, 8  # font sizes in points


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as a PNG, under a temporary name first, so that `path` never holds half a picture."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        figure.savefig(temporary, format="png", dpi=150, bbox_inches="tight")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def plain(axes: Axes) -> None:
    """Leave off the frame above and on the right, and make tick labels small."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=TICK)
