"""Many devices, in a process that simulates eight."""

import pytest

from jaxgen import InputError
from jaxgen.core.parallel import require_divisible
from tests.programs import pass_on_eight_devices


@pytest.mark.long
def test_on_eight_devices():
    pass_on_eight_devices("tests/core/eight_devices.py", processes="auto")


@pytest.mark.parametrize(
    ("batch_size", "nearest"), [(100, "do are 96 and 104"), (3, "does is 8"), (12, "do are 8 and 16")]
)
def test_a_batch_that_does_not_divide_is_refused_with_the_nearest_sizes(batch_size, nearest):
    with pytest.raises(InputError, match=f"--batch-size {batch_size} does not divide over 8 devices.*{nearest}"):
        require_divisible(batch_size, 8)


@pytest.mark.parametrize(("batch_size", "devices"), [(8, 8), (64, 8), (7, 1)])
def test_a_batch_that_divides_is_not(batch_size, devices):
    require_divisible(batch_size, devices)
