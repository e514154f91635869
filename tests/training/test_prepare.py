import pytest

from jaxgen import InputError
from jaxgen.training.prepare import choose_strategy
from jaxgen.training.processes import Host


def test_pmap_is_refused_to_several_processes():
    with pytest.raises(InputError, match="--parallel pmap runs in one process"):
        choose_strategy("pmap", Host(number=0, processes=2))
