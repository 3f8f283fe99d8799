"""Imports packages that only parts of aejax need, and that its extras install."""

import importlib
from types import ModuleType

from aejax.core.errors import InputError


def import_extra(package: str, extra: str) -> ModuleType:
    """Imports a package. Raises `InputError`, which names the extra to install, if it cannot be imported."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise InputError(f'{package} is needed for this and is not installed: pip install "aejax[{extra}]"') from None
