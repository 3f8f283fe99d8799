"""Defines sparse codes by competition, and a decoder whose units cannot grow.

The losers of a competition are set to zero, so the gradient passes through the winners alone.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from aejax.core import InputError, known, positive
from aejax.models import traits
from aejax.models._start import BiasedDecoder, Start
from aejax.models.autoencoder import Latent
from aejax.models.chosen import Active, Chosen
from aejax.models.distributions import Point
from aejax.models.layers import glorot, product


@known
class TopK(Latent):
    """Applies a dense layer and ReLU, and keeps the k largest activations of each example.

    Makhzani & Frey 2013 (k-Sparse Autoencoders), algorithm 1, which has no ReLU. Training may begin with more active
    units, so that none dies early: their number then falls linearly from `begin` to k over `anneal_steps` steps.
    """

    dense = (("code",),)
    meets = (traits.SPARSE,)
    size: int = 1000
    """Size of the code."""
    k: int = 25
    """Number of active units of an example in training."""
    alpha: float = 1.0
    """Factor on k outside training, where alpha * k activations are kept, rounded: section 2.2."""
    begin: int | None = None
    """Number of active units at the first step; None: k."""
    anneal_steps: int = 1
    """Number of steps over which the number of active units falls from `begin` to k."""

    @nn.compact
    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> Point:
        """Returns the code, `[batch, size]`. Raises `InputError` for settings that do not fit each other."""
        kept, begin = round(self.alpha * self.k), self.k if self.begin is None else self.begin
        if not 1 <= self.k <= begin <= self.size or not 1 <= kept <= self.size or self.anneal_steps < 1:
            raise InputError(
                f"of a code of {self.size}, TopK cannot keep k={self.k} (begin={self.begin}, alpha={self.alpha:g}, "
                f"anneal_steps={self.anneal_steps}): 1 <= k <= begin <= size, 1 <= alpha * k <= size, 1 <= anneal_steps"
            )
        rectified = _rectified(self.size, features)
        if not train:
            return Point(largest(rectified, kept, kept))
        return Point(largest(rectified, self.k if begin == self.k else self._annealed(begin), begin))

    def _annealed(self, begin: int) -> Int[Array, ""]:
        """Returns how many activations are kept at this step of training, and counts the step."""
        steps = self.variable("counters", "steps", jnp.zeros, (), jnp.int32)
        share = jnp.minimum(steps.value / self.anneal_steps, 1)
        if not self.is_initializing():
            steps.value += 1
        return jnp.round(begin + share * (self.k - begin)).astype(jnp.int32)


@known
class WinnerTakeAll(Latent):
    """Applies a dense layer and ReLU; in training each unit keeps only its largest activations over the batch.

    Makhzani & Frey 2015 (Winner-Take-All Autoencoders), section 2: lifetime sparsity. Every unit learns from the
    examples that activate it most, however weakly. Outside training nothing is set to zero.
    """

    of_batch = True
    dense = (("code",),)
    meets = (traits.SPARSE,)
    size: int = positive(default=2000)
    """Size of the code."""
    rate: float = 0.05
    """Share of a batch's examples for which a unit is active; it is active for at least one."""

    @nn.compact
    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> Point:
        """Returns the code, `[batch, size]`. Raises `InputError` for a rate outside (0, 1]."""
        if not 0 < self.rate <= 1:
            raise InputError(f"the rate of WinnerTakeAll is {self.rate}: it must be above 0 and at most 1")
        rectified = _rectified(self.size, features)
        if not train:
            return Point(rectified)
        count = max(round(self.rate * len(features)), 1)
        return Point(largest(rectified.T, count, count).T)


@known
class SpatialWinnerTakeAll(Latent):
    """Keeps, in training, only the largest activation of each of a convolutional encoder's feature maps.

    Makhzani & Frey 2015, section 3.1. The code is the maps themselves after ReLU, flattened: there is no dense layer.
    Outside training only ReLU sets values to zero.
    """

    meets = (traits.SPARSE,)
    size: int = 128
    """Number of values of all maps together: 4 * 4 * 8 for the default `ConvEncoder` on images of 28 x 28."""
    maps: int = 8
    """Number of maps, the encoder's last number of channels."""

    @nn.compact
    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> Point:
        """Returns the code, `[batch, size]`. Raises `InputError` for features that are not `maps` maps of that size."""
        if features.shape[1] != self.size or self.size % self.maps:
            raise InputError(
                f"SpatialWinnerTakeAll has size={self.size} in maps={self.maps}, but the encoder gives "
                f"{features.shape[1]} features: the size is theirs, and maps the encoder's last number of channels"
            )
        places = nn.relu(features).reshape(features.shape[0], -1, self.maps)
        highest = jax.lax.stop_gradient(places.max(axis=1, keepdims=True))
        return Point((jnp.where(places >= highest, places, 0) if train else places).reshape(features.shape))


