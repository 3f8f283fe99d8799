"""Fits registered experiments to arrays as estimators of scikit-learn: a transformer, a detector, a density.

They train by `aejax.fit` and use `Trained`: nothing here trains, measures or preprocesses by itself.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
