"""Restoring a saved state: to resume a run, or to go back after a divergence."""

from pathlib import Path

import jax
import jax.numpy as jnp

from jaxgen.core.types import TrainState
from jaxgen.training.divergence_report import save_divergence
from jaxgen.training.prepare import Run
from jaxgen.training.processes import AgreedError
from jaxgen.training.watchdog import Divergence

SETBACKS = 3
"""The number of times that a run goes back before it gives up."""


def restore(run: Run, *, before: int | None = None) -> TrainState:
    """The newest saved state, at or before step `before` if given; the first state if none was saved.

    It is placed on the devices.
    """
    saved = run.checkpoints.restore(run.strategy.place(run.shapes), run.display.say, before=before)
    return run.first_state() if saved is None else run.strategy.put_state(saved)


def go_back(run: Run, divergence: Divergence, setbacks: int) -> TrainState:
    """The placed state to go on from after a divergence: an earlier one, with another key and one setback more.

    Raises:
      AgreedError: the run is not to go back, or has gone back three times.
    """
    if run.config.on_divergence == "stop" or setbacks == SETBACKS:
        times = f" after going back {setbacks} times" if setbacks else ""
        report = _report(run, divergence, setbacks + 1, f"Training stopped{times}.")
        raise AgreedError(f"{divergence.what} at step {divergence.step:,}{times}: see {report}.")
    state, number = run.strategy.stored(restore(run, before=divergence.since)), setbacks + 1
    state = state._replace(key=jax.random.fold_in(state.key, number), setbacks=jnp.int32(number))
    state, step = run.strategy.put_state(state), int(state.step)
    outcome = f"Training went back to step {step:,} with other random numbers and half the learning rates."
    report = _report(run, divergence, number, f"{outcome}  This was rollback {number} of at most {SETBACKS}.")
    run.checkpoints.rewind(run.strategy.stored(state))
    if run.host.is_first:
        run.directory.rewind(step)
        run.directory.note("setbacks", {"from": divergence.step, "to": step, "because": divergence.what})
    run.display.say(f"{divergence.what} at step {divergence.step:,}.  {outcome}  See {report}")
    return state


def _report(run: Run, divergence: Divergence, number: int, outcome: str) -> Path:
    folder = run.directory.path / f"divergence_{number}"

    def write() -> None:
        rows, grids = run.directory.rows(), run.directory.grids()
        save_divergence(folder, divergence, outcome=outcome, rows=rows, grids=grids)

    run.host.agree_on_first(write)  # no process ends before the report is written
    return folder / "report.md"
