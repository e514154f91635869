"""Data, recipe, devices and first state of a run, checked against each other before anything is written."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax

from jaxgen.core.condition import require_conditions
from jaxgen.core.image import ImageSpec
from jaxgen.core.parallel import Strategy, by_jit, by_pmap, make_mesh, require_divisible
from jaxgen.core.precision import precise
from jaxgen.core.types import TrainState
from jaxgen.data import Dataset, RandomAccess, StreamedDataset, as_dataset, load
from jaxgen.data.image_options import image_options
from jaxgen.export import ExportInfo
from jaxgen.io.errors import InputError
from jaxgen.io.terminal import say
from jaxgen.training.augmentation import augmented
from jaxgen.training.best import frechet_score
from jaxgen.training.checkpoint import Checkpoints, Retention, flatten, unflatten
from jaxgen.training.classes import require_classes, with_classes
from jaxgen.training.config import RunConfig
from jaxgen.training.display import Display
from jaxgen.training.dtype import require_dtype
from jaxgen.training.memory import data_bytes, require_memory
from jaxgen.training.processes import Host
from jaxgen.training.provenance import make_provenance, traced_step
from jaxgen.training.recipe import Recipe, first_state
from jaxgen.training.run_directory import RunDirectory
from jaxgen.training.start import start_from
from jaxgen.training.watchdog import Watched

SMALLER = "--batch-size, the width of the networks or the images"
"""What needs less memory if it is smaller."""

ConfigT = TypeVar("ConfigT", bound=RunConfig)
Prepare = Callable[[Dataset], Dataset]
Source = Dataset | StreamedDataset | RandomAccess


class Run(NamedTuple):
    """All that a run reads and writes.

    `shapes` are those of the state, and `first_state()` makes and places the state before the first step, together with
    the other processes.  `needed` are the bytes of memory that training needs, `record` is the content of
    `config.json`, and `began` the time (`time.monotonic()`) at which the run began.
    """

    config: RunConfig
    recipe: Recipe
    dataset: Dataset | StreamedDataset
    strategy: Strategy
    shapes: TrainState
    first_state: Callable[[], TrainState]
    needed: int
    record: dict[str, Any]
    directory: RunDirectory
    checkpoints: Checkpoints
    display: Display
    host: Host
    began: float

    @property
    def export_info(self) -> ExportInfo:
        """What exports need to know about the model."""
        tokenizer = self.dataset.tokenizer if isinstance(self.dataset, Dataset) else None
        return ExportInfo(self.dataset.spec, self.recipe.sampler.conditions, tokenizer, self.dataset.class_names)

    @property
    def watched(self) -> Watched:
        """The metrics that the watchdog watches."""
        return Watched(self.recipe.update.losses, self.recipe.discriminators)


def prepare_run(
    config: ConfigT,
    build: Callable[[ConfigT, ImageSpec], Recipe],
    *,
    name: str,
    data: Source | None,
    prepare: Prepare | None,
    display: Display,
    host: Host,
    began: float,
) -> Run:
    """Loads the data and builds the recipe, the strategy and the shapes of the state.

    Raises:
      InputError: the config or the data cannot be used, or the memory is not enough.
    """
    read = load_data(config, data, display.say)
    dataset = prepared(read, prepare, config.memory_gib)
    config = with_classes(config, dataset.classes, dataset.source)
    require_different(dataset)
    if config.batch_size > dataset.size:
        raise InputError(f"--batch-size {config.batch_size} is larger than the data: {_images(dataset.size)}.")
    strategy = choose_strategy(config.parallel, host)
    require_divisible(config.batch_size, strategy.devices)
    recipe = build(config, dataset.spec)
    if config.matmul_precision != "default":
        recipe = recipe._replace(update=precise(config.matmul_precision, recipe.update))
    arrays = dataset.arrays if isinstance(dataset, Dataset) else {}
    require_conditions(recipe.sampler.conditions, dataset.fields, arrays)
    called = f"--data {config.data}" if data is None else dataset.source
    dataset = require_classes(dataset, recipe.sampler.conditions, name=called, has_option=hasattr(config, "classes"))
    recipe = augmented(with_score(recipe, config, dataset, host), config.augment, dataset.spec)
    directory = RunDirectory(config.out or Path("runs") / name)
    checkpoints = Checkpoints(directory.checkpoints, Retention(config.keep, config.keep_every), host)
    shapes = jax.eval_shape(partial(first_state, config, recipe))
    program = traced_step(config, recipe, dataset, shapes)
    require_dtype(config.dtype, program)
    needed = require_memory(program, SMALLER, data_bytes(dataset, strategy))
    record = make_provenance(config, recipe, dataset, program, name=name, read=read, from_python=data is not None)
    begin = partial(strategy.make_state, partial(first_state, config, recipe))
    if config.start_from:
        state = first_state(config, recipe)
        if host.is_first and not (config.resume and checkpoints.steps()):
            state, record["started_from"] = start_from(config.start_from, recipe, state, record, display.say)
        begin = partial(put_shared, state, strategy, host)
    return Run(
        *(config, recipe, dataset, strategy, shapes, begin),
        *(needed, record, directory, checkpoints, display, host, began),
    )


def put_shared(state: TrainState, strategy: Strategy, host: Host) -> TrainState:
    """The first process's state, placed."""
    return strategy.put_state(unflatten(host.share(flatten(state)), state))


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def load_data(config: RunConfig, data: Source | None, announce: Callable[[str], None]) -> Dataset | StreamedDataset:
    """The data set that a run reads: `data` if it is given, else what `--data` names; clips if there is a `--frames`.

    Raises:
      InputError: the data cannot be used.
    """
    most_bytes, images = int(config.memory_gib * 2**30), image_options(vars(config))
    if data is not None:
        images.check()
        return as_dataset(data, most_bytes=most_bytes, images=images)
    return load(
        config.data,
        data_dir=config.data_dir,
        offline=config.offline,
        announce=announce,
        most_bytes=most_bytes,
        images=images,
        frames=vars(config).get("frames"),
        drop_short=vars(config).get("drop_short", False),
    )


