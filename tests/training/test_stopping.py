"""Agreement on when to stop."""

import pytest

from jaxgen.training.processes import Host
from jaxgen.training.stopping import Stop, agreement
from tests.programs import start_two

MODULE = "tests.training.stopping_processes"


def test_alone_a_process_stops_at_once():
    agree = agreement(Host())
    assert not any(agree(0, False))
    assert agree(15, False) == Stop(15, False)
    assert agree(0, True) == Stop(0, True)


@pytest.mark.long
def test_two_processes_stop_before_the_same_dispatch_and_wait_for_no_device():
    processes = start_two(MODULE)
    errors = [process.communicate(timeout=600)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors


@pytest.mark.long
def test_a_process_that_waits_for_the_first_ends_with_it():
    first, other = start_two(MODULE, options=["lost"])
    try:
        assert any("waiting" in line for line in first.stdout)
    finally:
        first.kill()
        first.communicate()
    _, error = other.communicate(timeout=120)
    assert other.returncode in {1, -6}, error  # an error, or JAX ends the process
