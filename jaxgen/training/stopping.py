"""The processes of a run agree on when to stop, without waiting for their devices.

A collective would queue behind the dispatch that runs.  Instead the first process decides, one dispatch ahead: before
dispatch n it publishes in JAX's key-value store whether all stop before dispatch n + 1, and each process reads before
dispatch n what was published for it.  A process thus waits only if it is more than a dispatch ahead of the first.

    <run>/signal/<process>    a signal that came to another process than the first
    <run>/before/<n>          what the first process decided for dispatch n

The first process waits for none.  If another one is lost, the dispatch fails; if the first is, reading does.
"""

from collections.abc import Callable
from itertools import count
from typing import NamedTuple, Protocol

from jaxgen.training.processes import Host

RUNS = count()
"""Numbers the runs of a process, so that none reads the keys of another: all processes make the same runs."""

KEPT = 100
"""Decisions that can still be read; the metrics that each process fetches keep all within two dispatches."""

PATIENCE_SECONDS = 7 * 24 * 3600
"""For the first process, which evaluates and draws; if it is gone, JAX notices by its silence."""


class Store(Protocol):
    """A key-value store that the processes share: JAX's client of its coordination service."""

    def key_value_set(self, key: str, value: str) -> None:
        """Sets a key that is not set yet."""

    def key_value_dir_get(self, key: str) -> list[tuple[str, str]]:
        """The keys that are set in a folder, with their values, without waiting."""
        ...

    def blocking_key_value_get(self, key: str, timeout_in_ms: int) -> str:
        """The value of a key, as soon as it is set."""
        ...

    def key_value_delete(self, key: str) -> None:
        """Deletes a key."""


class Stop(NamedTuple):
    """Why a run stops: the number of a signal, 0 if none came, and whether the time is over."""

    signal: int = 0
    is_over: bool = False


Agree = Callable[[int, bool], Stop]
"""(signal, whether the time is over) of this process -> why all processes stop, if they do."""


def agreement(host: Host) -> Agree:
    """What the processes of a run call before each dispatch; all of them must, equally often.

    A signal to any process counts, and the clock of the first.  With several processes it takes up to two dispatches.
    """
    if host.processes == 1:
        return Stop
    store, run = key_value_store(), f"jaxgen/{next(RUNS)}"
    return lead(store, run) if host.is_first else follow(store, run, host.number)


def lead(store: Store, run: str) -> Agree:
    """The first process's side."""
    calls, decided = count(), Stop()

    def agree(signal: int, is_over: bool) -> Stop:
        nonlocal decided
        number, signals = next(calls), store.key_value_dir_get(f"{run}/signal")
        now, decided = decided, Stop(max([signal, *(int(value) for _, value in signals)]), is_over)
        if number == 0:
            now = decided
            store.key_value_set(f"{run}/before/0", _written(now))
        store.key_value_set(f"{run}/before/{number + 1}", _written(decided))
        if number >= KEPT:
            store.key_value_delete(f"{run}/before/{number - KEPT}")
        return now

    return agree


def follow(store: Store, run: str, process: int) -> Agree:
    """Another process's side."""
    calls, is_sent = count(), False

    def agree(signal: int, _: bool) -> Stop:
        nonlocal is_sent
        if signal and not is_sent:
            store.key_value_set(f"{run}/signal/{process}", str(signal))
            is_sent = True
        return _read(store.blocking_key_value_get(f"{run}/before/{next(calls)}", 1000 * PATIENCE_SECONDS))

    return agree


def key_value_store() -> Store:
    """The store of the processes that `jax.distributed` has joined, which JAX has no public name for."""
    from jax._src import distributed

    return distributed.global_state.client  # pyright: ignore[reportReturnType]


def _written(stop: Stop) -> str:
    return f"{stop.signal} {int(stop.is_over)}"


def _read(text: str) -> Stop:
    signal, is_over = map(int, text.split())
    return Stop(signal, bool(is_over))
