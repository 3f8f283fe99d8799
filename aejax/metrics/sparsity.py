"""Measures how sparse codes are, and how much of the data they explain.

Codes are those that the encoder gives at inference. A unit is active where the absolute value of its code is above
`threshold`, which is 0 for codes that can be exactly zero. `CodeStatistics` gives the values of each example, whose
means over a part, of each unit by itself, are all that the metrics need: no part's codes are held whole.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aejax.core import Examples, Number, configurable
from aejax.data import Preprocess, Scale
from aejax.losses import Bernoulli, Likelihood, flat
from aejax.models import Autoencoder


@configurable
class CodeStatistics:
    """Measures each example's mean code and what its reconstruction leaves, for `sparsity_metrics`."""

    likelihood: Likelihood = field(default_factory=Bernoulli)
    """The likelihood, whose mean is the reconstruction."""
    preprocess: Preprocess = field(default_factory=Scale)
    """The fitted preprocessing: distances are taken in the data's units, as before it."""
    centre: Float[np.ndarray, "*shape"] | float = 0.0
    """The mean example, in the data's units, from which the variance is measured."""
    threshold: Number = 0.0
    """The absolute value above which a unit is active."""

    def __call__(self, model: Autoencoder, batch: Examples) -> dict[str, Float[Array, "batch *units"]]:
        """Returns what `code_statistics` does of each example; `model` is bound to its variables."""
        code = model.encode(batch).mean
        explained = self.preprocess.invert(self.likelihood.mean(model.decode(code, batch), batch))
        return code_statistics(code, _original(self.preprocess, batch), explained, self.centre, self.threshold)


@configurable
class Target:
    """Gives what is to be reconstructed of each example, whose mean is the centre of `CodeStatistics`."""

    preprocess: Preprocess = field(default_factory=Scale)
    """The fitted preprocessing: examples are given in the data's units, as before it."""

    def __call__(self, model: Autoencoder, batch: Examples) -> dict[str, Float[Array, "batch *shape"]]:
        """Returns `target`, `[batch, *shape]`; `model` is not asked."""
        return {"target": _original(self.preprocess, batch)}


def _original(preprocess: Preprocess, batch: Examples) -> Float[Array, "batch *shape"]:
    return preprocess.invert(batch.x) if batch.y is None else batch.y


def code_statistics(
    code: Float[Array, "batch units"],
    original: Float[Array, "batch *shape"],
    explained: Float[Array, "batch *shape"],
    centre: Any,
    threshold: Number = 0.0,
) -> dict[str, Float[Array, "batch *units"]]:
    """Returns the code, which of its units are active, and two squared distances, of each example.

    Args:
        code: the codes.
        original: what was to be reconstructed.
        explained: the reconstructions.
        centre: the mean of what is to be reconstructed, over the whole part.
        threshold: the absolute value above which a unit is active.

    Returns:
        `code` and `active` (0 or 1), `[batch, units]`; `squared_error` from the reconstruction and `squared_distance`
        from the centre, `[batch]`; `length_ratio`, the length of the reconstruction over that of the original, and
        `has_length`, 0 for an original of zeros, whose ratio is 0 too, else 1, `[batch]`.
    """
    length, explained_length = (jnp.sqrt(jnp.sum(jnp.square(flat(x)), axis=1)) for x in (original, explained))
    away = original - jnp.asarray(centre, original.dtype)[None]
    return {
        "code": code,
        "active": (jnp.abs(code) > threshold).astype(jnp.float32),
        "squared_error": jnp.sum(jnp.square(flat(original - explained)), axis=1),
        "squared_distance": jnp.sum(jnp.square(flat(away)), axis=1),
        "length_ratio": jnp.where(length > 0, explained_length / jnp.where(length > 0, length, 1), 0),
        "has_length": (length > 0).astype(jnp.float32),
    }


DENSE = 0.1
"""The share of examples above which a unit that is active counts as dense."""


def sparsity_metrics(means: Mapping[str, Any], examples: int) -> dict[str, float]:
    """Returns active units, activation, dead units and unexplained variance from the means of `CodeStatistics`.

    `l0` is the mean number of active units of an example. `dead_units` is the number of units that are active for no
    example, and `dead_share_over_N_examples` their share, which falls as more examples are looked at. `density_median`
    is the share of examples for which the middle unit is active, and `dense_units` counts those above `DENSE`.
    `mean_activation` is the mean over units and examples, and beside it stand the lowest and the highest unit's own
    mean. `fvu`, the fraction of variance unexplained, is a ratio of two sums over all values of all examples: 1 for the
    mean example as every reconstruction, 0 for a perfect one, nan where all examples are the same.
    `explained_variance` is what is left of 1. `shrinkage` is the mean over examples that are not all zeros of the
    length of the reconstruction over that of the example: below 1 where reconstructions are too small.

    Args:
        means: the means over the part.
        examples: the number of examples in the part.
    """
    variance, active, long = means["squared_distance"], means["active"], means["has_length"]
    unexplained = float(means["squared_error"] / variance) if variance else float("nan")
    return {
        "l0": float(active.sum()),
        "dead_units": float((active == 0).sum()),
        f"dead_share_over_{examples}_examples": float((active == 0).mean()),
        "density_median": float(np.median(active)),
        "dense_units": float((active > DENSE).sum()),
        "mean_activation": float(means["code"].mean()),
        "mean_activation_lowest_unit": float(means["code"].min()),
        "mean_activation_highest_unit": float(means["code"].max()),
        "fvu": unexplained,
        "explained_variance": 1 - unexplained,
        "shrinkage": float(means["length_ratio"] / long) if long else float("nan"),
    }
