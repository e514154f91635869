"""The record of a run, `config.json`: all that its results depend on, by which a resumed run is checked."""

import dataclasses
import importlib.metadata
import json
import platform
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr

from jaxgen.core.step import make_step
from jaxgen.core.types import TrainState
from jaxgen.data import Dataset, StreamedDataset
from jaxgen.data.sources import MOVING_MNIST, NAMES
from jaxgen.io.files import expanded
from jaxgen.training.config import RunConfig
from jaxgen.training.manifest import PACKAGES
from jaxgen.training.recipe import Recipe
from jaxgen.training.run_directory import FORMAT

PLACES = ("out", "data", "data_dir", "start_from")
"""Options that may differ between the processes of a run: each has its own disk, and may see a shared one elsewhere."""


def make_provenance(
    config: RunConfig,
    recipe: Recipe,
    dataset: Dataset | StreamedDataset,
    program: ClosedJaxpr,
    *,
    name: str,
    read: Dataset | StreamedDataset,
    from_python: bool,
) -> dict[str, Any]:
    """The record of a run of a traced step that begins now.

    `sessions` has an entry for each time that the run was begun or resumed, with its step and the seconds until the
    training step was traced and compiled, or read from the cache of compiled programs.  `places` has the absolute path
    of each option that is a path.  `read` is the data set before it was prepared.  `from_python` says that it came from
    Python: `--data`, which was not read, is recorded as None.  `recipe` is the SHA-256 of the step: the algorithm
    itself, whatever its options are called.
    """
    options = dataclasses.asdict(config) | ({"data": None} if from_python else {})
    session = {
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES}
        | {"python": platform.python_version()},
        "devices": [device.device_kind for device in jax.devices()],
        "data_source": dataset.source,
    }
    record = {
        "format": FORMAT,
        "experiment": name,
        "config": options,
        "data": {
            "source": dataset.source,
            "split": dataset.split,
            "images": dataset.size,
            "shape": dataset.spec,
            "digest": dataset.digest,
            "digest_as_read": read.digest,
            "is_streamed": isinstance(read, StreamedDataset),
            "class_names": dataset.class_names,
        },
        "conditions": recorded_conditions(recipe, dataset),
        "places": places(options),
        "recipe": sha256(re.sub(r"0x[0-9a-f]+", "", str(program)).encode()).hexdigest(),
        "sessions": [session],
    }
    return json.loads(json.dumps(record, default=str))


def recorded_conditions(recipe: Recipe, dataset: Dataset | StreamedDataset) -> dict[str, dict[str, Any]]:
    """The sizes of the conditions by name, and the SHA-256 of the vocabulary of captions."""
    sizes = {name: condition.size for name, condition in recipe.sampler.conditions.items()}
    conditions: dict[str, dict[str, Any]] = {name: {"size": size} for name, size in sizes.items()}
    if "text" in conditions and isinstance(dataset, Dataset) and dataset.tokenizer:
        conditions["text"]["vocabulary"] = sha256(dataset.tokenizer.content.encode()).hexdigest()
    return conditions


def places(options: Mapping[str, Any]) -> dict[str, str]:
    """The absolute paths of the options that are paths, by name; the name of a known data set is not a path."""
    paths = {name: value for name, value in options.items() if isinstance(value, Path)}
    if options["data"] is not None and options["data"] not in (*NAMES, MOVING_MNIST):
        paths["data"] = expanded(options["data"])
    return {name: str(path.resolve()) for name, path in paths.items()}


def traced_step(
    config: RunConfig, recipe: Recipe, dataset: Dataset | StreamedDataset, state: TrainState
) -> ClosedJaxpr:
    """The program of one step, not compiled.

    Raises:
      ValueError, TypeError: the recipe does not fit the data or itself.
    """
    batch = {
        name: jax.ShapeDtypeStruct((config.batch_size, *shape), dtype)
        for name, (shape, dtype) in dataset.fields.items()
    }
    program, (_, metrics) = jax.make_jaxpr(make_step(recipe.update), return_shape=True)(state, batch)
    for field, names in (("discriminators", recipe.discriminators), ("update.losses", recipe.update.losses)):
        if unknown := [name for name in names if name not in metrics]:
            expected = ", ".join(map(repr, sorted(metrics)))
            raise ValueError(f"{unknown[0]!r} in the recipe's {field} is not a metric; the metrics are: {expected}.")
    return program


def fingerprint(record: Mapping[str, Any]) -> str:
    """What must be the same for all processes of a run, as text."""
    config = {name: value for name, value in record["config"].items() if name not in PLACES}
    return json.dumps([config, record["data"]["digest"], record["recipe"], record["sessions"][-1]["versions"]])
