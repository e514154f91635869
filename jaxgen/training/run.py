"""An experiment, from its config to a finished run directory.

An experiment file has a `Config(RunConfig)`, a `build(config, spec) -> Recipe`, and a `main` that calls `run`.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import jax

from jaxgen.core.image import ImageSpec
from jaxgen.core.types import Networks, TrainState
from jaxgen.data.class_names import listed
from jaxgen.data.dataset import pixel_field
from jaxgen.export.films import FRAME_SAMPLER
from jaxgen.io.errors import InputError, enough_memory, lacks_memory
from jaxgen.io.files import cache_folder
from jaxgen.io.interruption import Interruption
from jaxgen.io.terminal import make_console, say
from jaxgen.training.best import Best
from jaxgen.training.checkpoint import Checkpoints
from jaxgen.training.classes import with_classes
from jaxgen.training.config import require_bounds
from jaxgen.training.display import Display
from jaxgen.training.loop import train_loop
from jaxgen.training.memory import GIB, parameter_counts
from jaxgen.training.prepare import SMALLER, ConfigT, Prepare, Run, Source, prepare_run
from jaxgen.training.processes import this_host
from jaxgen.training.provenance import fingerprint
from jaxgen.training.recipe import Recipe, first_state
from jaxgen.training.rollback import restore
from jaxgen.training.run_directory import RunDirectory, require_format, require_same_run
from jaxgen.training.shared_folder import require_shared
from jaxgen.training.stopping import Stop, agreement


def run(
    config: ConfigT,
    build: Callable[[ConfigT, ImageSpec], Recipe],
    *,
    name: str,
    data: Source | None = None,
    prepare: Prepare | None = None,
    afterwards: Callable[[RunDirectory], None] | None = None,
) -> RunDirectory:
    """Trains a recipe and leaves a run directory, `runs/<name>` unless `--out` is given.

    `data` replaces `--data`: a data set, or any random-access source of examples, such as a Grain or a Hugging Face
    data set.  `prepare` changes the data set, which is then read into memory.  `afterwards` is called in the first
    process when the run has come to its end.

    Ctrl-C, SIGTERM and a closed terminal save everything, then exit with 130, 143 and 129.  Outside the main thread,
    where Python handles no signals, they act as usual.

    Raises:
      InputError: the config, the data or the run directory cannot be used; nothing has been overwritten.
      OutsideError: training diverged, the disk is full, or another process of the run is gone.
    """
    began = time.monotonic()
    host = this_host(distributed=config.distributed)
    host.agree(lambda: require_bounds(config))
    use_compilation_cache()
    display = Display(make_console(quiet=not host.is_first))
    with enough_memory(SMALLER):
        prepared = host.agree(
            lambda: prepare_run(
                config, build, name=name, data=data, prepare=prepare, display=display, host=host, began=began
            )
        )
    host.require_same(fingerprint(prepared.record), "options, data, code or versions")
    earlier = host.agree_on_first(lambda: claim(prepared))
    with closing(prepared.directory):
        require_shared("--out", prepared.directory.path, host)
        with withdrawn_without_memory(prepared):
            state = restore(prepared)
            step = int(prepared.strategy.fetch(state.step))
            host.agree_on_first(lambda: begin(prepared, earlier, step))
            announce(prepared, step)
            signal, step = train_until_stopped(prepared, state)
    report(prepared, step)
    if signal:
        sys.exit(128 + signal)
    if afterwards is not None:
        host.agree_on_first(lambda: afterwards(prepared.directory))
    return prepared.directory


def use_compilation_cache() -> None:
    """Keeps compiled programs in the user's cache folder, unless JAX's own settings name another."""
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore[reportAttributeAccessIssue]
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))


def claim(run: Run) -> dict[str, Any] | None:
    """Takes the run directory for this run; returns the record of the earlier run that it resumes, if any.

    Raises:
      InputError: the directory holds something else, or cannot be written.
    """
    if not run.config.resume and (aside := run.directory.set_aside()):
        run.display.say(f"The earlier run is now in {aside}")
    earlier = run.directory.earlier()
    if earlier:
        # An option that is newer than the earlier run had its default value there.
        fields = {field.name: field.default for field in dataclasses.fields(run.config)}
        defaults = json.loads(json.dumps(fields, default=str))
        known = {**earlier, "config": defaults | earlier["config"]}
        require_same_run(run.directory.path, known, run.record, run.config.free)
    run.directory.open()
    return earlier


def begin(run: Run, earlier: Mapping[str, Any] | None, step: int) -> None:
    """Records that the run was begun or resumed at a step."""
    run.record["sessions"][-1]["step"] = step
    past = earlier or {"sessions": []}
    run.directory.write({**past, **run.record, "sessions": past["sessions"] + run.record["sessions"]})
    run.directory.rewind(step)


def announce(run: Run, step: int) -> None:
    """Prints what is trained on which data and devices."""
    dataset, count, kind = run.dataset, run.strategy.devices, jax.devices()[0].device_kind
    field = pixel_field(dataset.fields)
    shape = "x".join(map(str, dataset.fields[field][0]))
    run.display.say(f"{dataset.size:,} {field}s {shape}: {dataset.source}")
    counts = parameter_counts(run.shapes.networks)
    run.display.say(f"Parameters: {counts}; about {run.needed / GIB:.1f} GiB of memory for training")
    devices = f"{count} x {kind}" if count > 1 else kind
    run.display.say(f"Training on {devices} in {run.directory.path} from step {step:,}")
    if run.dataset.class_names and "label" in run.recipe.sampler.conditions:
        run.display.say(f"Classes, by the rows of the sample grids: {listed(run.dataset.class_names)}")
    if step < run.config.steps:
        run.display.say("Compiling the training step")


def train_until_stopped(run: Run, state: TrainState) -> tuple[int, int]:
    """Trains until the end or a signal to any process; returns the signal's number, 0 for none, and the last step."""
    with Interruption() as interruption, run.display, run.host.fail_together(lambda: how_to_resume(run)):
        agree, stopped = agreement(run.host), Stop()

        def stop(is_over: bool) -> bool:
            nonlocal stopped
            # Another signal may come to this process before all have stopped: what was agreed on counts.
            stopped = agree(interruption.signal, is_over)
            return any(stopped)

        step = int(run.strategy.fetch(train_loop(run, state, stop).step))
    return stopped.signal or interruption.signal, step


