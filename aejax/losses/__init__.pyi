from .adversarial import (
    AdversarialCorrelation as AdversarialCorrelation,
    AdversarialDecoding as AdversarialDecoding,
    AdversarialPrior as AdversarialPrior,
    DataCritic as DataCritic,
    FeatureReconstruction as FeatureReconstruction,
    PermutationCritic as PermutationCritic,
    PriorCritic as PriorCritic,
)
from .aggregate import (
    DimensionwiseKL as DimensionwiseKL,
    KLPart as KLPart,
    MutualInformation as MutualInformation,
    TotalCorrelation as TotalCorrelation,
    mixture_log_density as mixture_log_density,
)
from .annealing import (
    AnnealedLp as AnnealedLp,
)
from .classification import (
    CrossEntropy as CrossEntropy,
)
from .constraint import (
    GECO as GECO,
    TargetL0 as TargetL0,
)
from .contractive import (
    Contractive as Contractive,
    ContractiveLayer as ContractiveLayer,
)
from .corruption import (
    Clean as Clean,
    Clip as Clip,
    Composed as Composed,
    Corruption as Corruption,
    GaussianNoise as GaussianNoise,
    Holes as Holes,
    Masking as Masking,
    SaltAndPepper as SaltAndPepper,
)
from .counts import (
    CountLikelihood as CountLikelihood,
    NegativeBinomial as NegativeBinomial,
    Poisson as Poisson,
)
from .dictionary import (
    AuxK as AuxK,
    DeadPreActivation as DeadPreActivation,
    DeadUnits as DeadUnits,
    GateDecoding as GateDecoding,
    GateL1 as GateL1,
    Matryoshka as Matryoshka,
    QuadraticL0 as QuadraticL0,
    StepL0 as StepL0,
    TanhL0 as TanhL0,
)
from .importance import (
    CombinedImportanceWeighted as CombinedImportanceWeighted,
    DoublyReparameterised as DoublyReparameterised,
    ImportanceWeighted as ImportanceWeighted,
    PartiallyImportanceWeighted as PartiallyImportanceWeighted,
    importance_log_weights as importance_log_weights,
)
from .levels import (
    Categorical as Categorical,
    DiscretisedLogistic as DiscretisedLogistic,
    Levels as Levels,
)
from .likelihoods import (
    Bernoulli as Bernoulli,
    Gaussian as Gaussian,
    GaussianLearnedScale as GaussianLearnedScale,
    Likelihood as Likelihood,
    SigmoidGaussian as SigmoidGaussian,
    flat as flat,
)
from .logistic_mixture import (
    LogisticMixture as LogisticMixture,
)
from .loss import (
    Loss as Loss,
)
from .masked import (
    MaskedReconstruction as MaskedReconstruction,
)
from .mmd import (
    IMQ as IMQ,
    MMD as MMD,
    RBF as RBF,
    Kernel as Kernel,
)
from .moments import (
    DIP as DIP,
)
from .quantised import (
    Codebook as Codebook,
    Commitment as Commitment,
)
from .rate import (
    Capacity as Capacity,
    FreeBits as FreeBits,
)
from .rbm import (
    ContrastiveDivergence as ContrastiveDivergence,
    FreeEnergy as FreeEnergy,
)
from .regularised import (
    CodeL2 as CodeL2,
    DecoderJacobian as DecoderJacobian,
)
from .relaxation import (
    Exact as Exact,
    GumbelSoftmax as GumbelSoftmax,
    Relaxation as Relaxation,
)
from .robust import (
    Cauchy as Cauchy,
)
from .similarity import (
    MultiscaleSSIM as MultiscaleSSIM,
    least_side as least_side,
    ms_ssim as ms_ssim,
)
from .sliced import (
    SlicedWasserstein as SlicedWasserstein,
)
from .sparsity import (
    L0 as L0,
    CodeL1 as CodeL1,
    KLSparsity as KLSparsity,
)
from .terms import (
    Forward as Forward,
    Reconstruction as Reconstruction,
    Term as Term,
)
from .variational import (
    KL as KL,
    log_posterior as log_posterior,
)
from .weights import (
    WeightL1 as WeightL1,
    WeightL2 as WeightL2,
)
