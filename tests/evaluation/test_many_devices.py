"""Drawing and evaluating on many devices, in a process that simulates eight."""

import os
import subprocess
import sys

import pytest

from tests.programs import ROOT


@pytest.mark.long
def test_drawing_and_evaluating_on_eight_devices():
    arguments = [sys.executable, "-m", "pytest", "-q", "-n", "0", "tests/evaluation/eight_devices.py"]
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    result = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
