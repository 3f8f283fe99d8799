"""Runs programs on devices, and shares work among devices and hosts.

It is the only place that sees devices.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
