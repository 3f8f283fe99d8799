"""Holds the command that looks at the installation: what is there, and what is wrong."""

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOM = 10**9
"""Bytes of the disk below which the cache's folder is said to be nearly full."""


@dataclass(frozen=True)
class DoctorCommand:
    """Shows versions, devices, the cache, which optional parts are there, what is wrong, and what to do about it."""

    def __call__(self) -> None:
        """Prints tables, and exits with 1 where something is wrong."""
        from aejax.core import print_table

        print_table(("versions", ""), list(_versions().items()))
        print_table(("devices", ""), _devices())
        print_table(("cache", ""), _cache())
        if optional := _optional():  # none are known of a checkout that is not installed
            print_table(("optional part", "packages", "to have it"), optional)
        wrong = list(_problems())
        for said in wrong:
            print(f"! {said}")
        if wrong:
            sys.exit(1)
        print("Nothing is wrong.")


def _versions() -> dict[str, str]:
    from aejax.runs import versions

    return versions() | {"orbax-checkpoint": _version("orbax-checkpoint"), "scikit-learn": _version("scikit-learn")}


def _devices() -> list[tuple[str, str]]:
    import jax

    found = []
    for device in jax.devices():
        limit = (device.memory_stats() or {}).get("bytes_limit") if device.platform != "cpu" else None
        found.append((str(device), device.device_kind + (f", {limit / 1e9:.1f} GB" if limit else "")))
    return [*found, ("CPU cores", str(os.cpu_count()))]


def _cache() -> list[tuple[str, str]]:
    from aejax.data import cache_folder

    folder = cache_folder()
    rows = [("folder", str(folder)), ("prepared data", _size(folder, skip="xla"))]
    return [*rows, ("compiled programs", _size(folder / "xla")), ("free on its disk", f"{_free(folder) / 1e9:,.1f} GB")]


def _size(folder: Path, skip: str | None = None) -> str:
    files = [path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] != skip]
    return f"{sum(path.stat().st_size for path in files) / 1e6:,.1f} MB in {len(files):,} files"


def _free(folder: Path) -> int:
    """Returns the free bytes of the disk on which a folder lies, or will lie once it is made."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free


def _optional() -> list[tuple[str, str, str]]:
    """Returns each extra with its packages, and the command that installs those that are missing."""
    rows = []
    for extra, needed in sorted(_requirements().items()):
        if extra and needed:
            said = ", ".join(f"{each.name} {_version(each.name)}" for each in needed)
            missing = any(_version(each.name) == _ABSENT for each in needed)
            rows.append((extra, said, f'pip install "aejax[{extra}]"' if missing else "there"))
    return rows


_ABSENT = "not installed"

_UNASKED = ("test", "dev", "bench", "docs")
"""Extras for who works on aejax."""


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return _ABSENT


def _requirements() -> dict[str, list[Any]]:
    """Returns what aejax requires, by the extra that requires it, "" for what it always needs."""
    from packaging.requirements import Requirement

    try:
        declared = [Requirement(line) for line in importlib.metadata.requires("aejax") or ()]
    except importlib.metadata.PackageNotFoundError:  # a checkout that is run as it stands
        return {}
    extras = importlib.metadata.metadata("aejax").get_all("Provides-Extra") or []
    found: dict[str, list[Any]] = {"": [each for each in declared if each.marker is None]}
    for extra in (extra for extra in extras if extra not in _UNASKED):
        own = [each for each in declared if each.marker is not None and each.marker.evaluate({"extra": extra})]
        found[extra] = [each for one in own if one.name != "aejax" for each in _expanded(one)]
    return found


def _expanded(requirement: Any) -> list[Any]:
    """Returns a requirement, or where it asks for extras of a package, as jax[cuda13], what these add to it."""
    from packaging.requirements import Requirement

    if not requirement.extras or _version(requirement.name) == _ABSENT:
        return [requirement]
    declared = [Requirement(line) for line in importlib.metadata.requires(requirement.name) or ()]
    added = [
        each
        for each in declared
        if each.marker is not None
        and not each.marker.evaluate({"extra": ""})
        and any(each.marker.evaluate({"extra": extra}) for extra in requirement.extras)
    ]
    return added or [requirement]


def _problems() -> Iterator[str]:
    """Yields a sentence on each thing that is wrong: what it is, and what to do."""
    import jax

    from aejax.data import cache_folder

    for extra, needed in _requirements().items():
        for each in needed:
            version = _version(each.name)
            if version == _ABSENT and not extra:
                yield f'{each.name} is not installed, and aejax needs it: pip install "{each}"'
            elif version != _ABSENT and not each.specifier.contains(version, prereleases=True):
                yield f'{each.name} is {version}, but aejax needs {each.specifier}: pip install "{each}"'
    if _version("jax") != _version("jaxlib"):
        yield f"jax is {_version('jax')} and jaxlib {_version('jaxlib')}: pip install -U jax jaxlib"
    if jax.default_backend() == "cpu" and any(Path("/dev").glob("nvidia[0-9]*")):
        yield 'JAX does not use the NVIDIA GPU: pip install "aejax[cuda]", or "aejax[cuda12]" for an older driver'
    folder = cache_folder()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        yield f"the cache's folder {folder} cannot be written: set AEJAX_CACHE to one that can"
    elif _free(folder) < _ROOM:
        yield f"the disk of the cache's folder {folder} is nearly full: make room, or set AEJAX_CACHE to another"
