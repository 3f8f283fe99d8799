"""Plans, runs, stores and summarises sweeps of experiments.

How a group of trials trains together is in `training`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
