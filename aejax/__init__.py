"""aejax: autoencoders in JAX and Flax as values and pure functions.

    >>> import aejax
    >>> trained = aejax.fit(aejax.get("ae-keras"))
    >>> codes = trained.encode(images)

Names are imported when they are first used, so that `import aejax` costs nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
