"""Virtual devices, for what tests start in processes of their own."""

import os


def environment(devices):
    """With so many. XLA's pool of one thread a device now and then waits for itself for ever: it gets more threads."""
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
    return os.environ | {"XLA_FLAGS": flags, "NPROC": "32"}
