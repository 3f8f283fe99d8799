"""Trains an experiment, a population or a stack of layers, and times it.

The mathematics of a step is in `core`, what is left on disk in `runs`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
