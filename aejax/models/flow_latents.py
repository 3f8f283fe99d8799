"""Defines posteriors that are normal draws changed by a flow, which the encoder's features lead."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float, Key

from aejax.core import known, positive
from aejax.models import traits
from aejax.models.autoencoder import Latent
from aejax.models.distributions import Normal
from aejax.models.flows import Flow, Planar, masked_autoregressive
from aejax.models.latents import GaussianLatent
from aejax.models.layers import Activation

Step = Callable[[Float[Array, "*batch latent"]], tuple[Float[Array, "*batch latent"], Float[Array, "*batch"]]]
"""The type of a function from codes to changed ones and the logarithms of the changes of volume."""


@dataclass(frozen=True)
class Transformed:
    """Draws from a normal distribution and changes the draw by a flow: Rezende & Mohamed 2015, equation 10.

    It knows the density of its own draws, not that of any other code. The flow is bound to the variables of a model and
    is used where it was made, so that this is no pytree.
    """

    base: Normal
    flow: Step
    """The flow, given what it needs of each example."""

    @property
    def mean(self) -> Float[Array, "batch latent"]:
        """Returns what the mean of the normal distribution becomes; the mean itself has no closed form."""
        return self.flow(self.base.mean)[0]

    def sample(self, key: Key[Array, ""]) -> Float[Array, "batch latent"]:
        """Draws a code for each example, reparameterised."""
        return self.sample_and_log_prob(key)[0]

    def sample_and_log_prob(
        self, key: Key[Array, ""], samples: int | None = None
    ) -> tuple[Float[Array, "*samples batch latent"], Float[Array, "*samples batch"]]:
        """Draws codes of each example, with their log-densities in nats.

        Args:
            key: the key of the draw.
            samples: the number of codes for each example, which have an axis of their own; None: one, without it.
        """
        start, log_density = self.base.sample_and_log_prob(key, samples)
        code, log_det = self.flow(start)
        return code, log_density - log_det

    def kl(self, prior: Any) -> None:
        """Returns None: no closed form is known."""


class FlowLatent(Latent):
    """Infers a normal distribution and changes its draws by a flow; its subclasses say which."""

    meets = (traits.DENSITY,)
    size: int = positive(default=20)
    """Size of the code."""

    def setup(self) -> None:
        """Makes the layers."""
        self.base = GaussianLatent(self.size, "softplus")
        self.flow = self.made()

    @nn.nowrap
    def made(self) -> Flow:
        """Returns the flow from draws to codes."""
        raise NotImplementedError

    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> Transformed:
        """Returns the posterior over codes of `size`; the features lead the flow too."""
        return Transformed(self.base(features), partial(self.flow, context=features))


@known
class PlanarLatent(FlowLatent):
    """Changes normal draws by planar steps, whose directions depend on the example: Rezende & Mohamed 2015."""

    steps: int = positive(default=10)
    """Number of steps."""
    shared: bool = False
    """Whether all examples share the steps, which then start as the identity."""

    @nn.nowrap
    def made(self) -> Flow:
        """Returns all steps."""
        return Flow((Planar(self.steps, self.shared),))


@known
class IAFLatent(FlowLatent):
    """Changes normal draws by inverse autoregressive flow: Kingma et al. 2016, algorithm 1 with gated steps.

    Every layer of a step's network is given the encoder's features, and the order of the dimensions is reversed from
    step to step.
    """

    blocks: int = positive(default=2)
    """Number of autoregressive steps."""
    hidden: tuple[int, ...] = (64,)
    """Width of each hidden layer of the steps' networks."""
    activation: Activation = "relu"
    """The function after each hidden layer, by name."""

    @nn.nowrap
    def made(self) -> Flow:
        """Returns the autoregressive steps."""
        return masked_autoregressive(self.blocks, self.hidden, self.activation, gated=True)
