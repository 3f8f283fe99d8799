"""Draws examples: images in rows, in a grid or on a plane, and vectors as curves in one panel."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from aejax.core import InputError, spread
from aejax.evaluation.figures.style import LABEL, LINES, TICK, TITLE, plain

_MOST_UNITS = 100

_CELL, _GAP = 0.8, 0.08  # inches an image is wide; space between images, as a part of that width


def reconstructions(
    originals: ArrayLike, reconstructions: ArrayLike, count: int = 10, *, title: str | None = None
) -> Figure:
    """Draw some originals above their reconstructions.

    Args:
        originals: images [n, h, w, 1 or 3] in [0, 1], or vectors [n, d].
        reconstructions: the same, of the same shape.
        count: how many of them are drawn at most, spread over all.
        title: the title of the figure.

    Raises:
        InputError: where the shapes differ.
    """
    pair = {"original": np.asarray(originals), "reconstruction": np.asarray(reconstructions)}
    _check_rows(pair)
    chosen = spread(len(pair["original"]), count)
    return image_rows({label: array[chosen] for label, array in pair.items()}, title=title)


def image_rows(rows: Mapping[str, ArrayLike], *, title: str | None = None) -> Figure:
    """Draw labelled rows of images, the first on top, example i in column i.

    Each row has images [n, h, w, 1 or 3] in [0, 1]. Rows of vectors [n, d] are drawn as curves instead, value
    against index, with one panel for each example. Raises `InputError` where the shapes differ.
    """
    arrays = {label: np.asarray(row) for label, row in rows.items()}
    _check_rows(arrays)
    if all(array.ndim == 2 for array in arrays.values()):
        return _vector_panels(arrays, title)
    images = {label: _images(array) for label, array in arrays.items()}
    count, height, width, _ = next(iter(images.values())).shape
    figure, axes = _canvas(len(images), count, height / width, title)
    for row, row_images in enumerate(images.values()):
        for column, image in enumerate(row_images):
            _draw(axes, image, row, column)
    axes.set_yticks([row * (height / width + _GAP) + height / width / 2 for row in range(len(images))])
    axes.set_yticklabels(list(images))
    return figure


def image_grid(
    images: ArrayLike, columns: int | None = None, *, symmetric: bool = False, title: str | None = None
) -> Figure:
    """Draw images in a grid, row by row.

    Args:
        images: images [n, h, w, 1 or 3] in [0, 1]; with `symmetric`, of any values.
        columns: the number of columns; None: such that the grid is nearly square.
        symmetric: draw all images on one scale from -max|images| to max|images|, which a colour bar shows (for RGB a
            note: mid-grey is 0).
        title: the title of the figure.

    Raises:
        InputError: for arrays that are no such images, and for fewer than one column.
    """
    images = _images(images, bounded=not symmetric)
    count, height, width, channels = images.shape
    columns = min(_columns(count) if columns is None else columns, count)
    if columns < 1:
        raise InputError(f"A grid of {columns} columns cannot be drawn; ask for 1 or more.")
    limit = (float(np.nanmax(np.abs(images))) or 1.0) if symmetric else None
    figure, axes = _canvas(-(-count // columns), columns, height / width, title)
    drawn = [_draw(axes, image, *divmod(i, columns), limit) for i, image in enumerate(images)]
    if limit and channels == 1:
        bar = figure.colorbar(drawn[0], ax=axes, aspect=30, pad=0.02)
        bar.ax.tick_params(labelsize=TICK)
    elif limit:
        axes.set_xlabel(f"grey is 0, full colour ±{limit:.3g}", fontsize=LABEL)
    return figure


def image_plane(images: ArrayLike, across: ArrayLike, up: ArrayLike, *, title: str | None = None) -> Figure:
    """Draw images without gaps on the plane that their codes lie on.

    Args:
        images: images [len(up) * len(across), h, w, 1 or 3] in [0, 1], row by row from the top left.
        across: the ascending values of the horizontal axis.
        up: the ascending values of the vertical axis.
        title: the title of the figure.

    Raises:
        InputError: for arrays that are no such images, or do not fill the plane.
    """
    images, across, up = _images(images), np.asarray(across, float), np.asarray(up, float)
    count, height, width, channels = images.shape
    if count != len(up) * len(across):
        raise InputError(f"{count} images do not fill a plane of {len(across)} by {len(up)}; pass one for each place.")
    tiles = images.reshape(len(up), len(across), height, width, channels).swapaxes(1, 2)
    sheet = tiles.reshape(len(up) * height, len(across) * width, channels)
    figure = Figure(figsize=(6.4, 6.4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(np.clip(sheet, 0, 1)[..., 0] if channels == 1 else np.clip(sheet, 0, 1), cmap="gray", vmin=0, vmax=1)
    for axis, values, size in ((axes.xaxis, across, width), (axes.yaxis, up[::-1], height)):
        shown = np.unique(np.linspace(0, len(values) - 1, 7).round().astype(int))
        axis.set_ticks((shown + 0.5) * size - 0.5, [f"{round(values[place], 2):g}" for place in shown])
    axes.set_xlabel("code 1", fontsize=LABEL)
    axes.set_ylabel("code 2", fontsize=LABEL)
    axes.tick_params(length=0, labelsize=TICK)
    axes.spines[:].set_visible(False)
    axes.set_title(title or "", fontsize=TITLE)
    return figure


def weights(kernel: ArrayLike, image_shape: Sequence[int], *, title: str | None = None) -> Figure:
    """Draw the kernel of each unit as an image; of more than 100 units, so many that are spread over them.

    Args:
        kernel: the kernel [d, units], with d the product of `image_shape`.
        image_shape: (h, w), (h, w, 1) or (h, w, 3).
        title: the title of the figure; where units are left out, a line that says so is added.

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
    images = kernel.T[spread(units, _MOST_UNITS)].reshape(-1, *image_shape)
    left_out = [f"{len(images)} of {units:,} units"] if len(images) < units else []
    return image_grid(images, symmetric=True, title="\n".join([*([title] if title else []), *left_out]))


