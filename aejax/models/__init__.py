"""Linen modules and densities.

No loss, no training: a forward pass returns raw parameters, which a likelihood gives their meaning.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
