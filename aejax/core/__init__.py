"""Defines the pure core: step, epoch, evaluation, keys, optimisers.

Everything here is a pure function or a value: it knows no device, file or flag, and nothing else of aejax.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
