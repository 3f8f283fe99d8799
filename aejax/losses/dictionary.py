"""Defines terms for dictionaries: they revive dead units, decode prefixes of the code, and make codes sparse."""

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from aejax.core import InputError, batch_mean, batch_sum, configurable, positive, static
from aejax.losses.likelihoods import flat
from aejax.losses.terms import Forward, Term
from aejax.models import Chosen, SparseCode, Trait, product, top_indices, traits

_LONGEST = 2**30
"""The most examples without activity that are counted: a unit that has been silent for longer stays at it."""


@dataclass(frozen=True)
class DeadUnits(Term):
    """Counts, for each unit, the examples since it was last active; the base of terms that revive dead ones.

    The count is moved once in a step, and is of the examples of all devices. It begins at zero.
    """

    needs: ClassVar[tuple[Trait, ...]] = (traits.UNITS,)
    window: float = positive(default=1e6)
    """Number of examples without activity after which a unit is dead."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the penalty of each example, and counts: what is dead is so before this step."""
        code = cast(SparseCode, forward.posterior)
        silent = forward.kept(jnp.zeros(code.mean.shape[1], jnp.int32))
        value = self.penalty(forward, code, self._dead(silent))
        if not forward.model.is_initializing():
            active = batch_sum((code.mean != 0).astype(jnp.int32))
            examples = batch_sum(jnp.ones(len(code.mean), jnp.int32))
            silent = jnp.where(active > 0, 0, jnp.minimum(silent + examples, _LONGEST))
        forward.keep(silent)
        return value

    def penalty(self, forward: Forward, code: SparseCode, dead: Bool[Array, " units"]) -> Float[Array, " batch"]:
        """Returns what is added for each example.

        Args:
            forward: the forward pass.
            code: the code of the forward pass.
            dead: which units are dead.
        """
        raise NotImplementedError

    def further(self, forward: Forward) -> dict[str, Float[Array, " batch"]]:
        """Returns the number of dead units after this step."""
        silent = forward.kept(jnp.zeros(forward.code.shape[1], jnp.int32))
        dead = jnp.sum(self._dead(silent), dtype=jnp.float32)
        return {"dead_units": jnp.full(len(forward.batch), dead)}

    def _dead(self, silent: Int[Array, " units"]) -> Bool[Array, " units"]:
        return silent.astype(jnp.float32) >= self.window


