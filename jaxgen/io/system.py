"""What differs between operating systems: signals, disk space, writing through to the disk, memory, users.

No other module of the package asks which system it runs on.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
"""The signals of this system that ask a program to end: Ctrl-C, `kill`, a terminal that is closed."""

Handler = Callable[[int, FrameType | None], Any]


class Handling:
    """Handles signals while the context is open, in the main thread; elsewhere Python allows no handlers.

    A signal that is ignored, as `nohup` arranges for a closed terminal, stays ignored.  Ctrl-C is handled in any case:
    shells ignore it for programs in the background, to which others may send it.
    """

    def __init__(self, handler: Handler, signals: Sequence[signal.Signals]):
        self._handler, self._signals = handler, signals
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Handling":
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handler)
        return self

    def __exit__(self, *exception) -> None:
        while self._before:
            number, handler = self._before.popitem()
            # None: a handler that was not installed from Python and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def end_on_termination() -> None:
    """SIGTERM ends this process, whatever a library has arranged."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def reserve_space(path: Path, size: int) -> None:
    """Makes sure that `size` bytes fit on the disk, with a file that is written and deleted, where the system can.

    Raises:
      OSError: they do not fit.
    """
    if hasattr(os, "posix_fallocate") and size:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
        path.unlink()


def write_through(path: Path) -> None:
    """Returns when a file is on the disk and no longer in the system's memory only.

    Raises:
      OSError: it cannot be written.
    """
    with path.open("r+b") as file:  # Windows refuses files that are open for reading only
        os.fsync(file.fileno())


def has_home() -> bool:
    """Whether the system knows a home folder of this user; in containers there may be none."""
    return not os.path.expanduser("~").startswith("~")  # noqa: PTH111 - Path.home raises instead


def installed_memory() -> float:
    """The bytes of memory that this process can use at most; infinity where the system does not say.

    Linux grants more memory than there is, and kills the process that uses it.
    """
    limits = [float("inf")]
    with suppress(AttributeError, ValueError, OSError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(ValueError, OSError):
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))  # of a container
    return min(limits)


def peak_memory_gib() -> float:
    """The most memory that this process has used so far, in GiB; NaN where the system does not say."""
    try:
        import resource
    except ImportError:
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
