"""Defines autoencoders with tied weights: there is one set of kernels, which the decoder uses transposed."""

import math

import flax.linen as nn
from jaxtyping import Array, Float

from aejax.core import Examples, InputError, known
from aejax.models import traits
from aejax.models._start import BiasedDecoder, Start
from aejax.models.autoencoder import Autoencoder, Latent
from aejax.models.latents import Plain
from aejax.models.layers import Activation, Finish, Norm, ParamPath, parameters_at
from aejax.models.mlp import MLPEncoder
from aejax.models.traits import Trait


class Transposed(nn.Module):
    """Applies a dense layer whose kernel is another layer's, transposed; only the bias is its own."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch out"], kernel: Float[Array, "in out"]) -> Float[Array, "batch in"]:
        """Returns `x @ kernel.T` plus the bias."""
        return x @ kernel.T + self.param("bias", nn.initializers.zeros, (kernel.shape[0],))[None]


@known
class TransposedDecoder(BiasedDecoder):
    """Decodes in a tied autoencoder: its layers are the encoder's, in reverse."""

    activation: Activation = "relu"
    """The function after each hidden layer, by name."""
    norm: Norm = "none"
    """Normalisation of each hidden layer: none, over the batch, or over the layer's values of each example."""
    dropout: float = 0.0
    """Share of each hidden layer's values that are set to zero in training."""
    start: Start = "constant"
    """What the output biases start at: zero, or the raw output for the mean or the geometric median of the data."""

    @nn.compact
    def __call__(
        self,
        z: Float[Array, "batch latent"],
        shape: tuple[int, ...],
        train: bool = False,
        kernels: tuple[Float[Array, "_ _"], ...] = (),
    ) -> Float[Array, "batch *shape"]:
        """Returns the raw parameters of the likelihood, `[batch, *shape]`.

        Args:
            z: the codes.
            shape: the shape of the output for one example.
            train: whether the model is being trained.
            kernels: the kernels of encoder and latent, in the order in which these apply them.

        Raises:
            InputError: without kernels, and where the output is not as wide as the encoder's input.
        """
        if not kernels:
            raise InputError("a TransposedDecoder has no kernels of its own: use it in a TiedAutoencoder")
        first, *hidden = kernels
        if math.prod(shape) != len(first):
            raise InputError(
                f"tied weights give {len(first)} values, but the likelihood needs {shape}: use an Autoencoder"
            )
        for number, kernel in enumerate(reversed(hidden)):
            z = Transposed(name=f"Dense_{number}")(z, kernel)
            z = Finish(self.activation, self.norm, self.dropout)(z, train)
        return Transposed(name="out")(z, first).reshape(-1, *shape)


@known
class TiedAutoencoder(Autoencoder):
    """Ties the weights of an `Autoencoder` of dense layers: its decoder has no kernels of its own.

    Vincent et al. 2010, section 2.2. With one layer of sigmoid or linear codes it is also a restricted Boltzmann
    machine: see `ContrastiveDivergence`.
    """

    encoder: MLPEncoder = MLPEncoder()
    latent: Latent = Plain()
    """Any latent of one dense layer."""
    decoder: TransposedDecoder = TransposedDecoder()

    @property
    def meets(self) -> tuple[Trait, ...]:
        """The traits of all parts, and whether the model is a restricted Boltzmann machine."""
        parts = super().meets
        machine = {traits.NO_LAYERS, traits.DENSE_LAYER} <= {*parts}
        machine = machine and self.latent.activation in ("sigmoid", "linear")
        return (*parts, traits.MACHINE) if machine else parts

    @property
    def down(self) -> tuple[ParamPath, ...]:
        """The paths of the decoder's layers, one for each of the encoder's and the latent's, which have its kernels."""
        return (*(("decoder", f"Dense_{number}") for number in range(len(self.encoder.hidden))), ("decoder", "out"))

    def decode(
        self, code: Float[Array, "batch latent"], batch: Examples, train: bool = False
    ) -> Float[Array, "batch *raw"]:
        """Returns the raw parameters of the likelihood.

        Args:
            code: the codes.
            batch: not used.
            train: whether the model is being trained.

        Raises:
            InputError: for layers that cannot be applied in reverse.
        """
        if not self.latent.dense:
            raise InputError(
                f"tied weights need a latent of one dense layer, which {type(self.latent).__name__} is not: use Plain"
            )
        kernels = tuple(parameters_at(self.variables["params"], path)["kernel"] for path in self.up)
        followed = [*(len(kernel) for kernel in kernels[1:]), code.shape[1]]
        for kernel, width in zip(kernels, followed, strict=True):
            if kernel.shape[1] != width:
                raise InputError(
                    f"weights cannot be tied where {width} values go back through a layer that gave "
                    f"{kernel.shape[1]}, as with a codebook or gated layers: use an Autoencoder"
                )
        return self.raw(code, train, kernels)