@configurable
class AuxK(DeadUnits):
    """Lets the dead units with the largest pre-activations reconstruct what the code leaves unexplained.

    Gao et al. 2024, appendix A.2. The residual is that of the mean of the likelihood, and has no gradient. The dead
    units' pre-activations are not rectified, so that they learn wherever they point, and no bias is added.
    """

    of_batch = True
    across_devices = True
    needs: ClassVar[tuple[Trait, ...]] = (traits.UNITS, traits.ROWS)
    k: int | None = static(default=None)
    """Number of dead units that reconstruct; None: half the number of values of an example, or all units if fewer."""
    normaliser: Literal["dead", "variance"] = static(default="dead")
    """What the squared error is multiplied by: with dead, the number of dead units as a share of k, at most 1; with
    variance, one over the residual's variance over the batch, as in Gao et al. 2024, whose weight is 1/32."""

    def penalty(self, forward: Forward, code: SparseCode, dead: Bool[Array, " units"]) -> Float[Array, " batch"]:
        """Returns the squared error of each residual, normalised; 0 while no unit is dead.

        Args:
            forward: the forward pass.
            code: the code of the forward pass.
            dead: which units are dead.

        Raises:
            InputError: for a likelihood whose raw output is not one number for each value.
        """
        rows, _ = forward.model.rows()
        residual = flat(forward.batch.target) - flat(forward.likelihood.mean(forward.raw, forward.batch))
        if residual.shape[1] != rows.shape[1]:
            raise InputError(
                f"AuxK reconstructs {residual.shape[1]} values by rows of {rows.shape[1]}: use a likelihood of one raw "
                "number for each value, as gaussian"
            )
        residual = jax.lax.stop_gradient(residual)
        k = min(residual.shape[1] // 2 or 1 if self.k is None else self.k, len(dead))

        def error() -> Float[Array, " batch"]:
            columns = top_indices(jnp.where(dead[None], code.pre, -jnp.inf), k)
            values = jnp.where(dead[columns], jnp.take_along_axis(code.pre, columns, axis=1), 0)
            revived = Chosen(values, columns, len(rows))
            made = revived.times(rows, forward.model.precision)
            return jnp.sum(jnp.square(made - residual), axis=1)

        squared = jax.lax.cond(jnp.any(dead), error, lambda: jnp.zeros(len(residual)))
        if self.normaliser == "dead":
            return squared * jnp.minimum(jnp.sum(dead, dtype=jnp.float32) / k, 1)
        spread = jnp.sum(jnp.square(residual - batch_mean(residual)[None]), axis=1)
        return squared / jnp.maximum(batch_mean(spread), jnp.finfo(spread.dtype).tiny)


@configurable
class Matryoshka(Term):
    """Adds the errors of the reconstructions from the first units alone, each of the given shares of all units.

    Bussmann et al. 2025 (Learning multi-level features with Matryoshka sparse autoencoders), equation 5, unweighted:
    beside `Reconstruction`, which is that of all units. It makes the first units general and the last ones special.
    """

    needs = (traits.UNITS, traits.ROWS)
    shares: tuple[float, ...] = static(default=(1 / 16, 1 / 8, 1 / 4, 1 / 2))
    """The shares of units that reconstruct, in ascending order, each above 0 and below 1."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the sum of negative log-likelihoods in nats. Raises `InputError` for shares that are not such."""
        if not self.shares or list(self.shares) != sorted({share for share in self.shares if 0 < share < 1}):
            raise InputError(f"Matryoshka has shares={self.shares}: give ascending ones, each above 0 and below 1")
        rows, bias = forward.model.rows()
        ends = [0, *(max(1, round(share * len(rows))) for share in self.shares)]
        total, raw = jnp.zeros(len(forward.batch)), bias[None]
        for first, last in itertools.pairwise(ends):
            # Each unit is decoded once: a prefix adds its own units to the one before it.
            raw = raw + _decoded(forward, forward.code[:, first:last], rows[first:last])
            total -= forward.likelihood.log_prob(forward.batch.target, raw.reshape(forward.raw.shape))
        return total


def _decoded(forward: Forward, code: Any, rows: Any) -> Float[Array, "batch values"]:
    """Returns the sum of rows, in the model's precision."""
    return product(code.astype(jnp.dtype(forward.model.precision)), rows)


@configurable
class StepL0(Term):
    """Counts the active units of an example, with a gradient that moves their thresholds.

    Rajamanoharan et al. 2024b (Jumping ahead), equations 9 and 12: its weight is lambda. Pre-activations have no
    gradient of it.
    """

    needs = (traits.THRESHOLDS,)
    meets = (traits.SPARSE,)
    unit = "units"

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the number of active units of each example."""
        return jnp.sum(_active(forward), axis=1)


@configurable
class QuadraticL0(Term):
    """Penalises (2 / T) (L0 - T)^2 of each example, for a number T of active units, by moving their thresholds.

    Rajamanoharan et al. 2024b (Jumping ahead), section 4, up to the factor. It has a gradient on either side of T.
    """

    needs = (traits.THRESHOLDS,)
    meets = (traits.SPARSE,)
    target: float = positive(default=32.0)
    """T, the number of active units that an example should have."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the penalty of each example."""
        return 2 / self.target * jnp.square(jnp.sum(_active(forward), axis=1) - self.target)


@configurable
class TanhL0(Term):
    """Penalises the sum of tanh(scale f) over an example's code f: nearly the number of its active units.

    Conerly et al. 2025 (Circuits updates, January: dictionary learning optimization techniques), for f in the lengths
    of the decoder's rows.
    """

    needs = (traits.UNITS,)
    meets = (traits.SPARSE,)
    scale: float = positive(default=4.0)
    """What activations are multiplied by."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the penalty of each example."""
        return jnp.sum(jnp.tanh(self.scale * forward.code), axis=1)


@configurable
class DeadPreActivation(DeadUnits):
    """Penalises how far below their thresholds the pre-activations of dead units are.

    Conerly et al. 2025 (Circuits updates, January: dictionary learning optimization techniques).
    """

    weight: float = 3e-6
    """Factor on this term in the total."""

    def penalty(self, forward: Forward, code: SparseCode, dead: Bool[Array, " units"]) -> Float[Array, " batch"]:
        """Returns the sum of distances of each example.

        Args:
            forward: not used.
            code: the code of the forward pass.
            dead: which units are dead.
        """
        threshold = 0.0 if code.threshold is None else code.threshold[None]
        return jnp.sum(jnp.where(dead[None], jax.nn.relu(threshold - code.pre), 0), axis=1)


@configurable
class GateL1(Term):
    """Penalises the sum of the rectified pre-activations of an example's gates.

    Rajamanoharan et al. 2024a (Improving dictionary learning with gated sparse autoencoders), equation 8.
    """

    needs = (traits.GATES,)
    meets = (traits.SPARSE,)

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the L1 norm of each example's gates."""
        return jnp.sum(jax.nn.relu(cast(SparseCode, forward.posterior).pre), axis=1)


@configurable
class GateDecoding(Term):
    """Measures the error of decoding the rectified gates by a decoder that does not learn from it.

    Rajamanoharan et al. 2024a (Improving dictionary learning with gated sparse autoencoders), equation 8.
    """

    needs = (traits.GATES, traits.ROWS)
    meets = (traits.GATE_LOSS,)

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the negative log-likelihood of each example, in nats."""
        rows, bias = jax.lax.stop_gradient(forward.model.rows())
        # Pre-activations have the lengths of the decoder's rows in them, which are not to learn from this either.
        lengths = forward.model.lengths()
        still = (jax.lax.stop_gradient(lengths) / lengths)[None]
        gates = jax.nn.relu(cast(SparseCode, forward.posterior).pre * still)
        raw = _decoded(forward, gates, rows) + bias[None]
        return -forward.likelihood.log_prob(forward.batch.target, raw.reshape(forward.raw.shape))


def _active(forward: Forward) -> Float[Array, "batch units"]:
    active = cast(SparseCode, forward.posterior).active
    assert active is not None  # of a latent that meets `THRESHOLDS`
    return active
