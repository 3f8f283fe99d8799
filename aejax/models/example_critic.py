"""Defines a critic of examples, which tells those of the data from those that a decoder made."""

import flax.linen as nn
from jaxtyping import Array, Float

from aejax.core import known
from aejax.models import traits
from aejax.models.autoencoder import Encoder
from aejax.models.conv import ConvEncoder
from aejax.models.critics import Critic
from aejax.models.layers import glorot


@known
class ExampleCritic(Critic):
    """Judges examples by an encoder of its own, and by one dense layer of the features that this finds.

    It is the discriminator of a VAE-GAN, whose features say in what two examples are alike: Larsen et al. 2016
    (Autoencoding beyond pixels using a learned similarity metric), section 2.3. It computes in float32.
    """

    meets = (traits.EXAMPLE_CRITIC,)
    needs = (traits.CRITIC_LOSS,)
    encoder: Encoder = ConvEncoder((32, 64), activation="leaky_relu")
    """The encoder that finds the features; its last layer is the one whose features are compared."""

    def setup(self) -> None:
        """Makes the last layer."""
        self.out = nn.Dense(1, kernel_init=glorot)

    def __call__(self, x: Float[Array, "batch *shape"]) -> Float[Array, " batch"]:
        """Returns the logit of each example."""
        return self.out(self.features(x))[:, 0]

    def features(self, x: Float[Array, "batch *shape"], *, fixed: bool = False) -> Float[Array, "batch features"]:
        """Returns the features of each example.

        Args:
            x: the examples.
            fixed: whether no gradient reaches the critic's own parameters.
        """
        return self.applied(lambda critic, x: critic.encoder(x, False), x, fixed)
