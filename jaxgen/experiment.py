"""An experiment, from its config to a finished run directory.

An experiment file has a `Config(RunConfig)`, a `build(config, spec) -> Recipe`, and a `main` that calls `run`.
"""

import dataclasses
import importlib.metadata
import json
import platform
import re
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import jax
from rich.console import Console

from jaxgen.checkpoint import Checkpoints
from jaxgen.command import command
from jaxgen.config import FREE, Bounds, Count, Positive, RunConfig, Seed, require_bounds
from jaxgen.data import Dataset, load
from jaxgen.errors import InputError
from jaxgen.files import cache_folder
from jaxgen.image import ImageSpec
from jaxgen.interruption import Interruption
from jaxgen.loop import Recipe, Run, fit
from jaxgen.report import Display, RunDirectory, require_same_run
from jaxgen.step import init_state, make_step
from jaxgen.types import TrainState

__all__ = ["Bounds", "Count", "Positive", "Recipe", "RunConfig", "Seed", "command", "run"]

PACKAGES = ("jaxgen", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")

ConfigT = TypeVar("ConfigT", bound=RunConfig)


def run(config: ConfigT, build: Callable[[ConfigT, ImageSpec], Recipe], *, name: str) -> RunDirectory:
    """Trains a recipe and leaves a run directory.

    Ctrl-C and SIGTERM save everything, then exit with 130 and 143.

    Raises:
      InputError: the config, the data or the run directory cannot be used; nothing has been overwritten.
    """
    began, display = time.monotonic(), Display(Console())
    require_bounds(config)
    use_compilation_cache()
    dataset = load(config.data, data_dir=config.data_dir, offline=config.offline, announce=display.say)
    if config.batch_size > dataset.size:
        raise InputError(f"--batch-size {config.batch_size} is larger than the data: {dataset.size} images.")
    recipe = build(config, dataset.spec)
    state = first_state(config, recipe)
    directory = RunDirectory(config.out or Path("runs") / name)
    record = make_record(config, recipe, dataset, state, name)
    if not config.resume and (aside := directory.set_aside()):
        display.say(f"The earlier run is now in {aside}")
    earlier = directory.earlier()
    if earlier:
        require_same_run(directory.path, earlier, record, FREE)
    directory.open()
    try:
        checkpoints = Checkpoints(directory.checkpoints)
        if checkpoints.latest() is not None:
            state = checkpoints.restore(state)
        record["sessions"][-1]["step"] = int(state.step)
        directory.write({**record, "sessions": (earlier["sessions"] if earlier else []) + record["sessions"]})
        directory.rewind(int(state.step))
        display.say(f"{dataset.size:,} images {'x'.join(map(str, dataset.spec))}: {dataset.source}")
        display.say(f"Training on {jax.devices()[0].device_kind} in {directory.path} from step {int(state.step):,}")
        with Interruption() as interruption, display:
            state = fit(Run(config, recipe, dataset, directory, checkpoints, display, began), state, interruption.came)
    finally:
        directory.close()
    display.say(f"Stopped at step {int(state.step):,} of {config.steps:,}; see {directory.samples}, {directory.losses}")
    display.say(f"Draw more: python -m jaxgen sample {directory.path} --num 100 --out samples.png")
    if interruption.signal:
        sys.exit(128 + interruption.signal)
    return directory


def first_state(config: RunConfig, recipe: Recipe) -> TrainState:
    """The state before the first step."""
    networks, root = jax.random.split(jax.random.key(config.seed))
    return init_state(recipe.update, jax.jit(recipe.networks)(networks), root)


def make_record(config: RunConfig, recipe: Recipe, dataset: Dataset, state: TrainState, name: str) -> dict[str, Any]:
    """What `config.json` says: enough to know where every number came from.

    `sessions` has an entry for each time that the run was begun or resumed.
    """
    session = {
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES}
        | {"python": platform.python_version()},
        "devices": [device.device_kind for device in jax.devices()],
        "data_source": dataset.source,
    }
    record = {
        "experiment": name,
        "config": dataclasses.asdict(config),
        "data": {"source": dataset.source, "split": dataset.split, "images": dataset.size, "digest": dataset.digest},
        "recipe": recipe_digest(config, recipe, dataset, state),
        "sessions": [session],
    }
    return json.loads(json.dumps(record, default=str))


def recipe_digest(config: RunConfig, recipe: Recipe, dataset: Dataset, state: TrainState) -> str:
    """SHA-256 of one traced step: the algorithm itself, whatever its options are called.

    Raises:
      ValueError, TypeError: the recipe does not fit the data or itself.
    """
    batch = {
        name: jax.ShapeDtypeStruct((config.batch_size, *array.shape[1:]), array.dtype)
        for name, array in dataset.arrays.items()
    }
    program = str(jax.make_jaxpr(make_step(recipe.update))(state, batch))
    return sha256(re.sub(r"0x[0-9a-f]+", "", program).encode()).hexdigest()


def use_compilation_cache() -> None:
    """Keeps compiled programs in the user's cache folder, unless JAX is told otherwise by its own settings."""
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore[reportAttributeAccessIssue]
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))
