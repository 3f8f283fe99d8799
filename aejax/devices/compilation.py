"""What runs on the devices: the compiled functions of training, and the data placed there; the only such place."""

import jax

from aejax.data import cache_folder


def enable_compilation_cache() -> None:
    """Turns on JAX's compilation cache in the user's cache folder, so that a second run starts fast."""
    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
