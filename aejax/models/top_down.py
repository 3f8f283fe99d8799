"""Defines top-down hierarchies of codes: p(z_L) ... p(z_1 | z_2 ... z_L) p(x | z_1 ... z_L), for images.

The layers are maps, the coarsest at the top. One network goes down through them: it gives each layer's prior from the
layers above it, the layer's posterior from these and the encoder's maps of that size, and at last the image. To all
other modules the code is one vector, its layers side by side with the lowest first.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from aejax.core import Examples, InputError, Variables, known
from aejax.models import traits
from aejax.models._convolution import Convolution, Image
from aejax.models.autoencoder import Autoencoder, Decoder, Drawn, Latent, Prior, in_precision
from aejax.models.distributions import Normal
from aejax.models.latents import LOG_SCALE_BOUND
from aejax.models.layers import Activation
from aejax.models.residual import GroupNorm, ResidualEncoder, Stage, enlarged, stage_sizes
from aejax.models.traits import Trait

Count = Any
"""The type of a number of codes: an integer, or an exported program's symbol for one."""

_SMALL = nn.initializers.variance_scaling(0.01, "fan_avg", "uniform")
"""Initialises as `glorot`, a tenth as large: posteriors begin near their priors, but not alike for all examples."""


class GaussianMaps(nn.Module):
    """Computes means and logarithms of scales of a layer, from maps of its size."""

    channels: int
    """Number of channels of the layer."""
    kernel_init: nn.initializers.Initializer
    """What the kernel begins as."""

    @nn.compact
    def __call__(self, x: Image) -> tuple[Float[Array, "batch layer"], Float[Array, "batch layer"]]:
        """Returns means and log-scales, between -10 and 10, flattened place after place."""
        x = nn.silu(GroupNorm()(x))
        x = Convolution(2 * self.channels, x.shape[1:3], kernel_init=self.kernel_init)(x)
        mean, raw = (half.reshape(half.shape[0], -1) for half in jnp.split(x, 2, axis=-1))
        return mean, LOG_SCALE_BOUND * jnp.tanh(raw / LOG_SCALE_BOUND)


class Joint(nn.Module):
    """Joins maps from above with the encoder's, by a convolution that has as many channels as those from above."""

    @nn.compact
    def __call__(self, above: Image, below: Image) -> Image:
        """Returns maps of the same size."""
        x = nn.silu(GroupNorm()(jnp.concatenate([above, below], axis=-1)))
        return Convolution(above.shape[-1], above.shape[1:3])(x)


@known
class TopDownLatent(Latent):
    """Holds the Gaussian layers of a `TopDownAutoencoder`: the prior of each, and the posterior that departs from it.

    The posterior's mean is the prior's plus a difference, its scale the prior's times a factor: Vahdat & Kautz 2020
    (NVAE), section 3.2. The prior begins as standard normal.
    """

    needs = (traits.TOP_DOWN,)
    meets = (traits.DENSITY, traits.EVALUABLE, traits.LAYERS)
    channels: tuple[int, ...] = (16, 16, 16)
    """Number of channels of each stochastic layer, the lowest first: as many layers as the encoder has stages."""
    places: tuple[tuple[int, int], ...] = ()
    """Height and width of each layer's maps; empty: taken from the encoder and the data before training."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of the stochastic layers, the lowest first; none before their places are known."""
        return tuple(count * math.prod(size) for count, size in zip(self.channels, self.places, strict=False))

    @property
    def size(self) -> int:
        """Returns the size of the whole code, 0 before the places of its layers are known."""
        return sum(self.sizes)

    def setup(self) -> None:
        """Makes the layers."""
        self.priors = [GaussianMaps(count, nn.initializers.zeros) for count in self.channels]
        self.joints = [Joint() for _ in self.channels]
        self.posteriors = [GaussianMaps(count, _SMALL) for count in self.channels]

    def before(self, number: int, above: Image) -> Normal:
        """Returns the prior of a layer given those above it.

        Args:
            number: the layer's number, 0 for the lowest.
            above: what the layers above it say, as maps.
        """
        mean, log_scale = self.priors[number](above)
        return Normal(mean, jnp.exp(log_scale))

    def after(self, number: int, above: Image, below: Image, prior: Normal) -> Normal:
        """Returns the posterior of a layer given those above it and the image.

        Args:
            number: the layer's number, 0 for the lowest.
            above: what the layers above it say, as maps.
            below: the encoder's maps of that size.
            prior: the layer's prior.
        """
        difference, log_factor = self.posteriors[number](self.joints[number](above, below))
        return Normal(prior.mean + difference, prior.scale * jnp.exp(log_factor))

    @nn.nowrap
    def split(self, code: Float[Array, "batch latent"]) -> list[Float[Array, "batch _"]]:
        """Returns the layers of a code, the lowest first."""
        return jnp.split(code, np.cumsum(self.sizes)[:-1], axis=1)