@known
class UnitNormDecoder(BiasedDecoder):
    """Applies a linear layer whose kernel is scaled, in the forward pass, so that the row of each unit has length 1.

    The trained parameter is the kernel before scaling. So the gradient has no part along the row. Salimans & Kingma
    2016, equation 2, with g = 1. With `renormalise` this is the projection of Bricken et al. 2023.
    """

    dense = (("out",),)
    start: Start = "constant"
    """What the output biases start at: zero, or the raw output for the mean or the geometric median of the data."""
    renormalise: bool = False
    """Whether each update also sets the rows of the parameter itself to length 1; otherwise they grow, which lets
    them turn ever more slowly.
    """
    length: float = positive(default=1.0)
    """Initial length of the rows of the parameter."""
    skip: bool = False
    """Whether a linear function of the example itself is added, which begins at zero: Paulo et al. 2025 (Transcoders
    beat sparse autoencoders for interpretability)."""
    parts: int = positive(default=1)
    """Number of parts of equal size that a row has, one for each layer or model that is decoded: the row's length is
    the sum of theirs. Lindsey et al. 2024 (Sparse crosscoders for cross-layer features and model diffing)."""

    @nn.compact
    def __call__(
        self,
        z: Float[Array, "batch latent"],
        shape: tuple[int, ...],
        train: bool = False,
        x: Float[Array, "batch features"] | None = None,
        chosen: Chosen | Active | None = None,
    ) -> Float[Array, "batch *shape"]:
        """Returns the raw parameters of the likelihood, `[batch, *shape]`.

        Args:
            z: the codes.
            shape: the shape of the output for one example.
            train: whether the model is being trained; it makes no difference here.
            x: the examples, flat, which a skip connection adds to the output.
            chosen: the same codes by a few units of each example; None: there are not so few.

        Raises:
            InputError: where the output cannot be cut into its parts.
        """
        if math.prod(shape) % self.parts:
            raise InputError(
                f"{math.prod(shape)} values cannot be cut into {self.parts} parts of equal size: --model.decoder.parts "
                "is the number of layers or models"
            )
        made = _UnitRows(math.prod(shape), self.length, self.parts, name="out")(z, chosen)
        if self.skip and x is not None:
            made = made + nn.Dense(math.prod(shape), use_bias=False, kernel_init=nn.initializers.zeros, name="skip")(x)
        return made.reshape(-1, *shape)

    @nn.nowrap
    def project(self, params: Any) -> Any:
        """Returns the parameters with rows of length 1, where they are renormalised."""
        if not self.renormalise:
            return params
        return {**params, "out": {**params["out"], "kernel": unit_rows(params["out"]["kernel"], self.parts)}}


class _UnitRows(nn.Module):
    """Applies a linear layer whose rows are scaled to length 1, with a bias."""

    size: int
    length: float
    """Initial length of the rows of the kernel, before scaling."""
    parts: int
    """Number of parts whose lengths add up to that of a row."""

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], chosen: Chosen | Active | None = None
    ) -> Float[Array, "batch values"]:
        """Returns the sum of scaled rows and the bias, in float32.

        Args:
            z: the codes.
            chosen: the same codes by a few units of each example; None: there are not so few.
        """
        started = lambda key: self.length * unit_rows(glorot(key, (z.shape[1], self.size)), self.parts)  # noqa: E731
        kernel = self.param("kernel", started)
        bias = self.param("bias", nn.initializers.zeros, (self.size,)).astype(jnp.float32)[None]
        long = lengths(kernel.astype(jnp.float32), self.parts)
        if chosen is not None:
            return chosen.times(kernel / long[:, None].astype(kernel.dtype), z.dtype) + bias
        return product(z / long[None].astype(z.dtype), kernel) + bias


def largest(
    values: Float[Array, "rows columns"], count: int | Int[Array, ""], most: int
) -> Float[Array, "rows columns"]:
    """Keeps the `count` largest values of each row and sets the others to zero.

    Values equal to the smallest one that is kept are kept too.

    Args:
        values: the rows.
        count: how many values are kept, which may be a traced number.
        most: a static upper bound on `count`.
    """
    ranked, _ = jax.lax.top_k(jax.lax.stop_gradient(values), most)
    smallest = jax.lax.dynamic_index_in_dim(ranked, count - 1, axis=1)
    return jnp.where(values >= smallest, values, 0)


def lengths(kernel: Float[Array, "rows columns"], parts: int = 1) -> Float[Array, " rows"]:
    """Returns the length of each row, which is the sum of those of its parts; a part of zeros counts as 1e-12.

    Args:
        kernel: the rows.
        parts: the number of parts of equal size, one after the other, into which each row is cut.
    """
    return jnp.sum(part_lengths(kernel, parts), axis=1)


def part_lengths(kernel: Float[Array, "rows columns"], parts: int) -> Float[Array, "rows parts"]:
    """Returns the length of each part of each row: see `lengths`."""
    squares = jnp.sum(jnp.square(kernel).reshape(len(kernel), parts, -1), axis=2)
    return jnp.sqrt(jnp.maximum(squares, 1e-24))


def unit_rows(kernel: Float[Array, "rows columns"], parts: int = 1) -> Float[Array, "rows columns"]:
    """Returns the rows scaled to length 1, in so many parts: see `lengths`. A row of zeros stays."""
    return kernel / lengths(kernel, parts)[:, None]


def _rectified(size: int, features: Float[Array, "batch features"]) -> Float[Array, "batch size"]:
    return nn.relu(nn.Dense(size, kernel_init=glorot, name="code")(features))
