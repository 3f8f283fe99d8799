"""What is measured and drawn: the suite, probes, figures.

Measures that need no trained model are in `metrics`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
