"""Defines relaxations: what training puts in place of draws that no gradient goes through."""

from typing import Any

from jaxtyping import Array, Int

from aejax.core import configurable, positive
from aejax.losses.terms import ramp
from aejax.models import Part, Posterior, traits


class Relaxation(Part):
    """Changes a posterior in training, so that a gradient goes through its draws; evaluation has the posterior."""

    def __call__(self, posterior: Any, step: Int[Array, ""] | None) -> Posterior:
        """Returns the posterior of which training draws codes.

        Args:
            posterior: what the latent gave.
            step: the step of training; None: the last one.
        """
        raise NotImplementedError


@configurable
class Exact(Relaxation):
    """Leaves the posterior as it is."""

    def __call__(self, posterior: Any, step: Int[Array, ""] | None) -> Posterior:
        """Returns the posterior itself.

        Args:
            posterior: what the latent gave.
            step: not used.
        """
        return posterior


@configurable
class GumbelSoftmax(Relaxation):
    """Relaxes one-hot draws to softmax((log pi + Gumbel noise) / tau): Jang et al. 2017, equation 2.

    Maddison et al. 2017 call it the Concrete distribution. tau falls exponentially from `start` to `temperature`, as in
    section 4.2 of the former, and stays there. What is minimised is no bound on -log p(x): evaluation has hard draws.
    """

    needs = (traits.CATEGORICAL,)
    meets = (traits.RELAXATION,)
    temperature: float = positive(default=0.5)
    """tau at last: at lower ones draws are nearer to one-hot codes, and gradients have more noise."""
    start: float = positive(default=1.0)
    """tau at first."""
    anneal_steps: float = 0.0
    """Number of training steps over which tau falls; 0: it is `temperature` from the first step on."""

    def __call__(self, posterior: Any, step: Int[Array, ""] | None) -> Posterior:
        """Returns the relaxed posterior.

        Args:
            posterior: what the latent gave.
            step: the step of training; None: the last one.
        """
        share = 1.0 if step is None else ramp(step, self.anneal_steps)
        return posterior.relaxed(self.start * (self.temperature / self.start) ** share)
