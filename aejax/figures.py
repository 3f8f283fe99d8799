"""Matplotlib figures from arrays: pure functions, apart from `save`, without pyplot and its global state."""

import os
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from aejax.errors import InputError

_LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # Okabe and Ito: safe for colour-blind readers
# Tol's "muted" (SRON/EPS/TN/09-002), safe likewise, and a near-black
_MUTED = ("#332288", "#88CCEE", "#44AA99", "#117733", "#999933", "#DDCC77", "#CC6677", "#882255", "#AA4499")
_CLASSES = (*_MUTED, "#222222")
_MOST_CLASSES = 2 * len(_CLASSES)  # each colour with two markers; more labels are a continuous quantity
_MOST_UNITS = 100
_CELL, _GAP = 0.8, 0.08  # inches an image is wide; space between images, as a part of that width
_TITLE, _LABEL, _TICK = 11, 9, 8  # font sizes in points


def save(figure: Figure, path: str | Path) -> None:
    """Write `figure` as a PNG, under a temporary name first: `path` never holds half a picture."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        figure.savefig(temporary, format="png", dpi=150, bbox_inches="tight")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def reconstructions(
    originals: ArrayLike, reconstructions: ArrayLike, count: int = 10, *, title: str | None = None
) -> Figure:
    """Draw the first `count` originals above their reconstructions.

    Both [n, h, w, 1 or 3] in [0, 1], or vectors [n, d]. InputError where the shapes disagree.
    """
    pair = {"original": np.asarray(originals), "reconstruction": np.asarray(reconstructions)}
    _check_rows(pair)
    return image_rows({label: array[:count] for label, array in pair.items()}, title=title)


def image_rows(rows: Mapping[str, ArrayLike], *, title: str | None = None) -> Figure:
    """Draw labelled rows of images, the first on top, example i in column i.

    Each row [n, h, w, 1 or 3] in [0, 1]. Vectors [n, d] are overlaid instead: one panel an example,
    value against index. InputError where the shapes disagree.
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
    """Draw images in a grid, row by row, as near to square as it goes where `columns` is None.

    images [n, h, w, 1 or 3] in [0, 1]. With `symmetric`, of any values: all share one scale from
    -max|images| to max|images|, shown by a colour bar (for RGB by a note: mid-grey is 0).
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
        bar.ax.tick_params(labelsize=_TICK)
    elif limit:
        axes.set_xlabel(f"grey is 0, full colour ±{limit:.3g}", fontsize=_LABEL)
    return figure


def image_plane(images: ArrayLike, across: ArrayLike, up: ArrayLike, *, title: str | None = None) -> Figure:
    """Draw images without gaps on the plane that their codes lie on, row by row from the top left.

    images [len(up) * len(across), h, w, 1 or 3] in [0, 1]; the values on the two axes ascend.
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
        axis.set_ticks((shown + 0.5) * size - 0.5, [f"{values[place]:.2g}" for place in shown])
    axes.set_xlabel("code 1", fontsize=_LABEL)
    axes.set_ylabel("code 2", fontsize=_LABEL)
    axes.tick_params(length=0, labelsize=_TICK)
    axes.spines[:].set_visible(False)
    axes.set_title(title or "", fontsize=_TITLE)
    return figure


def weights(kernel: ArrayLike, image_shape: Sequence[int], *, title: str | None = None) -> Figure:
    """Draw the kernel of each unit, at most the first 100, as an image.

    kernel [d, units], with d the product of `image_shape`: (h, w), (h, w, 1) or (h, w, 3).
    """
    kernel, size = np.asarray(kernel), int(np.prod(image_shape))
    if kernel.ndim != 2 or len(kernel) != size:
        raise InputError(
            f"A kernel of shape {kernel.shape} does not hold images of shape {tuple(image_shape)}; "
            f"pass one of shape ({size}, units)."
        )
    images = kernel.T[:_MOST_UNITS].reshape(-1, *image_shape)
    return image_grid(images, symmetric=True, title=title)


