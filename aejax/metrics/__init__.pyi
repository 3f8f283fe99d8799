from .anomaly import (
    AnomalyScore as AnomalyScore,
    Score as Score,
    detection_metrics as detection_metrics,
    parse_threshold as parse_threshold,
)
from .denoising import (
    psnr_db as psnr_db,
    ssim as ssim,
)
from .direction import (
    HIGHER_IS_BETTER as HIGHER_IS_BETTER,
)
from .disentanglement import (
    Codes as Codes,
    Values as Values,
    beta_vae_score as beta_vae_score,
    dci as dci,
    factor_vae_score as factor_vae_score,
    known_shares as known_shares,
    mig as mig,
    sap as sap,
)
from .likelihood import (
    NegativeLogLikelihood as NegativeLogLikelihood,
    bits_per_dim as bits_per_dim,
)
from .quantised import (
    CodeUsage as CodeUsage,
    code_indices as code_indices,
    codebook_metrics as codebook_metrics,
)
from .reconstruction import (
    ReconstructionError as ReconstructionError,
    per_value as per_value,
)
from .sparsity import (
    CodeStatistics as CodeStatistics,
    Target as Target,
    code_statistics as code_statistics,
    sparsity_metrics as sparsity_metrics,
)
from .variational import (
    ACTIVE as ACTIVE,
    Bound as Bound,
    active_units as active_units,
    rate_parts as rate_parts,
)
