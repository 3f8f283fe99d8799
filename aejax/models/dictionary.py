"""Defines dictionaries: sparse autoencoders, and transcoders, of the activations of another network."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import Examples, InputError, known
from aejax.models import traits
from aejax.models.autoencoder import Autoencoder
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
    """

    encoder: MLPEncoder = MLPEncoder()
    """What comes before the units: nothing, unless it has hidden layers."""
    latent: Units = ExactTopK()
    """The units, and which of them are active."""
    decoder: UnitNormDecoder = UnitNormDecoder(start="mean", length=0.1)
    """The rows, one for each unit, and the bias."""
    subtract: bool = True
    """Whether the decoder's bias is subtracted from what is encoded; not of a transcoder, which decodes other values.
    """
    tied_start: bool = True
    """Whether the encoder's initial weights are the decoder's, transposed."""

    @property
    def meets(self) -> tuple[Trait, ...]:
        """The traits of all parts, and the decoder's rows."""
        return (*super().meets, traits.ROWS)

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
        features = self.features(batch, train)
        if self.subtract:
            features = features - out["bias"][None]
        features = features.astype(jnp.dtype(self.precision))
        return self.latent(features, train, self.lengths(), self._start(out["kernel"]))

    def rows(self) -> tuple[Float[Array, "units values"], Float[Array, " values"]]:
        """Returns the rows that decode, each of length 1, and the decoder's bias."""
        out = self._out()
        return unit_rows(out["kernel"]), out["bias"]

    def lengths(self) -> Float[Array, " units"]:
        """Returns the length of each row: 1 where they are held there."""
        return jnp.ones(self.latent.size) if self.decoder.renormalise else lengths(self._out()["kernel"])

    def _start(self, kernel: Float[Array, "units values"]) -> Float[Array, "values units"] | None:
        """Returns the encoder's initial weights; None where they are drawn, or are there already."""
        return kernel.T if self.tied_start and self.is_initializing() else None

    def _out(self) -> Any:
        """Returns the parameters of the decoder's layer, which are made first where there are none yet."""
        if self.is_initializing():
            self.decoder(jnp.zeros((1, self.latent.size)), self.shape)
        return parameters_at(self.variables["params"], self.down[-1])
