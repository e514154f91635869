"""What importing `jaxgen.data` loads."""

from tests.programs import start


def test_data_load_neither_flax_nor_networks():
    program = "import sys, jaxgen.data; print([name for name in ('flax', 'jaxgen.nets') if name in sys.modules])"
    process = start("-c", program)
    printed, errors = process.communicate()
    assert process.returncode == 0, errors
    assert printed == "[]\n"
