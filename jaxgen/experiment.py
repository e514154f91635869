"""An experiment, from its config to a finished run directory.

An experiment file has a `Config(RunConfig)`, a `build(config, spec) -> Recipe`, and a `main` that calls `run`.
"""

import dataclasses
import importlib.metadata
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import jax
import platformdirs
from rich.console import Console

from jaxgen.checkpoint import Checkpoints
from jaxgen.config import FREE, RunConfig, require_bounds
from jaxgen.data import Dataset, load
from jaxgen.errors import InputError
from jaxgen.image import ImageSpec
from jaxgen.interruption import Interruption
from jaxgen.loop import Recipe, Run, fit
from jaxgen.report import Display, RunDirectory
from jaxgen.step import init_state
from jaxgen.types import TrainState

PACKAGES = ("jaxgen", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")

ConfigT = TypeVar("ConfigT", bound=RunConfig)


def run(config: ConfigT, build: Callable[[ConfigT, ImageSpec], Recipe], *, name: str) -> RunDirectory:
    """Trains a recipe and leaves a run directory.

    Ctrl-C and SIGTERM save everything, then exit with 130 and 143.

    Raises:
      InputError: the config, the data or the run directory cannot be used; nothing has been overwritten.

    """
    began, console = time.monotonic(), Console()
    require_bounds(config)
    use_compilation_cache()
    dataset = load(config.data, data_dir=config.data_dir, offline=config.offline, announce=console.print)
    if config.batch_size > len(dataset):
        raise InputError(f"--batch-size {config.batch_size} is larger than the data: {len(dataset)} images.")
    recipe = build(config, dataset.spec)
    state = first_state(config, recipe, dataset)
    directory = RunDirectory(config.out or Path("runs") / name)
    if not config.resume and (aside := directory.set_aside()):
        console.print(f"The earlier run is now in {aside}")
    directory.open(record(config, dataset, name), free=FREE)
    checkpoints = Checkpoints(directory.checkpoints)
    if checkpoints.latest() is not None:
        state = checkpoints.restore(state)
    directory.rewind(int(state.step))
    display = Display(console)
    display.say(f"{len(dataset):,} images {'x'.join(map(str, dataset.spec))}: {dataset.source}")
    display.say(f"{jax.device_count()} x {jax.devices()[0].device_kind}; {directory.path} at step {int(state.step):,}")
    with Interruption() as interruption, display:
        state = fit(Run(config, recipe, dataset, directory, checkpoints, display, began), state, interruption.came)
    display.say(
        f"Stopped at step {int(state.step):,} of {config.steps:,}: see {directory.samples} and {directory.losses}"
    )
    display.say(f"Draw more: python -m jaxgen sample {directory.path} --num 100 --out samples.png")
    if interruption.signal:
        sys.exit(128 + interruption.signal)
    return directory


def first_state(config: RunConfig, recipe: Recipe, dataset: Dataset) -> TrainState:
    """The state before the first step; the recipe is checked against the data's types without running it."""
    networks, root = jax.random.split(jax.random.key(config.seed))
    batch = {
        name: jax.ShapeDtypeStruct((config.batch_size, *array.shape[1:]), array.dtype)
        for name, array in dataset.arrays.items()
    }
    return init_state(recipe.update, jax.jit(recipe.networks)(networks), root, batch)


def record(config: RunConfig, dataset: Dataset, name: str) -> dict[str, Any]:
    """What `config.json` says: enough to know where every number came from."""
    options = {
        field: str(value) if isinstance(value, Path) else value for field, value in dataclasses.asdict(config).items()
    }
    return {
        "experiment": name,
        "config": options,
        "data": {"source": dataset.source, "split": dataset.split, "images": len(dataset), "digest": dataset.digest},
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES}
        | {"python": platform.python_version()},
        "devices": [device.device_kind for device in jax.devices()],
    }


def use_compilation_cache() -> None:
    """Keeps compiled programs in the user's cache folder, unless JAX is told otherwise by its own settings."""
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore[reportAttributeAccessIssue]
        jax.config.update("jax_compilation_cache_dir", str(Path(platformdirs.user_cache_dir("jaxgen")) / "compiled"))
