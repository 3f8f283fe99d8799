"""The autoencoder: encoder, latent and decoder, and what each of them promises."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from aejax.core import known

Precision = Literal["float32", "bfloat16"]


@runtime_checkable
class Posterior(Protocol):
    """What an encoder infers about a code."""

    @property
    def mean(self) -> Float[Array, "batch latent"]:
        """The one code that stands for the example in evaluation."""

    def sample(self, key: Key[Array, ""]) -> Float[Array, "batch latent"]:
        """A code drawn by the reparameterisation that training differentiates through."""


@runtime_checkable
class Density(Posterior, Protocol):
    """A posterior that can also say how likely a code is. It is a pytree with one row for each example."""

    def log_prob(self, z: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
        """log q(z | x) in nats."""


class Encoder(nn.Module):
    """`encoder(x, train)`: examples `[batch, *shape]` to features `[batch, features]`."""


class Latent(nn.Module):
    """`latent(features, train)`: features to a `Posterior` over codes `[batch, latent]`."""

    of_batch: ClassVar[bool] = False
    """Whether training it on an example depends on the others of its batch: see `Term.of_batch`."""


class Decoder(nn.Module):
    """`decoder(z, shape, train)`: codes to raw parameters `[batch, *shape]`; the likelihood gives them meaning."""


@known
class Autoencoder(nn.Module):
    """An encoder, a latent and a decoder, as three modules that know nothing of each other.

    Labels are offered to both ways; only a conditional model makes use of them.
    """

    encoder: Encoder
    latent: Latent
    decoder: Decoder
    shape: tuple[int, ...] = ()
    """Shape of the decoder's output; empty: taken from the data and the likelihood when training starts."""
    precision: Precision = "float32"
    """What encoder and decoder compute in. Parameters, latents, the decoder's output and losses are float32."""
    remat: bool = False
    """The gradient computes the decoder again, in place of keeping all it has computed: less memory, more time."""

    @nn.nowrap
    def for_data(self, shape: tuple[int, ...], raw_shape: tuple[int, ...]) -> Self:
        """The model with the shapes filled in: of one example, and of the decoder's output for it."""
        return self.clone(shape=raw_shape)

    def encode(
        self, x: Float[Array, "batch *shape"], train: bool = False, label: Int[Array, " batch"] | None = None
    ) -> Posterior:
        """The posterior over codes."""
        return self.latent(self.features(x, train), train)

    def decode(
        self, z: Float[Array, "batch latent"], train: bool = False, label: Int[Array, " batch"] | None = None
    ) -> Float[Array, "batch *raw"]:
        """Raw parameters of the likelihood."""
        return self.raw(z, train)

    def features(self, x: Float[Array, "batch *shape"], train: bool) -> Float[Array, "batch features"]:
        """What the encoder makes of the examples, in the model's precision."""
        return _in(self.precision, lambda encoder, x: encoder(x, train), self.encoder, x)

    def raw(
        self, z: Float[Array, "batch code"], train: bool, *more: tuple[Float[Array, "_ _"], ...]
    ) -> Float[Array, "batch *raw"]:
        """What the decoder makes of codes, and of what else it takes, in the model's precision."""

        def decode(decoder: Decoder, z: Array, *more: Any) -> Array:
            return decoder(z, self.shape, train, *more)

        again = nn.remat(decode) if self.remat and not self.is_initializing() else decode
        return _in(self.precision, again, self.decoder, z, *more)


def _in(precision: Precision, function: Callable[..., Array], module: nn.Module, *args: Any) -> Array:
    """`function(module, *args)` with parameters and arrays of that precision; the result is float32 again."""
    if precision == "float32" or module.is_initializing():
        return function(module, *args)
    converted = nn.map_variables(function, "params", _half)
    return converted(module, *_half(args)).astype(jnp.float32)


def _half(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), tree)
