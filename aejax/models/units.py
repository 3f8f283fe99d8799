"""Defines the codes of dictionaries: from the pre-activations of many units, each latent keeps a few.

A pre-activation is the encoder's output times the length of the unit's decoder row, where the decoder has one: see
`Dictionary`. So what is ranked, compared with thresholds and penalised is how far a unit moves the reconstruction.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from aejax.core import InputError, known, positive, pytree
from aejax.models import traits
from aejax.models.autoencoder import Latent
from aejax.models.chosen import Active, Chosen, shifted_product
from aejax.models.layers import glorot
from aejax.models.selection import least_of_batch, top_indices
from aejax.models.surrogates import jump, step
from aejax.models.traits import Trait

_MOST = 4
"""Number of active units, as a multiple of the mean, that few examples of a batch have more of."""

_WORTH = 24
"""The least number of units for each of those from which on it is faster to choose them for each example first.

Measured on a CPU for 384 values, 1,024 examples and a mean of 32 active units: threshold and decoding, with the
gradient, take 1.1 times as long of 2,048 units, 0.85 of 3,072 and a fifth of 16,384.
"""


@pytree
@dataclass(frozen=True)
class SparseCode:
    """Puts all probability on one sparse code for each example, and keeps what its terms look at."""

    mean: Float[Array, "batch units"]
    """The code: what each unit adds along its decoder row."""
    pre: Float[Array, "batch units"]
    """The pre-activations that the code was chosen from; of gated units, those of the gate."""
    threshold: Float[Array, " units"] | None = None
    """What a pre-activation must be above to be active; None: there is no such number."""
    active: Float[Array, "batch units"] | None = None
    """1 where a unit is active, else 0, with a gradient that moves the thresholds; None: there are none to be learned.
    """
    chosen: Chosen | Active | None = None
    """The same code by a few units of each example, by which it is decoded; None: there are not so few."""

    def sample(self, key: Key[Array, ""]) -> Float[Array, "batch units"]:
        """Returns the code itself."""
        return self.mean


@dataclass(frozen=True)
class PlainUnits:
    """Holds what a latent does outside training as one rule: keep what is above a threshold, and at most k of it."""

    kernel: Float[Array, "features units"]
    """The encoder's weights, for pre-activations that need no further scaling."""
    bias: Float[Array, " units"]
    """The encoder's biases."""
    threshold: Float[Array, " units"]
    """What a pre-activation must be above, at least 0."""
    k: int | None = None
    """The number of pre-activations of an example that are kept, the largest ones; None: any number."""


class Product(nn.Module):
    """Applies a linear layer to features less what all share, and adds up in float32."""

    size: int
    start: Float[Array, "features units"] | None = None
    """The initial kernel; None: drawn as Glorot & Bengio 2010."""

    @nn.compact
    def __call__(
        self, features: Float[Array, "batch features"], shift: Float[Array, " features"], precision: str
    ) -> tuple[Array, Array]:
        """Returns the products without biases, `[batch, units]`, and the biases, `[units]`, both float32.

        Args:
            features: the features.
            shift: what is subtracted from each.
            precision: what the product is taken in.
        """
        initial = glorot if self.start is None else lambda key, shape: jnp.asarray(self.start)
        kernel = self.param("kernel", initial, (features.shape[1], self.size))
        made = shifted_product(features, shift, kernel, precision)
        return made, self.param("bias", nn.initializers.zeros, (self.size,))


