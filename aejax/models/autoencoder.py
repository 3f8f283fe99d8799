"""The autoencoder: encoder, latent, decoder; and how a function of a model is initialised and applied."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import flax.linen as nn
import jax
from jaxtyping import Array, Float, Int, Key

from aejax.pytree import known

Model = nn.Module
"""What is trained: any Linen module that its loss knows how to use."""

Variables = Mapping[str, Any]
"""Linen's variables: `params`, and the mutable collections by name."""


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

    @nn.nowrap
    def for_data(self, shape: tuple[int, ...], raw_shape: tuple[int, ...]) -> Self:
        """The model with the shapes filled in: of one example, and of the decoder's output for it."""
        return self.clone(shape=raw_shape)

    def encode(
        self, x: Float[Array, "batch *shape"], train: bool = False, label: Int[Array, " batch"] | None = None
    ) -> Posterior:
        """The posterior over codes."""
        return self.latent(self.encoder(x, train), train)

    def decode(
        self, z: Float[Array, "batch latent"], train: bool = False, label: Int[Array, " batch"] | None = None
    ) -> Float[Array, "batch *raw"]:
        """Raw parameters of the likelihood."""
        return self.decoder(z, self.shape, train)


def init(function: Callable[..., Any], model: nn.Module, keys: Mapping[str, jax.Array], *args: Any) -> Variables:
    """Creates the variables that `function(model, *args)` touches, from a `params` key and the streams'."""
    return nn.init(function, model)(dict(keys), *args)


def apply(
    function: Callable[..., Any],
    model: nn.Module,
    variables: Variables,
    keys: Mapping[str, jax.Array],
    *args: Any,
    mutable: bool = False,
) -> tuple[Any, Variables]:
    """`function(model, *args)` with these variables bound, and the collections as it left them."""
    collections = {name: value for name, value in variables.items() if name != "params"}
    if not mutable:
        return nn.apply(function, model)(variables, *args, rngs=dict(keys)), collections
    return nn.apply(function, model, mutable=list(collections))(variables, *args, rngs=dict(keys))
