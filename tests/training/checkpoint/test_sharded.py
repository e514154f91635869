"""Checkpoints of states that lie on many devices and in several processes."""

import time

import pytest

from jaxgen.training.checkpoint import Checkpoints, find_damage
from tests.programs import pass_on_eight_devices, start_two, with_devices
from tests.training.checkpoint.sharded_states import assert_same_bits, large, restored, strategy
from tests.training.checkpoint.states import quiet


def start_both(folder, *options):
    """Two processes with four devices each."""
    module = "tests.training.checkpoint.two_processes"
    return start_two(module, folder, options=options, environment=with_devices(4))


@pytest.mark.long
def test_on_eight_devices():
    pass_on_eight_devices("tests/training/checkpoint/eight_devices.py")


@pytest.mark.long
def test_two_processes_save_and_restore_as_one(tmp_path):
    Checkpoints(tmp_path / "one").save(large(3, 7))
    processes = start_both(tmp_path)
    errors = [process.communicate(timeout=600)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert_same_bits(restored(tmp_path / "order", strategy(1), quiet), large(8, 1))


@pytest.mark.long
@pytest.mark.parametrize("killed", [0, 1])
def test_a_kill_of_one_of_two_processes_leaves_whole_checkpoints_only(tmp_path, killed):
    processes = start_both(tmp_path, "kill")
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
