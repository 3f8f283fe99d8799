"""Tells what a result was made with: versions, commit and hardware."""

import functools
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax


def provenance_after(step: int) -> dict[str, Any]:
    """Returns what the steps of a run after `step` are made with: versions, hardware and commit."""
    return {"step": step, **made_with()}


def made_with() -> dict[str, Any]:
    """Returns what this process makes results with: hardware, versions and commit."""
    return {"hardware": hardware(), "versions": versions(), "commit": commit()}


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that a result depends on."""
    packages = ("aejax", "jax", "jaxlib", "flax", "optax", "numpy")
    return {"python": platform.python_version()} | {name: _version(name) for name in packages}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"  # a checkout that is run as it stands


@functools.cache
def commit() -> str | None:
    """Returns the commit of the source that runs, with a + where modules were changed since; None outside a checkout.

    Other files, such as results that are written, change nothing.
    """
    try:
        return _git("rev-parse", "--short=12", "HEAD") + ("+" if _git("status", "--porcelain", "--", "*.py") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    """Returns what git prints of the folder of the package."""
    told = subprocess.run(
        ["git", *arguments], cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=10, check=True
    )
    return told.stdout.strip()


def hardware() -> dict[str, Any]:
    """Returns the hardware that a run is timed on: platform, device, number of devices and of CPU cores."""
    device = jax.devices()[0]
    name = device.device_kind if device.platform != "cpu" else _processor()
    return {
        "platform": device.platform,
        "device": name,
        "devices": jax.device_count(),
        "cores": os.cpu_count(),
    }


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
