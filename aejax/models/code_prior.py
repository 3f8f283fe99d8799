"""Defines a distribution of indices, each given those before it: p(k_1) p(k_2 | k_1) p(k_3 | k_1, k_2) ..."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from aejax.core import Examples, Trainable
from aejax.models.made import MADE


class CodePrior(Trainable):
    """Models the indices of discrete codes by MADE, a masked network over their embeddings: Germain et al. 2015.

    It is fitted after the model, whose own prior over codes is uniform, as by van den Oord et al. 2017, section 3.3
    (with PixelCNN there). A masked dense network needs no grid, so that it serves the codes of any encoder, several
    codebooks and categorical variables alike; and as it gives one position without the others, coding them one after
    the other costs no more than all at once.
    """

    codes: int
    """Number of values of an index."""
    books: int = 1
    """Number of codebooks, which positions read in turn."""
    embedding: int = 16
    """Size of the vector that stands for an index."""
    outputs: int = 32
    """Number of features from which a position's logits are made."""
    hidden: tuple[int, ...] = (512,)
    """Width of each hidden layer."""

    @property
    def primes(self) -> bool:
        """Whether `prime` looks at examples: it counts them."""
        return True

    @nn.nowrap
    def prime(self, params: Any, examples: Examples, loss: Any) -> Any:
        """Returns parameters by which indices are independent, each position's with its frequencies in examples.

        Args:
            params: the parameters, freshly initialised.
            examples: indices `[n, positions]`, as float32.
            loss: not used.
        """
        index = examples.x.astype(jnp.int32)
        places = jnp.broadcast_to(jnp.arange(index.shape[1])[None], index.shape)
        counts = jnp.full((index.shape[1], self.codes), 0.5).at[places, index].add(1.0)
        return {**params, "bias": jnp.log(counts / jnp.sum(counts, axis=1, keepdims=True))}

    @nn.nowrap
    def network(self) -> MADE:
        """Returns the masked network, which gives each position's features."""
        return MADE(self.outputs, self.hidden, parent=None)

    @nn.compact
    def __call__(self, index: Int[Array, "batch positions"]) -> Float[Array, "batch positions codes"]:
        """Returns the logits of each index given those before it."""
        positions = index.shape[1]
        book = jnp.arange(positions) % self.books
        embeddings = self.param("embedding", nn.initializers.normal(1.0), (self.books, self.codes, self.embedding))
        values = self.param("values", nn.initializers.zeros, (self.books, self.outputs, self.codes))
        bias = self.param("bias", nn.initializers.zeros, (positions, self.codes))
        seen = embeddings[jnp.broadcast_to(book[None], index.shape), index]
        features = self.network().clone(name="made", parent=self)(seen)
        return jnp.einsum("bpo,poc->bpc", features, values[book]) + bias[None]

    def log_prob(self, index: Num[Array, "batch positions"]) -> Float[Array, " batch"]:
        """Returns log p(k) of each example's indices in nats; as examples, they are whole numbers in float32."""
        index = index.astype(jnp.int32)
        log_probs = jax.nn.log_softmax(self(index), axis=-1)
        return jnp.sum(jnp.take_along_axis(log_probs, index[..., None], axis=-1)[..., 0], axis=1)
