"""Sends what the folder of a run holds to trackers: Weights & Biases, MLflow, or one of your own.

The folder is the truth, and a tracker gets a copy of it while the run trains or later; nothing here imports JAX.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
