"""Defines categorical codes: several independent choices among a few values, each a one-hot vector."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from aejax.core import InputError, Number, Variables, known, pytree
from aejax.models import traits
from aejax.models.autoencoder import EncodeInputs, Prior
from aejax.models.discrete import DiscreteLatent
from aejax.models.layers import glorot
from aejax.models.traits import Trait


@pytree
@dataclass(frozen=True)
class OneHotCategorical:
    """Represents independent categorical variables, whose values are one-hot vectors side by side.

    Draws are hard, and no gradient goes through them, unless they are relaxed: see `relaxed`.
    """

    log_prob_each: Float[Array, "batch slots codes"]
    """log pi, the logarithm of the probability of each value of each variable."""
    temperature: Float[Array, ""] | None = None
    """tau, by which draws are relaxed; None: they are hard."""

    @property
    def mean(self) -> Float[Array, "batch latent"]:
        """Returns the most probable value of each variable: of the values, none but one-hot vectors are codes."""
        return self._hard(self.log_prob_each)

    @property
    def index(self) -> Int[Array, "batch slots"]:
        """Returns the number of the most probable value of each variable."""
        return jnp.argmax(self.log_prob_each, axis=2)

    def relaxed(self, temperature: Number) -> "OneHotCategorical":
        """Returns the distribution whose draws are softmax((log pi + g) / tau), with Gumbel noise g.

        Jang et al. 2017, equation 2 (Gumbel-softmax); Maddison et al. 2017, equation 10 (Concrete). `temperature` is
        tau: as it falls to 0, draws become the hard ones by the same noise.
        """
        return dataclasses.replace(self, temperature=jnp.asarray(temperature, jnp.float32))

    def sample(self, key: Key[Array, ""]) -> Float[Array, "batch latent"]:
        """Draws each variable by the Gumbel-max trick, or relaxed."""
        return self.sample_and_log_prob(key)[0]

    def sample_and_log_prob(
        self, key: Key[Array, ""], samples: int | None = None
    ) -> tuple[Float[Array, "*samples batch latent"], Float[Array, "*samples batch"]]:
        """Draws codes of each example, and gives their log-probabilities in nats.

        That of a relaxed draw is the same sum, weighted by its values: it is the log-probability at hard draws alone,
        so that whatever is trained with it is no bound.

        Args:
            key: the key of the draw.
            samples: the number of codes for each example, which have an axis of their own; None: one, without it.
        """
        shape = self.log_prob_each.shape if samples is None else (samples, *self.log_prob_each.shape)
        log_prob = jnp.broadcast_to(self.log_prob_each.reshape((1,) * (len(shape) - 3) + shape[-3:]), shape)
        noisy = log_prob + jax.random.gumbel(key, shape)
        code = self._hard(noisy) if self.temperature is None else _flat(jax.nn.softmax(noisy / self.temperature))
        return code, jnp.sum(code * _flat(log_prob), axis=-1)

    def log_prob(self, z: Float[Array, "batch latent"]) -> Float[Array, " batch"]:
        """Returns the log-probability of one code for each example, in nats."""
        return jnp.sum(z * _flat(self.log_prob_each), axis=1)

    def kl(self, prior: Any) -> Float[Array, " batch"] | None:
        """Returns KL(self || prior) of each example in nats for a uniform prior, and None for any other.

        It is the sum of pi log(K pi) over values and variables, whether draws are relaxed or not.
        """
        if traits.UNIFORM not in prior.meets:
            return None
        log_ratio = self.log_prob_each + jnp.log(self.log_prob_each.shape[2])
        return jnp.sum(jnp.exp(self.log_prob_each) * log_ratio, axis=(1, 2))

    def fixed(self) -> "OneHotCategorical":
        """Returns the same distribution without a gradient of its parameters."""
        return jax.lax.stop_gradient(self)

    def _hard(self, scores: Float[Array, "*batch slots codes"]) -> Float[Array, "*batch latent"]:
        return _flat(jax.nn.one_hot(jnp.argmax(scores, axis=-1), scores.shape[-1]))


def _flat(values: Float[Array, "*batch slots codes"]) -> Float[Array, "*batch latent"]:
    return values.reshape(*values.shape[:-2], -1)


@known
class CategoricalLatent(DiscreteLatent):
    """Applies a dense layer whose outputs are the logits of independent categorical variables.

    Jang et al. 2017, section 4.2; Maddison et al. 2017. No gradient goes through a hard draw: the loss needs a
    relaxation (`GumbelSoftmax`), and the model a prior over one-hot codes (`UniformPrior`).
    """

    slots: int = 20
    """Number of categorical variables."""
    codes: int = 10
    """K, the number of values that each of them takes."""
    dense = (("code",),)
    meets = (traits.DENSITY, traits.EVALUABLE, traits.DISCRETE, traits.CATEGORICAL)
    needs = (traits.UNIFORM, traits.RELAXATION)

    @property
    def positions(self) -> int:
        """Returns how many indices an example has."""
        return self.slots

    @property
    def books(self) -> int:
        """Returns the number of variables, as a value of one says nothing of another's."""
        return self.slots

    @property
    def size(self) -> int:
        """Returns how many numbers an example's code has."""
        return self.slots * self.codes

    @nn.compact
    def __call__(self, features: Float[Array, "batch features"], train: bool = False) -> OneHotCategorical:
        """Returns the posterior. Raises `InputError` for less than one variable or two values."""
        if self.slots < 1 or self.codes < 2:
            raise InputError(
                f"CategoricalLatent has slots={self.slots} and codes={self.codes}: give at least 1 variable of 2 values"
            )
        logits = nn.Dense(self.size, kernel_init=glorot, name="code")(features)
        return OneHotCategorical(jax.nn.log_softmax(logits.reshape(-1, self.slots, self.codes)))

    @nn.nowrap
    def restore(self, variables: Variables, index: Int[Array, "n positions"]) -> Float[Array, "n latent"]:
        """Returns the codes that indices tell: see `DiscreteLatent.restore`.

        Args:
            variables: not used.
            index: the indices.
        """
        return _flat(jax.nn.one_hot(index, self.codes))


@known
class UniformPrior(Prior):
    """Takes all values of each categorical variable as equally probable, with nothing to learn."""

    meets = (traits.PRIOR, traits.UNIFORM)
    codes: int = 10
    """K, the number of values of each variable, as the latent has it."""

    @property
    def needs(self) -> tuple[Trait, ...]:
        """Categorical codes, and a term that brings them to it."""
        return (traits.CATEGORICAL, traits.RATE)

    def log_prob(self, z: Float[Array, "batch latent"], encode: EncodeInputs) -> Float[Array, " batch"]:
        """Returns the log-probability of each code, in nats: the same for all.

        Raises `InputError` for a code that is not made of variables of so many values.
        """
        return jnp.full(len(z), -self._slots(z.shape[1]) * jnp.log(float(self.codes)))

    def sample(self, key: Key[Array, ""], shape: tuple[int, int], encode: EncodeInputs) -> Float[Array, "n latent"]:
        """Draws one-hot codes.

        Args:
            key: the key of the draw.
            shape: the number of codes and their size, (n, latent).
            encode: not used.

        Raises:
            InputError: for a code that is not made of variables of so many values.
        """
        index = jax.random.randint(key, (shape[0], self._slots(shape[1])), 0, self.codes)
        return _flat(jax.nn.one_hot(index, self.codes))

    def _slots(self, latent: int) -> int:
        if self.codes < 2 or latent % self.codes:
            raise InputError(
                f"UniformPrior has codes={self.codes}, which do not make a code of {latent}: give both the same codes"
            )
        return latent // self.codes
