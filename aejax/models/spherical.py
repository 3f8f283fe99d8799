"""Defines latents whose codes lie on the unit sphere, and the uniform prior there."""

from typing import TypeVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.core import InputError, known
from aejax.models import traits
from aejax.models.autoencoder import EncodeInputs, Latent, Prior
from aejax.models.layers import glorot
from aejax.models.sphere import PowerSpherical, Spherical, VonMisesFisher, log_area, on_sphere, unit

T = TypeVar("T", bound=Spherical)


class SphericalLatent(Latent):
    """Applies two dense layers, for the direction and for the concentration around it; its subclasses say of what.

    Davidson et al. 2018 (Hyperspherical variational auto-encoders), section 4.
    """

    size: int = 11
    """m, the number of numbers of a code, which has m - 1 degrees of freedom: at least 2."""
    dense = (("code",),)
    meets = (traits.DENSITY, traits.EVALUABLE, traits.SPHERE)
    needs = (traits.UNIFORM_SPHERE,)

    @nn.nowrap
    def placed(self, z: Float[Array, "n latent"]) -> Float[Array, "n latent"]:
        """Returns the codes of length 1 in the directions of what is given."""
        return unit(z)

    def around(self, distribution: type[T], features: Float[Array, "batch features"]) -> T:
        """Returns the distributions around the directions that the features tell, of concentrations above 1.

        Args:
            distribution: their class.
            features: the encoder's features.

        Raises:
            InputError: for a code of less than two numbers.
        """
        if self.size < 2:
            raise InputError(f"{type(self).__name__} has size={self.size}: a sphere has at least 2 dimensions")
        direction = nn.Dense(self.size, kernel_init=glorot, name="code")(features)
        raw = nn.Dense(1, kernel_init=glorot, name="concentration")(features)
        return distribution(unit(direction), nn.softplus(raw[:, 0]) + 1)


@known
class VonMisesFisherLatent(SphericalLatent):
    """Infers a von Mises-Fisher distribution over codes of length 1: Davidson et al. 2018, section 3."""

    @nn.compact
    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> VonMisesFisher:
        """Returns the posterior. Raises `InputError` for a code of less than two numbers."""
        return self.around(VonMisesFisher, features)


@known
class PowerSphericalLatent(SphericalLatent):
    """Infers a power spherical distribution over codes of length 1: De Cao & Aziz 2020.

    Its density is zero opposite the direction. So the importance weights of a bound or a likelihood have no finite
    variance for concentrations from (size - 1) / 2 on: for these `VonMisesFisherLatent` is the better one.
    """

    @nn.compact
    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> PowerSpherical:
        """Returns the posterior. Raises `InputError` for a code of less than two numbers."""
        return self.around(PowerSpherical, features)


@known
class UniformSphere(Prior):
    """Takes all codes of length 1 as equally probable, with nothing to learn."""

    meets = (traits.PRIOR, traits.UNIFORM_SPHERE)
    needs = (traits.SPHERE, traits.RATE)

    @nn.nowrap
    def deviation(self, latent: int) -> float:
        """Returns the standard deviation of one coordinate of a point of the sphere: the squares of all add up to 1.

        `latent` is the size of the code.
        """
        return latent**-0.5

    def log_prob(self, z: Float[Array, "batch latent"], encode: EncodeInputs) -> Float[Array, " batch"]:
        """Returns the log-density of each code over the sphere's area, in nats: the same for all."""
        return jnp.full(len(z), -log_area(z.shape[1]))

    def sample(self, key: Key[Array, ""], shape: tuple[int, int], encode: EncodeInputs) -> Float[Array, "n latent"]:
        """Draws normal noise, and brings it to length 1.

        Args:
            key: the key of the draw.
            shape: the number of codes and their size, (n, latent).
            encode: not used.
        """
        return on_sphere(key, shape)
