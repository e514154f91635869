"""An experiment, from its config to a finished run directory.

An experiment file has a `Config(RunConfig)`, a `build(config, spec) -> Recipe`, and a `main` that calls `run`.
"""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
from rich.console import Console

from jaxgen.core.condition import require_condition
from jaxgen.core.image import ImageSpec
from jaxgen.core.parallel import Strategy, by_jit, by_pmap, make_mesh, require_divisible
from jaxgen.core.step import init_state
from jaxgen.core.types import Networks, TrainState
from jaxgen.data import Dataset, StreamedDataset, load
from jaxgen.io.errors import InputError
from jaxgen.io.files import cache_folder
from jaxgen.io.program import command
from jaxgen.training import Display, RunDirectory, require_same_run
from jaxgen.training.best import Best, frechet_score
from jaxgen.training.checkpoint import Checkpoints, Retention
from jaxgen.training.config import Bounds, Count, Positive, RunConfig, Seed, require_bounds
from jaxgen.training.interruption import Interruption
from jaxgen.training.loop import Recipe, Run, fit, restore
from jaxgen.training.processes import agree, is_first, join, largest, one_for_all, require_same
from jaxgen.training.provenance import fingerprint, make_provenance

__all__ = ["Bounds", "Count", "Positive", "Recipe", "RunConfig", "Seed", "best_networks", "command", "run"]

ConfigT = TypeVar("ConfigT", bound=RunConfig)


class Prepared(NamedTuple):
    """All that must be right before anything is written."""

    dataset: Dataset | StreamedDataset
    recipe: Recipe
    strategy: Strategy
    state: TrainState
    record: dict[str, Any]


def run(
    config: ConfigT,
    build: Callable[[ConfigT, ImageSpec], Recipe],
    *,
    name: str,
    prepare: Callable[[Dataset], Dataset] | None = None,
    afterwards: Callable[[RunDirectory], None] | None = None,
) -> RunDirectory:
    """Trains a recipe and leaves a run directory.

    `prepare` makes what is trained on of the data set, which is then read into memory.  `afterwards` is what the first
    process does with a run that came to its end.

    Ctrl-C and SIGTERM save everything, then exit with 130 and 143.

    Raises:
      InputError: the config, the data or the run directory cannot be used; nothing has been overwritten.
      OutsideError: training diverged, the disk is full, or another process of the run is gone.
    """
    began = time.monotonic()
    if config.distributed:
        join()
    agree(lambda: require_bounds(config))
    use_compilation_cache()
    display = Display(Console(quiet=not is_first()))
    prepared = agree(lambda: prepare_run(config, build, display, name, prepare))
    require_same(fingerprint(prepared.record), "options, data, code or versions")
    directory = run_directory(config, name)
    earlier = agree(lambda: claim(directory, config, prepared.record, display))
    try:
        checkpoints = Checkpoints(directory.checkpoints, Retention(config.keep, config.keep_every))
        dataset, recipe, strategy, first, record = prepared
        whole = Run(config, recipe, dataset, strategy, first, directory, checkpoints, display, began)
        state = restore(whole)
        agree(lambda: begin(directory, earlier, record, int(state.step)) if is_first() else None)
        tell(display, prepared, directory, int(state.step))
        code, state = train_on(whole, state)
    finally:
        directory.close()
    tell_end(display, directory, f"step {int(state.step):,} of {config.steps:,}")
    if code:
        sys.exit(128 + code)
    if afterwards is not None:
        agree(lambda: afterwards(directory) if is_first() else None)
    return directory


def run_directory(config: RunConfig, name: str) -> RunDirectory:
    """Where a run of the experiment of that name goes."""
    return RunDirectory(config.out or Path("runs") / name)


def prepare_run(
    config: ConfigT,
    build: Callable[[ConfigT, ImageSpec], Recipe],
    display: Display,
    name: str,
    prepare: Callable[[Dataset], Dataset] | None = None,
) -> Prepared:
    """Data, recipe and first state, checked against each other.

    Raises:
      InputError: the config or the data cannot be used.
    """
    dataset = load(
        config.data,
        data_dir=config.data_dir,
        offline=config.offline,
        announce=display.say,
        most_bytes=int(config.memory_gib * 2**30),
    )
    if prepare is not None:
        if isinstance(dataset, StreamedDataset):
            raise InputError(
                f"--memory-gib {config.memory_gib}: {dataset.source} is too large to be prepared in memory."
            )
        dataset = prepare(dataset)
    if config.batch_size > dataset.size:
        raise InputError(f"--batch-size {config.batch_size} is larger than the data: {dataset.size} images.")
    strategy = choose_strategy(config.parallel)
    require_divisible(config.batch_size, strategy.devices)
    recipe = build(config, dataset.spec)
    require_condition(recipe.condition, dataset.fields, dataset.arrays if isinstance(dataset, Dataset) else {})
    if recipe.condition is not None and isinstance(dataset, Dataset):
        recipe = recipe._replace(condition=recipe.condition._replace(tokenizer=dataset.tokenizer))
    recipe = with_score(recipe, config, dataset)
    state = first_state(config, recipe)
    if recipe.start and not (config.resume and Checkpoints(run_directory(config, name).checkpoints).steps()):
        state = state._replace(networks=recipe.start())
    return Prepared(dataset, recipe, strategy, state, make_provenance(config, recipe, dataset, state, name))


