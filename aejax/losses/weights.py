"""Defines penalties on weights, which are the same for every example.

Biases, the scales and shifts of a normalisation, and a critic's weights are not penalised.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aejax.core import InputError, configurable, static
from aejax.losses.terms import Forward, Term


@configurable
class WeightL1(Term):
    """Penalises the sum of absolute weights; biases are not counted.

    Tibshirani 1996, section 1: the negative log of a Laplace prior on the weights, less its constant.
    """

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the sum over every parameter of two or more axes, the same for every example."""
        return _summed(forward, jnp.abs)


@configurable
class WeightL2(Term):
    """Penalises half the sum of squared weights; biases are not counted.

    Krogh & Hertz 1991, equation 2: the negative log of a normal prior on the weights, less its constant.
    """

    of: Literal["model", "decoder"] = static(default="model", kw_only=True)
    """Whose weights count: all of the model's, or the decoder's alone, as in Ghosh et al. 2020, section 3.1."""

    def __call__(self, forward: Forward) -> Float[Array, " batch"]:
        """Returns the sum over every parameter of two or more axes, the same for every example.

        Raises `InputError` for a decoder without weights of its own.
        """
        return 0.5 * _summed(forward, jnp.square, self.of)


def _summed(
    forward: Forward, function: Callable[[Array], Array], of: Literal["model", "decoder"] = "model"
) -> Float[Array, " batch"]:
    params = forward.model.variables["params"]
    own = {part: params[part] for part in params if (part != "critic" if of == "model" else part == of)}
    weights = [leaf for leaf in jax.tree.leaves(own) if leaf.ndim > 1]
    if of != "model" and not weights:
        raise InputError(f"the {of} has no weights of its own to penalise: leave --loss.terms.TERM.of out")
    return jnp.full(len(forward.batch), sum(jnp.sum(function(leaf)) for leaf in weights))
