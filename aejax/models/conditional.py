"""Defines the conditional variational autoencoder, whose encoder and decoder both know the label."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from aejax.core import InputError, known
from aejax.models.autoencoder import Posterior
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

    def encode(
        self, x: Float[Array, "batch *shape"], train: bool = False, label: Int[Array, " batch"] | None = None
    ) -> Posterior:
        """Returns the posterior over codes, given the label.

        Args:
            x: the examples.
            train: whether the model is being trained.
            label: the class of each example.

        Raises:
            InputError: without labels.
        """
        return self.latent(self._joined(self.features(x, train), label), train)

    def decode(
        self, z: Float[Array, "batch latent"], train: bool = False, label: Int[Array, " batch"] | None = None
    ) -> Float[Array, "batch *raw"]:
        """Returns the raw parameters of the likelihood, given the label.

        Args:
            z: the codes.
            train: whether the model is being trained.
            label: the class of each example.

        Raises:
            InputError: without labels.
        """
        return self.raw(self._joined(z, label), train)

    def _joined(
        self, features: Float[Array, "batch features"], label: Int[Array, " batch"] | None
    ) -> Float[Array, "batch both"]:
        if label is None:
            raise InputError(
                f"this model is conditional: give each example's label with it, from 0 to {self.classes - 1}"
            )
        return jnp.concatenate([features, jax.nn.one_hot(label, self.classes)], axis=1)