class Level(nn.Module):
    """Adds what a stochastic layer says to the maps from above, and applies residual blocks."""

    blocks: Stage
    """The residual blocks."""

    @nn.compact
    def __call__(self, above: Image, layer: Float[Array, "batch layer"], train: bool) -> Image:
        """Returns maps of the same size as those from above."""
        maps = layer.reshape(*above.shape[:3], -1)
        return self.blocks(above + Convolution(above.shape[-1], above.shape[1:3], 1)(maps), train)


class Enlargement(nn.Module):
    """Enlarges maps by repeating their values, and convolves them."""

    stride: int
    """By how much height and width are multiplied, before what is too much is cut off."""
    kernel: int
    """Height and width of the kernel."""

    @nn.compact
    def __call__(self, x: Image, size: tuple[int, ...], channels: int) -> Image:
        """Returns maps of a size with so many channels."""
        return Convolution(channels, size, self.kernel)(enlarged(x, size, self.stride))


class Top(nn.Module):
    """Holds the maps that the network begins with, the same for every code; they begin as standard normal noise."""

    @nn.compact
    def __call__(self, count: Count, size: tuple[int, ...], channels: int) -> Image:
        """Returns the maps, `count` times."""
        maps = self.param("maps", nn.initializers.normal(1.0), (*size, channels))
        return jnp.broadcast_to(maps[None], (count, *maps.shape))


