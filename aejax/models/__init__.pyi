from .autoencoder import (
    Autoencoder as Autoencoder,
)
from .autoencoder import (
    Decoder as Decoder,
)
from .autoencoder import (
    Density as Density,
)
from .autoencoder import (
    Encoder as Encoder,
)
from .autoencoder import (
    Latent as Latent,
)
from .autoencoder import (
    Posterior as Posterior,
)
from .classifier import (
    Classifier as Classifier,
)
from .conditional import (
    ConditionalAutoencoder as ConditionalAutoencoder,
)
from .conv import (
    ConvDecoder as ConvDecoder,
)
from .conv import (
    ConvEncoder as ConvEncoder,
)
from .distributions import (
    Normal as Normal,
)
from .distributions import (
    Point as Point,
)
from .distributions import (
    normal_log_density as normal_log_density,
)
from .hierarchy import (
    BottomDecoder as BottomDecoder,
)
from .hierarchy import (
    HierarchicalLatent as HierarchicalLatent,
)
from .hierarchy import (
    HierarchicalPrior as HierarchicalPrior,
)
from .latents import (
    GaussianLatent as GaussianLatent,
)
from .latents import (
    Plain as Plain,
)
from .latents import (
    positive_scale as positive_scale,
)
from .layers import (
    activation as activation,
)
from .mlp import (
    MLPDecoder as MLPDecoder,
)
from .mlp import (
    MLPEncoder as MLPEncoder,
)
from .priors import (
    MixturePrior as MixturePrior,
)
from .priors import (
    VampPrior as VampPrior,
)
from .quantised import (
    Quantised as Quantised,
)
from .quantised import (
    VectorQuantised as VectorQuantised,
)
from .sparse import (
    SpatialWinnerTakeAll as SpatialWinnerTakeAll,
)
from .sparse import (
    TopK as TopK,
)
from .sparse import (
    UnitNormDecoder as UnitNormDecoder,
)
from .sparse import (
    WinnerTakeAll as WinnerTakeAll,
)
from .tied import (
    TiedAutoencoder as TiedAutoencoder,
)
from .tied import (
    TransposedDecoder as TransposedDecoder,
)
from .variational import (
    Prior as Prior,
)
from .variational import (
    StandardNormal as StandardNormal,
)
from .variational import (
    VariationalAutoencoder as VariationalAutoencoder,
)
