"""Pure: the step, an epoch, evaluation, keys, optimisers.

No device, no file, no flag, and nothing else of aejax: everything here is a pure function or a value.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