@known
class TopDownDecoder(Decoder):
    """Goes down from maps that are learned to the image: each stage takes one layer of the code, and is enlarged.

    A stage adds the layer to its maps and applies residual blocks. The model's `remat` computes them again for the
    gradient.
    """

    needs = (traits.TOP_DOWN,)
    meets = (traits.STAGES,)
    of_images: ClassVar[bool] = True
    channels: tuple[int, ...] = (64, 64, 64)
    """Number of channels of each stage, the coarsest first."""
    strides: tuple[int, ...] = ()
    """By how much each stage multiplies height and width at its end; empty: by 2 each."""
    blocks: int = 1
    """Number of residual blocks of each stage."""
    kernel: int = 3
    """Height and width of the kernels."""
    activation: Activation = "silu"
    """The function before each convolution, by name."""
    dropout: float = 0.0
    """Share of each block's values that are set to zero in training."""

    def setup(self) -> None:
        """Makes the layers."""
        self.top = Top()
        blocks = (self.blocks, self.kernel, self.activation, self.dropout)
        self.levels = [Level(Stage(*blocks, attention=False, remat=False)) for _ in self.channels]
        self.enlargements = [Enlargement(stride, self.kernel) for stride in self.strides or (2,) * len(self.channels)]

    @nn.nowrap
    def places(self, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Returns height and width of each stage's maps and of the image, the coarsest first.

        `shape` is the shape of the image. Raises `InputError` for no image, and for settings that do not fit each other
        or the image.
        """
        return stage_sizes(shape, self.channels, self.strides[::-1], attention=0)[::-1]

    def begin(self, count: Count, shape: tuple[int, ...]) -> Image:
        """Returns the maps of the first stage, before any layer is known, for so many codes.

        Args:
            count: the number of codes.
            shape: the shape of the image.
        """
        return self.top(count, self.places(shape)[0], self.channels[0])

    def descend(
        self, number: int, above: Image, layer: Float[Array, "batch layer"], shape: tuple[int, ...], train: bool
    ) -> Image:
        """Returns the maps of the next stage, given the layer of this one; after the last stage, the image's.

        Args:
            number: the number of the stage, 0 for the coarsest.
            above: the maps of the stage.
            layer: the stage's layer of the code.
            shape: the shape of the image.
            train: whether the model is being trained.
        """
        made = self.levels[number](above, layer, train)
        channels = (*self.channels[1:], math.prod(shape[2:]))
        return self.enlargements[number](made, self.places(shape)[number + 1], channels[number])


class TopDownPrior(Prior):
    """Stands for p(z) of a `TopDownAutoencoder`, whose network is prior and decoder in one.

    Densities and draws are the model's own: `prior_log_prob` and `sample_prior`.
    """


class Descent(NamedTuple):
    """Holds what is found on one way down, from the top layer to the image."""

    code: Float[Array, "batch latent"]
    raw: Float[Array, "batch *raw"]
    """The raw parameters of the likelihood."""
    log_prior: Float[Array, " batch"]
    """log p(z) of the code, in nats."""
    log_posterior: Float[Array, " batch"] | None
    """log q(z | x) of the code, in nats; None without an encoder's maps."""
    rates: Float[Array, "batch layers"] | None
    """The divergence of each layer's posterior from its prior given those above, in nats; None without maps."""


Choose = Callable[[int, Normal], Float[Array, "batch layer"]]
"""The type of a function from a layer's number and its distribution to the layer's value."""


@known
class TopDownAutoencoder(Autoencoder):
    """Models images by a hierarchy of codes, whose posterior and prior go down one way together.

    Sonderby et al. 2016 (Ladder variational autoencoders), section 2; with residual blocks, as Kingma et al. 2016
    (Improved variational inference with inverse autoregressive flow), section 4. Encoder and decoder have the same
    sizes of maps, and the code has one layer of each.
    """

    encoder: ResidualEncoder = ResidualEncoder((64, 64, 64), pyramid=True)
    latent: TopDownLatent = TopDownLatent()
    decoder: TopDownDecoder = TopDownDecoder()

    @property
    def prior(self) -> Prior:
        """What stands for the prior, which the model computes by itself."""
        return TopDownPrior()

    @property
    def meets(self) -> tuple[Trait, ...]:
        """The traits of all parts, the network that goes down, and a rate of each layer."""
        return (*super().meets, traits.TOP_DOWN, traits.RATE_PARTS)

    @nn.nowrap
    def resolve(self, shape: tuple[int, ...], raw_shape: tuple[int, ...]) -> Self:
        """Returns the model for examples of `shape`, whose raw parameters have the shape `raw_shape`.

        Raises `InputError` for parts that are not made for it, and where the sizes of the encoder's maps, the decoder's
        and the number of layers do not agree.
        """
        parts = {self.encoder: traits.PYRAMID, self.latent: traits.LAYERS, self.decoder: traits.STAGES}
        for part, trait in parts.items():
            if trait not in part.meets:
                raise InputError(
                    f"TopDownAutoencoder needs {trait.what}, which {type(part).__name__} does not have: {trait.remedy}"
                )
        made = super().resolve(shape, raw_shape)
        own = [size[:2] for size in self.encoder.maps(shape)]
        others = self.decoder.places(made.shape)[:-1][::-1]
        if own != others or len(own) != len(self.latent.channels):
            raise InputError(
                f"the encoder's maps are {own}, the decoder's {others}, and the code has {len(self.latent.channels)} "
                "layers: give both the same strides, the decoder's in reverse, and the code a layer for each"
            )
        if self.latent.places not in ((), tuple(own)):
            raise InputError(f"the latent's places are {self.latent.places}, but the encoder's {own}: leave them out")
        return made.clone(latent=self.latent.clone(places=tuple(own)))

    def encode(self, batch: Examples, train: bool = False) -> "TopDown":
        """Returns the posterior over codes.

        Args:
            batch: the examples.
            train: whether the model is being trained.
        """
        features = self.features(batch, train)
        shapes = self.encoder.maps(batch.x.shape[1:])
        parts = jnp.split(features, np.cumsum([math.prod(shape) for shape in shapes])[:-1], axis=1)
        return TopDown(self, [part.reshape(-1, *shape) for part, shape in zip(parts, shapes, strict=True)])

    def decode(
        self, code: Float[Array, "batch latent"], batch: Examples, train: bool = False
    ) -> Float[Array, "batch *raw"]:
        """Returns the raw parameters of the likelihood.

        Args:
            code: the codes.
            batch: not used.
            train: whether the model is being trained.
        """
        return self.descend(code.shape[0], self._given(code), train=train).raw

    def draw(self, posterior: Any, key: Key[Array, ""], batch: Examples, train: bool = False) -> Drawn:
        """Draws a code of each example and decodes it, on one way down.

        Args:
            posterior: the posterior, as `encode` returns it.
            key: the key of the draw.
            batch: the examples.
            train: whether the model is being trained.
        """
        found = self.descend(batch.x.shape[0], _drawn(key), posterior.maps, train)
        return Drawn(found.code, found.raw, found.log_posterior, found.rates)

    def prior_log_prob(self, z: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
        """Returns log p(z) of each code, in nats."""
        return self.descend(z.shape[0], self._given(z)).log_prior

    def sample_prior(self, key: Key[Array, ""], n: int) -> Float[Array, "n latent"]:
        """Draws `n` codes from p(z)."""
        return self.descend(n, _drawn(key)).code

    def descend(self, count: Count, choose: Choose, maps: list[Image] | None = None, train: bool = False) -> Descent:
        """Goes down from the top layer to the image.

        Args:
            count: the number of codes.
            choose: gives each layer's value, from its posterior where there are maps and from its prior where not.
            maps: the encoder's maps, the finest first; None: the priors alone are asked.
            train: whether the model is being trained.
        """
        layers, rates = [], []
        log_prior, log_posterior = jnp.zeros(count), jnp.zeros(count)
        above = in_precision(self.precision, lambda decoder: decoder.begin(count, self.shape), self.decoder)
        for stage_number, number in enumerate(reversed(range(len(self.latent.channels)))):
            prior = chosen = self.latent.before(number, above)
            if maps is not None:
                chosen = self.latent.after(number, above, maps[number], prior)
                departure = Normal((chosen.mean - prior.mean) / prior.scale, chosen.scale / prior.scale)
                rates.append(jnp.sum(departure.kl_to_standard(), axis=1))
            layer = choose(number, chosen)
            log_prior += prior.log_prob(layer)
            log_posterior += chosen.log_prob(layer)
            layers.append(layer)
            above = self._descended(stage_number, above, layer, train)
        found = (log_posterior, jnp.stack(rates[::-1], axis=1)) if maps is not None else (None, None)
        return Descent(jnp.concatenate(layers[::-1], axis=1), above.reshape(count, *self.shape), log_prior, *found)

    def _descended(self, number: int, above: Image, layer: Float[Array, "batch layer"], train: bool) -> Image:
        def descend(decoder: TopDownDecoder, above: Image, layer: Array) -> Image:
            return decoder.descend(number, above, layer, self.shape, train)

        again = nn.remat(descend) if self.remat and not self.is_initializing() else descend
        return in_precision(self.precision, again, self.decoder, above, layer)

    def _given(self, code: Float[Array, "batch latent"]) -> Choose:
        layers = self.latent.split(code)
        return lambda number, distribution: layers[number]


@dataclass(frozen=True)
class TopDown:
    """Gives each layer's posterior from the top down, given the layers above it and the encoder's maps.

    It is one distribution, without dropout; `TopDownAutoencoder.draw` has it in training. It is bound to the variables
    of its model and used where it was made, so that it is no pytree: no transformation may take it elsewhere.
    """

    model: TopDownAutoencoder
    maps: list[Image]
    """The encoder's maps, the finest first."""
    variables: Variables | None = None
    """The model's variables; None where it is bound to them."""

    @property
    def mean(self) -> Float[Array, "batch latent"]:
        """Returns each layer's mean, given the means of the layers above it."""
        return self._descent(lambda number, distribution: distribution.mean).code

    def sample(self, key: Key[Array, ""]) -> Float[Array, "batch latent"]:
        """Draws every layer, reparameterised, given the draws of the layers above it."""
        return self._descent(_drawn(key)).code

    def sample_and_log_prob(
        self, key: Key[Array, ""], samples: int | None = None
    ) -> tuple[Float[Array, "*samples batch latent"], Float[Array, "*samples batch"]]:
        """Draws every layer given the draws of those above it, with the log-density of all together, in nats.

        Args:
            key: the key of the draw.
            samples: the number of codes for each example, which have an axis of their own; None: one, without it.
        """
        rows = self.maps[0].shape[0]
        tiled = [jnp.tile(maps, (samples or 1, 1, 1, 1)) for maps in self.maps]
        found = self._descent(_drawn(key), tiled)
        shape = (rows,) if samples is None else (samples, rows)
        return found.code.reshape(*shape, -1), cast(Array, found.log_posterior).reshape(shape)

    def kl(self, prior: Any) -> None:
        """Returns None: only layer by layer, given a draw of those above, a closed form is known."""

    def log_prob(self, z: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
        """Returns the log-density of all layers together, in nats."""
        layers = self.model.latent.split(z)
        return cast(Array, self._descent(lambda number, distribution: layers[number]).log_posterior)

    def fixed(self) -> "TopDown":
        """Returns the same distribution without a gradient of its parameters; that of a code goes through all layers.

        Raises `ValueError` for a posterior whose model is not bound.
        """
        model, variables = self.model.unbind()
        fixed = jax.lax.stop_gradient
        return TopDown(model, fixed(self.maps), fixed(variables))

    def _descent(self, choose: Choose, maps: list[Image] | None = None) -> Descent:
        maps = self.maps if maps is None else maps
        count = maps[0].shape[0]
        if self.variables is None:
            return self.model.descend(count, choose, maps)
        descend = TopDownAutoencoder.descend
        found = self.model.apply(self.variables, count, choose, maps, method=descend)
        return cast(Descent, found)


def _drawn(key: Key[Array, ""]) -> Choose:
    """Returns what draws each layer by a key of its own."""
    return lambda number, distribution: distribution.sample(jax.random.fold_in(key, number))
