"""The terminal: `say` prints, `progress` shows how far long work is.

Texts are never markup, a character that the terminal cannot show is replaced, and what is printed to a closed terminal
is dropped without an error.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import cache
from signal import SIGINT
from typing import Any, TypeVar

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from jaxgen.io.interruption import Interruption

T = TypeVar("T")
R = TypeVar("R")

FIRST_SECONDS, QUIET_SECONDS = 5.0, 10.0
"""Where the output is not a terminal: seconds before the first line of progress, and between lines."""

SCREEN = threading.Lock()
"""Held by whoever shows a bar: a terminal has room for one."""


class _Stream:
    """Standard output or error, whichever file that is at the time."""

    def __init__(self, name: str):
        self._name = name

    @property
    def _file(self) -> Any:
        file = getattr(sys, self._name)
        return getattr(file, "rich_proxied_file", file)

    @property
    def encoding(self) -> str:
        return getattr(self._file, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        # ValueError: the file is closed.  AttributeError: a program without a console has none.
        with suppress(ValueError, AttributeError):
            try:
                self._file.write(text.encode(self.encoding, "replace").decode(self.encoding))
            except OSError:
                self._give_up()
        return len(text)

    def flush(self) -> None:
        with suppress(ValueError, AttributeError):
            try:
                self._file.flush()
            except OSError:
                self._give_up()

    def isatty(self) -> bool:
        with suppress(ValueError, AttributeError):
            return self._file.isatty()
        return False

    def fileno(self) -> int:
        return self._file.fileno()

    def _give_up(self) -> None:
        """Nobody reads any more, as after `| head`: what is left to write must not fail again, at the exit."""
        with suppress(OSError), open(os.devnull, "w") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), self._file.fileno())


def make_console(*, error: bool = False, quiet: bool = False) -> Console:
    """A console on standard output or error."""
    stream: Any = _Stream("stderr" if error else "stdout")
    return Console(file=stream, quiet=quiet, markup=False, highlight=False, emoji=False)


def _console(*, error: bool = False) -> Console:
    """The console of a stream: the same for a bar and for what is printed above it."""
    return _console_of_width(error, os.environ.get("COLUMNS"))


@cache
def _console_of_width(error: bool, _columns: str | None) -> Console:
    """A console, which reads the variable COLUMNS once."""
    return make_console(error=error)


def say(content: RenderableType, *, error: bool = False, console: Console | None = None) -> None:
    """Prints a line of text, above the bar if there is one, or a table; `error` sends it to standard error."""
    console = console or _console(error=error)
    console.print(Text(content) if isinstance(content, str) else content, soft_wrap=isinstance(content, str))


def clock_time(seconds: float) -> str:
    """A duration as on a clock.

    >>> clock_time(75), clock_time(3675)
    ('1:15', '1:01:15')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def progress(do: Callable[[T], R], items: Sequence[T], what: str, *, may_stop: bool = False) -> list[R]:
    """Calls `do` with each item and returns the results; shows how much of it is done, and the time left.

    A terminal shows a bar; elsewhere there is a line every ten seconds.  With `may_stop` Ctrl-C ends the work after the
    present item: the results are those of the items so far, at least one.  Inside other work that shows its progress,
    as in training, nothing is shown and Ctrl-C is left to that.
    """
    if len(items) < 2 or not SCREEN.acquire(blocking=False):
        return [do(item) for item in items]
    results = []
    with ExitStack() as stack:
        stack.callback(SCREEN.release)
        advance = _shown(stack, what, len(items))
        interruption = stack.enter_context(Interruption((SIGINT,) if may_stop else ()))
        for item in items:
            results.append(do(item))
            advance(len(results))
            if interruption.signal and len(results) < len(items):
                break
    if len(results) < len(items):
        say(f"{what}: stopped after {len(results) / len(items):.0%}")
    return results


def _shown(stack: ExitStack, what: str, total: int) -> Callable[[int], None]:
    """The function that shows how many of the items are done, until the stack is closed."""
    console, began = _console(), time.monotonic()
    next_line = began + FIRST_SECONDS
    columns = TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[left]}")
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task(what, total=total, left="")
    if console.is_terminal:
        stack.enter_context(bar)

    def advance(done: int) -> None:
        nonlocal next_line
        now = time.monotonic()
        left = f"{clock_time((now - began) * (total - done) / done)} left"
        bar.update(task, completed=done, left=left)
        if not console.is_terminal and now >= next_line and done < total:
            next_line = now + QUIET_SECONDS
            say(f"{what}: {done / total:.0%}, {left}")

    return advance
