"""Measures how well a dictionary finds the features that data were made of, where these are known."""

import numpy as np
from jaxtyping import Bool, Float, Int


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


def detections(
    present: Bool[np.ndarray, "n features"], found: Bool[np.ndarray, "n features"]
) -> Int[np.ndarray, "3 features"]:
    """Counts the examples in which a feature is active, those in which its unit is, and those in which both are.

    Counts of parts of the examples add up to those of all.

    Args:
        present: whether the feature is active in the example.
        found: whether the unit that stands for it is.
    """
    return np.stack([present.sum(axis=0), found.sum(axis=0), (present & found).sum(axis=0)])


def detection_of_features(counts: Int[np.ndarray, "3 features"], examples: int) -> dict[str, float]:
    """Returns `feature_f1` and `true_l0` from the counts of `detections`.

    F1 is the mean over the features that are active in some example of 2 tp / (2 tp + fp + fn).

    Args:
        counts: the counts over all examples.
        examples: the number of examples.
    """
    present, found, both = counts[:, counts[0] > 0]
    return {"feature_f1": float(np.mean(2 * both / (present + found))), "true_l0": float(present.sum() / examples)}
