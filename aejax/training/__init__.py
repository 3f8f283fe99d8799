"""One experiment, a population, a stack of layers, its speed.

The mathematics of a step is in `core`, what is left on disk in `runs`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
