"""Draws examples: images in rows, in a grid or on a plane, and vectors as curves in one panel.

An image of one channel is grey and one of three is in colour; of any other number each channel is a grey panel of its
own, and an example is the panels side by side.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from aejax.core import InputError, spread
from aejax.evaluation.figures.style import LABEL, LINES, OFF, TICK, canvas, head, plain, robust_limit, shortened

Limits = tuple[float, float]
"""The values that are drawn black and white, or as no light and full light."""

MOST_UNITS = 100
"""Largest number of units whose weights are drawn."""

MOST_PANELS = 16
"""Largest number of channels that are drawn as panels."""

_MOST_NAMES, _LONGEST_NAME = 40, 18
"""Largest number of names at an axis, and of letters of one."""

_CELL, _GAP, _TEXT = 0.8, 0.08, 7  # inches an image is wide; space between images in that width; points of a text

_MARGIN, _LETTER, _BAR = 0.3, 0.085, 0.9  # inches beside images: at both edges, for a label's letter, for a colour bar


def reconstructions(
    originals: ArrayLike,
    reconstructions: ArrayLike,
    count: int = 10,
    *,
    title: str | None = None,
    limits: Limits = (0, 1),
) -> Figure:
    """Draws some originals above their reconstructions, with the squared error of each below it.

    Args:
        originals: images [n, h, w, channels], or vectors [n, d].
        reconstructions: the same, of the same shape.
        count: how many of them are drawn at most, spread over all.
        title: the title of the figure.
        limits: the values that are black and white.

    Raises:
        InputError: where the shapes differ.
    """
    pair = {"original": np.asarray(originals), "reconstruction": np.asarray(reconstructions)}
    _check_rows(pair)
    chosen = spread(len(pair["original"]), count)
    rows = {label: array[chosen] for label, array in pair.items()}
    below = {"reconstruction": squared_errors(*rows.values())}
    return image_rows(rows, title=title, limits=limits, below=below, note=ERRORS)


ERRORS = "numbers: squared error, summed over an example's values as they are drawn"
"""The note of a figure that has the texts of `squared_errors`."""


def squared_errors(originals: ArrayLike, reconstructions: ArrayLike) -> list[str]:
    """Returns the squared error of each example, summed over its values, as the text below it."""
    error = np.square(np.asarray(originals, float) - np.asarray(reconstructions, float))
    return [f"{value:.3g}" for value in error.sum(axis=tuple(range(1, error.ndim)))]


def image_rows(
    rows: Mapping[str, ArrayLike],
    *,
    title: str | None = None,
    note: str = "",
    limits: Limits = (0, 1),
    above: Mapping[str, Sequence[str]] | None = None,
    below: Mapping[str, Sequence[str]] | None = None,
    names: Sequence[str] = (),
) -> Figure:
    """Draws labelled rows of images, the first on top, example i in column i.

    Rows of vectors [n, d] are drawn as curves instead, value against number, with one panel for each example.

    Args:
        rows: images [n, h, w, channels], or vectors [n, d], by the label of the row.
        title: the title of the figure.
        note: the caption of the figure.
        limits: the values that are black and white; others are drawn as the nearer one.
        above: the texts above the images of a row, by its label: one for each.
        below: the texts below them.
        names: the names of the values of vectors, such as a table's columns: up to 40 stand at the axis, and their
            values are points without lines between them.

    Raises:
        InputError: where the shapes differ.
    """
    arrays = {label: np.asarray(row) for label, row in rows.items()}
    _check_rows(arrays)
    if all(array.ndim == 2 for array in arrays.values()):
        return _vector_panels(arrays, title, note, above or {}, below or {}, names)
    tiles = np.stack([_tiles(array, limits) for array in arrays.values()])
    texts = [(list((above or {}).get(label, ())), list((below or {}).get(label, ()))) for label in arrays]
    room = _MARGIN + _LETTER * max(map(len, arrays), default=0)
    figure, axes, centres = _sheet(tiles, limits, texts, "gray", tiles.shape[0] * tiles.shape[1], room)
    axes.set_yticks(centres, list(arrays))
    head(figure, title, note, _channels(arrays), _scale(limits))
    return figure


def image_grid(
    images: ArrayLike,
    columns: int | None = None,
    *,
    symmetric: bool = False,
    title: str | None = None,
    note: str = "",
    limits: Limits = (0, 1),
    above: Sequence[str] = (),
) -> Figure:
    """Draws images in a grid, row by row.

    Args:
        images: images [n, h, w, channels].
        columns: the number of columns; None: such that the grid is nearly square.
        symmetric: draw all images on one scale around zero, which a colour bar shows (for RGB a note: mid-grey is 0).
            It ends where few values lie beyond it: see `style.robust_limit`.
        title: the title of the figure.
        note: the caption of the figure.
        limits: the values that are black and white, where the scale is not symmetric.
        above: the texts above the images, one for each.

    Raises:
        InputError: for arrays that are no such images, and for fewer than one column.
    """
    images = np.asarray(images)
    beyond = ""
    if symmetric:
        limit, beyond = robust_limit(images)
        limits = (-limit, limit)
    tiles = _tiles(images, limits)
    count = len(tiles)
    columns = min(_columns(count) if columns is None else columns, count)
    if columns < 1:
        raise InputError(f"A grid of {columns} columns cannot be drawn; ask for 1 or more.")
    rows = -(-count // columns)
    padded = np.pad(tiles, [(0, rows * columns - count), (0, 0), (0, 0), (0, 0)])
    texts: list[tuple[Sequence[str], Sequence[str]]] = [
        (above[row * columns : (row + 1) * columns], ()) for row in range(rows)
    ]
    colours = "RdBu_r" if symmetric else "gray"
    has_bar = symmetric and tiles.shape[-1] == 1
    room = _MARGIN + (_BAR if has_bar else 0)
    figure, axes, _ = _sheet(padded.reshape(rows, columns, *tiles.shape[1:]), limits, texts, colours, count, room)
    if has_bar:
        bar = figure.colorbar(ScalarMappable(Normalize(*limits), colours), ax=axes, aspect=30, pad=0.02)
        bar.ax.tick_params(labelsize=TICK)
    grey = f"grey is 0, full colour ±{limits[1]:.3g}" if symmetric and tiles.shape[-1] == 3 else ""
    head(figure, title, note, grey, beyond, _channels({"": images}), "" if symmetric else _scale(limits))
    return figure


def image_plane(
    images: ArrayLike,
    across: ArrayLike,
    up: ArrayLike,
    *,
    title: str | None = None,
    note: str = "",
    limits: Limits = (0, 1),
) -> Figure:
    """Draws images without gaps on the plane that their codes lie on.

    Args:
        images: images [len(up) * len(across), h, w, channels], row by row from the top left.
        across: the ascending values of the horizontal axis, dimension 0 of the code.
        up: the ascending values of the vertical axis, dimension 1.
        title: the title of the figure.
        note: the caption of the figure.
        limits: the values that are black and white.

    Raises:
        InputError: for arrays that are no such images, or do not fill the plane.
    """
    images, across, up = np.asarray(images), np.asarray(across, float), np.asarray(up, float)
    tiles = _tiles(images, limits)
    count, height, width, depth = tiles.shape
    if count != len(up) * len(across):
        raise InputError(f"{count} images do not fill a plane of {len(across)} by {len(up)}; pass one for each place.")
    spread_out = tiles.reshape(len(up), len(across), height, width, depth).swapaxes(1, 2)
    figure, (axes,) = canvas(6.4, 6.4)
    _show(axes, spread_out.reshape(len(up) * height, len(across) * width, depth), limits, "gray")
    for axis, values, size in ((axes.xaxis, across, width), (axes.yaxis, up[::-1], height)):
        shown = np.unique(np.linspace(0, len(values) - 1, 7).round().astype(int))
        axis.set_ticks((shown + 0.5) * size, [f"{round(values[place], 2):g}" for place in shown])
    axes.set_xlabel("dimension 0 of the code", fontsize=LABEL)
    axes.set_ylabel("dimension 1 of the code", fontsize=LABEL)
    _bare(axes)
    head(figure, title, note, _channels({"": images}), _scale(limits))
    return figure


def weights(kernel: ArrayLike, image_shape: Sequence[int], *, title: str | None = None) -> Figure:
    """Draws the kernel of each unit as an image, by the unit's number; of more than 100 units, some spread over them.

    Args:
        kernel: the kernel [d, units], with d the product of `image_shape`.
        image_shape: (h, w) or (h, w, channels).
        title: the title of the figure. The caption says how many units are drawn.

    Raises:
        InputError: for a kernel of another shape.
    """
    kernel, size = np.asarray(kernel), int(np.prod(image_shape))
    if kernel.ndim != 2 or len(kernel) != size:
        raise InputError(
            f"A kernel of shape {kernel.shape} does not hold images of shape {tuple(image_shape)}; "
            f"pass one of shape ({size}, units)."
        )
    units = kernel.shape[1]
    chosen = spread(units, MOST_UNITS)
    note = f"{len(chosen)} of {units:,} units, above each its number"
    images = kernel.T[chosen].reshape(-1, *image_shape)
    return image_grid(images, symmetric=True, title=title, note=note, above=[str(unit) for unit in chosen])


def is_drawable(shape: Sequence[int]) -> bool:
    """Tells whether examples of a shape can be drawn as images: (h, w, channels)."""
    return len(shape) == 3


def panels(images: ArrayLike, gap: float = np.nan) -> np.ndarray:
    """Returns images [n, h, w, 1 or 3] of images of any number of channels.

    Where there are neither one channel nor three, each channel becomes a grey panel, in rows as nearly square as can
    be, with a line of `gap` between two. Of more than 16 channels so many are taken, spread over them.
    """
    images = np.asarray(images)
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or 0 in images.shape:
        raise InputError(f"Images of shape {images.shape} cannot be drawn; pass [n, h, w, channels], none of them 0.")
    images = images.astype(float)
    if images.shape[-1] in (1, 3):
        return images
    images = images[..., spread(images.shape[-1], MOST_PANELS)]
    n, height, width, channels = images.shape
    columns = _columns(channels)
    rows = -(-channels // columns)
    sheet = np.full((n, rows, height + 1, columns, width + 1), gap)
    for channel in range(channels):
        row, column = divmod(channel, columns)
        sheet[:, row, :height, column, :width] = images[..., channel]
    return sheet.reshape(n, rows * (height + 1), columns * (width + 1), 1)[:, :-1, :-1]


def _channels(arrays: Mapping[str, np.ndarray]) -> str:
    """Returns the note that says how images of several channels are drawn."""
    shape = next(iter(arrays.values())).shape
    channels = shape[3] if len(shape) == 4 else 1
    if channels in (1, 3):
        return ""
    some = f", of which {MOST_PANELS} are drawn" if channels > MOST_PANELS else ""
    return f"an example is a panel for each of its {channels} channels{some}, row by row"


def _scale(limits: Limits) -> str:
    """Returns the note that says what is black and white, where that is not 0 and 1."""
    return "" if tuple(limits) == (0, 1) else f"black is {limits[0]:.3g}, white {limits[1]:.3g}"


def _check_rows(arrays: Mapping[str, np.ndarray]) -> None:
    if len({array.shape for array in arrays.values()}) != 1:
        shapes = ", ".join(f"{label} {array.shape}" for label, array in arrays.items())
        raise InputError(f"The rows of a figure need one shape, and these have: {shapes or 'no rows'}.")


def _tiles(images: np.ndarray, limits: Limits) -> np.ndarray:
    """Returns images as floats, of one channel or three. Raises `InputError` for arrays that are none."""
    made = panels(images)
    if images.dtype.kind in "iu" and images.max() > 1 and tuple(limits) == (0, 1):
        raise InputError(f"Images of {images.dtype} reach {images.max()}; pass values in [0, 1], or limits.")
    return made


def _columns(count: int) -> int:
    """Returns the number of columns near a square that leaves the fewest gaps: 8 for 32 images, 10 for 100."""
    root = int(np.ceil(np.sqrt(count)))
    return min(range(root, root + root // 2 + 1), key=lambda columns: -count % columns)


def _sheet(
    tiles: np.ndarray,
    limits: Limits,
    texts: Sequence[tuple[Sequence[str], Sequence[str]]],
    colours: str,
    count: int,
    room: float,
) -> tuple[Figure, Axes, list[float]]:
    """Draws rows of images, with texts above and below them, as one picture: many are slow to draw.

    Args:
        tiles: the images `[rows, columns, h, w, 1 or 3]`.
        limits: the values at the ends of the scale.
        texts: for each row the texts above and those below its images.
        colours: the name of the colour map of images of one channel.
        count: how many of the images are drawn, the first ones.
        room: inches beside the images.

    Returns:
        The figure, its axes, and the height of each row's middle.
    """
    _, columns, height, width, depth = tiles.shape
    gap, line = max(1, round(_GAP * width)), max(1, round(1.5 * _TEXT / 72 / _CELL * width))
    pitch = [gap + height + line * (bool(above) + bool(below)) for above, below in texts]
    tops = [sum(pitch[:row]) + line * bool(above) for row, (above, _) in enumerate(texts)]
    across, down = columns * (width + gap), sum(pitch)
    figure, (axes,) = canvas(_CELL * across / width + room, _CELL * down / width + 0.8)
    axes.set_anchor("W")  # below the title, where there is more room than is needed
    page, frames = np.full((down, across, depth), np.nan), []
    for place, image in enumerate(tiles.reshape(-1, height, width, depth)[:count]):
        row, column = divmod(place, columns)
        top, left = tops[row], column * (width + gap)
        page[top : top + height, left : left + width] = image
        frames.append(Rectangle((left, top), width, height))
        for said, y, side in zip(texts[row], (top - gap / 4, top + height + gap / 4), ("bottom", "top"), strict=True):
            if said:
                # Inside the axes, so that no layout needs their sizes: those of a hundred texts take long.
                at: dict[str, Any] = {"ha": "center", "va": side, "in_layout": False}
                axes.text(left + width / 2, y, said[column], fontsize=_TEXT, **at)
    _show(axes, page, limits, colours)
    axes.add_collection(PatchCollection(frames, facecolor="none", edgecolor=OFF, linewidth=0.8))
    axes.set(xlim=(-gap, across), ylim=(down, -gap), aspect="equal", xticks=[], yticks=[])
    _bare(axes)
    axes.tick_params(labelsize=LABEL)
    return figure, axes, [top + height / 2 for top in tops]


def _show(axes: Axes, page: np.ndarray, limits: Limits, colours: str) -> None:
    """Draws one picture, a pixel a unit; what is NaN stays white."""
    low, high = limits
    place = (0, page.shape[1], page.shape[0], 0)
    if page.shape[-1] == 1:
        # Coloured before it is enlarged, which is far fewer pixels.
        axes.imshow(page[..., 0], cmap=colours, vmin=low, vmax=high, extent=place, interpolation_stage="rgba")
        return
    light = np.clip((page - low) / (high - low), 0, 1)
    axes.imshow(np.where(np.isnan(light), 1, light), extent=place)


def _bare(axes: Axes) -> None:
    """Leaves off all of the frame and the marks of ticks."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=TICK)


