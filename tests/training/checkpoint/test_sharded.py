"""Checkpoints of states that lie on many devices and in several processes."""

import os
import socket
import subprocess
import sys
import time

import pytest

from jaxgen.training.checkpoint import Checkpoints, find_damage
from tests.programs import ROOT
from tests.training.checkpoint.sharded_states import assert_same_bits, large, restored, strategy
from tests.training.checkpoint.states import quiet


def start_two(folder, *options):
    """Two processes with four devices each."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    program = [sys.executable, "-m", "tests.training.checkpoint.two_processes", folder, address]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return [subprocess.Popen([*program, str(number), *options], cwd=ROOT, **pipes) for number in range(2)]


@pytest.mark.long
def test_on_eight_devices():
    arguments = [sys.executable, "-m", "pytest", "-q", "-n", "0", "tests/training/checkpoint/eight_devices.py"]
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    result = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.long
def test_two_processes_save_and_restore_as_one(tmp_path):
    Checkpoints(tmp_path / "one").save(large(3, 7))
    processes = start_two(tmp_path)
    errors = [process.communicate(timeout=600)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert_same_bits(restored(tmp_path / "order", strategy(1), quiet), large(8, 1))


@pytest.mark.long
@pytest.mark.parametrize("killed", [0, 1])
def test_a_kill_of_one_of_two_processes_leaves_whole_checkpoints_only(tmp_path, killed):
    processes = start_two(tmp_path, "kill")
    saved = (int(line) for line in processes[killed].stdout if line.strip().isdecimal())  # others are Gloo's
    try:
        for _ in range(4):
            next(saved)
        time.sleep(0.03)
    finally:
        processes[killed].kill()
        last = max(saved, default=4)
        for process in processes:
            process.communicate(timeout=600)
    steps = Checkpoints(tmp_path / "killed").steps()
    assert steps[-1] >= last
    assert [find_damage(tmp_path / "killed" / str(step)) for step in steps] == [None] * len(steps)
    assert_same_bits(restored(tmp_path / "killed", strategy(1), quiet), large(steps[-1], steps[-1]))
