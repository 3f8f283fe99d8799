"""Draws Matplotlib figures from arrays.

All functions but `save` are pure: they do without pyplot and its global state.
"""

from aejax.evaluation.figures.curves import loss_curves
from aejax.evaluation.figures.images import (
    ERRORS,
    image_grid,
    image_plane,
    image_rows,
    is_drawable,
    panels,
    reconstructions,
    squared_errors,
    weights,
)
from aejax.evaluation.figures.scatter import MOST_CLASSES, code_scatter
from aejax.evaluation.figures.shown import Picture, Pictures
from aejax.evaluation.figures.style import save, shortened, sign
from aejax.evaluation.figures.units import activation_density, activation_histogram, code_usage, latent_units, matrix

__all__ = [
    "ERRORS",
    "MOST_CLASSES",
    "Picture",
    "Pictures",
    "activation_density",
    "activation_histogram",
    "code_scatter",
    "code_usage",
    "image_grid",
    "image_plane",
    "image_rows",
    "is_drawable",
    "latent_units",
    "loss_curves",
    "matrix",
    "panels",
    "reconstructions",
    "save",
    "shortened",
    "sign",
    "squared_errors",
    "weights",
]
