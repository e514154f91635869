"""What all tests share: a cache folder of their own, and toy networks."""

import importlib
import os

# Before JAX is imported, and for the programs that tests start too: most of a test's time is that of compiling.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
# Programs that tests start find the programs that earlier ones compiled, however quickly: most compile in less than
# the second from which on JAX keeps them by default.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

import jax
import pytest

from tests.programs import write_images

ENVIRONMENT = dict(os.environ)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """No test reads or writes the user's cache folder; the programs that tests start inherit this one."""
    before = {name: os.environ.get(name) for name in ("XDG_CACHE_HOME", "TFDS_DATA_DIR")}
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["TFDS_DATA_DIR"] = str(tmp_path_factory.mktemp("tfds"))
    yield
    for name, value in before.items():
        os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """An `.npz` of random images 8x8x1."""
    return write_images(tmp_path_factory.mktemp("data") / "images.npz", shape=(8, 8, 1))


@pytest.fixture
def optimized():
    """Programs are compiled as for users, for what is held to the last bits."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    jax.clear_caches()  # whose keys do not hold this setting
    yield
    jax.config.update("jax_disable_most_optimizations", before)
    jax.clear_caches()


@pytest.fixture
def forgotten_programs():
    """Compiled programs do not stay in memory: those of many large tests would take gigabytes together."""
    yield
    jax.clear_caches()


def pytest_collection_finish():
    """No module changes what the programs that tests start inherit: doctests import the modules of programs too."""
    changed = {name for name, value in os.environ.items() if ENVIRONMENT.get(name) != value}
    assert not [name for name in changed if name.startswith(("JAX_", "XLA_"))], f"a test module has set {changed}"


def pytest_addoption(parser):
    parser.addoption("--require-torch", action="store_true", help="fail, not skip, where PyTorch is missing")


@pytest.fixture
def torch(request):
    """PyTorch, as an independent implementation to agree with."""
    if request.config.getoption("--require-torch"):
        return importlib.import_module("torch")
    return pytest.importorskip("torch", reason="PyTorch is not installed: pip install -e '.[bench]'")
