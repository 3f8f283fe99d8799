"""Defines a classifier on top of an autoencoder's encoder."""

import flax.linen as nn
from jaxtyping import Array, Float

from aejax.core import Examples, Trainable
from aejax.models.autoencoder import Encoder, Latent
from aejax.models.layers import glorot


class Classifier(Trainable):
    """Puts a linear layer of classes on an encoder and a latent, which keep the names they have in an autoencoder."""

    encoder: Encoder
    latent: Latent
    classes: int
    """Number of classes."""

    def setup(self) -> None:
        """Makes the linear layer."""
        self.head = nn.Dense(self.classes, kernel_init=glorot)

    def classify(self, batch: Examples, train: bool = False) -> Float[Array, "batch classes"]:
        """Returns the logits of the classes, from the posterior's mean."""
        return self.head(self.latent(self.encoder(batch.x, train), train).mean)
