"""The flags that say what trains: devices, how they share the work, and processes on other hosts."""

from dataclasses import dataclass
from typing import Any, Literal

from aejax.core import InputError


@dataclass(frozen=True)
class DevicesFlags:
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


@dataclass(frozen=True)
class HostsFlags:
    """The processes that train together: the same command on each; SLURM, Open MPI, GKE and TPUs need no flags."""

    coordinator: str | None = None
    """HOST:PORT of the first process."""
    processes: int | None = None
    """How many there are."""
    process: int | None = None
    """Which one this is, from 0; that one alone writes, prints and measures."""
    patience: int = 60
    """Seconds after which a process that is not heard of is given up, and the others with it."""

    def joined(self) -> Any:
        """A context in which they train together."""
        from aejax.devices import hosts

        given = (self.coordinator, self.processes, self.process)
        if None in given and any(part is not None for part in given):
            raise InputError("--coordinator, --processes and --process belong together: give all three, or none")
        if self.coordinator is not None and not _is_address(self.coordinator):
            raise InputError(f"--coordinator is {self.coordinator}: give HOST:PORT, with a port from 1 to 65535")
        if self.patience < 1:
            raise InputError(f"--patience is {self.patience}: give seconds, at least 1")
        return hosts.joined(*given, self.patience)


def _is_address(spec: str) -> bool:
    host, _, port = spec.rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 2**16
