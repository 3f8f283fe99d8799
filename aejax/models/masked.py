"""Defines the masked autoencoder: its encoder sees a few patches of an image, its decoder fills in the others."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from aejax.core import Examples, InputError, known
from aejax.models import traits
from aejax.models.autoencoder import Autoencoder, in_precision
from aejax.models.latents import Identity
from aejax.models.patches import PatchDecoder, PatchEncoder, from_patches, grid, to_patches
from aejax.models.traits import Trait


@known
class MaskedAutoencoder(Autoencoder):
    """Predicts the hidden patches of an image from the few that its encoder sees. He et al. 2022, section 3.

    `MaskedReconstruction` trains it, on patches that are hidden at random. The code of an image, none of it hidden, is
    the mean of its tokens. What `decode` gives is of the image too: each patch as it is predicted where it is hidden.
    """

    encoder: PatchEncoder = PatchEncoder()
    latent: Identity = Identity()
    """The mean token itself, whose size is the encoder's width."""
    decoder: PatchDecoder = PatchDecoder()
    seen: float = 0.25
    """Share of the patches that the encoder sees, at most one half."""

    @property
    def meets(self) -> tuple[Trait, ...]:
        """The traits of all parts, and the hidden patches."""
        return (*super().meets, traits.PATCHES, traits.READS_INPUT)

    def hide(self, batch: Examples) -> Int[Array, "batch patches"]:
        """Draws an order of the patches of each image, by the key `corruption`: all but the first ones are hidden."""
        patches = self._patches(batch)
        key = self.make_rng("corruption")
        return jnp.argsort(jax.random.uniform(key, (len(batch), patches)), axis=1)

    def predict(
        self, batch: Examples, order: Int[Array, "batch patches"], train: bool = False
    ) -> tuple[Float[Array, "batch *raw"], Int[Array, "batch hidden"]]:
        """Returns the raw parameters of the likelihood, and the numbers of the patches that were hidden.

        Args:
            batch: the examples.
            order: the numbers of all patches of each image, those first that the encoder is to see, as many as `count`.
            train: whether the model is being trained.
        """
        count = self.count(order.shape[1])
        see = lambda encoder, x, seen: encoder.tokens(x, seen)  # noqa: E731
        tokens = in_precision(self.precision, see, self.encoder, batch.x, order[:, :count])
        return self.raw(tokens, train, order), order[:, count:]

    @nn.nowrap
    def count(self, patches: int) -> int:
        """Returns how many of so many patches the encoder sees. Raises `InputError` for none, and above one half."""
        count = round(self.seen * patches)
        if not 1 <= count <= patches // 2:
            raise InputError(
                f"of {patches} patches the encoder would see {count}: give --model.seen a share of at most 0.5, and of "
                "one patch or more"
            )
        return count

    @nn.nowrap
    def turns(self, batch: Examples) -> Int[np.ndarray, "turns patches"]:
        """Returns orders of patches, the same for all images, by each of which the encoder sees other ones."""
        patches = self._patches(batch)
        count = self.count(patches)
        dealt = np.random.default_rng(0).permutation(patches)
        return np.stack([np.roll(dealt, -turn * count) for turn in range(patches // count)])

    def decode(
        self, code: Float[Array, "batch latent"], batch: Examples, train: bool = False
    ) -> Float[Array, "batch *raw"]:
        """Returns each patch as it is predicted where it is hidden: the mean of such predictions.

        The patches are dealt out to as many groups as there are, which the encoder sees in turn.

        Args:
            code: not used, as the tokens that it is the mean of are taken themselves.
            batch: the examples.
            train: whether the model is being trained.
        """
        turns = self.turns(batch)
        count = self.count(turns.shape[1])
        again = jax.tree.map(lambda leaf: jnp.tile(leaf, (len(turns), *[1] * (leaf.ndim - 1))), batch)
        raw, _ = self.predict(again, jnp.repeat(turns, len(batch), axis=0), train)
        made = to_patches(raw, self.encoder.patch)
        hidden = jnp.asarray(np.argsort(turns, axis=1) >= count, made.dtype)
        mean = jnp.einsum(
            "tp,tbp...->bp...", hidden / hidden.sum(axis=0)[None], made.reshape(len(turns), len(batch), *made.shape[1:])
        )
        return from_patches(mean, self.shape)

    @nn.nowrap
    def _patches(self, batch: Examples) -> int:
        """Returns the number of patches of an image. Raises `InputError` where encoder and decoder cut differently."""
        if self.encoder.patch != self.decoder.patch:
            raise InputError(
                f"the encoder's patches have a side of {self.encoder.patch}, the decoder's {self.decoder.patch}: give "
                "--model.encoder.patch and --model.decoder.patch one length"
            )
        return math.prod(grid(batch.x.shape[1:], self.encoder.patch))
