"""Defines the autoencoder, and what its encoder, latent, decoder and prior take and return."""

import inspect
import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, Self, runtime_checkable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from aejax.core import Examples, InputError, Trainable, known
from aejax.models import traits
from aejax.models.critics import Critic, NoCritic
from aejax.models.layers import ParamPath
from aejax.models.traits import Part, Trait

Precision = Literal["float32", "bfloat16"]
"""The type of numbers in which encoder and decoder compute."""


@runtime_checkable
class Posterior(Protocol):
    """Describes what an encoder infers about the codes of a batch: one distribution for each example."""

    @property
    def mean(self) -> Float[Array, "batch latent"]:
        """Returns the one code that stands for each example in evaluation."""

    def sample(self, key: Key[Array, ""]) -> Float[Array, "batch latent"]:
        """Draws a code for each example by a reparameterisation, through which training differentiates."""


@runtime_checkable
class Density(Posterior, Protocol):
    """Describes a posterior that also has a density: of a latent that meets `DENSITY`."""

    def sample_and_log_prob(
        self, key: Key[Array, ""], samples: int | None = None
    ) -> tuple[Float[Array, "*samples batch latent"], Float[Array, "*samples batch"]]:
        """Draws codes of each example, reparameterised, and gives log q(z | x) of each, in nats.

        Where one draw is asked for, it is the one that `sample` makes by the key.

        Args:
            key: the key of the draw.
            samples: the number of codes for each example, which have an axis of their own; None: one, without it.
        """

    def kl(self, prior: "Prior") -> Float[Array, " batch"] | None:
        """Returns KL(q(z | x) || p(z)) of each example in nats, in closed form; None where the two have none."""


