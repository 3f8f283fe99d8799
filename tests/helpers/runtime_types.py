from collections.abc import Callable
from typing import Any

from beartype import beartype
from beartype.roar import BeartypeDecorHintException


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Checks what goes into a function and what comes out of it against its annotations.

    Constructors are left alone: JAX rebuilds a pytree with whatever takes its leaves' place, so a
    field annotated `float` holds a traced array, an axis number or a placeholder on the way. So are
    the few annotations that have no meaning at run time for beartype, as `Self`.
    """
    if function.__name__ == "__init__":
        return function
    try:
        return beartype(function)
    except BeartypeDecorHintException:
        return function
