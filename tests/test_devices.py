import os
import subprocess
import sys
from pathlib import Path

EIGHT = "--xla_force_host_platform_device_count=8"
HERE = Path(__file__).parent


def test_what_must_hold_on_eight_devices():
    """`many_devices.py`, in a process that has them: how many there are is settled when JAX starts."""
    environment = os.environ | {"XLA_FLAGS": f"{os.environ['XLA_FLAGS']} {EIGHT}"}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", HERE / "many_devices.py"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
