import subprocess
import sys
import types

import pytest

import jaxgen
import jaxgen.data
import jaxgen.evaluation
import jaxgen.losses
import jaxgen.models
import jaxgen.nets
import jaxgen.report

PACKAGES = [jaxgen, jaxgen.data, jaxgen.evaluation, jaxgen.losses, jaxgen.models, jaxgen.nets, jaxgen.report]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_every_public_name_is_listed_exists_and_is_described(package):
    assert len(set(package.__all__)) == len(package.__all__)  # their order is the linter's
    for name in package.__all__:
        value = getattr(package, name)
        if isinstance(value, (type, types.FunctionType)):
            assert value.__doc__, f"{package.__name__}.{name} has no docstring"


def test_importing_jaxgen_loads_nothing_heavy():
    heavy = (
        "orbax",
        "safetensors",
        "tensorflow",
        "tensorflow_datasets",
        "matplotlib",
        "mlxtend",
        "pooch",
        "tyro",
        "grain",
        "tokenizers",
    )
    program = f"import sys, jaxgen; print([name for name in {heavy} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
