"""The conditional variational autoencoder: both ways know the label."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from aejax.core import InputError, known
from aejax.models.autoencoder import Posterior
from aejax.models.variational import VariationalAutoencoder


@known
class ConditionalAutoencoder(VariationalAutoencoder):
    """p(z) p(x | y, z) and q(z | x, y): Kingma et al. 2014 (semi-supervised), equation 2; Sohn et al. 2015.

    The label joins the encoder's features and the decoder's code, one value for each class. The code
    is independent of it beforehand, so that it is left with what the class does not say.
    """

    classes: int = 10

    def encode(
        self, x: Float[Array, "batch *shape"], train: bool = False, label: Int[Array, " batch"] | None = None
    ) -> Posterior:
        """The posterior over codes, given the label. Raises `InputError` without one."""
        return self.latent(self._joined(self.features(x, train), label), train)

    def decode(
        self, z: Float[Array, "batch latent"], train: bool = False, label: Int[Array, " batch"] | None = None
    ) -> Float[Array, "batch *raw"]:
        """Raw parameters of the likelihood, given the label. Raises `InputError` without one."""
        return self.raw(self._joined(z, label), train)

    def _joined(
        self, features: Float[Array, "batch features"], label: Int[Array, " batch"] | None
    ) -> Float[Array, "batch both"]:
        if label is None:
            raise InputError(
                f"this model is conditional: give each example's label with it, from 0 to {self.classes - 1}"
            )
        return jnp.concatenate([features, jax.nn.one_hot(label, self.classes)], axis=1)
