"""Defines experiments as values, and registers them by name.

How an experiment is trained, where, and what is left on disk belong elsewhere.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
