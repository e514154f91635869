"""The host's side of training: dispatch many steps at once, and look at the results one dispatch behind.

The data set is put on the device once; a dispatch sends only the indices of its batches.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.checkpoint import Checkpoints
from jaxgen.config import RunConfig
from jaxgen.data import Dataset, batch_indices
from jaxgen.export import save_sampler, seeded
from jaxgen.metrics import Metrics, compute
from jaxgen.pace import Pace
from jaxgen.report import Display, RunDirectory, plot_metrics, save_grid
from jaxgen.step import Step, make_step, scan_steps
from jaxgen.types import Array, Networks, Sampler, TrainState, Update

STEPS_PER_DISPATCH = 50

GRID = 64
"""Images of a sample grid."""


class Progress(NamedTuple):
    """Where training is after a dispatch.

    `state` may be read until the next dispatch begins.  `measured` holds the step and the means of the dispatch
    *before*, which are there without waiting for this one; None after the first.
    """

    step: int
    state: TrainState
    measured: tuple[int, dict[str, float]] | None


def train(
    step: Step,
    state: TrainState,
    arrays: Mapping[str, np.ndarray],
    indices: Callable[[int], np.ndarray],
    *,
    steps: int,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Progress]:
    """Trains until the state's step is `steps` or until `stop()`, telling its progress after every dispatch.

    `indices` gives the examples of a step, int32 [B].  One program serves any number of steps.  The memory of the state
    that is given is used again.  The last progress tells what was measured last.
    """
    dispatch = compile_dispatch(step)
    data = jax.device_put(dict(arrays))
    number, behind = int(state.step), None
    while number < steps and not stop():
        count = min(STEPS_PER_DISPATCH - number % STEPS_PER_DISPATCH, steps - number)
        chosen = np.stack([indices(number + min(i, count - 1)) for i in range(STEPS_PER_DISPATCH)])
        state, metrics = dispatch(state, data, chosen, jnp.int32(count))
        number += count
        yield Progress(number, state, behind and (behind[0], compute(behind[1])))
        behind = number, metrics
    if behind:
        yield Progress(number, state, (behind[0], compute(behind[1])))


def compile_dispatch(step: Step) -> Callable[..., tuple[TrainState, Metrics]]:
    """Up to n steps as one program: (state, data [N, ...], indices [n, B], count) -> (state, metrics)."""

    def dispatch(state: TrainState, data: Mapping[str, Array], indices: Array, count: Array):
        def on_indices(state: TrainState, index: Array):
            return step(state, {name: array[index] for name, array in data.items()})

        return scan_steps(on_indices)(state, indices, count)

    return jax.jit(dispatch, donate_argnums=0)


class Recipe(NamedTuple):
    """What an experiment builds: the first networks from a key, how they train, and how to draw from them."""

    networks: Callable[[Array], Networks]
    update: Update
    sampler: Sampler


class Run(NamedTuple):
    """All that the loop writes to, and its clock."""

    config: RunConfig
    recipe: Recipe
    dataset: Dataset
    directory: RunDirectory
    checkpoints: Checkpoints
    display: Display
    began: float


def fit(run: Run, state: TrainState, interrupted: Callable[[], bool]) -> TrainState:
    """Trains until steps or minutes are over or `interrupted()`; logs, samples and saves on the way and at the end."""
    config, pace = run.config, Pace(run.config, int(state.step), run.began)
    draw = jax.jit(lambda networks, index: seeded(run.recipe.sampler, networks)(jnp.uint32(config.seed), index))

    def indices(step: int) -> np.ndarray:
        return batch_indices(config.seed, step, config.batch_size, len(run.dataset))

    def sample(step: int, state: TrainState) -> None:
        images = np.asarray(draw(state.networks, jnp.arange(GRID, dtype=jnp.int32)))
        save_grid(run.directory.samples / f"step_{step:07}.png", images)

    def stop() -> bool:
        return interrupted() or pace.is_over()

    number = int(state.step)
    for progress in train(
        make_step(run.recipe.update), state, run.dataset.arrays, indices, steps=config.steps, stop=stop
    ):
        if progress.measured:
            step, metrics = progress.measured
            speed = pace.tick(step)
            run.directory.log({"step": step, **metrics, **speed})
            run.display.show(step, metrics, speed["images_per_second"], *pace.remaining())
        if progress.step // config.sample_every > number // config.sample_every:
            sample(progress.step, progress.state)
        if progress.step // config.checkpoint_every > number // config.checkpoint_every:
            run.checkpoints.save(progress.state)
        number, state = progress.step, progress.state
    run.checkpoints.save(state)
    sample(number, state)
    plot_metrics(run.directory.losses, run.directory.rows())
    save_sampler(run.directory.sampler, run.recipe.sampler, state.networks, run.dataset.spec)
    return state
