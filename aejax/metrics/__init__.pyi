from .anomaly import (
    AnomalyScore as AnomalyScore,
)
from .anomaly import (
    Score as Score,
)
from .anomaly import (
    detection_metrics as detection_metrics,
)
from .anomaly import (
    parse_threshold as parse_threshold,
)
from .denoising import (
    psnr_db as psnr_db,
)
from .denoising import (
    ssim as ssim,
)
from .direction import (
    HIGHER_IS_BETTER as HIGHER_IS_BETTER,
)
from .disentanglement import (
    Codes as Codes,
)
from .disentanglement import (
    Values as Values,
)
from .disentanglement import (
    beta_vae_score as beta_vae_score,
)
from .disentanglement import (
    dci as dci,
)
from .disentanglement import (
    factor_vae_score as factor_vae_score,
)
from .disentanglement import (
    known_shares as known_shares,
)
from .disentanglement import (
    mig as mig,
)
from .disentanglement import (
    sap as sap,
)
from .likelihood import (
    NegativeLogLikelihood as NegativeLogLikelihood,
)
from .likelihood import (
    bits_per_dim as bits_per_dim,
)
from .quantised import (
    code_indices as code_indices,
)
from .quantised import (
    code_shares as code_shares,
)
from .quantised import (
    codebook_metrics as codebook_metrics,
)
from .reconstruction import (
    ReconstructionError as ReconstructionError,
)
from .reconstruction import (
    per_value as per_value,
)
from .sparsity import (
    sparsity_metrics as sparsity_metrics,
)
from .sparsity import (
    variance_unexplained as variance_unexplained,
)
from .variational import (
    ACTIVE as ACTIVE,
)
from .variational import (
    Bound as Bound,
)
from .variational import (
    active_units as active_units,
)
from .variational import (
    rate_parts as rate_parts,
)
