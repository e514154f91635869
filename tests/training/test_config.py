"""What options may be."""

from dataclasses import dataclass
from typing import Annotated

import pytest

from jaxgen import InputError
from jaxgen.training.config import Bounds, Count, RunConfig, require_bounds


@dataclass(frozen=True)
class Options(RunConfig):
    sizes: tuple[Count, ...] = (1, 2)
    perhaps: Count | None = None
    share: Annotated[float, Bounds(least=0, most=1)] | None = 0.5


@pytest.mark.parametrize("options", [{}, {"sizes": ()}, {"perhaps": 1}, {"share": None}])
def test_what_is_within_is_taken(options):
    require_bounds(Options(**options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": (1, 0)}, "--sizes 0: expected at least 1"),
        ({"perhaps": 0}, "--perhaps 0: expected at least 1"),
        ({"share": 1.5}, "--share 1.5: expected a number from 0 to 1"),
        ({"batch_size": 0}, "--batch-size 0: expected at least 1"),
    ],
)
def test_what_is_outside_is_named_by_its_option(options, message):
    with pytest.raises(InputError, match=message):
        require_bounds(Options(**options))
