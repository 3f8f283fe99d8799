"""Defines the conditional variational autoencoder, whose encoder and decoder both know the label."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import Examples, InputError, known
from aejax.models.variational import VariationalAutoencoder


@known
class ConditionalAutoencoder(VariationalAutoencoder):
    """Models p(z) p(x | y, z), with the approximate posterior q(z | x, y) for the label y.

    The label joins the encoder's features and the decoder's code as one value for each class. The prior does not
    depend on it, so the code is left with what the class does not say. Kingma et al. 2014 (semi-supervised),
    equation 2; Sohn et al. 2015.
    """

    classes: int = 10
    """Number of classes; a label is a whole number from 0 to one less than this."""

    def features(self, batch: Examples, train: bool = False) -> Float[Array, "batch features"]:
        """Returns the encoder's features and the label. Raises `InputError` without labels."""
        return self._joined(super().features(batch, train), batch)

    def decode(
        self, code: Float[Array, "batch latent"], batch: Examples, train: bool = False
    ) -> Float[Array, "batch *raw"]:
        """Returns the raw parameters of the likelihood, given the label.

        Args:
            code: the codes.
            batch: the examples that are decoded, of which the label is taken.
            train: whether the model is being trained.

        Raises:
            InputError: without labels.
        """
        return self.raw(self._joined(code, batch), train)

    def _joined(self, values: Float[Array, "batch values"], batch: Examples) -> Float[Array, "batch both"]:
        if batch.label is None:
            raise InputError(
                f"this model is conditional: give each example's label with it, from 0 to {self.classes - 1}"
            )
        return jnp.concatenate([values, jax.nn.one_hot(batch.label, self.classes)], axis=1)
