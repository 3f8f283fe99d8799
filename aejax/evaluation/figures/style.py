"""What figures share: colours, sizes, plain axes, and how one is written."""

import os
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # Okabe and Ito: safe for colour-blind readers

TITLE, LABEL, TICK = 11, 9, 8  # font sizes in points


def save(figure: Figure, path: str | Path) -> None:
    """Write `figure` as a PNG, under a temporary name first: `path` never holds half a picture."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        figure.savefig(temporary, format="png", dpi=150, bbox_inches="tight")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def plain(axes: Axes) -> None:
    """Leaves off the frame above and on the right, and makes ticks small."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=TICK)
