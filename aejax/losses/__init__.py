"""Likelihoods, corruptions, terms, and the losses made of them."""

from aejax.losses.aggregate import DimensionwiseKL, KLPart, MutualInformation, TotalCorrelation
from aejax.losses.contractive import Contractive, ContractiveLayer
from aejax.losses.corruption import Clean, Clip, Composed, Corruption, GaussianNoise, Masking, SaltAndPepper
from aejax.losses.importance import CombinedImportanceWeighted, ImportanceWeighted, PartiallyImportanceWeighted
from aejax.losses.levels import Categorical, DiscretisedLogistic, Levels
from aejax.losses.likelihoods import Bernoulli, Gaussian, GaussianLearnedScale, Likelihood, SigmoidGaussian
from aejax.losses.loss import Loss
from aejax.losses.mmd import IMQ, MMD, RBF, Kernel
from aejax.losses.moments import DIP
from aejax.losses.needs import unmet
from aejax.losses.quantised import Codebook, Commitment
from aejax.losses.rate import Capacity, FreeBits
from aejax.losses.rbm import ContrastiveDivergence, FreeEnergy
from aejax.losses.robust import Cauchy
from aejax.losses.sparsity import CodeL1, KLSparsity
from aejax.losses.terms import Forward, Reconstruction, Term
from aejax.losses.variational import KL
from aejax.losses.weights import WeightL1, WeightL2

__all__ = [
    "DIP",
    "IMQ",
    "KL",
    "MMD",
    "RBF",
    "Bernoulli",
    "Capacity",
    "Categorical",
    "Cauchy",
    "Clean",
    "Clip",
    "CodeL1",
    "Codebook",
    "CombinedImportanceWeighted",
    "Commitment",
    "Composed",
    "Contractive",
    "ContractiveLayer",
    "ContrastiveDivergence",
    "Corruption",
    "DimensionwiseKL",
    "DiscretisedLogistic",
    "Forward",
    "FreeBits",
    "FreeEnergy",
    "Gaussian",
    "GaussianLearnedScale",
    "GaussianNoise",
    "ImportanceWeighted",
    "KLPart",
    "KLSparsity",
    "Kernel",
    "Levels",
    "Likelihood",
    "Loss",
    "Masking",
    "MutualInformation",
    "PartiallyImportanceWeighted",
    "Reconstruction",
    "SaltAndPepper",
    "SigmoidGaussian",
    "Term",
    "TotalCorrelation",
    "WeightL1",
    "WeightL2",
    "unmet",
]
