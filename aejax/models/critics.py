"""Defines critics: second players, which tell codes of one kind from codes of another."""

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from aejax.core import Trainable, known
from aejax.models import traits
from aejax.models.layers import Activation, Stack, glorot
from aejax.models.traits import Part


class Critic(Part, Trainable):
    """Gives codes `[batch, latent]` a number each: the base of all critics, called as `critic(z)`."""

    @nn.nowrap
    def judge(self, z: Float[Array, "batch latent"], *, fixed: bool = False) -> Float[Array, " batch"]:
        """Returns the logit of each code: how much likelier it is of the first kind than of the second, in nats.

        Args:
            z: the codes.
            fixed: whether no gradient reaches the critic's own parameters, as where codes are trained by its judgement.
        """
        if not fixed or self.is_initializing():
            return self(z)
        return nn.map_variables(lambda critic, z: critic(z), "params", jax.lax.stop_gradient)(self, z)

    def __call__(self, z: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
        """Returns the logit of each code."""
        raise NotImplementedError


@known
class NoCritic(Critic):
    """Is no critic: the model is the only player."""


@known
class CodeCritic(Critic):
    """Judges codes by dense layers: by default by the six of Kim & Mnih 2018, appendix B."""

    meets = (traits.CRITIC,)
    needs = (traits.CRITIC_LOSS,)
    hidden: tuple[int, ...] = (1000,) * 6
    """Width of each hidden layer."""
    activation: Activation = "leaky_relu"
    """The activation after each hidden layer, by name."""

    @nn.compact
    def __call__(self, z: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
        """Returns the logit of each code."""
        return nn.Dense(1, kernel_init=glorot, name="out")(Stack(self.hidden, self.activation)(z))[:, 0]