def is_drawable(shape: Sequence[int]) -> bool:
    """Tells whether examples of a shape can be drawn as images: (h, w, 1) or (h, w, 3)."""
    return len(shape) == 3 and shape[-1] in (1, 3)


def _check_rows(arrays: Mapping[str, np.ndarray]) -> None:
    if len({array.shape for array in arrays.values()}) != 1:
        shapes = ", ".join(f"{label} {array.shape}" for label, array in arrays.items())
        raise InputError(f"The rows of a figure need one shape, and these have: {shapes or 'no rows'}.")


def _images(images: ArrayLike, bounded: bool = True) -> np.ndarray:
    images = np.asarray(images)
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise InputError(f"Images of shape {images.shape} cannot be drawn; pass [n, h, w, 1 or 3], n > 0.")
    if bounded and images.dtype.kind in "iu" and images.max() > 1:
        raise InputError(f"Images of {images.dtype} reach {images.max()}; pass values in [0, 1].")
    return images.astype(float)


def _columns(count: int) -> int:
    """Return the number of columns near a square that leaves the fewest gaps: 8 for 32 images, 10 for 100."""
    root = int(np.ceil(np.sqrt(count)))
    return min(range(root, root + root // 2 + 1), key=lambda columns: -count % columns)


def _canvas(rows: int, columns: int, aspect: float, title: str | None) -> tuple[Figure, Axes]:
    """Make a figure with axes for rows of images, each 1 wide and `aspect` high, the first row on top."""
    width, height = columns * (1 + _GAP), rows * (aspect + _GAP)
    figure = Figure(figsize=(_CELL * width + 1, _CELL * height + 0.5), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(-_GAP, width), ylim=(height, -_GAP), aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=LABEL)
    axes.set_title(title or "", fontsize=TITLE)
    return figure, axes


def _draw(axes: Axes, image: np.ndarray, row: int, column: int, limit: float | None = None) -> AxesImage:
    """Draw one image at its place on the canvas. Its values go from 0 to 1, or with a limit from -limit to limit."""
    low, high, colours = (0.0, 1.0, "gray") if limit is None else (-limit, limit, "RdBu_r")
    aspect = image.shape[0] / image.shape[1]
    left, top = column * (1 + _GAP), row * (aspect + _GAP)
    axes.add_patch(Rectangle((left, top), 1, aspect, fill=False, edgecolor="0.75", linewidth=0.8))
    rgb = image.shape[-1] == 3
    pixels = np.clip((image - low) / (high - low), 0, 1) if rgb else image[..., 0]
    place = (left, left + 1, top + aspect, top)
    return axes.imshow(pixels, cmap=colours, vmin=low, vmax=high, extent=place)


def _vector_panels(rows: Mapping[str, np.ndarray], title: str | None) -> Figure:
    count, size = next(iter(rows.values())).shape
    if not count or not size:
        raise InputError(f"Vectors of shape {(count, size)} cannot be drawn; pass [n, d], n and d > 0.")
    columns = min(count, 5)
    lines = -(-count // columns)
    figure = Figure(figsize=(0.6 + 1.9 * columns, 0.7 + 1.4 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
    style: dict[str, Any] = {
        "marker": "o" if size <= 50 else "",
        "markersize": 3,
        "linewidth": 1,
        "alpha": 0.8,
    }
    for axes, *vectors in zip(panels, *rows.values(), strict=False):
        plain(axes)
        for label, vector, colour in zip(rows, vectors, cycle(LINES), strict=False):
            axes.plot(vector, color=colour, label=label, **style)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    for axes in panels[count:]:
        axes.set_visible(False)
    for axes in panels[max(count - columns, 0) : count]:
        axes.set_xlabel("index", fontsize=LABEL)
        axes.tick_params(labelbottom=True)
    for axes in panels[::columns]:
        axes.set_ylabel("value", fontsize=LABEL)
    keys = panels[0].get_legend_handles_labels()
    figure.legend(*keys, loc="outside lower center", ncols=len(rows), frameon=False, fontsize=LABEL)
    figure.suptitle(title or "", fontsize=TITLE)
    return figure
