"""Measures trained models, probes codes, draws figures.

The measures of arrays, or of a model and a batch, are in `metrics`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
