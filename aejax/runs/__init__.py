"""Writes runs to disk, reads them back, and ends them in order.

It is the only writer of runs. What is written there is decided elsewhere.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
