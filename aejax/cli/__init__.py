"""Parses and runs the commands of aejax.

All that the commands compute can be called from Python in the other packages.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
