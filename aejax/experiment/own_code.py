"""Imports a user's own code, whose experiments and classes can then be used by name, and says where classes are from.

A run says in which file or module each class of its experiment is defined that is not aejax's, so that it can be asked
for by name. It is never imported because a run names it: only what the user names, or what an installed package
declares under `aejax.experiments`, is.
"""

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from aejax.core import InputError

GROUP = "aejax.experiments"
"""The group of entry points in which an installed package declares experiments: NAME = "module:function"."""

VARIABLE = "AEJAX_IMPORT"
"""The environment variable whose modules and files are imported by every command, separated as those of `PATH`."""


def import_code(name: str) -> None:
    """Imports a module by its name, or a Python file by its path, so that what it registers can be used.

    Modules are looked for in the working directory too. A file is imported once, under its name without the suffix,
    and finds the modules beside it.

    Raises `InputError` where there is no such module or file, or where importing it fails.
    """
    path = Path(name)
    try:
        if path.suffix == ".py":
            _import_file(path)
        else:
            _search(Path.cwd())
            module = importlib.import_module(name)
            if hasattr(module, "__path__") and getattr(module, "__file__", None) is None:
                raise InputError(f"{name} is a folder without code of its own: give a file in it that ends in .py")
    except InputError:
        raise
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _failed(name, error) from error
        raise InputError(
            f"there is no module {name!r} to import: give a module's name, or the path of a file that ends in .py"
        ) from None
    except Exception as error:
        raise _failed(name, error) from error


def import_from_environment() -> None:
    """Imports what the environment variable `AEJAX_IMPORT` names. Raises `InputError` as `import_code` does."""
    for name in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        import_code(name)


def origins(value: Any) -> dict[str, str]:
    """Returns where each class of an experiment is defined that is not aejax's own.

    The file of a module that lies beside a script or was imported by its path, and else the name of the module.
    """
    from aejax.core import parts_within  # here, as it imports jax, for which listing experiments does not wait

    classes = {type(part) for part in parts_within(value)}
    own = {cls for cls in classes if cls.__module__.split(".")[0] != __name__.split(".")[0]}
    return {cls.__name__: origin_of(cls) for cls in sorted(own, key=lambda cls: cls.__name__)}


def require_names(value: Any) -> None:
    """Raises `InputError` unless every class of an experiment has a name by which files may say it."""
    from aejax.core import is_known  # here, as it imports jax

    for name, origin in origins(value).items():
        if not is_known(name):
            raise InputError(
                f"the class {name} of {origin} has no name by which it can be saved: write @aejax.known above "
                "it, or @aejax.configurable above one that is no Linen module"
            )


def require_code(origins: Mapping[str, str], whose: str) -> None:
    """Raises `InputError` unless all the classes are known, if need be from packages that declare experiments.

    Args:
        origins: where each class was defined, as `origins` returned it.
        whose: what was made with these classes, for the message.
    """
    from aejax.core import is_known  # here, for the same reason

    if all(map(is_known, origins)):
        return
    for point in entry_points(group=GROUP):
        import_code(point.module)
    for name, origin in origins.items():
        if not is_known(name):
            where = (
                "put it in a file and give that with --import (in a notebook: run the cell that defines it first)"
                if origin == "__main__"
                else f"give --import {origin} (in Python: import it first), or where it lies now"
            )
            raise InputError(f"{whose} was made with the class {name} of {origin}, which is not imported: {where}")


def _import_file(path: Path) -> None:
    path = path.resolve()
    name = path.stem
    there = sys.modules.get(name)
    if there is not None and Path(getattr(there, "__file__", None) or ".").resolve() == path:
        return
    if there is not None:
        raise InputError(f"{path} cannot be imported: there is another module named {name}; rename the file")
    if not path.is_file():
        raise InputError(f"there is no file {path} to import")
    _search(path.parent)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _search(folder: Path) -> None:
    """Lets modules of a folder be imported, unless another place has one of that name."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _failed(name: str, error: Exception) -> InputError:
    *_, last = traceback.extract_tb(error.__traceback__)
    return InputError(f"{name} cannot be imported: {type(error).__name__}: {error} ({last.filename}:{last.lineno})")


def origin_of(made: Any) -> str:
    """Returns where a class or a function is defined: a file as `origins` has it, or the name of the module."""
    module = sys.modules.get(made.__module__)
    file = getattr(module, "__file__", None)
    if file is None or "." in made.__module__ or "site-packages" in Path(file).parts:
        return made.__module__
    return str(Path(file).resolve())
