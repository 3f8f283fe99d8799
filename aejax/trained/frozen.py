"""Freezes a trained dictionary: its input's scale, the lengths of its rows and its thresholds become plain weights."""

from dataclasses import dataclass
from typing import Any, cast

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aejax.core import InputError, pytree, static
from aejax.data import MeanLength, Preprocess, Scale
from aejax.models import Chosen, Dictionary, parameters_at, traits
from aejax.models.sparse import lengths, part_lengths, unit_rows
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
    """The decoder's rows, each of length 1 as far as parts of an example have one scale."""
    offset: Float[Array, " out"]
    """What is added to the sum of rows."""
    k: int | None = static(default=None)
    """The largest number of active units of an example; None: any number."""
    skip: Float[Array, "values out"] | None = None
    """What is added of the example itself, by a matrix; None: nothing."""
    transcodes: bool = static(default=False)
    """Whether other values are decoded than are encoded."""
    parts: int = static(default=1)
    """Number of parts of equal size of a row, one after the other: the layers or models of a crosscoder."""

    def shares(self) -> Float[Array, "units parts"]:
        """Returns the share of each part in the length of each row: near 1 where a unit belongs to one part alone.

        It is the relative norm of Lindsey et al. 2024, by which units of a crosscoder are exclusive or shared.
        """
        own = part_lengths(self.rows, self.parts)
        return own / own.sum(axis=1, keepdims=True)

    def encode(self, x: Float[Array, "n *shape"]) -> Float[Array, "n units"]:
        """Returns the code of each example, given in the units of the data: how far each row is followed."""
        pre = x.reshape(len(x), -1) @ self.kernel + self.bias[None]
        code = jnp.where(pre > self.threshold[None], pre, 0)
        return code if self.k is None else Chosen.largest(code, self.k).dense()

    def decode(self, code: Float[Array, "n units"], x: Float[Array, "n *shape"] | None = None) -> Float[Array, "n out"]:
        """Returns the reconstruction of each code, flat, in the units of the data.

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
        return made + x.reshape(len(x), -1) @ self.skip

    def reconstruct(self, x: Float[Array, "n *shape"]) -> Float[Array, "n out"]:
        """Encodes each example, given in the units of the data, and decodes it again, flat."""
        return self.decode(self.encode(x), x)


def freeze(trained: Trained) -> FrozenDictionary:
    """Folds all that a trained dictionary does beside its weights into plain weights.

    Codes are those of `Trained.encode` times the scale of the input, which is 1 unless the preprocessing is
    `MeanLength`, and reconstructions are those of `Trained.reconstruct`. Where parts of an example have scales of their
    own, codes are multiplied by the mean scale, and rows have the rest.

    Args:
        trained: the trained dictionary; where its optimiser averages parameters, the average is frozen.

    Raises:
        InputError: for a model that is no `Dictionary` or has hidden layers, and for preprocessing that is more than
            a factor of each value.
    """
    model = trained.experiment.model
    if traits.ROWS not in model.meets or model.encoder.hidden:
        raise InputError(
            f"{type(model).__name__} cannot be frozen to plain weights: it must be a Dictionary without hidden layers"
        )
    variables = trained.used.variables
    scale, likelihood = _factors(trained.preprocess, trained.shape), trained.experiment.loss.likelihood
    if traits.LINEAR not in likelihood.meets:
        raise InputError(f"of {type(likelihood).__name__} the raw output is not the reconstruction: use gaussian")
    return _frozen(cast(Dictionary, model), variables, scale)


def _frozen(model: Dictionary, variables: Any, scale: Float[np.ndarray, " values"]) -> FrozenDictionary:
    out, parts = parameters_at(variables["params"], model.down[-1]), model.decoder.parts
    own = {name: held["latent"] for name, held in variables.items() if "latent" in held}
    long = jnp.ones(model.latent.size) if model.decoder.renormalise else lengths(out["kernel"], parts)
    plain = model.latent.plain(own, long)
    bias = plain.bias - out["bias"] @ plain.kernel if model.subtract else plain.bias
    # Codes are measured in the units of the data, so what they are compared with is scaled, and the kernel is not.
    mean = float(scale.mean(dtype=np.float64))
    apart = (scale / mean).astype(np.float32)
    # A transcoder's targets are in their own units, beside examples that are not scaled.
    out_apart = apart if len(out["bias"]) == len(scale) else np.ones(1, np.float32)
    skip = model.straight(variables["params"])
    return FrozenDictionary(
        kernel=plain.kernel / apart[:, None],
        bias=mean * bias,
        threshold=mean * plain.threshold,
        rows=unit_rows(out["kernel"], parts) * out_apart[None],
        offset=out["bias"] * (mean * out_apart),
        k=plain.k,
        skip=None if skip is None else skip * out_apart[None] / apart[:, None],
        transcodes=not model.subtract,
        parts=parts,
    )


def _factors(preprocess: Preprocess, shape: tuple[int, ...]) -> Float[np.ndarray, " values"]:
    """Returns by what each value that a model sees is multiplied to be in the units of the data."""
    if type(preprocess) not in (Preprocess, Scale, MeanLength):
        raise InputError(
            f"{type(preprocess).__name__} does more than divide by numbers, which plain weights in the units of the "
            "data cannot take in: train with --data.preprocess mean-length"
        )
    return np.asarray(preprocess.invert(jnp.ones((1, *shape)))).reshape(-1)
