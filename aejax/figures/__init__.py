"""Matplotlib figures from arrays: pure functions, apart from `save`, without pyplot and its global state."""

from aejax.figures.curves import loss_curves
from aejax.figures.images import image_grid, image_plane, image_rows, reconstructions, weights
from aejax.figures.scatter import code_scatter
from aejax.figures.style import save
from aejax.figures.units import activation_density, activation_histogram, code_usage, latent_units, matrix

__all__ = [
    "activation_density",
    "activation_histogram",
    "code_scatter",
    "code_usage",
    "image_grid",
    "image_plane",
    "image_rows",
    "latent_units",
    "loss_curves",
    "matrix",
    "reconstructions",
    "save",
    "weights",
]