@contextmanager
def withdrawn_without_memory(run: Run) -> Iterator[None]:
    """Turns a lack of memory into a line; if no step was trained, a smaller run can begin in the same directory.

    Raises:
      OutsideError: the memory was not enough.
    """
    with enough_memory(SMALLER):
        try:
            yield
        except Exception as error:
            if run.host.is_first and lacks_memory(error):
                run.directory.withdraw()
            raise


def how_to_resume(run: Run) -> str:
    """What to do after another process was lost."""
    steps = run.checkpoints.steps() if run.host.is_first else []
    where = f"Step {steps[-1]:,} is saved: start" if steps else "Start"
    return f"{where} all processes again with the same command to go on."


def report(run: Run, step: int) -> None:
    """Prints where training stopped, and where the results are."""
    say, directory = run.display.say, run.directory
    say(f"Stopped at step {step:,} of {run.config.steps:,}; see {directory.samples}, {directory.losses}")
    if scores := Best(directory.best).scores():
        best = scores.pop("step")
        listed = ", ".join(f"{name} {value:,.4g}" for name, value in scores.items())
        say(f"The best state that was evaluated is in {directory.best}: step {best:,.0f}, {listed}")
    has_clips = (directory.path / FRAME_SAMPLER).is_dir()
    verb, num, out = ("film", 16, "films.gif") if has_clips else ("sample", 100, "samples.png")
    say(f"Draw more: python -m jaxgen {verb} {directory.path} --num {num} --out {out}")


def best_networks(
    config: ConfigT, build: Callable[[ConfigT, ImageSpec], Recipe], directory: RunDirectory, spec: ImageSpec
) -> Networks:
    """The networks of the best state that was evaluated in a run, or of the last state if none was.

    Raises:
      InputError: no intact checkpoint is there, or it is of another format or another recipe.
    """
    if directory.config.exists():
        record = directory.earlier() or {}
        require_format(str(directory.path), record)
        config = with_classes(config, record["config"].get("classes"), str(directory.config))
    target = jax.eval_shape(partial(first_state, config, build(config, spec)))
    for folder in (directory.best / "checkpoints", directory.checkpoints):
        if (state := Checkpoints(folder).restore(target, say)) is not None:
            return state.networks
    raise InputError(f"{directory.path} holds no checkpoint.")
