"""Makes thumbnails: small pictures of what a trained model of images does, which a sweep keeps in each result."""

import base64
import io
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from aejax.core import Examples
from aejax.evaluation.figures import is_drawable, panels
from aejax.trained import Trained
from aejax.trained.shown import shown_limits

COUNT = 8
"""Largest number of examples in a row."""


def thumbnails(trained: Trained, part: Examples) -> dict[str, Any] | None:
    """Makes rows of a few examples, their reconstructions and, where the model has a prior, samples.

    Returns them as JSON: the names of the rows, how many examples each has, and one PNG of all in base64. Returns None
    for examples that are no images.
    """
    if not is_drawable(trained.shape):
        return None
    few = part.at_most(COUNT).read()
    given = trained.seen(few.x)
    rows = {"original": given, "reconstruction": trained.reconstruct(few.x, few.label)}
    if trained.experiment.model.prior is not None:
        rows["sample"] = trained.sample(len(few), few.label if trained.experiment.model.classes else None)
    low, high = shown_limits(trained, given)
    sheet = np.concatenate([np.concatenate(list(panels(row, gap=high)), axis=1) for row in rows.values()])
    pixels = np.round(255 * np.clip(np.nan_to_num((sheet - low) / (high - low)), 0, 1)).astype(np.uint8)
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file := io.BytesIO(), "PNG")
    return {"rows": list(rows), "count": len(few), "png": base64.b64encode(file.getvalue()).decode()}


def read_thumbnails(kept: dict[str, Any]) -> dict[str, Float[np.ndarray, "n height width channels"]]:
    """Returns the pictures of each row, by its name, in [0, 1]: from the low to the high end of the data's scale."""
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(kept["png"]))))
    sheet = sheet[..., None] if sheet.ndim == 2 else sheet
    rows = zip(kept["rows"], np.split(sheet / 255, len(kept["rows"])), strict=True)
    return {name: np.stack(np.split(row, kept["count"], axis=1)) for name, row in rows}