class Units(Latent):
    """Is a latent of many units, of which few are active: called by `Dictionary`."""

    dense = (("code",),)
    meets: ClassVar[tuple[Trait, ...]] = (traits.SPARSE, traits.UNITS)
    size: int = positive(default=4096)
    """Number of units."""

    @nn.compact
    def __call__(
        self,
        features: Float[Array, "batch features"],
        train: bool = False,
        lengths: Float[Array, " units"] | None = None,
        start: Float[Array, "features units"] | None = None,
        shift: Float[Array, " features"] | None = None,
        precision: str = "float32",
    ) -> SparseCode:
        """Returns the code.

        Args:
            features: what is encoded.
            train: whether the model is being trained.
            lengths: the length of each unit's decoder row, by which pre-activations are multiplied; None: 1 each.
            start: the initial kernel; None: drawn.
            shift: what is subtracted from all features; None: nothing.
            precision: what the product is taken in; all else is in float32.
        """
        shift = jnp.zeros(features.shape[1]) if shift is None else shift
        products, bias = Product(self.size, start, name="code")(features, shift, precision)
        return self.chosen(products, bias, jnp.ones(self.size) if lengths is None else lengths, train)

    def chosen(
        self,
        products: Float[Array, "batch units"],
        bias: Float[Array, " units"],
        lengths: Float[Array, " units"],
        train: bool,
    ) -> SparseCode:
        """Chooses the code from products without biases.

        Args:
            products: the products of features and kernel.
            bias: the encoder's biases.
            lengths: the length of each unit's decoder row.
            train: whether the model is being trained.
        """
        raise NotImplementedError

    @nn.nowrap
    def plain(self, variables: Any, lengths: Float[Array, " units"]) -> PlainUnits:
        """Returns what the latent does outside training.

        Args:
            variables: the latent's own variables, by collection.
            lengths: the length of each unit's decoder row.
        """
        layer = variables["params"]["code"]
        zero = jnp.zeros(self.size)
        return PlainUnits(layer["kernel"] * lengths[None], layer["bias"] * lengths, zero)


@known
class Rectified(Units):
    """Keeps what is above zero; a term such as `CodeL1` makes it few.

    With the length of the decoder's rows in the code, the L1 norm is the one that longer rows cannot evade: Bricken et
    al. 2023; Conerly et al. 2024 (Update on how we train SAEs).
    """

    def chosen(self, products: Array, bias: Array, lengths: Array, train: bool) -> SparseCode:
        """Returns the rectified pre-activations: see `Units.chosen`."""
        pre = (products + bias[None]) * lengths[None]
        return SparseCode(nn.relu(pre), pre, jnp.zeros(self.size))


@known
class ExactTopK(Units):
    """Keeps the k largest pre-activations of each example, and of these what is above zero.

    Gao et al. 2024 (Scaling and evaluating sparse autoencoders), equation 1. Of equal ones the first units win, so that
    never more than k are active. The classic k-sparse code, with an annealed k and other numbers outside training, is
    `TopK`.
    """

    k: int = 32
    """Number of active units of an example, at most."""

    def chosen(self, products: Array, bias: Array, lengths: Array, train: bool) -> SparseCode:
        """Returns the k largest: see `Units.chosen`. Raises `InputError` for a k that is not within 1 and the size."""
        _check_k(self, self.k)
        pre = (products + bias[None]) * lengths[None]
        chosen = Chosen.largest(pre, self.k)
        return SparseCode(chosen.dense(), pre, chosen=chosen if chosen.few else None)

    @nn.nowrap
    def plain(self, variables: Any, lengths: Float[Array, " units"]) -> PlainUnits:
        """Returns what the latent does outside training, with k: see `Units.plain`."""
        every = super().plain(variables, lengths)
        return PlainUnits(every.kernel, every.bias, every.threshold, self.k)


@known
class BatchTopK(Units):
    """Keeps, in training, the k B largest positive pre-activations of a batch of B examples. Bussmann et al. 2024.

    An example may have more than k active units or fewer. Outside training, what is above a threshold is active: the
    running mean of the least activation that was kept, from its first value on. Values that equal the least one kept
    are kept too.
    """

    of_batch = True
    across_devices = True
    k: int = 32
    """Mean number of active units of an example in training."""
    decay: float = 0.999
    """The share of the running threshold that a step keeps. With 0.999 it follows only after some thousand steps: of a
    shorter run, where thresholds still rise, more than k units are active outside training unless it is lower, as 0.99.
    """

    def chosen(self, products: Array, bias: Array, lengths: Array, train: bool) -> SparseCode:
        """Returns the largest of the batch: see `Units.chosen`. Raises `InputError` for a k or a decay out of range."""
        _check_k(self, self.k)
        if not 0 <= self.decay < 1:
            raise InputError(f"BatchTopK has decay={self.decay:g}: give at least 0 and below 1")
        pre = (products + bias[None]) * lengths[None]
        running = self.variable("running", "threshold", jnp.zeros, (), jnp.float32)
        if not train:
            above = jnp.full(self.size, running.value)
            return SparseCode(jnp.where(pre > above[None], nn.relu(pre), 0), pre, above)
        positive_parts = nn.relu(pre)
        columns = top_indices(positive_parts, _MOST * self.k) if _MOST * self.k * _WORTH <= self.size else None
        least = least_of_batch(positive_parts, self.k, columns)
        if not self.is_initializing():
            mean = self.decay * running.value + (1 - self.decay) * least
            mean = jnp.where(running.value == 0, least, mean)
            running.value = jnp.where(jnp.isfinite(least), mean, running.value)
        code = jnp.where(positive_parts >= least, positive_parts, 0)
        return SparseCode(code, pre, chosen=None if columns is None else Active(code, columns))

    @nn.nowrap
    def plain(self, variables: Any, lengths: Float[Array, " units"]) -> PlainUnits:
        """Returns what the latent does outside training, with the running threshold: see `Units.plain`."""
        every = super().plain(variables, lengths)
        return PlainUnits(every.kernel, every.bias, jnp.full(self.size, variables["running"]["threshold"]))


