"""Defines how an encoder's features become a posterior over codes."""

from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import InputError, known, positive
from aejax.models import traits
from aejax.models.autoencoder import Latent
from aejax.models.distributions import Normal, Point
from aejax.models.layers import Activation, ParamPath, activation, glorot
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
    places: int = 1
    """Number of equal parts of the features that each make a part of the code, by the same layer: height times width of
    a convolutional encoder's last maps, for a code that is an image itself."""

    @property
    def dense(self) -> tuple[ParamPath, ...]:
        """The dense layer, where all features go through it at once."""
        return (("code",),) if self.places == 1 else ()

    @property
    def meets(self) -> tuple[Trait, ...]:
        """What the dense layer is known for, and where its activation keeps the codes."""
        bounded = (traits.UNIT_INTERVAL,) if self.activation == "sigmoid" else ()
        layer = (traits.DENSE_LAYER,) if self.places == 1 else ()
        return (traits.DENSE, *layer, *bounded)

    @nn.compact
    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> Point:
        """Returns the code, `[batch, size]`, as a `Point`. Raises `InputError` for places that do not divide it."""
        return Point(activation(self.activation)(_by_place("code", self.size, self.places, features)))


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
    places: int = 1
    """Number of equal parts of the features that each make a part of the code, by the same layers: see `Plain`."""
    meets = (traits.DENSITY, traits.EVALUABLE, traits.NORMAL)

    @property
    def dense(self) -> tuple[ParamPath, ...]:
        """The dense layer of the mean, where all features go through it at once."""
        return (("code",),) if self.places == 1 else ()

    @nn.compact
    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> Normal:
        """Returns the posterior over codes of `size`. Raises `InputError` for places that do not divide it."""
        mean, raw = (_by_place(name, self.size, self.places, features) for name in ("code", "scale"))
        return Normal(mean, positive_scale(raw, self.scale))


def _by_place(
    name: str, size: int, places: int, features: Float[Array, "batch features"]
) -> Float[Array, "batch code"]:
    """Applies one dense layer to each of so many equal parts of the features: together they make a code of `size`.

    Args:
        name: the name of the layer.
        size: the size of the code.
        places: the number of parts.
        features: the features.
    """
    if places < 1 or features.shape[1] % places or size % places:
        raise InputError(
            f"the latent's places is {places}, for a code of {size} and {features.shape[1]} features: it must divide "
            "both"
        )
    parts = features.reshape(-1, features.shape[1] // places)
    return nn.Dense(size // places, kernel_init=glorot, name=name)(parts).reshape(-1, size)


def positive_scale(raw: Float[Array, "*shape"], kind: Literal["exp", "softplus"] = "exp") -> Float[Array, "*shape"]:
    """Turns a layer's output into a standard deviation: between e^-10 and e^10, or softplus plus e^-10."""
    if kind == "softplus":
        return nn.softplus(raw) + jnp.exp(-LOG_SCALE_BOUND)
    return jnp.exp(LOG_SCALE_BOUND * jnp.tanh(raw / LOG_SCALE_BOUND))
