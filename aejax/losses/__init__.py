"""Likelihoods, terms, and the losses made of them."""

from aejax.losses.likelihoods import Bernoulli, Gaussian, GaussianLearnedScale, Likelihood
from aejax.losses.loss import Loss
from aejax.losses.terms import Forward, Reconstruction, Term, WeightL2

__all__ = [
    "Bernoulli",
    "Forward",
    "Gaussian",
    "GaussianLearnedScale",
    "Likelihood",
    "Loss",
    "Reconstruction",
    "Term",
    "WeightL2",
]
