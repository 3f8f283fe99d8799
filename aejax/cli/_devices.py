"""Holds the flags that say what trains: devices, how they share the work, and processes on other hosts."""

from dataclasses import dataclass
from typing import Any, Literal

from aejax.core import InputError


@dataclass(frozen=True)
class DevicesFlags:
    """Says which devices `train` and `bench` use, and how; with jit, results differ by rounding alone."""

    parallel: Literal["jit", "pmap"] = "jit"
    """How devices share each batch: jit divides the program of one device, its noise too; pmap maps it over them, and
    each device draws noise of its own."""
    devices: int | None = None
    """Number of devices that train together; by default as many of those there are as can share a batch evenly."""
    tensor: int = 1
    """With jit, number of devices that hold each wide layer together, a part each."""
    wide: str = "kernel$"
    """Which layers are wide: a regular expression for paths of parameters, such as decoder.*kernel$."""

    def layout(self) -> Any:
        """Returns the layout that these flags describe."""
        from aejax.devices import Parallel

        return Parallel(self.parallel, self.devices, self.tensor, self.wide)


@dataclass(frozen=True)
class HostsFlags:
    """Says which processes train together, each by the same command; SLURM, Open MPI, GKE and TPUs need no flags."""

    coordinator: str | None = None
    """HOST:PORT of the first process."""
    processes: int | None = None
    """Number of processes that train together."""
    process: int | None = None
    """Number of this process, from 0; process 0 alone writes, prints and measures."""
    host_timeout: int = 60
    """Seconds after which a process that is not heard of is given up, and the others with it."""

    def joined(self) -> Any:
        """Returns a context in which the processes train together.

        Raises `InputError` where only some of the three flags are given, or one is out of range.
        """
        from aejax.devices import hosts

        given = (self.coordinator, self.processes, self.process)
        if None in given and any(part is not None for part in given):
            raise InputError("--coordinator, --processes and --process belong together: give all three, or none")
        if self.coordinator is not None and not _is_address(self.coordinator):
            raise InputError(f"--coordinator is {self.coordinator}: give HOST:PORT, with a port from 1 to 65535")
        if self.host_timeout < 1:
            raise InputError(f"--host-timeout is {self.host_timeout}: give seconds, at least 1")
        return hosts.joined(*given, self.host_timeout)


def _is_address(spec: str) -> bool:
    host, _, port = spec.rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 2**16
