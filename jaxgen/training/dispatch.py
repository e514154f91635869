"""Training as dispatches: many steps as one program, whose metrics are fetched one dispatch behind."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from itertools import count as count_from
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.core.metrics import Mean, Metrics, compute
from jaxgen.core.parallel import Dispatch, Strategy
from jaxgen.core.rows import take_rows
from jaxgen.core.step import Step, scan_steps
from jaxgen.core.tree import by_path
from jaxgen.core.types import Array, Batch, PyTree, TrainState
from jaxgen.data import Dataset, StreamedDataset, batch_indices, stream_batches


class Feed(NamedTuple):
    """Where batches come from.

    `shared` are arrays of examples [N, ...], which are put on the devices once.  `choices(start, stop)` yields, for
    each step from `start` on, the indices of its batch or the batch itself; the compiled program computes the batch as
    `select(rows, choice)` from the rows that the devices hold.
    """

    shared: Mapping[str, np.ndarray]
    choices: Callable[[int, int], Generator[PyTree]]
    select: Callable[[PyTree, PyTree], Batch]


class Measured(NamedTuple):
    """The metrics' means over a dispatch that ended at `step`, whether its state is finite, and when it was fetched.

    `time` is in seconds (`time.monotonic()`).
    """

    step: int
    means: dict[str, float]
    is_finite: bool
    time: float


class Progress(NamedTuple):
    """Where training is after a dispatch.

    `measured` is of the dispatch before, which has ended without waiting for this one; at a halt, of this one too.
    `state` is the strategy's, and may be read until the next dispatch begins.  `compile_seconds` is the time until the
    program of all dispatches was traced and compiled, or read from the cache of compiled programs.
    """

    step: int
    state: TrainState
    measured: list[Measured]
    compile_seconds: float


def feed_from(dataset: Dataset | StreamedDataset, *, seed: int, batch_size: int, rows: slice = slice(None)) -> Feed:
    """Batches of a data set: by index from the devices' memory, or read from disk ahead of time.

    `rows` are the rows of each batch that this process reads.
    """

    def indices(step: int) -> np.ndarray:
        return batch_indices(seed, step, batch_size, dataset.size)

    if isinstance(dataset, StreamedDataset):
        return Feed(
            shared={},
            choices=lambda start, stop: stream_batches(dataset, indices, start=start, stop=stop, rows=rows),
            select=lambda _, batch: batch,
        )
    shapes = {name: shape for name, (shape, _) in dataset.fields.items()}
    return Feed(
        shared=dataset.arrays,
        choices=lambda start, _: (indices(step)[rows] for step in count_from(start)),
        select=lambda arrays, index: {name: take_rows(array, index, shapes[name]) for name, array in arrays.items()},
    )


def train(
    step: Step,
    state: TrainState,
    feed: Feed,
    strategy: Strategy,
    *,
    steps: int,
    dispatch: int = 50,
    halts: tuple[int, ...] = (),
    stop: Callable[[], bool] = lambda: False,
) -> Generator[Progress]:
    """Trains until the state's step is `steps` or until `stop()`, and yields the progress after every dispatch.

    The state is one that the strategy has put; its buffers are used up.  A dispatch ends at each multiple of `dispatch`
    and of each of `halts`, wherever training began; one program serves all lengths.
    """
    number, behind, compile_seconds = int(strategy.fetch(state.step)), [], None
    if number >= steps:
        return
    run = strategy.compile(many_steps(step, feed.select))
    shared = strategy.put_rows(feed.shared)
    with closing(feed.choices(number, steps)) as choices:
        while number < steps and not stop():
            count = min(steps - number, *(period - number % period for period in (dispatch, *halts)))
            chosen, began = strategy.put_sharded(_take(choices, count, dispatch)), time.monotonic()
            state, metrics = run(state, shared, chosen, np.int32(count))
            if compile_seconds is None:  # the first call returns when the program runs, which it goes on doing
                compile_seconds = time.monotonic() - began
            number += count
            done, behind = behind, [(number, metrics)]
            if number == steps or any(number % period == 0 for period in halts):
                done, behind = done + behind, []
            yield Progress(number, state, [_measure(*dispatched) for dispatched in done], compile_seconds)
    if behind and compile_seconds is not None:
        yield Progress(number, state, [_measure(*dispatched) for dispatched in behind], compile_seconds)


def many_steps(step: Step, select: Callable[[PyTree, PyTree], Batch]) -> Dispatch:
    """Up to n steps as one program; returns their metrics, and whether the state is finite after them."""

    def dispatch(state: TrainState, shared: PyTree, split: PyTree, count: Array) -> tuple[TrainState, PyTree]:
        state, metrics = scan_steps(lambda state, choice: step(state, select(shared, choice)))(state, split, count)
        finite = jnp.all(jnp.array([~has_diverged(*array) for array in float_arrays(state).items()]))
        return state, (metrics, Mean(finite.astype(jnp.float32), jnp.ones(())))

    return dispatch


def diverged_leaves(state: TrainState) -> list[str]:
    """The names of the arrays that are not finite."""
    return [name for name, leaf in float_arrays(state).items() if has_diverged(name, leaf)]


def float_arrays(state: TrainState) -> dict[str, Array]:
    """The floating-point arrays of networks and optimisers, by name."""
    leaves = by_path({"networks": state.networks, "opt_state": state.opt_state})
    return {name: leaf for name, leaf in leaves.items() if jnp.issubdtype(leaf.dtype, jnp.inexact)}


def has_diverged(name: str, leaf: Array) -> Array:
    """Whether an array holds NaN or, in a network, infinity; an optimiser's state may start with an infinite value."""
    return (~jnp.isfinite(leaf) if name.startswith("networks") else jnp.isnan(leaf)).any()


def _take(choices: Iterator[PyTree], count: int, length: int) -> PyTree:
    """The next `count` choices, stacked; copies of the last make up the length."""
    taken = [next(choices) for _ in range(count)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *taken, *[taken[-1]] * (length - count))


def _measure(step: int, measured: tuple[Metrics, Mean]) -> Measured:
    metrics, finite = jax.device_get(measured)
    return Measured(step, compute(metrics), bool(finite.total == finite.count), time.monotonic())
