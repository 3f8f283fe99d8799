"""Defines critics: second players, which tell codes, or examples, of one kind from those of another."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from aejax.core import Trainable, known
from aejax.models import traits
from aejax.models.layers import Activation, Stack, glorot
from aejax.models.traits import Part


class Critic(Part, Trainable):
    """Gives codes `[batch, latent]` or examples a number each: the base of all critics, called as `critic(x)`."""

    @nn.nowrap
    def judge(self, x: Float[Array, "batch *shape"], *, fixed: bool = False) -> Float[Array, " batch"]:
        """Returns the logit of each row: how much likelier it is of the first kind than of the second, in nats.

        Args:
            x: the codes, or the examples.
            fixed: whether no gradient reaches the critic's own parameters, as where the other player is trained by its
                judgement.
        """
        return self.applied(lambda critic, x: critic(x), x, fixed)

    @nn.nowrap
    def applied(self, function: Callable[[Any, Array], Array], x: Array, fixed: bool) -> Array:
        """Returns `function(critic, x)`; where it is fixed, without a gradient of the critic's own parameters."""
        if not fixed or self.is_initializing():
            return function(self, x)
        return nn.map_variables(function, "params", jax.lax.stop_gradient)(self, x)

    def __call__(self, x: Float[Array, "batch *shape"]) -> Float[Array, " batch"]:
        """Returns the logit of each row."""
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
    def __call__(self, x: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
        """Returns the logit of each code."""
        return nn.Dense(1, kernel_init=glorot, name="out")(Stack(self.hidden, self.activation)(x))[:, 0]