def load_split(config: RunConfig, split: str, announce: Callable[[str], None] = say) -> Dataset:
    """A split of the data set that `--data` names, with the images as training reads them.

    Raises:
      InputError: there is no such split, or it cannot be read.
    """
    return load(
        config.data,
        split=split,
        data_dir=config.data_dir,
        offline=config.offline,
        announce=announce,
        images=image_options(vars(config)),
        frames=vars(config).get("frames"),
        drop_short=vars(config).get("drop_short", False),
    )


def prepared(
    dataset: Dataset | StreamedDataset, prepare: Prepare | None, memory_gib: float
) -> Dataset | StreamedDataset:
    """The data set that a run trains on.

    Raises:
      InputError: the data are too large to be prepared in memory.
    """
    if prepare is None:
        return dataset
    if isinstance(dataset, StreamedDataset):
        raise InputError(f"--memory-gib {memory_gib}: {dataset.source} is too large to be prepared in memory.")
    return prepare(dataset)


def require_different(dataset: Dataset | StreamedDataset) -> None:
    """Refuses data in memory of which all images are equal.

    Raises:
      InputError: naming the data.
    """
    images = dataset.pixels if isinstance(dataset, Dataset) else ()
    if len(images) > 1 and all((image == images[0]).all() for image in images[1:]):
        raise InputError(
            f"All {len(images):,} images of {dataset.source} are equal: there is nothing to learn from them."
        )


def choose_strategy(parallel: str, host: Host) -> Strategy:
    """The strategy of that name on all devices of all processes.

    Raises:
      InputError: pmap with several processes.
    """
    if parallel == "pmap":
        if host.processes > 1:
            raise InputError("--parallel pmap runs in one process: with --distributed use jit or fsdp.")
        return by_pmap(jax.local_devices())
    return by_jit(make_mesh(), fsdp=parallel == "fsdp")


def with_score(recipe: Recipe, config: RunConfig, dataset: Dataset | StreamedDataset, host: Host) -> Recipe:
    """The recipe with the score that states are compared by: its own, or the Fréchet distance of drawn images.

    Raises:
      InputError: the feature network's weights cannot be used, or there are too few images.
    """
    if not config.evaluate_every or recipe.score or not host.is_first:
        return recipe
    score = frechet_score(
        recipe.sampler, dataset, num=config.evaluate_num, seed=config.seed, inception=config.inception
    )
    return recipe._replace(score=score)
