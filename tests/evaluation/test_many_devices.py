"""Drawing and evaluating on many devices, in a process that simulates eight."""

import pytest

from tests.programs import pass_on_eight_devices


@pytest.mark.long
def test_drawing_and_evaluating_on_eight_devices():
    pass_on_eight_devices("tests/evaluation/eight_devices.py")
