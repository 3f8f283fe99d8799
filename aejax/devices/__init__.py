"""What runs on the devices: the compiled functions of training, and the data placed there; the only such place."""

import jax

from aejax.data.cache import folder
from aejax.devices import hosts
from aejax.devices.members import free_memory, lanes, rounded, spread
from aejax.devices.parallel import Parallel, Strategy
from aejax.devices.programs import epoch, evaluate, init, outputs, place, shared_epoch, shared_evaluate, shuffled

__all__ = [
    "Parallel",
    "Strategy",
    "epoch",
    "evaluate",
    "free_memory",
    "hosts",
    "init",
    "lanes",
    "outputs",
    "place",
    "rounded",
    "shared_epoch",
    "shared_evaluate",
    "shuffled",
    "spread",
    "start",
]


def start() -> None:
    """Turns on JAX's compilation cache in the user's cache folder, so that a second run starts fast."""
    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(folder() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
