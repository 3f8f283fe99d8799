"""Where it runs: devices, how they share work, hosts.

The only place that sees devices.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
