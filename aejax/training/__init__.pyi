from ._sources import (
    ResidentSource as ResidentSource,
)
from ._streaming import (
    source_for as source_for,
)
from .benchmark import (
    bench as bench,
)
from .benchmark import (
    best_seconds as best_seconds,
)
from .benchmark import (
    peak as peak,
)
from .loop import (
    fit as fit,
)
from .outcome import (
    Outcome as Outcome,
)
from .population import (
    fit_each as fit_each,
)
from .population import (
    fit_many as fit_many,
)
from .population import (
    side_by_side as side_by_side,
)
from .population import (
    structure as structure,
)
from .pretraining import (
    layers as layers,
)
from .pretraining import (
    rbm as rbm,
)
from .pretraining import (
    unroll as unroll,
)
from .selection import (
    EarlyStopping as EarlyStopping,
)
from .selection import (
    Selection as Selection,
)
from .selection import (
    SuccessiveHalving as SuccessiveHalving,
)
