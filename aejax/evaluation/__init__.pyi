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
