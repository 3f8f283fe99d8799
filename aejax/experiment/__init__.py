"""What is trained, as a value; the registry and its entries.

How it is trained, where, and what is left on disk belong elsewhere.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
