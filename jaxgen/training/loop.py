"""The training loop on the host: trains, logs, draws, evaluates, saves, and notices when training diverges."""

from collections.abc import Callable, Generator, Mapping
from contextlib import closing

import jax
import numpy as np

from jaxgen.core.step import make_step
from jaxgen.core.types import Networks, TrainState
from jaxgen.export import export_sampler, exportable
from jaxgen.training.best import Best
from jaxgen.training.clock import Clock
from jaxgen.training.dispatch import Progress, diverged_leaves, feed_from, train
from jaxgen.training.grids import GridDrawer, grid_drawer, save_pictures
from jaxgen.training.plot import plot_metrics
from jaxgen.training.prepare import Run
from jaxgen.training.rollback import go_back
from jaxgen.training.watchdog import Divergence, Signs, diagnose, not_finite, observe, observe_all


class Diverged(Exception):  # noqa: N818
    """Training has diverged; no state from after the divergence has been saved."""

    def __init__(self, divergence: Divergence):
        super().__init__(divergence.what)
        self.divergence = divergence


def train_loop(run: Run, state: TrainState, stop: Callable[[bool], bool]) -> TrainState:
    """Trains a placed state until the last step or `stop(time is up)`; logs, draws and saves on the way and at the end.

    Raises:
      AgreedError: training diverged, and rollback is off or was used three times.
    """
    while True:
        setbacks = int(run.strategy.fetch(state.setbacks))
        try:
            return _train(run, state, stop)
        except Diverged as diverged:
            state = go_back(run, diverged.divergence, setbacks)


def _train(run: Run, state: TrainState, stop: Callable[[bool], bool]) -> TrainState:
    began_at = int(run.strategy.fetch(state.step))
    clock, signs = Clock(run.config, began_at, run.began), _past_signs(run)
    draw_grid = grid_drawer(run.recipe, run.dataset, run.config.seed, run.host)
    with closing(_dispatches(run, state, lambda: stop(clock.is_over()))) as training:
        for progress in training:
            _note_compilation(run, progress.compile_seconds)
            for measured in progress.measured:
                row = {**measured.means, **clock.tick(measured.step, measured.time), "step": measured.step}
                if measured.is_finite and measured.step == progress.step:
                    row |= _draw(run, draw_grid, progress) | _evaluate(run, progress)
                _log(run, clock, row)
                if not measured.is_finite:
                    names = diverged_leaves(progress.state)
                    raise Diverged(not_finite(names, signs, measured.step))
                signs = observe(signs, row, run.watched)
                if divergence := diagnose(signs):
                    raise Diverged(divergence)
            state = progress.state
            if progress.step % run.config.checkpoint_every == 0:
                _save(run, state, signs)
    _save(run, state, signs)
    run.display.say("Drawing the last pictures and exporting")
    step, networks = run.strategy.fetch((state.step, state.networks))
    draw_grid(run.directory.grid(int(step)), networks)
    _finish(run, networks)
    return state


def _past_signs(run: Run) -> Signs:
    """The signs in the rows that earlier sessions of the run logged."""
    signs = observe_all(run.directory.rows() if run.host.is_first else [], run.watched)
    return jax.tree.map(int, run.host.share(jax.tree.map(np.int32, signs)))


def _dispatches(run: Run, state: TrainState, stop: Callable[[], bool]) -> Generator[Progress]:
    config = run.config
    return train(
        make_step(run.recipe.update),
        state,
        feed_from(run.dataset, seed=config.seed, batch_size=config.batch_size, rows=run.host.rows(config.batch_size)),
        run.strategy,
        steps=config.steps,
        dispatch=config.log_every,
        halts=tuple(filter(None, (config.sample_every, config.checkpoint_every, config.evaluate_every))),
        stop=stop,
    )


def _note_compilation(run: Run, seconds: float) -> None:
    """Prints and records, once a session, how long the training step took to compile."""
    session = run.record["sessions"][-1]
    if "compile_seconds" in session:
        return
    session["compile_seconds"] = round(seconds, 1)
    run.display.say(f"Compiled the training step in {session['compile_seconds']} s")
    if run.host.is_first:
        run.directory.note_session(session)


def _draw(run: Run, draw_grid: GridDrawer, progress: Progress) -> dict[str, float]:
    """Draws a sample grid if it is time; returns the metrics of its images."""
    if progress.step % run.config.sample_every:
        return {}
    return draw_grid(run.directory.grid(progress.step), run.strategy.fetch(progress.state.networks))


def _evaluate(run: Run, progress: Progress) -> dict[str, float]:
    """Scores the networks if it is time, and keeps the state if it is the best one."""
    if not run.config.evaluate_every or progress.step % run.config.evaluate_every:
        return {}
    best, networks = Best(run.directory.best, run.host), run.strategy.fetch(progress.state.networks)
    scores = run.recipe.score(networks) if run.host.is_first and run.recipe.score else {}
    if run.host.share(np.bool_(scores and best.is_beaten(scores))):
        best.keep(run.strategy.stored(progress.state), networks, scores, run.recipe.sampler, run.export_info)
    return {f"evaluation/{name}": value for name, value in scores.items()}


def _log(run: Run, clock: Clock, row: Mapping[str, float]) -> None:
    if run.host.is_first:
        run.directory.log(row)
        losses = {name: row[name] for name in run.watched.losses if name in row}
        run.display.show(int(row["step"]), losses, row["time/images_per_second"], *clock.remaining())


def _save(run: Run, state: TrainState, signs: Signs) -> None:
    run.checkpoints.save(run.strategy.stored(state), protect=signs.healthy)


def _finish(run: Run, networks: Networks) -> None:
    """Plots the metrics, writes the exports, and draws the recipe's further pictures."""
    if not run.host.is_first:
        return
    networks = exportable(networks)
    plot_metrics(run.directory.losses, run.directory.rows())
    export_sampler(run.recipe.sampler)(run.directory.sampler, networks, run.export_info)
    for name, export in run.recipe.exports.items():
        export(run.directory.path / name, networks, run.export_info)
    # Last: a picture that cannot be drawn must not cost the exports.
    save_pictures(run.directory.path, run.recipe, networks, run.dataset, run.config.seed)
