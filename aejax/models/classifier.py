"""A classifier on top of an autoencoder's encoder."""

import flax.linen as nn
from jaxtyping import Array, Float

from aejax.models.autoencoder import Encoder, Latent
from aejax.models.layers import glorot


class Classifier(nn.Module):
    """An encoder and a latent, under the names that they have in an autoencoder, and a linear layer of classes."""

    encoder: Encoder
    latent: Latent
    classes: int

    def setup(self) -> None:
        """The layer on top."""
        self.head = nn.Dense(self.classes, kernel_init=glorot)

    def classify(self, x: Float[Array, "batch *shape"], train: bool = False) -> Float[Array, "batch classes"]:
        """Logits of the classes, from the posterior's mean."""
        return self.head(self.latent(self.encoder(x, train), train).mean)
