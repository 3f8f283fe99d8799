from ._streaming import (
    source_for as source_for,
    streams as streams,
)
from .benchmark import (
    bench as bench,
    best_seconds as best_seconds,
    peak as peak,
)
from .engine import (
    Engine as Engine,
)
from .fitting import (
    fit as fit,
)
from .intervals import (
    Intervals as Intervals,
    Stop as Stop,
)
from .loop import (
    train as train,
)
from .observer import (
    Observer as Observer,
)
from .outcome import (
    Outcome as Outcome,
)
from .population import (
    by_structure as by_structure,
    fit_each as fit_each,
    fit_many as fit_many,
    side_by_side as side_by_side,
)
from .pretraining import (
    layers as layers,
    rbm as rbm,
    unroll as unroll,
)
from .selection import (
    EarlyStopping as EarlyStopping,
    Selection as Selection,
    SuccessiveHalving as SuccessiveHalving,
)
