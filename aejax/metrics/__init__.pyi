from .anomaly import (
    AnomalyScore as AnomalyScore,
    Score as Score,
    as_scores as as_scores,
    detection_metrics as detection_metrics,
    flagged as flagged,
    parse_threshold as parse_threshold,
)
from .catalog import (
    NEAR as NEAR,
    Better as Better,
    Metric as Metric,
    Probe as Probe,
    at_ceiling as at_ceiling,
    declare as declare,
    declared as declared,
    describe as describe,
    direction as direction,
    fixed_by as fixed_by,
    labelled as labelled,
    named_in as named_in,
)
from .denoising import (
    SSIM_WINDOW as SSIM_WINDOW,
    ms_ssim_of as ms_ssim_of,
    psnr_db as psnr_db,
    ssim as ssim,
    value_range as value_range,
)
from .detector import (
    DetectionScore as DetectionScore,
    Detector as Detector,
    GaussianDistance as GaussianDistance,
    NeighbourDistance as NeighbourDistance,
    Prepared as Prepared,
    ReconstructionScore as ReconstructionScore,
    Reference as Reference,
    ResidualDistance as ResidualDistance,
    SampleDistance as SampleDistance,
    View as View,
    view as view,
)
from .dictionary import (
    cosines as cosines,
    detection_of_features as detection_of_features,
    detections as detections,
    feature_metrics as feature_metrics,
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
    udr as udr,
)
from .generation import (
    FeatureMatrix as FeatureMatrix,
    classifier_two_sample as classifier_two_sample,
    frechet_distance as frechet_distance,
    frechet_of_moments as frechet_of_moments,
    generation_metrics as generation_metrics,
    kernel_distance as kernel_distance,
    neighbourhoods as neighbourhoods,
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
    is_mass as is_mass,
    per_value as per_value,
)
from .scales import (
    BEYOND as BEYOND,
    robust_range as robust_range,
)
from .sparsity import (
    DENSE as DENSE,
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
