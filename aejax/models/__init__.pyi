from .autoencoder import (
    Autoencoder as Autoencoder,
    Decoder as Decoder,
    Density as Density,
    Encoder as Encoder,
    Latent as Latent,
    Posterior as Posterior,
    Prior as Prior,
)
from .chosen import (
    Active as Active,
    Chosen as Chosen,
    shifted_product as shifted_product,
    sum_of_rows as sum_of_rows,
)
from .classifier import (
    Classifier as Classifier,
)
from .conditional import (
    ConditionalAutoencoder as ConditionalAutoencoder,
)
from .conv import (
    ConvDecoder as ConvDecoder,
    ConvEncoder as ConvEncoder,
)
from .critics import (
    CodeCritic as CodeCritic,
    Critic as Critic,
    NoCritic as NoCritic,
)
from .dictionary import (
    Dictionary as Dictionary,
)
from .distributions import (
    Normal as Normal,
    Point as Point,
    normal_log_density as normal_log_density,
)
from .hierarchy import (
    BottomDecoder as BottomDecoder,
    HierarchicalLatent as HierarchicalLatent,
    HierarchicalPrior as HierarchicalPrior,
)
from .latents import (
    GaussianLatent as GaussianLatent,
    Plain as Plain,
    positive_scale as positive_scale,
)
from .layers import (
    ParamPath as ParamPath,
    activation as activation,
    parameters_at as parameters_at,
    product as product,
)
from .mlp import (
    MLPDecoder as MLPDecoder,
    MLPEncoder as MLPEncoder,
)
from .priors import (
    MixturePrior as MixturePrior,
    VampPrior as VampPrior,
)
from .quantised import (
    Quantised as Quantised,
    VectorQuantised as VectorQuantised,
)
from .selection import (
    least_of_batch as least_of_batch,
    top_indices as top_indices,
)
from .sparse import (
    SpatialWinnerTakeAll as SpatialWinnerTakeAll,
    TopK as TopK,
    UnitNormDecoder as UnitNormDecoder,
    WinnerTakeAll as WinnerTakeAll,
)
from .surrogates import (
    jump as jump,
    step as step,
)
from .tied import (
    TiedAutoencoder as TiedAutoencoder,
    TransposedDecoder as TransposedDecoder,
)
from .traits import (
    UNLABELLED as UNLABELLED,
    Part as Part,
    Trait as Trait,
    require as require,
)
from .units import (
    BatchTopK as BatchTopK,
    ExactTopK as ExactTopK,
    Gated as Gated,
    JumpReLU as JumpReLU,
    PlainUnits as PlainUnits,
    Rectified as Rectified,
    SparseCode as SparseCode,
    Units as Units,
)
from .variational import (
    StandardNormal as StandardNormal,
    VariationalAutoencoder as VariationalAutoencoder,
)