@known
class JumpReLU(Units):
    """Keeps what is above a threshold of each unit, which is learned. Rajamanoharan et al. 2024b, equations 1 to 12.

    The thresholds have no gradient of their own: they get that of a rectangle of the width `bandwidth` about them. They
    stay at or above zero. A term that counts active units, such as `StepL0`, moves them up, and the error down. All
    units are decoded by one product, as units below their threshold but near it have a gradient too.
    """

    meets: ClassVar[tuple[Trait, ...]] = (traits.SPARSE, traits.UNITS, traits.THRESHOLDS)
    threshold: float = 0.01
    """Initial threshold of every unit, in the units of the code."""
    bandwidth: float = positive(default=0.05)
    """epsilon, the width of the rectangle, in the units of the code."""

    def chosen(self, products: Array, bias: Array, lengths: Array, train: bool) -> SparseCode:
        """Returns what is above the thresholds: see `Units.chosen`."""
        pre = (products + bias[None]) * lengths[None]
        threshold = self.param("threshold", nn.initializers.constant(self.threshold), (self.size,))
        code = jump(pre, threshold, self.bandwidth)
        return SparseCode(code, pre, threshold, step(pre, threshold, self.bandwidth))

    @nn.nowrap
    def project(self, params: Any) -> Any:
        """Returns the parameters with no threshold below zero."""
        return {**params, "threshold": jnp.maximum(params["threshold"], 0)}

    @nn.nowrap
    def plain(self, variables: Any, lengths: Float[Array, " units"]) -> PlainUnits:
        """Returns what the latent does outside training, with the learned thresholds: see `Units.plain`."""
        every = super().plain(variables, lengths)
        return PlainUnits(every.kernel, every.bias, variables["params"]["threshold"])


@known
class Gated(Units):
    """Lets one pre-activation say whether a unit is active and another one how strongly.

    Rajamanoharan et al. 2024a, equations 6 and 7: both share the kernel W, and the second has W e^r. It needs the terms
    `GateL1` and `GateDecoding`, as the gate has no gradient otherwise.
    """

    meets: ClassVar[tuple[Trait, ...]] = (traits.SPARSE, traits.UNITS, traits.GATES)
    needs = (traits.GATE_LOSS,)

    def chosen(self, products: Array, bias: Array, lengths: Array, train: bool) -> SparseCode:
        """Returns the magnitudes of the units whose gate is open: see `Units.chosen`."""
        scale = self.param("log_scale", nn.initializers.zeros, (self.size,))
        shift = self.param("magnitude_bias", nn.initializers.zeros, (self.size,))
        gate = (products + bias[None]) * lengths[None]
        magnitude = (products * jnp.exp(scale)[None] + shift[None]) * lengths[None]
        return SparseCode(jnp.where(gate > 0, nn.relu(magnitude), 0), gate)

    @nn.nowrap
    def plain(self, variables: Any, lengths: Float[Array, " units"]) -> PlainUnits:
        """Returns the same code by a threshold on the magnitude's pre-activation: see `Units.plain`.

        The gate is open where the magnitude's pre-activation is above what it is for a gate of zero: appendix E.
        """
        params = variables["params"]
        scale = jnp.exp(params["log_scale"])
        kernel = params["code"]["kernel"] * (scale * lengths)[None]
        shift = params["magnitude_bias"] * lengths
        closed = shift - params["code"]["bias"] * scale * lengths
        return PlainUnits(kernel, shift, jnp.maximum(closed, 0))


def _check_k(latent: Units, k: int | Int[Array, ""]) -> None:
    if not 1 <= k <= latent.size:
        raise InputError(f"of {latent.size} units, {type(latent).__name__} cannot keep k={k}: 1 <= k <= size")
