from .aggregate import (
    DimensionwiseKL as DimensionwiseKL,
)
from .aggregate import (
    KLPart as KLPart,
)
from .aggregate import (
    MutualInformation as MutualInformation,
)
from .aggregate import (
    TotalCorrelation as TotalCorrelation,
)
from .aggregate import (
    mixture_log_density as mixture_log_density,
)
from .classification import (
    CrossEntropy as CrossEntropy,
)
from .contractive import (
    Contractive as Contractive,
)
from .contractive import (
    ContractiveLayer as ContractiveLayer,
)
from .corruption import (
    Clean as Clean,
)
from .corruption import (
    Clip as Clip,
)
from .corruption import (
    Composed as Composed,
)
from .corruption import (
    Corruption as Corruption,
)
from .corruption import (
    GaussianNoise as GaussianNoise,
)
from .corruption import (
    Masking as Masking,
)
from .corruption import (
    SaltAndPepper as SaltAndPepper,
)
from .importance import (
    CombinedImportanceWeighted as CombinedImportanceWeighted,
)
from .importance import (
    ImportanceWeighted as ImportanceWeighted,
)
from .importance import (
    PartiallyImportanceWeighted as PartiallyImportanceWeighted,
)
from .importance import (
    importance_log_weights as importance_log_weights,
)
from .levels import (
    Categorical as Categorical,
)
from .levels import (
    DiscretisedLogistic as DiscretisedLogistic,
)
from .levels import (
    Levels as Levels,
)
from .likelihoods import (
    Bernoulli as Bernoulli,
)
from .likelihoods import (
    Gaussian as Gaussian,
)
from .likelihoods import (
    GaussianLearnedScale as GaussianLearnedScale,
)
from .likelihoods import (
    Likelihood as Likelihood,
)
from .likelihoods import (
    SigmoidGaussian as SigmoidGaussian,
)
from .likelihoods import (
    flat as flat,
)
from .loss import (
    Loss as Loss,
)
from .mmd import (
    IMQ as IMQ,
)
from .mmd import (
    MMD as MMD,
)
from .mmd import (
    RBF as RBF,
)
from .mmd import (
    Kernel as Kernel,
)
from .moments import (
    DIP as DIP,
)
from .needs import (
    unmet as unmet,
)
from .quantised import (
    Codebook as Codebook,
)
from .quantised import (
    Commitment as Commitment,
)
from .rate import (
    Capacity as Capacity,
)
from .rate import (
    FreeBits as FreeBits,
)
from .rbm import (
    ContrastiveDivergence as ContrastiveDivergence,
)
from .rbm import (
    FreeEnergy as FreeEnergy,
)
from .robust import (
    Cauchy as Cauchy,
)
from .sparsity import (
    CodeL1 as CodeL1,
)
from .sparsity import (
    KLSparsity as KLSparsity,
)
from .terms import (
    Forward as Forward,
)
from .terms import (
    Reconstruction as Reconstruction,
)
from .terms import (
    Term as Term,
)
from .variational import (
    KL as KL,
)
from .weights import (
    WeightL1 as WeightL1,
)
from .weights import (
    WeightL2 as WeightL2,
)
