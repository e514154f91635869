"""The processes that train one run together: what they agree on, and what only the first of them does."""

import atexit
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import jax
import numpy as np

from jaxgen.core.types import PyTree
from jaxgen.io.errors import InputError, OutsideError, first_line
from jaxgen.io.system import end_on_termination

T = TypeVar("T")

ADDRESS, COUNT, NUMBER = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
SILENCE_SECONDS = 30
"""A process without a heartbeat for this long is taken for dead."""

OUTSIDE = "outside: "
"""How the message of an `OutsideError` begins when it is sent to the other processes."""

LOST = re.compile("(UNKNOWN|UNAVAILABLE|ABORTED|CANCELLED|DEADLINE_EXCEEDED|INTERNAL|FAILED_PRECONDITION): ")
"""How the errors of JAX's runtime begin where another process is gone, whatever their class."""


class AgreedError(OutsideError):
    """An error that all processes of a run raise together."""


class Host(NamedTuple):
    """The present process, number `number` of the `processes` that train a run together.

    Alone, every method is the identity; otherwise all processes must call it, in the same order.
    """

    number: int = 0
    processes: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes files and prints."""
        return self.number == 0

    def rows(self, batch_size: int) -> slice:
        """The rows of a batch that this process reads."""
        share = batch_size // self.processes
        return slice(share * self.number, share * (self.number + 1))

    def share(self, tree: PyTree) -> PyTree:
        """The first process's arrays; the others pass arrays of the same shapes and dtypes."""
        if self.processes == 1:
            return tree
        from jax.experimental import multihost_utils

        return jax.tree.map(np.asarray, multihost_utils.broadcast_one_to_all(tree))

    def largest(self, values: tuple[int, ...]) -> tuple[int, ...]:
        """The maximum of each value over all processes."""
        if self.processes == 1:
            return values
        return tuple(int(value) for value in _gather(np.asarray(values, np.int32)).max(axis=0))

    def texts(self, text: str) -> list[str]:
        """The texts of all processes, in their order."""
        if self.processes == 1:
            return [text]
        content = np.frombuffer(text.encode(), np.uint8)
        (length,) = self.largest((len(content),))
        # Lengths that are powers of two: each is a program of its own.
        padded = np.zeros(1 << length.bit_length(), np.uint8)
        padded[: len(content)] = content
        return [bytes(row).rstrip(b"\0").decode() for row in _gather(padded)]

    def agree(self, task: Callable[[], T]) -> T:
        """Runs a task on every process; if it fails on one, it fails on all.

        Raises:
          Exception: the task's own.
          InputError, OutsideError: the task failed on another process; the message names it.
        """
        mistake, result = None, None
        try:
            result = task()
        except Exception as error:
            mistake = error
        kind = OUTSIDE if isinstance(mistake, OutsideError) else ""
        messages = self.texts("" if mistake is None else kind + first_line(mistake))
        if mistake is not None:
            raise mistake
        for number, message in enumerate(messages):
            if message:
                error = OutsideError if message.startswith(OUTSIDE) else InputError
                raise error(f"Process {number} of {self.processes}: {message.removeprefix(OUTSIDE)}")
        return result  # pyright: ignore[reportReturnType]

    def agree_on_first(self, task: Callable[[], T]) -> T | None:
        """Runs a task on the first process; if it fails, it fails on all.  None on the others.

        Raises:
          Exception: the task's own.
          InputError, OutsideError: the task failed on the first process.
        """
        return self.agree(lambda: task() if self.is_first else None)

    def require_same(self, text: str, what: str) -> None:
        """Refuses a text that differs from the first process's.

        Raises:
          InputError: naming the process.
        """
        first, *others = self.texts(text)
        for number, other in enumerate(others, start=1):
            if other != first:
                raise InputError(f"Process {number} was started with other {what} than process 0: start all alike.")

    @contextmanager
    def fail_together(self, advice: Callable[[], str]) -> Iterator[None]:
        """Ends all processes as soon as one of them fails in this context; `advice` says what to do then.

        Raises:
          OutsideError: another process is gone.
        """
        try:
            yield
        except AgreedError:
            raise
        except BaseException as error:
            if self.processes == 1:
                raise
            atexit.register(_leave)
            if LOST.match(first_line(error)):
                raise OutsideError(f"Another process of this run is gone ({first_line(error)}). {advice()}") from error
            raise


def this_host(*, distributed: bool) -> Host:
    """Joins the other processes of a distributed run, before JAX is used for anything else; returns this process.

    Raises:
      InputError: nothing says who the others are, or they could not be reached.
    """
    if distributed:
        _join()
    return Host(jax.process_index(), jax.process_count())


def _join() -> None:
    # JAX recognises SLURM, Kubernetes, Open MPI and TPU pods; elsewhere the environment variables are needed.
    advice = f"run under SLURM, Kubernetes, Open MPI or on a TPU pod, or set {ADDRESS}, {COUNT} and {NUMBER}"
    try:
        jax.distributed.initialize(
            os.environ.get(ADDRESS),
            num_processes=_number(COUNT),
            process_id=_number(NUMBER),
            heartbeat_timeout_seconds=SILENCE_SECONDS,
        )
        # JAX has taken SIGTERM for itself; until training handles it, it must end the process.
        end_on_termination()
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"--distributed: the processes could not be joined ({first_line(error)}): {advice}."
        ) from error


def _number(name: str) -> int | None:
    value = os.environ.get(name)
    return None if value is None else int(value)


def _gather(values: np.ndarray) -> np.ndarray:
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(values))


def _leave() -> None:
    # JAX would wait at exit for processes that are gone or wait for this one, and then abort.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
