"""Tells in what kind of session the code runs."""

import sys


def is_interactive() -> bool:
    """Tells whether somebody types: in a notebook, IPython, or Python's own prompt."""
    return hasattr(sys, "ps1")


def is_notebook() -> bool:
    """Tells whether the code runs in a notebook's kernel, which shows more than text."""
    found = sys.modules.get("IPython")
    return found is not None and hasattr(found.get_ipython(), "kernel")
