"""Defines dictionaries: sparse autoencoders, and transcoders, of the activations of another network."""

import dataclasses
import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.core import Examples, InputError, known
from aejax.models import traits
from aejax.models.autoencoder import Autoencoder, Drawn
from aejax.models.layers import parameters_at
from aejax.models.mlp import MLPEncoder
from aejax.models.sparse import UnitNormDecoder, lengths, unit_rows
from aejax.models.traits import Trait
from aejax.models.units import ExactTopK, SparseCode, Units


@known
class Dictionary(Autoencoder):
    """Writes each example as the decoder's bias plus a sum of a few of the decoder's rows.

    Bricken et al. 2023 (Towards monosemanticity); Gao et al. 2024 (Scaling and evaluating sparse autoencoders). With a
    code f and rows W of lengths |w| the reconstruction is f W + b. Here the code is f |w|, decoded by rows of length 1:
    how far each unit moves the reconstruction. So the units of an example are ranked, and their L1 norm is weighed, by
    f |w|, whether the rows' lengths are learned (`decoder.renormalise` is False) or held at 1.

    A crosscoder is one of examples `[layers or models, values]`, with as many `decoder.parts`, that subtracts nothing:
    each unit reads all of them and has a row for each, and |w| is the sum of these rows' lengths. Lindsey et al. 2024.
    """

    encoder: MLPEncoder = MLPEncoder()
    """What comes before the units: nothing, unless it has hidden layers."""
    latent: Units = ExactTopK()
    """The units, and which of them are active."""
    decoder: UnitNormDecoder = UnitNormDecoder(start="mean", length=0.1)
    """The rows, one for each unit, and the bias."""
    subtract: bool = True
    """Whether the decoder's bias is subtracted from what is encoded; not of a transcoder, which decodes other values
    (of another shape, if `shape` says so).
    """
    tied_start: bool = True
    """Whether the encoder's initial weights are the decoder's, transposed."""

    @property
    def meets(self) -> tuple[Trait, ...]:
        """The traits of all parts, and the decoder's rows."""
        return (*super().meets, traits.ROWS, *((traits.READS_INPUT,) if self.decoder.skip else ()))

    @nn.nowrap
    def blank(self, shape: tuple[int, ...]) -> Examples:
        """Returns one example of zeros, with a target of zeros where that is of another shape.

        `shape` is the shape of one example.
        """
        one = super().blank(shape)
        return one if self.shape in ((), shape) else dataclasses.replace(one, y=jnp.zeros((1, *self.shape)))

    def encode(self, batch: Examples, train: bool = False) -> SparseCode:
        """Returns the code.

        Args:
            batch: the examples.
            train: whether the model is being trained.

        Raises:
            InputError: where the encoder has hidden layers and a setting has no meaning for them.
        """
        if self.encoder.hidden and (self.subtract or self.tied_start):
            raise InputError(
                "behind hidden layers a Dictionary cannot subtract the decoder's bias or begin with its weights: give "
                "--model.no-subtract --model.no-tied-start, or an encoder without hidden layers"
            )
        out = self._out()
        if self.subtract and len(out["bias"]) != math.prod(batch.x.shape[1:]):
            raise InputError(
                f"the decoder's bias of {len(out['bias'])} values cannot be subtracted from examples of "
                f"{math.prod(batch.x.shape[1:])}: a transcoder is given --model.no-subtract --model.no-tied-start"
            )
        features, shift = self.features(batch, train), out["bias"] if self.subtract else None
        return self.latent(features, train, self.lengths(), self._start(out["kernel"]), shift, self.precision)

    def decode(
        self, code: Float[Array, "batch units"], batch: Examples, train: bool = False
    ) -> Float[Array, "batch *raw"]:
        """Returns the reconstruction.

        Args:
            code: the codes.
            batch: the examples, of which a skip connection takes `x`.
            train: whether the model is being trained.
        """
        return self._decoded(code, batch, train)

    def draw(self, posterior: Any, key: Key[Array, ""], batch: Examples, train: bool = False) -> Drawn:
        """Takes the code of each example and decodes it, by the sum over a few rows where few are chosen.

        Args:
            posterior: the posterior, as `encode` returns it.
            key: not used: a code is not random.
            batch: the examples.
            train: whether the model is being trained.
        """
        code = posterior.sample(key)
        return Drawn(code, self._decoded(code, batch, train, posterior.chosen))

    def _decoded(self, code: Array, batch: Examples, train: bool, chosen: Any = None) -> Float[Array, "batch *raw"]:
        x = batch.x.reshape(batch.x.shape[0], -1) if self.decoder.skip else None
        return self.raw(code, train, x, chosen)

    @nn.nowrap
    def straight(self, params: Any) -> Float[Array, "features values"] | None:
        """Returns the matrix of the skip connection; None where there is none.

        `params` are the model's parameters.
        """
        return parameters_at(params, ("decoder", "skip"))["kernel"] if self.decoder.skip else None

    def rows(self) -> tuple[Float[Array, "units values"], Float[Array, " values"]]:
        """Returns the rows that decode, each of length 1, and the decoder's bias."""
        out = self._out()
        return unit_rows(out["kernel"], self.decoder.parts), out["bias"]

    def lengths(self) -> Float[Array, " units"]:
        """Returns the length of each row: 1 where they are held there."""
        if self.decoder.renormalise:
            return jnp.ones(self.latent.size)
        return lengths(self._out()["kernel"], self.decoder.parts)

    def _start(self, kernel: Float[Array, "units values"]) -> Float[Array, "values units"] | None:
        """Returns the encoder's initial weights; None where they are drawn, or are there already."""
        return kernel.T if self.tied_start and self.is_initializing() else None

    def _out(self) -> Any:
        """Returns the parameters of the decoder's layer, which are made first where there are none yet."""
        if self.is_initializing():
            self.decoder(jnp.zeros((1, self.latent.size)), self.shape)
        return parameters_at(self.variables["params"], self.down[-1])
