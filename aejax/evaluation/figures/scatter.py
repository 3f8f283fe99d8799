"""Draws codes as points."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from aejax.core import InputError
from aejax.evaluation.figures.style import CLASSES, LABEL, LINES, TICK, canvas, head
from aejax.metrics import robust_range

MOST_CLASSES = 2 * len(CLASSES)  # each colour with two markers; more labels are a continuous quantity


def code_scatter(
    codes: ArrayLike,
    labels: ArrayLike | None = None,
    explained: Sequence[float] | None = None,
    *,
    title: str | None = None,
    note: str = "",
) -> Figure:
    """Draws codes as points coloured by label.

    Codes of more than two dimensions are drawn on their first two principal components. Codes of one dimension are
    drawn against the label, or without labels as a histogram. Of two axes, few points that lie far from all others are
    left outside, and the caption counts them.

    Args:
        codes: the codes [n, d].
        labels: the labels [n]; up to 20 distinct ones are classes, more are a continuous quantity.
        explained: for codes [n, 2] that the caller has projected, the share of the variance, 0 to 1, along each axis.
        title: the title of the figure.
        note: the caption of the figure.

    Raises:
        InputError: for codes that are not finite or not [n, d], and for labels or shares that do not go with them.
    """
    points, labels = np.asarray(codes, float), None if labels is None else np.asarray(labels)
    _check_codes(points, labels, explained)
    if points.shape[1] > 2:
        points, explained = _principal_components(points)
    figure, (axes,) = canvas(6.4, 4.6)
    if points.shape[1] == 1:
        _strip(figure, axes, points[:, 0], labels)
        head(figure, title, note)
        return figure
    names = ["dimension 0 of the code", "dimension 1 of the code"]
    if explained is not None:
        names = [f"principal component {i} ({share:.1%} of variance)" for i, share in enumerate(explained, 1)]
    axes.set_xlabel(names[0], fontsize=LABEL)
    axes.set_ylabel(names[1], fontsize=LABEL)
    axes.set_aspect("equal", adjustable="datalim")
    if handles := _points(figure, axes, points[:, 0], points[:, 1], labels):
        axes.legend(handles=handles, frameon=False, fontsize=LABEL, loc="upper left", bbox_to_anchor=(1, 1))
    head(figure, title, note, _leave_out_far_ones(axes, points))
    return figure


def _leave_out_far_ones(axes: Axes, points: np.ndarray) -> str:
    """Fits both axes to where all points but outliers lie, and returns a note of how many lie outside."""
    low, high = np.transpose([robust_range(values) for values in points.T])
    margin = (high - low) / 2
    outside = ((points < low - margin) | (points > high + margin)).any(axis=1)
    if not outside.any():
        return ""
    (left, bottom), (right, top) = points[~outside].min(axis=0), points[~outside].max(axis=0)
    axes.set(xlim=(left - 0.05 * margin[0], right + 0.05 * margin[0]))
    axes.set(ylim=(bottom - 0.05 * margin[1], top + 0.05 * margin[1]))
    return f"{outside.sum():,} of {len(points):,} codes lie far outside the picture"


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


def _principal_components(codes: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Returns the codes on their first two principal components, and the share of the variance along each."""
    from sklearn.decomposition import PCA

    if len(codes) < 2:
        raise InputError(f"Principal components need 2 codes or more, and {len(codes)} came.")
    with np.errstate(invalid="ignore"):  # collapsed codes have no variance to share: 0 / 0
        pca = PCA(2, random_state=0).fit(codes)
    return pca.transform(codes), np.nan_to_num(pca.explained_variance_ratio_).tolist()


def _classes(labels: np.ndarray) -> np.ndarray | None:
    """Returns the distinct labels, or None where they are too many to be classes."""
    distinct = np.unique(labels)
    if len(distinct) > MOST_CLASSES and labels.dtype.kind not in "biuf":
        raise InputError(f"{len(distinct)} distinct labels are not numbers; pass {MOST_CLASSES} or fewer.")
    return distinct if len(distinct) <= MOST_CLASSES else None


def _strip(figure: Figure, axes: Axes, code: np.ndarray, labels: np.ndarray | None) -> None:
    """Draws codes of one dimension: as a histogram, or as points against the label, jittered for classes."""
    axes.set_xlabel("dimension 0 of the code", fontsize=LABEL)
    axes.set_ylabel("examples" if labels is None else "label", fontsize=LABEL)
    if labels is None:
        axes.hist(code, bins=50, color=LINES[0])
    elif (classes := _classes(labels)) is None:
        _points(figure, axes, code, labels.astype(float), None)
    else:
        jitter = np.random.default_rng(0).uniform(-0.3, 0.3, len(code))
        _points(figure, axes, code, np.searchsorted(classes, labels) + jitter, labels)
        axes.set_yticks(range(len(classes)), [str(label) for label in classes])


def _points(figure: Figure, axes: Axes, x: np.ndarray, y: np.ndarray, labels: np.ndarray | None) -> list[Line2D]:
    """Draws points coloured by label, and return the legend's entries for classes; numbers get a colour bar instead."""
    style: dict[str, Any] = {"s": float(np.clip(4e4 / len(x), 3, 16)), "alpha": 0.7, "linewidths": 0}
    if labels is None:
        axes.scatter(x, y, color=LINES[0], **style)
        return []
    if (classes := _classes(labels)) is None:
        drawn = axes.scatter(x, y, c=labels, cmap="viridis", **style)
        bar = figure.colorbar(ScalarMappable(drawn.norm, drawn.cmap), ax=axes, aspect=30)
        bar.ax.tick_params(labelsize=TICK)
        return []
    index, handles = np.searchsorted(classes, labels), []
    palette = LINES if len(classes) <= len(LINES) else CLASSES
    for first, marker in ((0, "o"), (len(CLASSES), "^")):
        part = (index >= first) & (index < first + len(CLASSES))
        colours = [palette[i - first] for i in index[part]]
        axes.scatter(x[part], y[part], c=colours, marker=marker, **style)
        for label, colour in zip(classes[first:], palette, strict=False):
            handles.append(Line2D([], [], color=colour, marker=marker, linestyle="", label=str(label)))
    return handles
