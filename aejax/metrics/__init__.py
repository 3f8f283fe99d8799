"""Defines measures of arrays, or of a model and a batch.

They are pure, and import `losses`, `models`, `data` and `core` alone: what needs a trained model, a file or a figure
belongs in `evaluation`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
