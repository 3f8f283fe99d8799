"""Turns functions into programs that a web page runs by itself, and these with examples into one HTML file.

It is given functions and arrays: nothing here knows what a trained model is.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
