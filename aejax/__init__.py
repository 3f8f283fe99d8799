"""aejax: autoencoders in JAX and Flax as values and pure functions.

    >>> import aejax
    >>> trained = aejax.fit(aejax.get("ae-keras"))
    >>> codes = trained.encode(images)

Names are imported when they are first used, so that `import aejax` costs nothing.
"""

import os
from importlib.metadata import version

import lazy_loader

# On a CPU these versions of jaxlib compute some sums of products wrongly, in silence, and abort in others: of more than
# 32,768 numbers, where a factor is broadcast (jax-ml/jax#39103, #39257). XLA reads the flag when JAX is first used.
_FLAG = "--xla_cpu_experimental_ynn_fusion_type"
if version("jaxlib") in ("0.10.2", "0.11.0") and _FLAG not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAG}=-reduce"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
