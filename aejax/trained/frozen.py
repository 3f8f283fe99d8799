"""Freezes a trained dictionary: its input's scale, the lengths of its rows and its thresholds become plain weights."""

from dataclasses import dataclass
from typing import Any, cast

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aejax.core import InputError, pytree, static
from aejax.data import MeanLength, Preprocess, Scale
from aejax.models import Chosen, Dictionary, parameters_at, traits
from aejax.models.sparse import lengths, unit_rows
from aejax.trained.trained import Trained


@pytree
@dataclass(frozen=True)
class FrozenDictionary:
    """Is a dictionary as plain weights, in the units of the data: every variant outside training is this one.

    A unit is active where x W + b is above its threshold, and with a k where it is also one of the example's k largest.
    """

    kernel: Float[Array, "values units"]
    """W, the encoder's weights."""
    bias: Float[Array, " units"]
    """b, the encoder's biases; what is subtracted from the examples is in them."""
    threshold: Float[Array, " units"]
    """The threshold of each unit, 0 or above."""
    rows: Float[Array, "units out"]
    """The decoder's rows, each of length 1."""
    offset: Float[Array, " out"]
    """What is added to the sum of rows."""
    k: int | None = static(default=None)
    """The largest number of active units of an example; None: any number."""
    skip: Float[Array, "values out"] | None = None
    """What is added of the example itself, by a matrix; None: nothing."""
    transcodes: bool = static(default=False)
    """Whether other values are decoded than are encoded."""

    def encode(self, x: Float[Array, "n values"]) -> Float[Array, "n units"]:
        """Returns the code of each example, given in the units of the data: how far each row is followed."""
        pre = x @ self.kernel + self.bias[None]
        code = jnp.where(pre > self.threshold[None], pre, 0)
        return code if self.k is None else Chosen.largest(code, self.k).dense()

    def decode(self, code: Float[Array, "n units"], x: Float[Array, "n values"] | None = None) -> Float[Array, "n out"]:
        """Returns the reconstruction of each code, in the units of the data.

        Args:
            code: the codes.
            x: the examples that they are of, which a dictionary with a skip connection needs.

        Raises:
            InputError: where these are missing.
        """
        made = code @ self.rows + self.offset[None]
        if self.skip is None:
            return made
        if x is None:
            raise InputError("this dictionary adds a part of the example itself: give decode the examples too")
        return made + x @ self.skip

    def reconstruct(self, x: Float[Array, "n values"]) -> Float[Array, "n out"]:
        """Encodes each example, given in the units of the data, and decodes it again."""
        return self.decode(self.encode(x), x)


def freeze(trained: Trained) -> FrozenDictionary:
    """Folds all that a trained dictionary does beside its weights into plain weights.

    Codes are those of `Trained.encode` times the scale of the input, which is 1 unless the preprocessing is
    `MeanLength`, and reconstructions are those of `Trained.reconstruct`.

    Args:
        trained: the trained dictionary; where its optimiser averages parameters, the average is frozen.

    Raises:
        InputError: for a model that is no `Dictionary` or has hidden layers, and for preprocessing that is more than
            one factor.
    """
    model = trained.experiment.model
    if traits.ROWS not in model.meets or model.encoder.hidden:
        raise InputError(
            f"{type(model).__name__} cannot be frozen to plain weights: it must be a Dictionary without hidden layers"
        )
    variables = trained.used.variables
    scale, likelihood = _factor(trained.preprocess), trained.experiment.loss.likelihood
    if traits.LINEAR not in likelihood.meets:
        raise InputError(f"of {type(likelihood).__name__} the raw output is not the reconstruction: use gaussian")
    return _frozen(cast(Dictionary, model), variables, scale)


def _frozen(model: Dictionary, variables: Any, scale: float) -> FrozenDictionary:
    out = parameters_at(variables["params"], model.down[-1])
    own = {name: held["latent"] for name, held in variables.items() if "latent" in held}
    long = jnp.ones(model.latent.size) if model.decoder.renormalise else lengths(out["kernel"])
    plain = model.latent.plain(own, long)
    bias = plain.bias - out["bias"] @ plain.kernel if model.subtract else plain.bias
    # Codes are measured in the units of the data, so what they are compared with is scaled, and the kernel is not.
    return FrozenDictionary(
        kernel=plain.kernel,
        bias=scale * bias,
        threshold=scale * plain.threshold,
        rows=unit_rows(out["kernel"]),
        offset=scale * out["bias"],
        k=plain.k,
        skip=model.straight(variables["params"]),
        transcodes=not model.subtract,
    )


def _factor(preprocess: Preprocess) -> float:
    """Returns the number by which the examples that a model sees are multiplied to be in the units of the data."""
    if type(preprocess) not in (Preprocess, Scale, MeanLength):
        raise InputError(
            f"{type(preprocess).__name__} does more than divide by one number, which plain weights in the units of the "
            "data cannot take in: train with --data.preprocess mean-length"
        )
    return float(np.asarray(preprocess.invert(jnp.ones(1)))[0])
