"""Defines losses: their terms, likelihoods and corruptions.

What is only measured, and not minimised, belongs in `metrics`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
