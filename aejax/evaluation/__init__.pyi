from ._feature_space import (
    FeatureSpace as FeatureSpace,
    feature_space as feature_space,
    features_told as features_told,
)
from ._generation import (
    compare_generated as compare_generated,
)
from ._quantised import (
    code_prior_metrics as code_prior_metrics,
)
from .contexts import (
    Text as Text,
)
from .disentanglement import (
    udr_scores as udr_scores,
)
from .features import (
    features_page as features_page,
)
from .probes import (
    compare as compare,
    fine_tune as fine_tune,
)
from .report import (
    finish as finish,
    profiled as profiled,
    show_numbers as show_numbers,
    verdict as verdict,
    write_study as write_study,
)
from .run_page import (
    report_page as report_page,
)
from .suite import (
    SAMPLES as SAMPLES,
    draw as draw,
    measure as measure,
)
