"""Defines models as Linen modules, and distributions over codes.

It has no loss and no training: a decoder returns raw parameters, to which a likelihood gives their meaning.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
