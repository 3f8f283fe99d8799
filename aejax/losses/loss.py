"""Defines a loss: named terms of one forward pass, and their weighted sum."""

from dataclasses import field, replace
from typing import Self

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from aejax.core import Examples, InputError, configurable
from aejax.losses.corruption import Clean, Corruption
from aejax.losses.likelihoods import Bernoulli, Likelihood
from aejax.losses.relaxation import Exact, Relaxation
from aejax.losses.terms import Forward, Reconstruction, Term
from aejax.models import Autoencoder, Part, Trait, require


@configurable
class Loss(Part):
    """Encodes, decodes, and adds up the weighted terms. Every number in it is traced."""

    likelihood: Likelihood = field(default_factory=Bernoulli)
    """The likelihood, which gives the decoder's output its meaning."""
    terms: dict[str, Term] = field(default_factory=lambda: {"reconstruction": Reconstruction()})
    """The terms that are added up, by name."""
    corruption: Corruption = field(default_factory=Clean)
    """The corruption of the input; the target stays clean."""
    relaxation: Relaxation = field(default_factory=Exact)
    """What training draws codes of, where no gradient goes through a draw of the posterior itself."""

    @property
    def meets(self) -> tuple[Trait, ...]:
        """The traits of the likelihood, of the relaxation, and of the terms that are not only logged."""
        adding = [term for term in self.terms.values() if not term.monitored]
        return tuple(trait for part in (self.likelihood, self.relaxation, *adding) for trait in part.meets)

    def resolve(self, examples: int) -> Self:
        """Returns the loss with the number of examples that an epoch trains on filled in, for terms that need it."""
        return replace(self, terms={name: term.resolve(examples) for name, term in self.terms.items()})

    def __call__(
        self, model: Autoencoder, batch: Examples, train: bool = False, step: Int[Array, ""] | None = None
    ) -> dict[str, Float[Array, " batch"]]:
        """Returns every term's value, `NAME_UNIT`, and the sum of their contributions `loss_nats`, which is minimised.

        Args:
            model: the model, bound to its variables.
            batch: the examples.
            train: whether the model is being trained.
            step: the step of training, which sets the weights; None, as in evaluation: those that warm-up ends at.

        Returns:
            Values for each example, in nats unless a name says otherwise.

        Raises:
            InputError: for a term named `loss`, and for one that has no meaning for the model.
        """
        if "loss" in self.terms:
            raise InputError("a term cannot be named 'loss', which is the name of the total: choose another name")
        for term in self.terms.values():
            require(term, model, self)
        forward = self.forward(model, batch, train, step)
        logged: dict[str, Array] = {"loss_nats": jnp.zeros(())}
        for name, term in self.terms.items():
            own = forward._replace(term=name)
            value = term(own)
            if not term.monitored:
                logged["loss_nats"] = logged["loss_nats"] + term.contribution(value, own)
            logged[f"{name}_{term.unit}"] = value
            logged |= {f"{name}_{further}": more for further, more in term.further(own).items()}
        return logged

    def forward(
        self, model: Autoencoder, batch: Examples, train: bool = False, step: Int[Array, ""] | None = None
    ) -> Forward:
        """Makes the forward pass that the terms see: it corrupts, encodes, draws a code and decodes.

        Args:
            model: the model, bound to its variables.
            batch: the examples.
            train: whether the model is being trained.
            step: the step of training; None in evaluation.
        """
        given = replace(batch, x=self.corruption(batch.x, model.make_rng("corruption")))
        posterior = model.encode(given, train)
        posterior = self.relaxation(posterior, step) if train else posterior
        drawn = model.draw(posterior, model.make_rng("latent"), given, train)
        return Forward(
            model,
            batch,
            given,
            posterior,
            drawn.code,
            drawn.raw,
            self.likelihood,
            train,
            step,
            drawn.log_posterior,
            drawn.rates,
        )
