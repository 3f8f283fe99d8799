"""Packages that only some of aejax needs, and that its extras install."""

import importlib
from types import ModuleType

from aejax.core.errors import InputError


def import_extra(package: str, extra: str) -> ModuleType:
    """The package. Raises `InputError`, which names the extra, where it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise InputError(f'{package} is needed for this and is not installed: pip install "aejax[{extra}]"') from None
