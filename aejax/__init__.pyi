from . import (
    core as core,
)
from . import (
    data as data,
)
from . import (
    devices as devices,
)
from . import (
    evaluation as evaluation,
)
from . import (
    experiment as experiment,
)
from . import (
    losses as losses,
)
from . import (
    metrics as metrics,
)
from . import (
    models as models,
)
from . import (
    runs as runs,
)
from . import (
    sweeps as sweeps,
)
from . import (
    trained as trained,
)
from . import (
    training as training,
)
from .core import InputError as InputError
from .core import configurable as configurable
from .core import known as known
from .experiment import Expected as Expected
from .experiment import Experiment as Experiment
from .experiment import get as get
from .experiment import names as names
from .experiment import register as register
from .trained import load as load
from .training import fit as fit
