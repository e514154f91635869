"""The host's side of a run: trains, logs, draws, saves, and notices when training diverges."""

import math
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.condition import Condition
from jaxgen.core.parallel import Strategy
from jaxgen.core.step import make_step
from jaxgen.core.types import Array, Batch, Networks, Sampler, TrainState, Update
from jaxgen.data import Dataset, StreamedDataset
from jaxgen.export import (
    Restorer,
    Stylizer,
    exportable,
    save_controls,
    save_restorer,
    save_sampler,
    save_stylizer,
    seeded,
)
from jaxgen.io.pictures import save_grid
from jaxgen.models.latents.controls import Controls
from jaxgen.training import Display, RunDirectory, plot_metrics, save_divergence
from jaxgen.training.best import Best, Score, grid_fields, some_examples
from jaxgen.training.checkpoint import Checkpoints, flatten, unflatten
from jaxgen.training.clock import Clock
from jaxgen.training.config import RunConfig
from jaxgen.training.dispatch import diverged_leaves, feed_from, train
from jaxgen.training.processes import AgreedError, agree, from_first, is_first, process_rows
from jaxgen.training.watchdog import DIVERSITY, Divergence, Signs, diagnose, diversity, not_finite, observe, observe_all

GRID = 64
"""Images of a sample grid."""

SETBACKS = 3
"""How often a run goes back before it gives up."""


class Recipe(NamedTuple):
    """What an experiment builds: the first networks from a key, how they train, and how to draw from them.

    `start` gives networks to begin with in place of these; it is asked only where nothing has been saved yet.
    `condition` is what the sampler is told besides keys.  `discriminator_loss` names the metric whose staying at zero
    means that the discriminator has won, if there is one.  `score` is what evaluations on the way go by; by default the
    Fréchet distance of drawn images.  `pictures` makes further pictures at the end, of networks and some training
    examples: images uint8 [rows, columns, H, W, C] by name.  `controls` are what of the networks can be steered, and
    `stylizer` is what they make of a content and a style, `restorer` of images that something was done to.
    """

    networks: Callable[[Array], Networks]
    update: Update
    sampler: Sampler
    condition: Condition | None = None
    discriminator_loss: str | None = None
    score: Score | None = None
    pictures: Callable[[Networks, Batch], Mapping[str, Array]] | None = None
    controls: Callable[[Networks], Controls] | None = None
    stylizer: Callable[[Networks], Stylizer] | None = None
    restorer: Callable[[Networks], Restorer] | None = None
    start: Callable[[], Networks] | None = None


class Run(NamedTuple):
    """All that the loop reads and writes.

    `first_state` is the state before the first step, and `began` when the run did (`time.monotonic()`).
    """

    config: RunConfig
    recipe: Recipe
    dataset: Dataset | StreamedDataset
    strategy: Strategy
    first_state: TrainState
    directory: RunDirectory
    checkpoints: Checkpoints
    display: Display
    began: float


class Diverged(Exception):  # noqa: N818
    """Training has diverged; nothing from after that has been saved."""

    def __init__(self, divergence: Divergence):
        super().__init__(divergence.what)
        self.divergence = divergence


def fit(run: Run, state: TrainState, stop: Callable[[bool], bool]) -> TrainState:
    """Trains until steps are over or `stop(minutes are over)`; logs, draws and saves on the way and at the end.

    Raises:
      AgreedError: training diverged, and was not to go back or had gone back three times.
    """
    while True:
        setbacks = round(-math.log2(float(state.rate)))
        try:
            return _train(run, state, stop)
        except Diverged as diverged:
            state = _go_back(run, diverged.divergence, setbacks)


def restore(run: Run, *, before: int | None = None) -> TrainState:
    """The newest saved state, at or before a step if one is given; the first state if there is none."""

    def read() -> TrainState | None:
        return run.checkpoints.restore(run.first_state, run.display.say, before=before) if is_first() else None

    state = agree(read) or run.first_state
    return unflatten(from_first(flatten(state)), run.first_state)


def _train(run: Run, state: TrainState, stop: Callable[[bool], bool]) -> TrainState:
    config, pace, look, signs = run.config, Clock(run.config, int(state.step), run.began), _looks(run), _signs(run)
    reached = None
    training = train(
        make_step(run.recipe.update),
        state,
        feed_from(run.dataset, seed=config.seed, batch_size=config.batch_size, rows=process_rows(config.batch_size)),
        run.strategy,
        steps=config.steps,
        dispatch=config.log_every,
        halts=tuple(filter(None, (config.sample_every, config.checkpoint_every, config.evaluate_every))),
        stop=lambda: stop(pace.is_over()),
    )
    with closing(training):
        for progress in training:
            for measured in progress.measured:
                row = {**measured.means, **pace.tick(measured.step, measured.time), "step": measured.step}
                if measured.is_finite and measured.step == progress.step:
                    if measured.step % config.sample_every == 0:
                        row |= look(run.strategy.fetch(progress.state.networks), measured.step)
                    if config.evaluate_every and measured.step % config.evaluate_every == 0:
                        row |= _evaluate(run, progress.state)
                _tell(run, pace, row)
                if not measured.is_finite:
                    raise Diverged(
                        not_finite(diverged_leaves(run.strategy.fetch(progress.state)), signs, measured.step)
                    )
                signs = observe(signs, row, run.recipe.discriminator_loss)
                if divergence := diagnose(signs):
                    raise Diverged(divergence)
            reached = progress.state
            if progress.step % config.checkpoint_every == 0:
                _save(run, run.strategy.fetch(reached), signs)
    state = state if reached is None else run.strategy.fetch(reached)
    _finish(run, state, signs, look)
    return state


