"""Defines how an encoder's features become a posterior over codes."""

from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import InputError, known, positive
from aejax.models import traits
from aejax.models.autoencoder import Latent
from aejax.models.distributions import Normal, Point
from aejax.models.layers import Activation, activation, glorot
from aejax.models.traits import Trait

LOG_SCALE_BOUND = 10.0
"""Bound on the absolute value of a scale's logarithm: beyond it float32 overflows in a log-density."""


@known
class Plain(Latent):
    """Applies a dense layer and an activation, for the code of a plain autoencoder."""

    size: int = positive(default=32)
    """Size of the code."""
    activation: Activation = "linear"
    """The function after the dense layer, by name."""
    dense = (("code",),)

    @property
    def meets(self) -> tuple[Trait, ...]:
        """What the dense layer is known for, and where its activation keeps the codes."""
        bounded = (traits.UNIT_INTERVAL,) if self.activation == "sigmoid" else ()
        return (traits.DENSE, traits.DENSE_LAYER, *bounded)

    @nn.compact
    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> Point:
        """Returns the code, `[batch, size]`, as a `Point`."""
        return Point(activation(self.activation)(nn.Dense(self.size, kernel_init=glorot, name="code")(features)))


@known
class Identity(Latent):
    """Takes an encoder's features for the code, as they are."""

    size: int = positive(default=128)
    """Size of the code, which must be the number of features."""
    meets = (traits.DENSE,)

    @nn.compact
    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> Point:
        """Returns the features as a `Point`. Raises `InputError` where they are not as many as the code's size."""
        if features.shape[1] != self.size:
            raise InputError(
                f"the encoder gives {features.shape[1]} features and the code has a size of {self.size}, but they are "
                "one: give model.latent.size that number"
            )
        return Point(features)


@known
class GaussianLatent(Latent):
    """Applies two dense layers for the mean and scale of a diagonal Gaussian. Kingma & Welling 2014, appendix C.2."""

    size: int = positive(default=20)
    """Size of the code."""
    scale: Literal["exp", "softplus"] = "exp"
    """How the second layer's output becomes a standard deviation: by a bounded exponential, or by softplus."""
    dense = (("code",),)
    meets = (traits.DENSITY, traits.EVALUABLE, traits.NORMAL)

    @nn.compact
    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> Normal:
        """Returns the posterior over codes of `size`."""
        mean = nn.Dense(self.size, kernel_init=glorot, name="code")(features)
        raw = nn.Dense(self.size, kernel_init=glorot, name="scale")(features)
        return Normal(mean, positive_scale(raw, self.scale))


def positive_scale(raw: Float[Array, "*shape"], kind: Literal["exp", "softplus"] = "exp") -> Float[Array, "*shape"]:
    """Turns a layer's output into a standard deviation: between e^-10 and e^10, or softplus plus e^-10."""
    if kind == "softplus":
        return nn.softplus(raw) + jnp.exp(-LOG_SCALE_BOUND)
    return jnp.exp(LOG_SCALE_BOUND * jnp.tanh(raw / LOG_SCALE_BOUND))
