from . import (
    core as core,
    data as data,
    devices as devices,
    estimators as estimators,
    evaluation as evaluation,
    experiment as experiment,
    losses as losses,
    metrics as metrics,
    models as models,
    runs as runs,
    sweeps as sweeps,
    tracking as tracking,
    trained as trained,
    training as training,
)
from .core import InputError as InputError, configurable as configurable, known as known
from .experiment import Expected as Expected, Experiment as Experiment, get as get, names as names, register as register
from .trained import load as load
from .training import fit as fit
