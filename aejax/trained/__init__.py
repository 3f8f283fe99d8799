"""A model in use: encode, decode, generate, compress.

Nothing here trains or draws.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
