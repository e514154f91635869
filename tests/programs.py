"""Programs as a user runs them, at tiny settings."""

import importlib.util
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np

from jaxgen.io.program import command

ROOT = Path(__file__).parents[1]
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.py"))
ONE_KIND = {"binarized", "colorize", "video"}  # of one data set, of colours alone, of clips
ANY_DATA = [path for path in EXPERIMENTS if not ONE_KIND & set(path.stem.split("_"))]
TINY = (
    "--width",
    "2",
    "--hidden",
    "8",
    "--latent-size",
    "4",
    "--batch-size",
    "8",
    "--sample-every",
    "60",
    "--seed",
    "3",
)


def load_program(path):
    """The module of an experiment file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@contextmanager
def float64():
    """JAX with float64; a function, since its own context has another name in older versions."""
    earlier = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", earlier)


def run_here(monkeypatch, main, *arguments):
    """Runs a program in this process; returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["program", *map(str, arguments)])
    try:
        command(main)
    except SystemExit as stop:
        return stop.code
    return 0


def loaded(path):
    """The arrays of an `.npz` archive, which is closed again."""
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def with_devices(count):
    """The environment of a program for which the CPU is so many devices."""
    return {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={count}"}


def pass_on_eight_devices(path, processes="0"):
    """Runs the tests of a file in processes, 0 for one, that simulate eight devices each."""
    arguments = [sys.executable, "-m", "pytest", "-q", "-n", processes, path]
    result = subprocess.run(arguments, cwd=ROOT, env=with_devices(8), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def start_two(module, *arguments, options=(), environment=None):
    """Starts a module in two processes, with the arguments, an address to meet at, a number and the options."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    return [start("-m", module, *arguments, address, number, *options, environment=environment) for number in range(2)]


def start(*arguments, environment=None):
    """Starts `python ...` in the project's root."""
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def write_images(path, num=64, shape=(28, 28, 1)):
    """An `.npz` of random images; returns its path."""
    np.savez(path, image=np.random.default_rng(0).integers(0, 256, (num, *shape), dtype=np.uint8))
    return path


def raw(state):
    """A state whose key is an array that can be compared."""
    return state._replace(key=jax.random.key_data(state.key))
