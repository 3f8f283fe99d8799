"""The flags that say what trains: devices, and how they share the work."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Devices:
    """What `train` and `bench` ask of the machine; results differ by rounding alone."""

    parallel: Literal["jit", "pmap"] = "jit"
    """How devices share each batch: jit divides the program of one device, its noise too; pmap maps it, with noise of
    each device's own."""
    devices: int | None = None
    """How many train together; by default as many of those there are as can share a batch evenly."""
    tensor: int = 1
    """With jit, so many devices hold each wide layer together."""
    wide: str = "kernel$"
    """Which layers those are: a regular expression for paths of parameters, such as decoder.*kernel$."""

    def layout(self) -> Any:
        """As the loop takes it."""
        from aejax.devices import Parallel

        return Parallel(self.parallel, self.devices, self.tensor, self.wide)
