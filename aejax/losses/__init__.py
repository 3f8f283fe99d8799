"""Defines losses: their terms, likelihoods and corruptions.

Each term is a module of its own; `terms` has their base. What is only measured, not minimised, belongs in `metrics`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
