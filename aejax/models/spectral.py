"""Defines a decoder whose layers' kernels are divided by their largest singular values."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float, Key

from aejax.core import InputError, known
from aejax.models.autoencoder import Decoder
from aejax.models.mlp import MLPDecoder

_COLLECTION = "spectral"


@known
class SpectrallyNormalised(Decoder):
    """Is another decoder with each kernel divided by its largest singular value. Miyato et al. 2018, algorithm 1.

    Then no layer stretches its input, and the decoder is smooth where its activations are: Ghosh et al. 2020, section
    3.2. The kernel of a convolution counts as a matrix whose columns are its output channels. The value is found by
    power iteration, whose vectors are kept from step to step in the state's collections; no gradient goes through them.
    """

    decoder: Decoder = MLPDecoder()
    """The decoder, whose parameters are those before the division."""
    iterations: int = 1
    """Number of power iterations in a training step; outside training there is none."""

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], shape: tuple[int, ...], train: bool = False
    ) -> Float[Array, "batch *shape"]:
        """Returns the raw parameters of the likelihood, `[batch, *shape]`.

        Args:
            z: the codes.
            shape: the shape of the output for one example.
            train: whether the model is being trained, which turns the power iteration on.

        Raises:
            InputError: for less than one iteration, and for a decoder without kernels of its own.
        """
        if self.iterations < 1:
            raise InputError(f"iterations of SpectrallyNormalised is {self.iterations}: give at least 1")
        if self.is_initializing():
            self.decoder(z, shape, train)  # which makes the parameters
        params = flatten_dict(self.decoder.variables.get("params", {}), sep="/")
        scales = {name: self._largest(name, leaf, train) for name, leaf in params.items() if leaf.ndim > 1}
        if not scales:
            raise InputError(
                f"{type(self.decoder).__name__} has no kernels of its own to normalise: use another decoder"
            )

        def divided(variables: Any) -> Any:
            flat = flatten_dict(variables["params"], sep="/")
            changed = {
                name: leaf / scales[name].astype(leaf.dtype) if name in scales else leaf for name, leaf in flat.items()
            }
            return {**variables, "params": unflatten_dict(changed, sep="/")}

        apply = nn.map_variables(lambda decoder: decoder(z, shape, train), "params", divided)
        return apply(self.decoder)

    def _largest(self, name: str, kernel: Float[Array, "*axes out"], train: bool) -> Float[Array, ""]:
        """Returns the estimate of a kernel's largest singular value, after the iterations of a step of training."""
        matrix = kernel.astype(jnp.float32).reshape(-1, kernel.shape[-1])
        kept = self.variable(_COLLECTION, name, lambda: _unit(_normal(self.make_rng("params"), matrix.shape[1])))
        right = kept.value
        if train:
            fixed = jax.lax.stop_gradient(matrix)
            for _ in range(self.iterations):
                right = _unit(_unit(right @ fixed.T) @ fixed)
            if self.is_mutable_collection(_COLLECTION) and not self.is_initializing():
                kept.value = right
        left = jax.lax.stop_gradient(_unit(right @ matrix.T))
        return left @ (matrix @ right)


def _normal(key: Key[Array, ""], size: int) -> Float[Array, " size"]:
    return jax.random.normal(key, (size,))


def _unit(vector: Float[Array, " size"]) -> Float[Array, " size"]:
    return vector / jnp.sqrt(jnp.maximum(jnp.sum(jnp.square(vector)), 1e-24))
