"""Likelihoods, corruptions, terms, and the losses made of them."""

from aejax.losses.corruption import Clean, Clip, Composed, Corruption, GaussianNoise, Masking, SaltAndPepper
from aejax.losses.likelihoods import Bernoulli, Gaussian, GaussianLearnedScale, Likelihood
from aejax.losses.loss import Loss
from aejax.losses.terms import Forward, Reconstruction, Term, WeightL2

__all__ = [
    "Bernoulli",
    "Clean",
    "Clip",
    "Composed",
    "Corruption",
    "Forward",
    "Gaussian",
    "GaussianLearnedScale",
    "GaussianNoise",
    "Likelihood",
    "Loss",
    "Masking",
    "Reconstruction",
    "SaltAndPepper",
    "Term",
    "WeightL2",
]
