"""Reads the images back out of a figure that draws many of them as one picture."""

import numpy as np
from matplotlib.figure import Figure


def places(figure: Figure) -> list[tuple[int, int, int, int]]:
    """Returns where the images lie, in reading order: left, top, right and bottom, in pixels of the one picture."""
    boxes = [path.get_extents() for path in figure.axes[0].collections[0].get_paths()]
    return [(round(box.x0), round(box.y0), round(box.x1), round(box.y1)) for box in boxes]


def pixels(figure: Figure) -> np.ndarray:
    """Returns the images in reading order, the top row first."""
    page = np.ma.getdata(figure.axes[0].images[0].get_array())
    return np.stack([page[top:bottom, left:right] for left, top, right, bottom in places(figure)])