def _vector_panels(
    rows: Mapping[str, np.ndarray],
    title: str | None,
    note: str,
    above: Mapping[str, Sequence[str]],
    below: Mapping[str, Sequence[str]],
    names: Sequence[str],
) -> Figure:
    count, size = next(iter(rows.values())).shape
    named = len(names) == size and size <= _MOST_NAMES
    if not count or not size:
        raise InputError(f"Vectors of shape {(count, size)} cannot be drawn; pass [n, d], n and d > 0.")
    columns = min(count, 5)
    lines = -(-count // columns)
    wide, tall = (max(1.9, 0.16 * size), 0.9) if named else (1.9, 0)  # a name stands upright at the lowest panels
    figure, panels = canvas(0.6 + wide * columns, 0.9 + 1.4 * lines + tall, lines, columns, sharex=True, sharey=True)
    style: dict[str, Any] = {
        "marker": "o" if size <= 50 else "",
        "markersize": 3,
        "linewidth": 0 if named else 1,
        "alpha": 0.8,
    }
    for number, (axes, *vectors) in enumerate(zip(panels, *rows.values(), strict=False)):
        plain(axes)
        for row, (label, vector, colour) in enumerate(zip(rows, vectors, cycle(LINES), strict=False)):
            # The first row is rings, in which the points of the others are seen where they agree.
            ring = {"markersize": 6, "markerfacecolor": "none"} if named and row == 0 else {}
            axes.plot(vector, color=colour, label=label, **style | ring)
        if named:
            axes.set_xticks(range(size), [shortened(name, _LONGEST_NAME) for name in names], rotation=90)
            axes.grid(axis="x", linewidth=0.4, color=OFF)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        said = [texts[number] for texts in (*above.values(), *below.values())]
        axes.set_title("  ".join(said), fontsize=TICK)
    for axes in panels[count:]:
        axes.set_visible(False)
    for axes in panels[max(count - columns, 0) : count]:
        if not named:
            axes.set_xlabel("number of the value", fontsize=LABEL)
        axes.tick_params(labelbottom=True)
    for axes in panels[::columns]:
        axes.set_ylabel("value", fontsize=LABEL)
    keys = panels[0].get_legend_handles_labels()
    figure.legend(*keys, loc="outside upper right", ncols=len(rows), frameon=False, fontsize=LABEL)
    head(figure, title, note)
    return figure
