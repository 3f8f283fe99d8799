"""Defines what latents share whose codes are told by whole numbers, the indices."""

from typing import Protocol, runtime_checkable

import flax.linen as nn
from jaxtyping import Array, Float, Int

from aejax.core import Variables
from aejax.models.autoencoder import Latent, Posterior


@runtime_checkable
class Discrete(Posterior, Protocol):
    """Describes a posterior whose mean is told by indices: of a latent that meets `DISCRETE`."""

    @property
    def index(self) -> Int[Array, "batch positions"]:
        """Returns the indices of each example's mean, from which `DiscreteLatent.restore` makes it again."""


class DiscreteLatent(Latent):
    """Makes codes that are told by an index at each of several positions, each a whole number below `codes`.

    Whatever counts, sends or models indices knows no more of a latent than this.
    """

    @property
    def codes(self) -> int:
        """The number of values that an index has."""
        raise NotImplementedError

    @property
    def positions(self) -> int:
        """The number of indices of an example."""
        raise NotImplementedError

    @property
    def books(self) -> int:
        """The number of codebooks, which positions read in turn: one index means the same wherever the book is one."""
        return 1

    @nn.nowrap
    def restore(self, variables: Variables, index: Int[Array, "n positions"]) -> Float[Array, "n latent"]:
        """Returns the codes that indices tell, to the bit as the posterior has them.

        Args:
            variables: the latent's own variables.
            index: the indices.
        """
        raise NotImplementedError