def with_score(recipe: Recipe, config: RunConfig, dataset: Dataset | StreamedDataset) -> Recipe:
    """The recipe with the score that evaluations go by: its own, or the Fréchet distance of what it draws.

    Raises:
      InputError: no feature network sees such images, or there are too few of them.
    """
    if not config.evaluate_every or recipe.score or not is_first():
        return recipe
    score = frechet_score(
        recipe.sampler,
        dataset,
        num=config.evaluate_num,
        seed=config.seed,
        inception=config.inception,
        condition=recipe.condition,
    )
    return recipe._replace(score=score)


def choose_strategy(parallel: str) -> Strategy:
    """The strategy of that name on all devices.

    Raises:
      InputError: pmap with several processes.
    """
    if parallel == "pmap":
        if jax.process_count() > 1:
            raise InputError("--parallel pmap runs in one process: with --distributed use jit or fsdp.")
        return by_pmap(jax.local_devices())
    return by_jit(make_mesh(), fsdp=parallel == "fsdp")


def claim(
    directory: RunDirectory, config: RunConfig, record: Mapping[str, Any], display: Display
) -> dict[str, Any] | None:
    """Takes the run directory for this run; returns the record of the earlier run that it goes on with, if any.

    Raises:
      InputError: the directory holds something else, or cannot be written.
    """
    if not is_first():
        return None
    if not config.resume and (aside := directory.set_aside()):
        display.say(f"The earlier run is now in {aside}")
    earlier = directory.earlier()
    if earlier:
        require_same_run(directory.path, earlier, record, config.free)
    directory.open()
    return earlier


def begin(directory: RunDirectory, earlier: Mapping[str, Any] | None, record: dict[str, Any], step: int) -> None:
    """Writes down that the run was begun or resumed at a step."""
    record["sessions"][-1]["step"] = step
    past = earlier or {"sessions": []}
    directory.write({**past, **record, "sessions": past["sessions"] + record["sessions"]})
    directory.rewind(step)


def tell(display: Display, prepared: Prepared, directory: RunDirectory, step: int) -> None:
    """Says what is trained on what."""
    dataset, count = prepared.dataset, prepared.strategy.devices
    devices = f"{count} x {jax.devices()[0].device_kind}" if count > 1 else jax.devices()[0].device_kind
    display.say(f"{dataset.size:,} images {'x'.join(map(str, dataset.spec))}: {dataset.source}")
    display.say(f"Training on {devices} in {directory.path} from step {step:,}")


def tell_end(display: Display, directory: RunDirectory, where: str) -> None:
    """Says where training stopped, and what it left."""
    display.say(f"Stopped at {where}; see {directory.samples}, {directory.losses}")
    if scores := Best(directory.best).scores():
        step = scores.pop("step")
        told = ", ".join(f"{name} {value:,.4g}" for name, value in scores.items())
        display.say(f"The best state that was evaluated is in {directory.best}: step {step:,.0f}, {told}")
    display.say(f"Draw more: python -m jaxgen sample {directory.path} --num 100 --out samples.png")


def train_on(run: Run, state: TrainState) -> tuple[int, TrainState]:
    """Trains until the end or a signal to any process; returns the signal's number, else 0, and the last state."""
    with Interruption() as interruption, run.display, one_for_all(lambda: what_is_left(run)):
        agreed = 0

        def stop(is_over: bool) -> bool:
            nonlocal agreed
            agreed, ended = largest((interruption.signal, is_over))  # a signal may come to this process meanwhile
            return agreed > 0 or ended > 0

        state = fit(run, state, stop)
    return agreed or interruption.signal, state


def what_is_left(run: Run) -> str:
    """What to do after another process was lost."""
    steps = run.checkpoints.steps() if is_first() else []
    where = f"Step {steps[-1]:,} is saved: start" if steps else "Start"
    return f"{where} all processes again with the same command to go on."


def best_networks(
    config: ConfigT, build: Callable[[ConfigT, ImageSpec], Recipe], directory: RunDirectory, spec: ImageSpec
) -> Networks:
    """The networks of the best state that was evaluated in a run, or of the last if none was.

    Raises:
      InputError: nothing sound was saved, or it is of another recipe.
    """
    target = first_state(config, build(config, spec))
    for folder in (directory.best / "checkpoints", directory.checkpoints):
        if (state := Checkpoints(folder).restore(target, print)) is not None:
            return state.networks
    raise InputError(f"{directory.path} holds no checkpoint.")


def first_state(config: RunConfig, recipe: Recipe) -> TrainState:
    """The state before the first step."""
    networks, root = jax.random.split(jax.random.key(config.seed))
    return init_state(recipe.update, jax.jit(recipe.networks)(networks), root)


def use_compilation_cache() -> None:
    """Keeps compiled programs in the user's cache folder, unless JAX is told otherwise by its own settings."""
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore[reportAttributeAccessIssue]
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))
