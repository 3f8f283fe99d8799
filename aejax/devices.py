"""What runs on the device: the compiled functions of training, and the data placed there; the only such place."""

import jax
import jax.numpy as jnp

from aejax import train
from aejax.data import Part, Preprocess
from aejax.data.cache import folder

init = jax.jit(train.init, static_argnames="model")
epoch = jax.jit(train.epoch, static_argnames=("model", "batch_size"))
evaluate = jax.jit(train.evaluate, static_argnames=("model", "batch_size"))


def place(part: Part, preprocess: Preprocess) -> Part:
    """A part of a data set on the device, as its preprocessing holds it."""
    label = None if part.label is None else jnp.asarray(part.label)
    return Part(preprocess.place(jnp.asarray(part.x)), label)


def start() -> None:
    """Turns on JAX's compilation cache in the user's cache folder, so that a second run starts fast."""
    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(folder() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
