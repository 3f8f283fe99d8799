"""Lets the bias of a decoder's last layer start at the middle of the data, so that training need not find it.

A dictionary of activations is read as what is added to their middle: Bricken et al. 2023 (Towards monosemanticity),
appendix; Gao et al. 2024 (Scaling and evaluating sparse autoencoders), appendix A.1.
"""

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import Examples
from aejax.models import traits
from aejax.models.autoencoder import Decoder
from aejax.models.traits import Trait

Start = Literal["constant", "mean", "median"]
"""The names of what an output bias starts at: a constant, or the mean or the geometric median of training examples."""

_ROUNDS, _NEAREST = 100, 1e-6
"""The number of rounds of Weiszfeld's algorithm, and the least distance in it as a share of the mean distance."""


class BiasedDecoder(Decoder):
    """Is a decoder whose last layer, `out`, is dense: its bias may start where raw output stands for the data's middle.

    Subclasses have the field `start`.
    """

    @property
    def primes(self) -> bool:
        """Whether the bias starts at the middle of the data."""
        return _start(self) != "constant"

    @property
    def needs(self) -> tuple[Trait, ...]:
        """A likelihood whose raw output can be found for the middle."""
        return (traits.CENTRED,) if self.primes else ()

    @nn.nowrap
    def prime(self, params: Any, examples: Examples, loss: Any) -> Any:
        """Returns the parameters with the bias at the middle of the examples.

        Args:
            params: the decoder's own parameters.
            examples: a sample of training examples.
            loss: the loss that will be minimised, whose likelihood has the raw output for the middle.
        """
        if not self.primes:
            return params
        target = examples.target.reshape(len(examples), -1)
        middle = jnp.mean(target, axis=0) if _start(self) == "mean" else geometric_median(target)
        raw = loss.likelihood.raw_for(middle.reshape(1, *examples.target.shape[1:]))
        return {**params, "out": {**params["out"], "bias": raw.reshape(-1)}}


def _start(decoder: Any) -> Start:
    return decoder.start


def geometric_median(x: Float[Array, "n values"]) -> Float[Array, " values"]:
    """Returns the point with the least sum of distances from all rows, by a fixed number of rounds.

    Weiszfeld 1937; rows that the point comes very near to count as at a least distance from it.
    """

    def closer(_: Any, point: Float[Array, " values"]) -> Float[Array, " values"]:
        distance = jnp.sqrt(jnp.sum(jnp.square(x - point[None]), axis=1))
        weight = 1 / jnp.maximum(distance, _NEAREST * jnp.mean(distance) + jnp.finfo(x.dtype).tiny)
        return weight @ x / jnp.sum(weight)

    return jax.lax.fori_loop(0, _ROUNDS, closer, jnp.mean(x, axis=0))
