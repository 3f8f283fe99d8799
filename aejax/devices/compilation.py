"""Turns on JAX's cache of compiled programs."""

import jax

from aejax.data import cache_folder


def enable_compilation_cache() -> None:
    """Turns on JAX's compilation cache in the user's cache folder, so that a second run starts fast.

    A cache folder that is set already is left as it is.
    """
    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
