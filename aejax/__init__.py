"""aejax: autoencoders in JAX and Flax as values and pure functions.

    >>> import aejax
    >>> trained = aejax.fit(aejax.get("ae-keras"))
    >>> codes = trained.encode(images)

Names are imported when they are first used, so that `import aejax` costs nothing.
"""

import importlib
from typing import Any

_HOME = {
    "Experiment": "aejax.experiment",
    "Expected": "aejax.experiment",
    "InputError": "aejax.errors",
    "configurable": "aejax.pytree",
    "fit": "aejax.loop",
    "get": "aejax.registry",
    "known": "aejax.pytree",
    "load": "aejax.trained",
    "names": "aejax.registry",
    "register": "aejax.registry",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'aejax' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