def loss_curves(
    history: Sequence[Mapping[str, Any]], metrics: Sequence[str] | None = None, *, title: str | None = None
) -> Figure:
    """Draw one panel a metric and one line a split, in nats per example, against the epoch.

    history: rows such as {"epoch": 1, "split": "train", "loss_nats": 98.2}. Without `metrics`: every
    key that ends in _nats, less a reconstruction_nats that equals the loss. First epochs far above
    all later ones are left out of the y range, and a note says how high they reach.
    """
    names = list(metrics) if metrics is not None else _metrics(history)
    missing = [name for name in names if not any(name in row for row in history)]
    if missing or not names:
        what = ", ".join(missing) or "metric that ends in _nats"
        raise InputError(f"The history of {len(history)} rows has no {what}; pass rows that carry it.")
    rows, columns = -(-len(names) // 3), min(len(names), 3)
    figure = Figure(figsize=(0.6 + 3.4 * columns, 2.7 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    colours = dict(zip(dict.fromkeys(row["split"] for row in history), cycle(_LINES), strict=False))
    for axes, name in zip(panels, names, strict=False):
        _curves(axes, history, name, colours)
    for axes in panels[::columns]:
        axes.set_ylabel("nats per example", fontsize=_LABEL)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    handles = [Line2D([], [], color=colour, label=split) for split, colour in colours.items()]
    panels[0].legend(handles=handles, frameon=False, fontsize=_LABEL)
    figure.suptitle(title or "", fontsize=_TITLE)
    return figure


def code_scatter(
    codes: ArrayLike,
    labels: ArrayLike | None = None,
    explained: Sequence[float] | None = None,
    *,
    title: str | None = None,
) -> Figure:
    """Draw codes as points coloured by label: beyond two dimensions, on their first two principal components.

    codes [n, d], labels [n]: up to 20 distinct labels are classes, more are a continuous quantity.
    One dimension is drawn against the label, or as a histogram without labels. `explained` is for
    codes [n, 2] that the caller projected: the share of the variance, 0 to 1, along each axis.
    """
    points, labels = np.asarray(codes, float), None if labels is None else np.asarray(labels)
    _check_codes(points, labels, explained)
    if points.shape[1] > 2:
        points, explained = _principal_components(points)
    figure = Figure(figsize=(5.6, 4.4), layout="constrained")
    axes = figure.subplots()
    _plain(axes)
    axes.set_title(title or "", fontsize=_TITLE)
    if points.shape[1] == 1:
        _strip(figure, axes, points[:, 0], labels)
        return figure
    names = ["code 1", "code 2"]
    if explained is not None:
        names = [f"component {i} ({share:.1%} of variance)" for i, share in enumerate(explained, 1)]
    axes.set_xlabel(names[0], fontsize=_LABEL)
    axes.set_ylabel(names[1], fontsize=_LABEL)
    axes.set_aspect("equal", adjustable="datalim")
    if handles := _points(figure, axes, points[:, 0], points[:, 1], labels):
        axes.legend(handles=handles, frameon=False, fontsize=_LABEL, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def activation_density(shares: ArrayLike, *, title: str | None = None) -> Figure:
    """Draw how often units are active: a histogram of log10 of the share of examples, dead units counted aside.

    shares [units] in [0, 1]. InputError for others.
    """
    shares = _shares(shares)
    alive = shares[shares > 0]
    figure = _histogram(np.log10(alive), "log10 of the share of examples for which a unit is active", "units", title)
    figure.axes[0].set_title(f"dead: {len(shares) - len(alive)} of {len(shares)}", loc="right", fontsize=_TICK)
    return figure


def activation_histogram(values: ArrayLike, *, title: str | None = None) -> Figure:
    """Draw a histogram of how strong activations are, on a logarithmic axis of counts; values [n], n > 0."""
    figure = _histogram(np.asarray(values, float), "activation", "active units, over all examples", title)
    figure.axes[0].set_yscale("log")
    return figure


def code_usage(shares: ArrayLike, *, title: str | None = None) -> Figure:
    """Draw how often each code of a codebook is used, the most used first; the dead are counted aside.

    shares [codes] in [0, 1]. InputError for others.
    """
    shares = _shares(shares)
    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    axes = figure.subplots()
    _plain(axes)
    axes.stairs(-np.sort(-shares), fill=True, color=_LINES[0])
    axes.axhline(1 / len(shares), color="0.5", linewidth=1, linestyle="--")
    axes.set(xlim=(0, len(shares)), ylim=(0, None))
    axes.set_xlabel("codes, the most used first (dashed: all alike)", fontsize=_LABEL)
    axes.set_ylabel("share of all slots", fontsize=_LABEL)
    axes.set_title(title or "", fontsize=_TITLE)
    axes.set_title(f"dead: {(shares == 0).sum()} of {len(shares)}", loc="right", fontsize=_TICK)
    return figure


def _shares(shares: ArrayLike) -> np.ndarray:
    shares = np.asarray(shares, float)
    if shares.ndim != 1 or not len(shares) or not ((shares >= 0) & (shares <= 1)).all():
        raise InputError(f"Shares of shape {shares.shape} cannot be drawn; pass a vector, each from 0 to 1.")
    return shares


def latent_units(
    variance: ArrayLike, active: float, rate: ArrayLike | None = None, *, title: str | None = None
) -> Figure:
    """Draw how much each latent dimension is used, the most used first: those above `active` in colour.

    variance [latent]: of the posterior mean, on a logarithmic axis with `active` as a line.
    rate [latent], in nats: beside it, in an order of its own.
    """
    variance = np.asarray(variance, float)
    panels = {"variance of the posterior mean": variance}
    if rate is not None:
        panels = {"rate, nats": np.asarray(rate, float)} | panels
    figure = Figure(figsize=(0.6 + 4.2 * len(panels), 3.0), layout="constrained")
    drawn = figure.subplots(1, len(panels), squeeze=False)[0]
    on = variance > active
    for axes, (name, values) in zip(drawn, panels.items(), strict=True):
        order = np.argsort(-values)
        _plain(axes)
        axes.bar(np.arange(len(values)), values[order], width=0.8, color=np.where(on[order], _LINES[0], "0.75"))
        axes.set_xlabel("latent dimension, sorted", fontsize=_LABEL)
        axes.set_ylabel(name, fontsize=_LABEL)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    drawn[-1].set_yscale("log")
    drawn[-1].axhline(active, color="0.3", linewidth=0.8, linestyle="--")
    kinds = {f"active: {on.sum()}": _LINES[0], f"not: {(~on).sum()}": "0.75"}
    handles = [Rectangle((0, 0), 1, 1, color=colour, label=label) for label, colour in kinds.items()]
    drawn[0].legend(handles=handles, frameon=False, fontsize=_LABEL, loc="upper right")
    figure.suptitle(title or "", fontsize=_TITLE)
    return figure


def matrix(values: ArrayLike, columns: Sequence[str], rows: str, *, title: str | None = None) -> Figure:
    """Draw numbers from 0 to 1 on shades of a colour.

    values [n, columns]; `columns` names each, `rows` says what n counts. InputError for another shape.
    """
    values = np.asarray(values, float)
    if values.ndim != 2 or not len(values) or values.shape[1] != len(columns):
        raise InputError(f"Values of shape {values.shape} cannot be drawn; pass [n, {len(columns)}], a column a name.")
    figure = Figure(figsize=(1.2 + 0.8 * len(columns), 1 + 0.3 * len(values)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=_TICK, color="wk"[int(value < 0.6)])
    axes.set_xticks(range(len(columns)), columns, fontsize=_LABEL)
    axes.set_yticks(range(len(values)))
    axes.set_ylabel(rows, fontsize=_LABEL)
    axes.tick_params(length=0, labelsize=_TICK)
    axes.spines[:].set_visible(False)
    axes.set_title(title or "", fontsize=_TITLE)
    return figure


def _check_rows(arrays: Mapping[str, np.ndarray]) -> None:
    if len({array.shape for array in arrays.values()}) != 1:
        shapes = ", ".join(f"{label} {array.shape}" for label, array in arrays.items())
        raise InputError(f"The rows of a figure need one shape, and these have: {shapes or 'no rows'}.")


def _check_codes(codes: np.ndarray, labels: np.ndarray | None, explained: Sequence[float] | None) -> None:
    if codes.ndim != 2 or 0 in codes.shape or not np.isfinite(codes).all():
        raise InputError(f"Codes of shape {codes.shape} cannot be drawn; pass [n, d], n and d > 0, all finite.")
    if labels is not None and labels.shape != codes.shape[:1]:
        raise InputError(f"{len(codes)} codes came with labels of shape {labels.shape}; pass one label a code.")
    if explained is not None and (codes.shape[1] != 2 or len(explained) != 2):
        raise InputError(
            f"Shares of variance go with codes of two dimensions, two shares; "
            f"{len(explained)} came with {codes.shape[1]} dimensions."
        )


def _images(images: ArrayLike, bounded: bool = True) -> np.ndarray:
    images = np.asarray(images)
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise InputError(f"Images of shape {images.shape} cannot be drawn; pass [n, h, w, 1 or 3], n > 0.")
    if bounded and images.dtype.kind in "iu" and images.max() > 1:
        raise InputError(f"Images of {images.dtype} reach {images.max()}; pass values in [0, 1].")
    return images.astype(float)


def _columns(count: int) -> int:
    """The number of columns near a square that leaves the fewest gaps: 8 for 32, 10 for 100."""
    root = int(np.ceil(np.sqrt(count)))
    return min(range(root, root + root // 2 + 1), key=lambda columns: -count % columns)


def _canvas(rows: int, columns: int, aspect: float, title: str | None) -> tuple[Figure, Axes]:
    """A plane for rows of images, each 1 wide and `aspect` high, the first row on top."""
    width, height = columns * (1 + _GAP), rows * (aspect + _GAP)
    figure = Figure(figsize=(_CELL * width + 1, _CELL * height + 0.5), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(-_GAP, width), ylim=(height, -_GAP), aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=_LABEL)
    axes.set_title(title or "", fontsize=_TITLE)
    return figure, axes


def _draw(axes: Axes, image: np.ndarray, row: int, column: int, limit: float | None = None) -> AxesImage:
    """One image at its place on the canvas: of [0, 1], or of -limit to limit."""
    low, high, colours = (0.0, 1.0, "gray") if limit is None else (-limit, limit, "RdBu_r")
    aspect = image.shape[0] / image.shape[1]
    left, top = column * (1 + _GAP), row * (aspect + _GAP)
    axes.add_patch(Rectangle((left, top), 1, aspect, fill=False, edgecolor="0.75", linewidth=0.8))
    rgb = image.shape[-1] == 3
    pixels = np.clip((image - low) / (high - low), 0, 1) if rgb else image[..., 0]
    place = (left, left + 1, top + aspect, top)
    return axes.imshow(pixels, cmap=colours, vmin=low, vmax=high, extent=place)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=_TICK)


def _histogram(values: np.ndarray, what: str, of: str, title: str | None) -> Figure:
    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    axes = figure.subplots()
    _plain(axes)
    axes.hist(values, bins=50, color=_LINES[0])
    axes.set_xlabel(what, fontsize=_LABEL)
    axes.set_ylabel(of, fontsize=_LABEL)
    axes.set_title(title or "", fontsize=_TITLE)
    return figure


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
        _plain(axes)
        for label, vector, colour in zip(rows, vectors, cycle(_LINES), strict=False):
            axes.plot(vector, color=colour, label=label, **style)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    for axes in panels[count:]:
        axes.set_visible(False)
    for axes in panels[max(count - columns, 0) : count]:
        axes.set_xlabel("index", fontsize=_LABEL)
        axes.tick_params(labelbottom=True)
    for axes in panels[::columns]:
        axes.set_ylabel("value", fontsize=_LABEL)
    keys = panels[0].get_legend_handles_labels()
    figure.legend(*keys, loc="outside lower center", ncols=len(rows), frameon=False, fontsize=_LABEL)
    figure.suptitle(title or "", fontsize=_TITLE)
    return figure


def _metrics(history: Sequence[Mapping[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for row in history for name in row if name.endswith("_nats"))
    both = [row for row in history if "reconstruction_nats" in row]
    if all(np.isclose(row["reconstruction_nats"], row.get("loss_nats", np.nan), rtol=1e-6) for row in both):
        names.pop("reconstruction_nats", None)
    return list(names)


def _curves(axes: Axes, history: Sequence[Mapping[str, Any]], name: str, colours: Mapping[str, str]) -> None:
    """One metric: a line a split, with markers where the epochs are few."""
    rows = [row for row in history if name in row]
    epochs = np.array([row["epoch"] for row in rows])
    values = np.array([row[name] for row in rows], float)
    marker = "o" if len(np.unique(epochs)) <= 20 else ""
    for split, colour in colours.items():
        mine = [row["split"] == split for row in rows]
        axes.plot(epochs[mine], values[mine], color=colour, marker=marker, markersize=4, label=split)
    _plain(axes)
    axes.set_title(name.removesuffix("_nats").replace("_", " "), loc="left", fontsize=_LABEL)
    axes.set_xlabel("epoch", fontsize=_LABEL)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    _leave_out_first_epochs(axes, epochs[np.isfinite(values)], values[np.isfinite(values)])


def _leave_out_first_epochs(axes: Axes, epochs: np.ndarray, values: np.ndarray) -> None:
    """Fit the y range to the epochs below which the first ones tower, by twice the range of the later ones.

    At most one epoch in ten is left out, but always as many as one; of fewer than four none.
    """
    distinct = np.unique(epochs)
    most = max(len(distinct) // 10, 1) if len(distinct) >= 4 else 0
    for last in distinct[:most][::-1]:
        later, early = values[epochs > last], values[epochs <= last]
        if values[epochs == last].max() - later.max() > 2 * np.ptp(later):
            margin = 0.05 * (later.max() - values.min())
            axes.set_ylim(values.min() - margin, later.max() + margin)
            which = f"epoch {last}" if last == distinct[0] else f"epochs {distinct[0]} to {last}"
            axes.set_title(f"↑ {which}: {early.max():.4g}", loc="right", fontsize=_TICK, color="0.4")
            return


def _principal_components(codes: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """The first two principal components, and the share of the variance each carries."""
    from sklearn.decomposition import PCA

    if len(codes) < 2:
        raise InputError(f"Principal components need 2 codes or more, and {len(codes)} came.")
    with np.errstate(invalid="ignore"):  # collapsed codes have no variance to share: 0 / 0
        pca = PCA(2, random_state=0).fit(codes)
    return pca.transform(codes), np.nan_to_num(pca.explained_variance_ratio_).tolist()


def _classes(labels: np.ndarray) -> np.ndarray | None:
    """The distinct labels, or None where they are too many to be classes."""
    distinct = np.unique(labels)
    if len(distinct) > _MOST_CLASSES and labels.dtype.kind not in "biuf":
        raise InputError(f"{len(distinct)} distinct labels are not numbers; pass {_MOST_CLASSES} or fewer.")
    return distinct if len(distinct) <= _MOST_CLASSES else None


def _strip(figure: Figure, axes: Axes, code: np.ndarray, labels: np.ndarray | None) -> None:
    """One dimension of code: a histogram, or its points against the label, jittered for classes."""
    axes.set_xlabel("code", fontsize=_LABEL)
    axes.set_ylabel("examples" if labels is None else "label", fontsize=_LABEL)
    if labels is None:
        axes.hist(code, bins=50, color=_LINES[0])
    elif (classes := _classes(labels)) is None:
        _points(figure, axes, code, labels.astype(float), None)
    else:
        jitter = np.random.default_rng(0).uniform(-0.3, 0.3, len(code))
        _points(figure, axes, code, np.searchsorted(classes, labels) + jitter, labels)
        axes.set_yticks(range(len(classes)), [str(label) for label in classes])


def _points(figure: Figure, axes: Axes, x: np.ndarray, y: np.ndarray, labels: np.ndarray | None) -> list[Line2D]:
    """Points coloured by label; returns what a legend of classes shows, numbers get a colour bar."""
    style: dict[str, Any] = {"s": float(np.clip(4e4 / len(x), 3, 16)), "alpha": 0.7, "linewidths": 0}
    if labels is None:
        axes.scatter(x, y, color=_LINES[0], **style)
        return []
    if (classes := _classes(labels)) is None:
        drawn = axes.scatter(x, y, c=labels, cmap="viridis", **style)
        bar = figure.colorbar(ScalarMappable(drawn.norm, drawn.cmap), ax=axes, aspect=30)
        bar.ax.tick_params(labelsize=_TICK)
        return []
    index, handles = np.searchsorted(classes, labels), []
    for first, marker in ((0, "o"), (len(_CLASSES), "^")):
        part = (index >= first) & (index < first + len(_CLASSES))
        colours = [_CLASSES[i - first] for i in index[part]]
        axes.scatter(x[part], y[part], c=colours, marker=marker, **style)
        for label, colour in zip(classes[first:], _CLASSES, strict=False):
            handles.append(Line2D([], [], color=colour, marker=marker, linestyle="", label=str(label)))
    return handles
