"""The host's side of training: dispatch many steps at once, and look at the results one dispatch behind.

The data set is put on the device once; a dispatch sends only the indices of its batches.
"""

import time
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

GRID = 64
"""Images of a sample grid."""


class Measured(NamedTuple):
    """The means over a dispatch that ended at `step`, and when they were there (`time.monotonic()`)."""

    step: int
    means: dict[str, float]
    time: float


class Progress(NamedTuple):
    """Where training is after a dispatch.

    `state` may be read until the next dispatch begins.  `measured` tells of the dispatch before, which is there without
    waiting for this one, and at a halt of this one too.
    """

    step: int
    state: TrainState
    measured: list[Measured]


def train(
    step: Step,
    state: TrainState,
    arrays: Mapping[str, np.ndarray],
    indices: Callable[[int], np.ndarray],
    *,
    steps: int,
    dispatch: int = 50,
    halts: tuple[int, ...] = (),
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Progress]:
    """Trains until the state's step is `steps` or until `stop()`, telling its progress after every dispatch.

    `indices` gives the examples of a step, int32 [B].  A dispatch ends at each multiple of `dispatch` and of each of
    `halts`, wherever training began; one program serves all lengths.  The memory of the given state is used again.
    """
    run = compile_dispatch(step)
    data = jax.device_put(dict(arrays))
    number, behind = int(state.step), []
    while number < steps and not stop():
        count = min(steps - number, *(period - number % period for period in (dispatch, *halts)))
        chosen = np.stack([indices(number + min(i, count - 1)) for i in range(dispatch)])
        state, metrics = run(state, data, chosen, jnp.int32(count))
        number += count
        done, behind = behind, [(number, metrics)]
        if number == steps or any(number % period == 0 for period in halts):
            done, behind = done + behind, []
        yield Progress(number, state, [Measured(at, compute(metrics), time.monotonic()) for at, metrics in done])
    if behind:
        yield Progress(number, state, [Measured(at, compute(metrics), time.monotonic()) for at, metrics in behind])


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
    """All that the loop reads and writes, and when it began."""

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
        return batch_indices(config.seed, step, config.batch_size, run.dataset.size)

    def sample(state: TrainState) -> None:
        images = np.asarray(draw(state.networks, jnp.arange(GRID, dtype=jnp.int32)))
        save_grid(run.directory.samples / f"step_{int(state.step):07}.png", images)

    for progress in train(
        make_step(run.recipe.update),
        state,
        run.dataset.arrays,
        indices,
        steps=config.steps,
        dispatch=config.log_every,
        halts=(config.sample_every, config.checkpoint_every),
        stop=lambda: interrupted() or pace.is_over(),
    ):
        state = progress.state
        for measured in progress.measured:
            speed = pace.tick(measured.step, measured.time)
            run.directory.log({**measured.means, **speed, "step": measured.step})
            run.display.show(measured.step, measured.means, speed["time/images_per_second"], *pace.remaining())
        if progress.step % config.checkpoint_every == 0:
            run.checkpoints.save(state)
        if progress.step % config.sample_every == 0:
            sample(state)
    run.checkpoints.save(state)
    sample(state)
    plot_metrics(run.directory.losses, run.directory.rows())
    save_sampler(run.directory.sampler, run.recipe.sampler, state.networks, run.dataset.spec)
    return state