@runtime_checkable
class Evaluable(Density, Protocol):
    """Describes a posterior that gives the density of any code, not of its draws alone: it meets `EVALUABLE`."""

    def log_prob(self, z: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
        """Returns log q(z | x) of one code for each example, in nats."""

    def fixed(self) -> "Evaluable":
        """Returns the same density without a gradient of its parameters, so that `log_prob` has that of a code alone.

        What it returns may be used inside a transformation of JAX.
        """


class Drawn(NamedTuple):
    """Holds a code that was drawn for each example of a batch, and what its decoder makes of it."""

    code: Float[Array, "batch latent"]
    raw: Float[Array, "batch *raw"]
    """The raw parameters of the likelihood."""
    log_posterior: Float[Array, " batch"] | None = None
    """log q(z | x) of the code, in nats; None where the latent does not meet `DENSITY`."""
    rates: Float[Array, "batch layers"] | None = None
    """The divergence from the prior of each stochastic layer, lowest first, given those above it that were drawn, in
    nats; None where only the posterior says what its rate is."""


class Block(Part, Trainable):
    """Is one of the three parts of an autoencoder between example, code and output."""

    of_images: ClassVar[bool] = False
    """Whether it takes, or gives, nothing but images `[batch, height, width, channels]`."""

    @property
    def dense(self) -> tuple[ParamPath, ...]:
        """The paths, in this part's parameters, of the dense layers that it applies in turn."""
        return ()


class Encoder(Block):
    """Turns examples `[batch, *shape]` into features `[batch, features]`, called as `encoder(x, train)`."""


class Latent(Block):
    """Turns features into a `Posterior` over codes `[batch, latent]`, called as `latent(features, train)`."""

    of_batch: ClassVar[bool] = False
    """Whether an example's training depends on the other examples of its batch: see `Term.of_batch`."""
    across_devices: ClassVar[bool] = False
    """Whether it takes what it needs of the others from all devices, by `core.batch_sum`: see `Term.across_devices`."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of the stochastic layers of a code that has several; none for any other."""
        return ()

    @nn.nowrap
    def placed(self, z: Float[Array, "n latent"]) -> Float[Array, "n latent"]:
        """Returns the codes that numbers stand for which no encoder gave: themselves, if any numbers are a code."""
        return z


class Decoder(Block):
    """Turns codes into raw parameters of a likelihood, `[batch, *shape]`, called as `decoder(z, shape, train)`."""


EncodeInputs = Callable[[Examples], Posterior]
"""The type of a function from examples to their posteriors."""


class Prior(Part, Trainable):
    """Models p(z). Its methods get the model's own `encode`, for priors that are made of posteriors."""

    domain: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    """The least and the greatest value of data that it can be made of."""

    @property
    def meets(self) -> tuple[Trait, ...]:
        """The prior itself."""
        return (traits.PRIOR,)

    @property
    def needs(self) -> tuple[Trait, ...]:
        """A term that brings the codes to it."""
        return (traits.RATE,)

    @nn.nowrap
    def resolve(self, shape: tuple[int, ...]) -> Self:
        """Returns the prior with the shape of one example filled in, if it uses that."""
        return self

    @nn.nowrap
    def deviation(self, latent: int) -> float:
        """Returns the standard deviation of a dimension by which the use of codes is judged: that of a standard normal.

        `latent` is the size of the code.
        """
        return 1.0

    def log_prob(self, z: Float[Array, "batch latent"], encode: EncodeInputs) -> Float[Array, " batch"]:
        """Returns log p(z) of each code, in nats."""
        raise NotImplementedError

    def sample(self, key: Key[Array, ""], shape: tuple[int, int], encode: EncodeInputs) -> Float[Array, "n latent"]:
        """Draws codes from p(z).

        Args:
            key: the key of the draw.
            shape: the number of codes and their size, (n, latent).
            encode: the model's own encoder, from examples to posteriors.
        """
        raise NotImplementedError


@known
class Autoencoder(Part, Trainable):
    """Joins an encoder, a latent and a decoder, three modules that know nothing of each other.

    `encode` and `decode` get the batch, of which a model takes what it needs; this one takes the examples alone.
    """

    encoder: Encoder
    latent: Latent
    decoder: Decoder
    shape: tuple[int, ...] = ()
    """Shape of the decoder's output for one example; empty: taken from the data and the likelihood before training."""
    precision: Precision = "float32"
    """What encoder and decoder compute in. Parameters, latents, the decoder's output and losses are float32."""
    remat: bool = False
    """Whether the gradient computes the decoder again instead of keeping its activations: less memory, more time."""
    critic: Critic = NoCritic()
    """A second player, which judges codes or examples: terms train it, and the rest of the model by what it says."""

    @property
    def prior(self) -> Prior | None:
        """The distribution p(z) of codes before any example is seen; None: this model has none."""
        return None

    @property
    def classes(self) -> int:
        """The number of classes of the labels that the model is given; 0: it takes no labels."""
        return 0

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts that the model is made of."""
        own = (self.encoder, self.latent, self.decoder, self.critic)
        return own if self.prior is None else (*own, self.prior)

    @property
    def meets(self) -> tuple[Trait, ...]:
        """The traits of all parts, and of the model itself."""
        own = () if self.classes else (traits.UNLABELLED,)
        return (*own, *(trait for part in self.parts for trait in part.meets))

    @property
    def up(self) -> tuple[ParamPath, ...]:
        """The paths, in the model's parameters, of the dense layers from the example to its code."""
        return tuple((end, *path) for end in ("encoder", "latent") for path in getattr(self, end).dense)

    @property
    def down(self) -> tuple[ParamPath, ...]:
        """The paths, in the model's parameters, of the dense layers from the code to the output."""
        return tuple(("decoder", *path) for path in self.decoder.dense)

    @nn.nowrap
    def resolve(self, shape: tuple[int, ...], raw_shape: tuple[int, ...]) -> Self:
        """Returns the model for examples of `shape`, for which the decoder's output has the shape `raw_shape`.

        A shape of the output that is set already stays: that of targets of another shape.
        """
        return self if self.shape else self.clone(shape=raw_shape)

    def encode(self, batch: Examples, train: bool = False) -> Posterior:
        """Returns the posterior over codes.

        `train` says whether the model is being trained, which turns on dropout and the statistics of the batch.
        """
        return self.latent(self.features(batch, train), train)

    def decode(
        self, code: Float[Array, "batch latent"], batch: Examples, train: bool = False
    ) -> Float[Array, "batch *raw"]:
        """Returns the raw parameters of the likelihood.

        Args:
            code: the codes.
            batch: the examples that are decoded, of which no model takes `x`: codes that were drawn have none.
            train: whether the model is being trained, which turns on dropout and the statistics of the batch.
        """
        return self.raw(code, train)

    def draw(self, posterior: Any, key: Key[Array, ""], batch: Examples, train: bool = False) -> Drawn:
        """Draws a code of each example and decodes it.

        Args:
            posterior: the posterior, as `encode` returns it, or as a loss relaxes it.
            key: the key of the draw.
            batch: the examples.
            train: whether the model is being trained.
        """
        if traits.DENSITY in self.latent.meets:
            code, log_posterior = posterior.sample_and_log_prob(key)
        else:
            code, log_posterior = posterior.sample(key), None
        return Drawn(code, self.decode(code, batch, train), log_posterior)

    def features(self, batch: Examples, train: bool = False) -> Float[Array, "batch features"]:
        """Returns what the latent is given: the encoder's features of the examples, in the model's precision."""
        _require_call(self.encoder, batch.x, train)
        found = in_precision(self.precision, lambda encoder, x: encoder(x, train), self.encoder, batch.x)
        if found.shape[:-1] != batch.x.shape[:1]:
            count, *shape = batch.x.shape
            raise InputError(
                f"the encoder {type(self.encoder).__name__} returned shape {found.shape} for {count} examples of shape "
                f"{tuple(shape)}: an encoder returns [batch, features], so reshape what it has"
            )
        return found

    def raw(self, z: Float[Array, "batch *code"], train: bool, *more: Any) -> Float[Array, "batch *raw"]:
        """Returns the decoder's output, computed in the model's precision.

        Args:
            z: what the decoder decodes: codes, and whatever else is joined to them.
            train: whether the model is being trained.
            more: further arguments of the decoder.
        """
        _require_call(self.decoder, z, self.shape, train, *more)

        def decode(decoder: Decoder, z: Array, *more: Any) -> Array:
            return decoder(z, self.shape, train, *more)

        again = nn.remat(decode) if self.remat and not self.is_initializing() else decode
        made = in_precision(self.precision, again, self.decoder, z, *more)
        if made.shape != (z.shape[0], *self.shape):
            raise InputError(
                f"the decoder {type(self.decoder).__name__} returned shape {made.shape} for {z.shape[0]} codes, not "
                f"{(z.shape[0], *self.shape)}: a decoder returns [batch, *shape] of the shape that it is given"
            )
        return made


def _require_call(part: nn.Module, *args: Any) -> None:
    """Raises `InputError` where a part, which may be a user's own, cannot be called with the arguments that it gets."""
    names = ("x", "train") if isinstance(part, Encoder) else ("z", "shape", "train")
    try:
        inspect.signature(part.__call__).bind(*args)
    except TypeError as error:
        raise InputError(
            f"{type(part).__name__} cannot be called as a model calls it ({error}): define "
            f"__call__(self, {', '.join(names)}=False)"
        ) from None


def in_precision(precision: Precision, function: Callable[..., Array], module: nn.Module, *args: Any) -> Array:
    """Calls `function(module, *args)` with parameters and arrays of a precision, and returns the result as float32."""
    if precision == "float32" or module.is_initializing():
        return function(module, *args)
    converted = nn.map_variables(function, "params", _half)
    return converted(module, *_half(args)).astype(jnp.float32)


def _half(tree: Any) -> Any:
    floating = lambda leaf: jnp.issubdtype(leaf.dtype, jnp.floating)  # noqa: E731
    return jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16) if floating(leaf) else leaf, tree)
