"""Several processes, one run: what they must agree on, and what only the first of them does.

Every function is the identity in a run of one process, and must be called by all processes alike otherwise.
"""

import atexit
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import jax
import numpy as np

from jaxgen.core.types import PyTree
from jaxgen.io.errors import InputError, OutsideError, first_line

T = TypeVar("T")

ADDRESS, COUNT, NUMBER = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
SILENCE_SECONDS = 30
"""A process that has not been heard of for this long is taken for dead."""

LOST = re.compile("(UNKNOWN|UNAVAILABLE|ABORTED|CANCELLED|DEADLINE_EXCEEDED|INTERNAL|FAILED_PRECONDITION): ")
"""How the errors of JAX's runtime begin where another process is gone, whichever class they come in."""


class AgreedError(OutsideError):
    """One that all processes of a run meet alike."""


def join() -> None:
    """Makes this process one of several, before JAX is used for anything else.

    SLURM, Kubernetes, Open MPI and TPU pods are recognised by JAX; elsewhere the environment says who is who.

    Raises:
      InputError: neither says so, or the others could not be reached.
    """
    advice = f"run under SLURM, Kubernetes, Open MPI or on a TPU pod, or set {ADDRESS}, {COUNT} and {NUMBER}"
    try:
        jax.distributed.initialize(
            os.environ.get(ADDRESS),
            num_processes=_number(COUNT),
            process_id=_number(NUMBER),
            heartbeat_timeout_seconds=SILENCE_SECONDS,
        )
        # JAX has taken SIGTERM for itself; until training handles it, it must end the process.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"--distributed: the processes could not be joined ({first_line(error)}): {advice}."
        ) from error


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return jax.process_index() == 0


def process_rows(batch_size: int) -> slice:
    """The share of this process in the rows of a batch."""
    share = batch_size // jax.process_count()
    return slice(share * jax.process_index(), share * (jax.process_index() + 1))


def largest(values: tuple[int, ...]) -> tuple[int, ...]:
    """The largest of each value over all processes."""
    if jax.process_count() == 1:
        return values
    return tuple(int(value) for value in _gather(np.asarray(values, np.int32)).max(axis=0))


def texts(text: str) -> list[str]:
    """Every process's text, in their order."""
    if jax.process_count() == 1:
        return [text]
    content = np.frombuffer(text.encode(), np.uint8)
    (length,) = largest((len(content),))
    padded = np.zeros(length + 1, np.uint8)
    padded[: len(content)] = content
    return [bytes(row).rstrip(b"\0").decode() for row in _gather(padded)]


def from_first(tree: PyTree) -> PyTree:
    """The first process's arrays; the others give arrays of the same shapes and types."""
    if jax.process_count() == 1:
        return tree
    from jax.experimental import multihost_utils

    return jax.tree.map(np.asarray, multihost_utils.broadcast_one_to_all(tree))


def agree(task: Callable[[], T]) -> T:
    """Does a task on every process; where one fails, all do.

    Raises:
      Exception: the task's own.
      InputError: the task failed on another process; with its number.
    """
    mistake, result = None, None
    try:
        result = task()
    except Exception as error:
        mistake = error
    told = texts("" if mistake is None else first_line(mistake))
    if mistake is not None:
        raise mistake
    for number, other in enumerate(told):
        if other:
            raise InputError(f"Process {number} of {len(told)}: {other}")
    return result  # pyright: ignore[reportReturnType]


def require_same(text: str, what: str) -> None:
    """Refuses to begin where a process has something else than the first.

    Raises:
      InputError: naming the process.
    """
    first, *others = texts(text)
    for number, other in enumerate(others, start=1):
        if other != first:
            raise InputError(f"Process {number} was started with other {what} than process 0: start all alike.")


@contextmanager
def one_for_all(advice: Callable[[], str]) -> Iterator[None]:
    """If one process fails here, all end at once; `advice` says what to do then.

    Raises:
      OutsideError: another process is gone.
    """
    try:
        yield
    except AgreedError:
        raise
    except BaseException as error:
        if jax.process_count() == 1:
            raise
        atexit.register(_leave)
        if LOST.match(first_line(error)):
            raise OutsideError(f"Another process of this run is gone ({first_line(error)}). {advice()}") from error
        raise


def _leave() -> None:
    # JAX would wait at exit for processes that are gone or wait for this one, and then abort.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _number(name: str) -> int | None:
    value = os.environ.get(name)
    return None if value is None else int(value)


def _gather(values: np.ndarray) -> np.ndarray:
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(values))
