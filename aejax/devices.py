"""What has to be set up before the first computation; the only place that knows devices."""

import jax

from aejax.data.cache import folder


def start() -> None:
    """Turns on JAX's compilation cache in the user's cache folder, so that a second run starts fast."""
    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(folder() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
