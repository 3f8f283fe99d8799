"""A loss: named terms of one forward pass, and their weighted sum."""

from dataclasses import field, replace
from typing import Self

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from aejax.core import Examples, InputError, configurable
from aejax.losses.corruption import Clean, Corruption
from aejax.losses.likelihoods import Bernoulli, Likelihood
from aejax.losses.terms import Forward, Reconstruction, Term
from aejax.models import Autoencoder


@configurable
class Loss:
    """Encodes, decodes, and asks each term for its value. Every number in it is traced."""

    likelihood: Likelihood = field(default_factory=Bernoulli)
    """What the decoder's output means."""
    terms: dict[str, Term] = field(default_factory=lambda: {"reconstruction": Reconstruction()})
    """What is added up, by name."""
    corruption: Corruption = field(default_factory=Clean)
    """What happens to the input, and not to the target."""

    def for_data(self, examples: int) -> Self:
        """With what its terms need to know of the data: how many examples an epoch trains on."""
        return replace(self, terms={name: term.for_data(examples) for name, term in self.terms.items()})

    def __call__(
        self, model: Autoencoder, batch: Examples, train: bool = False, step: Int[Array, ""] | None = None
    ) -> dict[str, Float[Array, " batch"]]:
        """Every term before its weight, and `loss_nats`, their weighted sum: what is minimised.

        `model` is bound to its variables; all values are in nats per example. Weights are those of
        `step` of training; without one, as in evaluation, those that they end at. Raises `InputError`
        for a term that is named as the total is.
        """
        if "loss" in self.terms:
            raise InputError("a term cannot be named 'loss', which is the name of the total: choose another name")
        forward = self.forward(model, batch, train, step)
        values = {name: term(forward) for name, term in self.terms.items()}
        total = sum((self.terms[name].weight_at(step) * value for name, value in values.items()), jnp.zeros(()))
        return {"loss_nats": total} | {f"{name}_nats": value for name, value in values.items()}

    def forward(
        self, model: Autoencoder, batch: Examples, train: bool = False, step: Int[Array, ""] | None = None
    ) -> Forward:
        """The pass that the terms see: corrupt, encode, draw a code, decode."""
        given = self.corruption(batch.x, model.make_rng("corruption"))
        posterior = model.encode(given, train, batch.label)
        code = posterior.sample(model.make_rng("latent"))
        raw = model.decode(code, train, batch.label)
        return Forward(model, batch.x, given, posterior, code, raw, self.likelihood, batch.label, train, step)
