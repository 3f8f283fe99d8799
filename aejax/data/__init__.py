"""Reads data sets by name or file, and preprocesses examples.

It is the only place that knows file formats. What a model makes of the examples does not belong here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
