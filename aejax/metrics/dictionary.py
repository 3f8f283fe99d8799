"""Measures how well a dictionary finds the features that data were made of, where these are known."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from aejax.core import Examples, configurable, static
from aejax.data import SyntheticFeatures
from aejax.models import Autoencoder


def feature_metrics(
    rows: Float[np.ndarray, "units values"], features: Float[np.ndarray, "features values"]
) -> dict[str, float]:
    """Returns `mmcs`, `mcc` and `uniqueness` of a decoder's rows against the known features.

    `mmcs` is the mean over features of the largest cosine to a row: Sharkey et al. 2022. `mcc` is the mean absolute
    cosine in the matching of one to one that makes it largest, of as many pairs as there are units or features:
    O'Neill et al. 2024. `uniqueness` is the number of features that are the one nearest to some unit, over the number
    of units: 1 where no two units have found the same feature.

    Args:
        rows: the decoder's rows, of any length.
        features: the features, of any length.
    """
    from scipy.optimize import linear_sum_assignment

    cosine = cosines(rows, features)
    matched = np.abs(cosine)[linear_sum_assignment(np.abs(cosine), maximize=True)]
    found = np.unique(np.abs(cosine).argmax(axis=0))
    return {
        "mmcs": float(cosine.max(axis=1).mean()),
        "mcc": float(matched.mean()),
        "uniqueness": len(found) / cosine.shape[1],
    }


def cosines(
    rows: Float[np.ndarray, "units values"], features: Float[np.ndarray, "features values"]
) -> Float[np.ndarray, "features units"]:
    """Returns the cosine of each feature with each row; that of a row of zeros is 0."""
    ends = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (features, rows)]
    return np.asarray(ends[0] @ ends[1].T)


@configurable
class FeatureDetection:
    """Measures when the features that an example is made of are active, and when the units that stand for them are."""

    source: SyntheticFeatures = static(default=SyntheticFeatures())
    """What the data were drawn from: an example's label is the number by which it is drawn again."""
    unit: Int[np.ndarray, " features"] = field(default_factory=lambda: np.zeros(1, np.int32))
    """The number of the unit that stands for each feature."""

    def __call__(self, model: Autoencoder, batch: Examples) -> dict[str, Float[Array, "batch features"]]:
        """Returns where the feature is active, where its unit is, and where both are; `model` is bound."""
        present = self.source.codes(jnp.asarray(batch.label)) > 0
        found = model.encode(batch).mean[:, self.unit.astype(jnp.int32)] != 0
        seen = {"present": present, "found": found, "both": present & found}
        return {name: value.astype(jnp.float32) for name, value in seen.items()}


def detection_of_features(means: Mapping[str, Any]) -> dict[str, float]:
    """Returns `feature_f1` and `true_l0` from the means of `FeatureDetection`.

    F1 is the mean over the features that are active in some example of 2 tp / (2 tp + fp + fn).
    """
    there = means["present"] > 0
    f1 = 2 * means["both"][there] / (means["present"] + means["found"])[there]
    return {"feature_f1": float(f1.mean()), "true_l0": float(means["present"].sum())}
