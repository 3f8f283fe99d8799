"""Defines the likelihood of colour pixels on a grid of levels by mixtures of logistic distributions."""

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.core import Examples, InputError, configurable, static
from aejax.losses.levels import Levels, logistic_log_mass
from aejax.losses.likelihoods import flat, softplus
from aejax.models import positive_scale


@configurable
class LogisticMixture(Levels):
    """Models a pixel by a mixture of logistic distributions, each of whose channels depends on those before it.

    Salimans et al. 2017 (PixelCNN++), equations 2 and 3: a component has a share in the mixture, and for each channel a
    location, a scale, and factors by which the values of the channels before it move the location. As in the authors'
    code, all channels of a pixel are of one component, and the factors are a hyperbolic tangent. Raw output counts
    locations from the middle of the levels, and them and scales in halves of their range.
    """

    components: int = static(default=5)
    """Number of logistic distributions of a pixel."""

    def raw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape of the decoder's output, `(height, width, components, parameters)`.

        Of a component with c channels they are 1 + 2c + c(c - 1)/2: 10 of three channels, 3 of one. Raises `InputError`
        for examples that are no images, and for less than one component.
        """
        if len(shape) != 3 or self.components < 1:
            raise InputError(
                f"LogisticMixture of {self.components} components models the pixels of images, and the examples have "
                f"shape {shape}: give images [height, width, channels] and at least 1 component"
            )
        channels = shape[2]
        return (*shape[:2], self.components, 1 + 2 * channels + channels * (channels - 1) // 2)

    def log_prob(self, x: Float[Array, "batch *shape"], raw: Float[Array, "batch *raw"]) -> Float[Array, " batch"]:
        """Returns the logarithm of the mass of each pixel's levels in nats, summed over an image's pixels."""
        chex.assert_shape(raw, (len(x), *self.raw_shape(x.shape[1:])))
        values = jnp.broadcast_to(x[..., None, :], (*raw.shape[:-1], x.shape[-1]))
        locations = [self._location(raw, values, channel) for channel in range(x.shape[-1])]
        masses = logistic_log_mass(self, self.level(values), jnp.stack(locations, axis=-1), self._scales(raw))
        shares = jax.nn.log_softmax(raw[..., 0], axis=-1)
        return jnp.sum(flat(jax.nn.logsumexp(shares + jnp.sum(masses, axis=-1), axis=-1)), axis=1)

    def mean(self, raw: Float[Array, "batch *raw"], batch: Examples) -> Float[Array, "batch *shape"]:
        """Returns the mean of each channel, with that of the channels before it in their place.

        Each component counts by the mean of its logistic distribution with all beyond 0 and 1 moved there, which is
        within half a level of the mean of its levels. Of the first channel it is the mean; of the others too where
        little lies beyond 0 and 1.
        """
        shares, scales, means = jax.nn.softmax(raw[..., 0], axis=-1), self._scales(raw), jnp.zeros((*raw.shape[:-1], 0))
        for channel in range(scales.shape[-1]):
            mean = _mean_between(self._location(raw, means, channel), scales[..., channel])
            means = jnp.concatenate([means, mean[..., None]], axis=-1)
        return jnp.sum(shares[..., None] * means, axis=-2)

    def sample(
        self, raw: Float[Array, "batch *raw"], batch: Examples, key: Key[Array, ""]
    ) -> Float[Array, "batch *shape"]:
        """Draws a component for each pixel, and its channels one after the other, each moved to the nearest level.

        Args:
            raw: the decoder's output.
            batch: not used.
            key: the key of the draw.
        """
        which, noise = jax.random.split(key)
        chosen = jax.random.categorical(which, raw[..., 0])[..., None, None]
        own = jnp.take_along_axis(raw, chosen, axis=-2)[..., 0, :]
        scales = self._scales(own)
        drawn, values = scales * jax.random.logistic(noise, scales.shape), jnp.zeros((*own.shape[:-1], 0))
        for channel in range(scales.shape[-1]):
            value = jnp.clip(self._location(own, values, channel) + drawn[..., channel], 0, 1)
            values = jnp.concatenate([values, self.value(self.level(value))[..., None]], axis=-1)
        return values

    def _location(
        self, raw: Float[Array, "*pixels parameters"], values: Float[Array, "*pixels known"], channel: int
    ) -> Float[Array, "*pixels"]:
        """Returns the location of a channel, given the values of at least all channels before it.

        Args:
            raw: the parameters of components or of pixels.
            values: the values of the first channels.
            channel: the number of the channel, from 0.
        """
        first = 1 + 2 * _channels(raw) + channel * (channel - 1) // 2
        factors = jnp.tanh(raw[..., first : first + channel])
        moved = jnp.sum(factors * (values[..., :channel] - 0.5), axis=-1)
        return 0.5 + 0.5 * raw[..., 1 + channel] + moved

    def _scales(self, raw: Float[Array, "*pixels parameters"]) -> Float[Array, "*pixels channels"]:
        channels = _channels(raw)
        return 0.5 * positive_scale(raw[..., 1 + channels : 1 + 2 * channels])


def _mean_between(location: Float[Array, "*shape"], scale: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns the means of logistic distributions with all beyond 0 and 1 moved there.

    They are the integrals over t from 0 to 1 of sigmoid((location - t) / scale): differences of softplus, which are
    written otherwise where scales are wide, as they would lose their digits: log(1 + s (e^w - 1)) is there
    2 artanh(s t / (1 - t (1 - s))) with t = tanh(w / 2), as ONNX has no log1p and no expm1.
    """
    high, low, width = location / scale, (location - 1) / scale, 1 / scale
    share, half = jax.nn.sigmoid(low), jnp.tanh(jnp.minimum(width, 1) / 2)
    wide = 2 * jnp.arctanh(share * half / (1 - half * (1 - share)))
    return scale * jnp.where(width < 1, wide, softplus(high) - softplus(low))


def _channels(raw: Float[Array, "*pixels parameters"]) -> int:
    """Returns the number of channels that have so many parameters in a component."""
    return next(channels for channels in range(1, raw.shape[-1]) if 1 + channels * (channels + 3) // 2 == raw.shape[-1])
