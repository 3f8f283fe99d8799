"""Sets up virtual devices for processes that tests start."""

import os


def environment(devices):
    """Returns the environment of a process with so many virtual CPU devices.

    XLA gets more threads than one for each device, because with so few its pool now and then deadlocks.
    """
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
    return os.environ | {"XLA_FLAGS": flags, "NPROC": "32"}