def _looks(run: Run) -> Callable[[Networks, int], dict[str, float]]:
    """The function that draws and saves a grid, and says how different its images are."""
    field, columns = grid_fields(run.recipe.condition, run.dataset, GRID, run.config.seed)
    num = len(field[0]) if field else GRID
    draw = jax.jit(lambda networks, *given: seeded(run.recipe.sampler, networks)(jnp.uint32(run.config.seed), *given))
    # Among fewer real images the nearest is further away, and as many drawn ones need not be as far.
    is_enough = is_first() and run.dataset.size >= num
    real = diversity(some_examples(run.dataset, num, run.config.seed)["image"]) if is_enough else 0.0

    def look(networks: Networks, step: int) -> dict[str, float]:
        ratio = np.float32(np.nan)
        if is_first():
            images = np.asarray(draw(networks, jnp.arange(num, dtype=jnp.int32), *field))
            save_grid(run.directory.samples / f"step_{step:07}.png", images, columns=columns)
            ratio = np.float32(diversity(images) / real if real else np.nan)
        ratio = float(from_first(ratio))
        return {} if math.isnan(ratio) else {DIVERSITY: round(ratio, 4)}

    return look


def _evaluate(run: Run, state: TrainState) -> dict[str, float]:
    """Scores a state of the strategy, and keeps it if it is the best."""
    best, networks = Best(run.directory.best), run.strategy.fetch(state.networks)
    scores = run.recipe.score(networks) if is_first() and run.recipe.score else {}
    if from_first(np.bool_(scores and best.is_beaten(scores))):
        whole = run.strategy.fetch(state)
        if is_first():
            best.keep(whole, scores, run.recipe.sampler, run.dataset.spec, run.recipe.condition)
    return {f"evaluation/{name}": value for name, value in scores.items()}


def _signs(run: Run) -> Signs:
    rows = run.directory.rows() if is_first() else []
    signs = observe_all(rows, run.recipe.discriminator_loss)
    return jax.tree.map(int, from_first(jax.tree.map(np.int32, signs)))


def _tell(run: Run, pace: Clock, row: Mapping[str, float]) -> None:
    if is_first():
        run.directory.log(row)
        run.display.show(int(row["step"]), row, row["time/images_per_second"], *pace.remaining())


def _save(run: Run, state: TrainState, signs: Signs) -> None:
    if is_first():
        run.checkpoints.save(state, protect=signs.healthy)


def _finish(run: Run, state: TrainState, signs: Signs, look: Callable[[Networks, int], Any]) -> None:
    _save(run, state, signs)
    look(state.networks, int(state.step))
    if is_first():
        plot_metrics(run.directory.losses, run.directory.rows())
        of, networks = (run.dataset.spec, run.recipe.condition), exportable(state.networks)
        save_sampler(run.directory.sampler, run.recipe.sampler, networks, *of)
        if run.recipe.controls is not None:
            save_controls(run.directory.controls, run.recipe.controls(networks), *of)
        if run.recipe.stylizer is not None:
            save_stylizer(run.directory.stylizer, run.recipe.stylizer(networks), of[0])
        if run.recipe.restorer is not None:
            save_restorer(run.directory.restorer, run.recipe.restorer(networks), of[0])
        _draw_pictures(run, state.networks)  # last: no picture may cost the model


def _draw_pictures(run: Run, networks: Networks) -> None:
    if run.recipe.pictures is None:
        return
    examples = some_examples(run.dataset, min(GRID, run.dataset.size), run.config.seed)
    for name, images in jax.jit(run.recipe.pictures)(networks, examples).items():
        rows = np.asarray(images)
        save_grid(run.directory.path / f"{name}.png", rows.reshape(-1, *rows.shape[2:]), columns=rows.shape[1])


def _go_back(run: Run, divergence: Divergence, setbacks: int) -> TrainState:
    """The state to go on from after a divergence: an earlier one with another key and half the learning rates."""
    if run.config.on_divergence == "stop" or setbacks == SETBACKS:
        times = f" after going back {setbacks} times" if setbacks else ""
        report = _report(run, divergence, setbacks + 1, f"Training stopped{times}.")
        raise AgreedError(f"{divergence.what} at step {divergence.step:,}{times}: see {report}.")
    state, number = restore(run, before=divergence.since), setbacks + 1
    state = state._replace(key=jax.random.fold_in(state.key, number), rate=jnp.float32(0.5**number))
    step = int(state.step)
    outcome = f"Training went back to step {step:,} with other random numbers and half the learning rates."
    report = _report(run, divergence, number, f"{outcome}  This was time {number} of {SETBACKS}.")
    if is_first():
        run.checkpoints.rewind(state)
        run.directory.rewind(step)
        run.directory.note("setbacks", {"from": divergence.step, "to": step, "because": divergence.what})
    run.display.say(f"{divergence.what} at step {divergence.step:,}.  {outcome}  See {report}")
    return state


def _report(run: Run, divergence: Divergence, number: int, outcome: str) -> Path:
    folder = run.directory.path / f"divergence_{number}"

    def write() -> None:
        if is_first():
            rows, grids = run.directory.rows(), run.directory.grids()
            save_divergence(folder, **divergence._asdict(), outcome=outcome, rows=rows, grids=grids)

    agree(write)  # no process ends before the report is written
    return folder / "report.md"
