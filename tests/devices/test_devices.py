import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import virtual

HERE = Path(__file__).parent


@pytest.mark.slow
def test_what_must_hold_on_eight_devices():
    """`many_devices.py`, in a process that has them: how many there are is settled when JAX starts."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", HERE / "many_devices.py"]
    done = subprocess.run(command, capture_output=True, text=True, env=virtual.environment(8), timeout=280)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
