from .autoencoder import (
    Autoencoder as Autoencoder,
    Decoder as Decoder,
    Density as Density,
    Encoder as Encoder,
    Evaluable as Evaluable,
    Latent as Latent,
    Posterior as Posterior,
    Prior as Prior,
)
from .categorical import (
    CategoricalLatent as CategoricalLatent,
    OneHotCategorical as OneHotCategorical,
    UniformPrior as UniformPrior,
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
from .code_prior import (
    CodePrior as CodePrior,
)
from .conditional import (
    ConditionalAutoencoder as ConditionalAutoencoder,
)
from .conv import (
    ConvDecoder as ConvDecoder,
    ConvEncoder as ConvEncoder,
)
from .counts import (
    LogCounts as LogCounts,
    SharedDispersion as SharedDispersion,
)
from .critics import (
    CodeCritic as CodeCritic,
    Critic as Critic,
    NoCritic as NoCritic,
)
from .dictionary import (
    Dictionary as Dictionary,
)
from .discrete import (
    Discrete as Discrete,
    DiscreteLatent as DiscreteLatent,
)
from .distributions import (
    LOG_2_PI as LOG_2_PI,
    Normal as Normal,
    Point as Point,
    normal_log_density as normal_log_density,
)
from .example_critic import (
    ExampleCritic as ExampleCritic,
)
from .finite import (
    FiniteScalarQuantised as FiniteScalarQuantised,
)
from .flow_latents import (
    IAFLatent as IAFLatent,
    PlanarLatent as PlanarLatent,
)
from .flows import (
    Flow as Flow,
    masked_autoregressive as masked_autoregressive,
    real_nvp as real_nvp,
)
from .hierarchy import (
    BottomDecoder as BottomDecoder,
    HierarchicalLatent as HierarchicalLatent,
    HierarchicalPrior as HierarchicalPrior,
)
from .latents import (
    GaussianLatent as GaussianLatent,
    Identity as Identity,
    Plain as Plain,
    positive_scale as positive_scale,
)
from .layers import (
    ParamPath as ParamPath,
    activation as activation,
    parameters_at as parameters_at,
    product as product,
)
from .made import (
    MADE as MADE,
)
from .masked import (
    MaskedAutoencoder as MaskedAutoencoder,
)
from .mlp import (
    MLPDecoder as MLPDecoder,
    MLPEncoder as MLPEncoder,
)
from .patches import (
    PatchDecoder as PatchDecoder,
    PatchEncoder as PatchEncoder,
    from_patches as from_patches,
    to_patches as to_patches,
)
from .priors import (
    MAFPrior as MAFPrior,
    MixturePrior as MixturePrior,
    RealNVPPrior as RealNVPPrior,
    VampPrior as VampPrior,
)
from .quantised import (
    Quantised as Quantised,
    VectorQuantised as VectorQuantised,
)
from .residual import (
    ResidualBlock as ResidualBlock,
    ResidualDecoder as ResidualDecoder,
    ResidualEncoder as ResidualEncoder,
    SelfAttention as SelfAttention,
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
from .spectral import (
    SpectrallyNormalised as SpectrallyNormalised,
)
from .sphere import (
    PowerSpherical as PowerSpherical,
    VonMisesFisher as VonMisesFisher,
)
from .spherical import (
    PowerSphericalLatent as PowerSphericalLatent,
    UniformSphere as UniformSphere,
    VonMisesFisherLatent as VonMisesFisherLatent,
)
from .surrogates import (
    jump as jump,
    step as step,
)
from .tied import (
    TiedAutoencoder as TiedAutoencoder,
    TransposedDecoder as TransposedDecoder,
)
from .top_down import (
    TopDownAutoencoder as TopDownAutoencoder,
    TopDownDecoder as TopDownDecoder,
    TopDownLatent as TopDownLatent,
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
